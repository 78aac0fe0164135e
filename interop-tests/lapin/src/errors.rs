//! Declarations, and errors that end a channel or refuse a connection.

use std::future::Future;

use anyhow::{Context, Result, bail, ensure};
use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Consumer, ErrorKind,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions},
    types::FieldTable,
};

use crate::support::{
    Fixture, connect, connect_to, consume, exclusive, fill, get, passive, ready, unique, url,
};

/// A passive declare reports what is there.
pub async fn passive_declares(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 3).await?;
    let declared =
        f.channel.queue_declare(f.queue.as_str().into(), passive(), FieldTable::default()).await?;
    ensure!(declared.message_count() == 3 && declared.consumer_count() == 0);
    Ok(())
}

/// `action` fails with `code` and `text`, its channel is closed, and the connection serves a new one.
async fn refused<T, F>(
    f: &Fixture,
    code: u16,
    text: &str,
    action: impl FnOnce(Channel) -> F,
) -> Result<()>
where
    F: Future<Output = lapin::Result<T>>,
{
    let channel = f.connection.create_channel().await?;
    let error = action(channel.clone()).await.err().context("was not refused")?;
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        bail!("expected a reply code: {error}")
    };
    ensure!(protocol.get_id() == code, "expected {code}: {error}");
    ensure!(protocol.get_message().as_str().starts_with(text), "expected {text}: {error}");
    ensure!(!channel.status().connected() && f.connection.status().connected());
    let again = f.connection.create_channel().await?;
    let queue = unique("lapin");
    again.queue_declare(queue.as_str().into(), exclusive(), FieldTable::default()).await?;
    fill(&again, &queue, 1).await?;
    ensure!(get(&again, &queue).await?.data == b"m0");
    Ok(())
}

/// Passive declare of a queue that does not exist.
pub async fn missing_queue(f: Fixture) -> Result<()> {
    let name = unique("missing");
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    let declare = |channel: Channel| async move {
        channel.queue_declare(name.as_str().into(), passive(), FieldTable::default()).await
    };
    refused(&f, 404, &text, declare).await
}

async fn watch(channel: &Channel, queue: &str) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
}

/// What ends the channel of a consumer, for methods that have no answer of their own.
async fn why_closed(mut consumer: Consumer) -> lapin::Result<Option<Delivery>> {
    consumer.next().await.transpose()
}

/// Publishing to an exchange that does not exist.
pub async fn missing_exchange(f: Fixture) -> Result<()> {
    let name = unique("missing");
    let text = format!("NOT_FOUND - no exchange '{name}' in vhost '/'");
    let queue = f.queue.clone();
    let publish = |channel: Channel| async move {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let consumer = watch(&channel, &queue).await?;
        channel.basic_publish(name.as_str().into(), "k".into(), options, b"x", properties).await?;
        why_closed(consumer).await
    };
    refused(&f, 404, &text, publish).await
}

/// Acknowledging what was never delivered.
pub async fn unknown_delivery_tag(f: Fixture) -> Result<()> {
    let queue = f.queue.clone();
    let ack = |channel: Channel| async move {
        let consumer = watch(&channel, &queue).await?;
        channel.basic_ack(99, BasicAckOptions::default()).await?;
        why_closed(consumer).await
    };
    refused(&f, 406, "PRECONDITION_FAILED - unknown delivery tag 99", ack).await
}

/// Declaring again with other properties.
pub async fn inequivalent_declare(f: Fixture) -> Result<()> {
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '{}' in vhost '/'",
        f.queue
    );
    let queue = f.queue.clone();
    let declare = |channel: Channel| async move {
        channel
            .queue_declare(queue.as_str().into(), exclusive().auto_delete(), FieldTable::default())
            .await
    };
    refused(&f, 406, &text, declare).await
}

/// An exclusive queue from another connection.
pub async fn locked_to_another_connection(f: Fixture) -> Result<()> {
    let other = connect().await?;
    let channel = other.create_channel().await?;
    let error = ready(&channel, &f.queue).await.err().context("was not refused")?;
    ensure!(format!("{error:#}").contains("RESOURCE_LOCKED"), "{error:#}");
    other.close(200, "bye".into()).await?;
    Ok(())
}

/// A second consumer beside an exclusive one.
pub async fn exclusive_consumer(f: Fixture) -> Result<()> {
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let queue = f.queue.as_str();
    let _held =
        f.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    let other = f.connection.create_channel().await?;
    let error = consume(&other, queue, false).await.err().context("was not refused")?;
    ensure!(format!("{error:#}").contains("in exclusive use"), "{error:#}");
    Ok(())
}

async fn connection_refused(url: &str, text: &str) -> Result<()> {
    let Err(error) = connect_to(url).await else {
        bail!("connected to {url}");
    };
    ensure!(error.to_string().contains(text), "expected {text}: {error}");
    Ok(())
}

/// A vhost that does not exist.
pub async fn unknown_vhost(_: Fixture) -> Result<()> {
    let url = format!("{}/nowhere", url()?.trim_end_matches('/'));
    connection_refused(&url, "NOT_ALLOWED - vhost nowhere not found").await
}

/// Refused with authentication_failure_close: a reply code instead of a closed socket.
pub async fn wrong_password(_: Fixture) -> Result<()> {
    connection_refused(&url()?.replace(":guest@", ":wrong@"), "ACCESS_REFUSED").await
}
