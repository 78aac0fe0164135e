//! Clients that publish and consume until the broker is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_lite::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation};
use parking_lot::Mutex;

use crate::ledger::{Ledger, Queue};
use crate::message::{Id, counted};
use crate::random::Random;
use crate::topology::{EXCHANGE, QUEUES, ROUTES, connect, ready};

/// What all clients share.
#[derive(Clone)]
pub struct World {
    pub url: String,
    pub seed: u64,
    pub ledger: Arc<Mutex<Ledger>>,
}

/// What a publisher sends.
#[derive(Debug, Clone)]
pub struct Publishing {
    /// Unconfirmed messages at a time.
    pub window: usize,
    /// Bounds of a body's size.
    pub size: (u64, u64),
    /// Places in [`ROUTES`].
    pub routes: Vec<usize>,
    /// In this many messages, one is transient; 0 = none.
    pub transient: u64,
    /// The most messages.
    pub count: u32,
}

/// Publishes until the broker is gone or all is sent, and confirmed.
pub async fn publish(world: World, what: Publishing, mut random: Random) -> Result<()> {
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let publisher = world.ledger.lock().new_publisher();
    let mut open = VecDeque::new();
    for number in 0..what.count {
        let (key, queues) = route(&what, &mut random)?;
        let size = u32::try_from(random.within(what.size.0, what.size.1))?;
        let persistent = what.transient == 0 || random.below(what.transient) > 0;
        let id = Id { publisher, number, size, persistent };
        let (body, properties) = (id.body(world.seed), id.properties(world.seed));
        world.ledger.lock().sent(id, queues);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = channel.basic_publish(EXCHANGE.into(), key.into(), options, &body, properties);
        open.push_back((id, sent.await?));
        while open.len() >= what.window {
            let (id, confirm) = open.pop_front().context("a window of 0")?;
            note(&world, id, confirm.await?);
        }
    }
    for (id, confirm) in open {
        note(&world, id, confirm.await?);
    }
    Ok(())
}

fn route(what: &Publishing, random: &mut Random) -> Result<(&'static str, &'static [Queue])> {
    let choice = usize::try_from(random.below(what.routes.len() as u64))?;
    let route = what.routes.get(choice).and_then(|route| ROUTES.get(*route));
    route.copied().context("no such route")
}

fn note(world: &World, id: Id, confirmation: Confirmation) {
    let mut ledger = world.ledger.lock();
    match confirmation {
        Confirmation::Ack(None) => ledger.confirmed(id, true),
        Confirmation::Nack(_) => ledger.confirmed(id, false),
        other => ledger.violation(format!("{id:?} came back: a binding is lost ({other:?})")),
    }
}

/// How a consumer settles what it is given.
#[derive(Debug, Clone, Copy)]
pub struct Consuming {
    pub queue: Queue,
    pub prefetch: u16,
    /// In this many messages, one is never settled; 0 = none.
    pub keeps: u64,
}

/// Consumes until the broker is gone: acks singly and several at once, rejects, requeues, keeps.
pub async fn consume(world: World, what: Consuming, mut random: Random) -> Result<()> {
    let name = QUEUES.get(what.queue).copied().context("no such queue")?;
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(what.prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(name.into(), "".into(), options, FieldTable::default()).await?;
    let mut acks = Acks::new(what.queue);
    let mut kept = 0;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let Some(id) = check(&world, &delivery, what.queue) else { continue };
        // What is kept takes room of the prefetch: half of it at most.
        if what.keeps > 0 && random.below(what.keeps) == 0 && kept < what.prefetch / 2 {
            kept += 1;
            continue;
        }
        acks.settle(&world, &delivery, id, &mut random).await?;
        acks.fence(&world, &channel, name).await?;
    }
    Ok(())
}

/// Checks a delivery against what was published; the id if all is well.
pub fn check(world: &World, delivery: &Delivery, queue: Queue) -> Option<Id> {
    let Some(id) = Id::of(&delivery.properties) else {
        let what = format!("a message without a proper id: {:?}", delivery.properties);
        world.ledger.lock().violation(what);
        return None;
    };
    let (body, published) = (id.body(world.seed), id.properties(world.seed));
    let properties = match delivery.redelivered {
        true => counted(published, &delivery.properties),
        false => published,
    };
    let mut ledger = world.ledger.lock();
    if body != delivery.data {
        ledger.violation(format!("{id:?} has another body"));
    }
    if properties != delivery.properties {
        let found = &delivery.properties;
        ledger.violation(format!("{id:?} has other properties: {found:?}, not {properties:?}"));
    }
    ledger.delivered(id, queue, delivery.redelivered).then_some(id)
}

/// Acks that are sent, until the broker is known to have processed them.
struct Acks {
    queue: Queue,
    sent: Vec<Id>,
    fenced: Instant,
}

impl Acks {
    fn new(queue: Queue) -> Self {
        Self { queue, sent: Vec::new(), fenced: Instant::now() }
    }

    async fn settle(
        &mut self,
        world: &World,
        delivery: &Delivery,
        id: Id,
        random: &mut Random,
    ) -> Result<()> {
        match random.below(12) {
            0 => {
                let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                delivery.acker.nack(requeue).await?;
                return Ok(());
            }
            1 => {
                world.ledger.lock().acking(id, self.queue);
                let reject = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
                delivery.acker.nack(reject).await?;
            }
            _ => {
                world.ledger.lock().acking(id, self.queue);
                delivery.acker.ack(BasicAckOptions::default()).await?;
            }
        }
        self.sent.push(id);
        Ok(())
    }

    /// A round trip on the same channel now and then: the acks before it are processed.
    async fn fence(&mut self, world: &World, channel: &Channel, name: &str) -> Result<()> {
        const EVERY: Duration = Duration::from_millis(50);
        if self.fenced.elapsed() >= EVERY {
            ready(channel, name).await?;
            world.ledger.lock().acked(self.sent.drain(..), self.queue);
            self.fenced = Instant::now();
        }
        Ok(())
    }
}
