//! After a restart: takes everything out of all queues and compares it with the ledger.

use anyhow::{Context, Result, ensure};
use futures_lite::StreamExt;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use std::time::Duration;

use crate::ledger::{Order, Queue};
use crate::load::{World, check};
use crate::topology::{QUEUES, bye, connect, ready};

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Unacked messages at a time, and acked at once.
const BATCH: u64 = 200;

/// Compares the counts of all queues with the ledger.
pub async fn check_counts(world: &World) -> Result<()> {
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    for (queue, name) in QUEUES.iter().enumerate() {
        let count = ready(&channel, name).await?;
        let mut ledger = world.ledger.lock();
        let (least, most) = ledger.bounds(queue);
        if !(least..=most).contains(&count) {
            ledger.violation(format!("{name} has {count} messages, not {least} to {most}"));
        }
    }
    bye(connection).await;
    Ok(())
}

/// Takes everything, checks each message, and at the end that none is missing.
pub async fn drain(world: &World) -> Result<u64> {
    let connection = connect(&world.url).await?;
    let mut drained = 0;
    for (queue, name) in QUEUES.iter().enumerate() {
        let channel = connection.create_channel().await?;
        drained += drain_queue(world, &channel, queue, name)
            .await
            .with_context(|| format!("draining {name}"))?;
    }
    world.ledger.lock().check_drained();
    bye(connection).await;
    Ok(drained)
}

async fn drain_queue(world: &World, channel: &Channel, queue: Queue, name: &str) -> Result<u64> {
    channel.basic_qos(u16::try_from(2 * BATCH)?, BasicQosOptions::default()).await?;
    let count = ready(channel, name).await?;
    let options = BasicConsumeOptions::default();
    let none = FieldTable::default();
    let mut consumer = channel.basic_consume(name.into(), "drain".into(), options, none).await?;
    let mut order = Order::default();
    let mut taken = Vec::new();
    for number in 1..=count {
        let next = tokio::time::timeout(PATIENCE, consumer.next()).await;
        let next = next.with_context(|| format!("message {number} of {count} does not come"))?;
        let delivery = next.context("the consumer ended")??;
        if let Some(id) = check(world, &delivery, queue) {
            let mut ledger = world.ledger.lock();
            if !order.follows(id) {
                ledger.violation(format!("{id:?} in {name} is out of order"));
            }
            ledger.drained(id, queue);
            ledger.acking(id, queue);
            taken.push(id);
        }
        if number % BATCH == 0 || number == count {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    channel.basic_cancel("drain".into(), lapin::options::BasicCancelOptions::default()).await?;
    // A round trip: the acks are processed.
    let left = channel.basic_get(name.into(), BasicGetOptions { no_ack: false }).await?;
    ensure!(left.is_none(), "more messages than the queue's count of {count}");
    world.ledger.lock().acked(taken, queue);
    Ok(count)
}
