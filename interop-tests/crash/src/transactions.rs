//! Clients that move messages from one queue to another, each time in one transaction.

use anyhow::{Context, Result};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};

use crate::ledger::Queue;
use crate::load::{World, check};
use crate::message::Id;
use crate::random::Random;
use crate::topology::{FROM, QUEUES, TO, connect};

/// The most messages that a transaction takes, and that it publishes.
const MOST: u64 = 30;

/// Moves until the broker is gone or there is nothing left to move.
pub async fn shuttle(world: World, mut random: Random) -> Result<()> {
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    let publisher = world.ledger.lock().new_publisher();
    let mut number = 0;
    loop {
        let taken = take(&world, &channel, random.within(1, MOST)).await?;
        if taken.is_empty() {
            return Ok(());
        }
        let published: Vec<(Id, Queue)> = (0..random.within(1, MOST))
            .map(|_| {
                number += 1;
                let size = u32::try_from(random.below(4_000)).unwrap_or(0);
                (Id { publisher, number, size, persistent: true }, TO)
            })
            .collect();
        let transaction = world.ledger.lock().transaction(taken, published.clone());
        for (id, queue) in published {
            send(&world, &channel, id, queue).await?;
        }
        if random.below(8) == 0 {
            // What is left to the end of the connection is undone.
            return Ok(());
        }
        world.ledger.lock().committing(transaction);
        channel.tx_commit().await?;
        world.ledger.lock().committed(transaction);
    }
}

/// Gets messages and acks them, which counts with the commit.
async fn take(world: &World, channel: &Channel, most: u64) -> Result<Vec<(Id, Queue)>> {
    let from = QUEUES.get(FROM).copied().context("no such queue")?;
    let mut taken = Vec::new();
    for _ in 0..most {
        let Some(message) = channel.basic_get(from.into(), BasicGetOptions::default()).await?
        else {
            break;
        };
        if let Some(id) = check(world, &message.delivery, FROM) {
            taken.push((id, FROM));
        }
        message.delivery.acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(taken)
}

async fn send(world: &World, channel: &Channel, id: Id, queue: Queue) -> Result<()> {
    let name = QUEUES.get(queue).copied().context("no such queue")?;
    let (body, properties) = (id.body(world.seed), id.properties(world.seed));
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), name.into(), options, &body, properties).await?;
    Ok(())
}
