//! Consuming: acknowledgements, requeueing, cancellation, direct reply-to.

use anyhow::{Context, Result, ensure};
use futures_lite::StreamExt;
use lapin::{
    BasicProperties,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicGetOptions, BasicNackOptions,
        BasicRecoverOptions, BasicRejectOptions, QueueDeleteOptions,
    },
};

use crate::support::{
    Fixture, bodies, consume, fill, get, nothing_more, ready, send, take, wait_ready, within,
};

/// In order, each acknowledged, none left.
pub async fn ack_each(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 50).await?;
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    let deliveries = take(&mut consumer, 50).await?;
    for (delivery, tag) in deliveries.iter().zip(1..) {
        ensure!(
            delivery.delivery_tag == tag && delivery.data == format!("m{}", tag - 1).as_bytes()
        );
        delivery.ack(BasicAckOptions::default()).await?;
    }
    f.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    ensure!(ready(&f.channel, &f.queue).await? == 0);
    Ok(())
}

/// What is not acknowledged comes back, marked, when the channel ends.
pub async fn ack_multiple_and_the_rest_comes_back(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 10).await?;
    let first = f.connection.create_channel().await?;
    let mut consumer = consume(&first, &f.queue, false).await?;
    take(&mut consumer, 10).await?;
    first.basic_ack(7, BasicAckOptions { multiple: true }).await?;
    first.close(200, "done".into()).await?;
    wait_ready(&f.channel, &f.queue, 3).await?;
    let again = get(&f.channel, &f.queue).await?;
    ensure!(again.data == b"m7" && again.redelivered);
    Ok(())
}

/// A requeued message is the next one, marked redelivered.
pub async fn reject_is_redelivered_in_its_place(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 3).await?;
    let taken = f.channel.basic_get(f.queue.as_str().into(), BasicGetOptions::default()).await?;
    let taken = taken.context("an empty queue")?;
    ensure!(taken.data == b"m0" && !taken.redelivered && taken.message_count == 2);
    taken.reject(BasicRejectOptions { requeue: true }).await?;
    wait_ready(&f.channel, &f.queue, 3).await?;
    let again = get(&f.channel, &f.queue).await?;
    ensure!(again.data == b"m0" && again.redelivered);
    Ok(())
}

/// Tag 0 with multiple: all that are outstanding.
pub async fn nack_multiple_without_requeue(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 5).await?;
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    take(&mut consumer, 5).await?;
    f.channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: false }).await?;
    f.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    ensure!(ready(&f.channel, &f.queue).await? == 0);
    Ok(())
}

/// basic.recover hands everything outstanding out again.
pub async fn recover(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 2).await?;
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    take(&mut consumer, 2).await?;
    f.channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
    let again = take(&mut consumer, 2).await?;
    ensure!(bodies(&again) == ["m0", "m1"] && again.iter().all(|delivery| delivery.redelivered));
    Ok(())
}

/// After cancel-ok nothing is handed over, and the stream ends.
pub async fn cancel_stops_deliveries(f: Fixture) -> Result<()> {
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    f.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    fill(&f.channel, &f.queue, 1).await?;
    ensure!(within("the end of the stream", consumer.next()).await?.is_none());
    ensure!(ready(&f.channel, &f.queue).await? == 1);
    Ok(())
}

/// The broker cancels the consumers of a deleted queue; the channel lives on.
pub async fn cancel_notify_when_the_queue_is_deleted(f: Fixture) -> Result<()> {
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    let other = f.connection.create_channel().await?;
    other.queue_delete(f.queue.as_str().into(), QueueDeleteOptions::default()).await?;
    ensure!(within("the end of the stream", consumer.next()).await?.is_none());
    ensure!(f.channel.status().connected());
    Ok(())
}

/// Remote calls by `amq.rabbitmq.reply-to`.
pub async fn direct_reply_to(f: Fixture) -> Result<()> {
    let server = f.connection.create_channel().await?;
    let mut requests = consume(&server, &f.queue, true).await?;
    let mut replies = consume(&f.channel, "amq.rabbitmq.reply-to", true).await?;
    let asking = BasicProperties::default()
        .with_reply_to("amq.rabbitmq.reply-to".into())
        .with_correlation_id("c1".into());
    send(&f.channel, &f.queue, b"6*7", asking).await?;
    let asked = take(&mut requests, 1).await?;
    let address = asked[0].properties.reply_to().clone().context("no reply-to")?;
    ensure!(address.as_str().starts_with("amq.rabbitmq.reply-to."));
    let answering = BasicProperties::default().with_correlation_id("c1".into());
    send(&server, address.as_str(), b"42", answering).await?;
    let answer = take(&mut replies, 1).await?;
    ensure!(answer[0].data == b"42");
    ensure!(answer[0].properties.correlation_id().as_ref().is_some_and(|id| id.as_str() == "c1"));
    nothing_more(&f.channel, &f.queue, &mut replies).await
}
