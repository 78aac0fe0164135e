//! What queues do by themselves: policies, delays and keys that no two messages have, until the broker is
//! gone. Afterwards no late message is lost, comes early or comes twice, no key is there twice, and the
//! policy is one that was set last and does what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use futures_lite::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicRejectOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use tokio::time::timeout;

use crate::load::World;
use crate::random::Random;
use crate::topology::{bye, connect};
use crate::vhosts::{change, request};

/// Messages of one kind between two policies.
const BATCH: u64 = 20;
/// The longest delay, ms.
const LATEST: u64 = 1_500;
/// Clocks are read in whole ms, the broker's when it starts: so much they may differ, ms.
const TICK: u64 = 2;
/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The policies' `max-length` begins here: nothing is ever dropped by it.
const LENGTH: u64 = 1_000_000;

/// What was answered.
#[derive(Debug, Default)]
pub struct Rules {
    prefix: String,
    /// All is declared.
    declared: bool,
    /// Late messages by number: when they are due, ms since 1970, and whether they were confirmed.
    late: BTreeMap<u64, (u64, bool)>,
    /// Keys, and whether one of their two messages was confirmed.
    keys: BTreeMap<u64, bool>,
    /// The policy that was answered last, and the one that was asked for last.
    policies: (u64, u64),
}

impl Rules {
    fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }
}

/// Publishes, and sets policies, until the broker is gone.
pub async fn apply(world: World, http: String, prefix: String, mut random: Random) -> Rules {
    let mut rules = Rules { prefix, ..Rules::default() };
    // The error is that the broker is gone.
    drop(until_gone(&world, &http, &mut rules, &mut random).await);
    rules
}

async fn until_gone(
    world: &World,
    http: &str,
    rules: &mut Rules,
    random: &mut Random,
) -> Result<()> {
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    declare(&channel, rules).await?;
    set_policy(http, rules).await?;
    rules.declared = true;
    for batch in 0_u64.. {
        let mut open = Vec::new();
        for number in batch * BATCH..(batch + 1) * BATCH {
            let delay = random.below(LATEST);
            rules.late.insert(number, (now() + delay, false));
            let header = ("x-delay", AMQPValue::LongInt(delay as i32));
            let late = publish(&channel, &rules.name("late"), "k", number, header).await?;
            rules.keys.insert(number, false);
            let header = || ("x-deduplication-header", AMQPValue::LongLongInt(number as i64));
            let queue = rules.name("unique");
            let first = publish(&channel, "", &queue, number, header()).await?;
            let second = publish(&channel, "", &queue, number, header()).await?;
            open.push((number, late, first, second));
        }
        for (number, late, first, second) in open {
            ensure!(late.await?.is_ack(), "a late message was refused");
            rules.late.entry(number).and_modify(|(_, confirmed)| *confirmed = true);
            ensure!(first.await?.is_ack() && second.await?.is_ack(), "a message was refused");
            rules.keys.insert(number, true);
        }
        set_policy(http, rules).await?;
    }
    Ok(())
}

async fn declare(channel: &Channel, rules: &Rules) -> Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let unique = [("x-message-deduplication", AMQPValue::Boolean(true))];
    for (queue, arguments) in
        [("dead", table([])), ("behind", table([])), ("unique", table(unique))]
    {
        channel.queue_declare(rules.name(queue).into(), durable, arguments).await?;
    }
    let kind = ExchangeKind::Custom("x-delayed-message".to_owned());
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let arguments = table([("x-delayed-type", AMQPValue::LongString("direct".into()))]);
    channel.exchange_declare(rules.name("late").into(), kind, options, arguments).await?;
    let (queue, exchange) = (rules.name("behind"), rules.name("late"));
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), "k".into(), options, table([])).await?;
    Ok(())
}

/// Sets the next policy: the queue of keys gives its dead to another one.
async fn set_policy(http: &str, rules: &mut Rules) -> Result<()> {
    rules.policies.1 += 1;
    let definition = serde_json::json!({
        "pattern": format!("^{}$", rules.name("unique")),
        "definition": {
            "max-length": LENGTH + rules.policies.1,
            "dead-letter-exchange": "",
            "dead-letter-routing-key": rules.name("dead"),
        },
    });
    let path = format!("policies/%2F/{}", rules.name("policy"));
    change(http, "PUT", &path, &definition.to_string()).await?;
    rules.policies.0 = rules.policies.1;
    Ok(())
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    number: u64,
    header: (&str, AMQPValue),
) -> Result<lapin::PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(table([header]));
    let (body, options) = (number.to_string(), BasicPublishOptions::default());
    let sent =
        channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    Ok(sent.await?)
}

/// Compares what was answered with what is there, and deletes it.
pub async fn check(world: &World, http: &str, rules: Rules) -> Result<()> {
    if !rules.declared {
        return Ok(());
    }
    let violation = |what: String| world.ledger.lock().violation(what);
    let path = format!("policies/%2F/{}", rules.name("policy"));
    let (_, policy) = request(http, "GET", &path, "").await?;
    let length = policy.pointer("/definition/max-length").and_then(serde_json::Value::as_u64);
    let (answered, asked) = rules.policies;
    if !length.is_some_and(|length| (LENGTH + answered..=LENGTH + asked).contains(&length)) {
        violation(format!("policy {answered} or {asked} is {length:?}"));
    }
    let connection = connect(&world.url).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    check_late(world, &channel, &rules).await.context("late messages")?;
    check_keys(world, &channel, &rules).await.context("keys")?;
    for queue in ["dead", "behind", "unique"] {
        channel.queue_delete(rules.name(queue).into(), QueueDeleteOptions::default()).await?;
    }
    let exchange = rules.name("late");
    channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
    change(http, "DELETE", &path, "").await?;
    bye(connection).await;
    Ok(())
}

/// Each comes once, in its time.
async fn check_late(world: &World, channel: &Channel, rules: &Rules) -> Result<()> {
    let violation = |what: String| world.ledger.lock().violation(what);
    let confirmed = rules.late.iter().filter(|(_, (_, confirmed))| *confirmed);
    let mut missing: BTreeSet<u64> = confirmed.map(|(number, _)| *number).collect();
    let mut seen = BTreeSet::new();
    let options = BasicConsumeOptions::default();
    let queue = rules.name("behind");
    let mut consumer =
        channel.basic_consume(queue.as_str().into(), "late".into(), options, table([])).await?;
    while !missing.is_empty() {
        let Ok(delivery) = timeout(PATIENCE, consumer.next()).await else { break };
        let delivery = delivery.context("the consumer ended")??;
        let (number, now) = (number(&delivery.data)?, now());
        match rules.late.get(&number) {
            None => violation(format!("late message {number} was never sent")),
            Some((due, _)) if now + TICK < *due => {
                violation(format!("late message {number} came {} ms early", due - now));
            }
            Some(_) => {}
        }
        missing.remove(&number);
        if !seen.insert(number) {
            violation(format!("late message {number} came twice"));
        }
        delivery.acker.ack(BasicAckOptions::default()).await?;
    }
    if let Some(first) = missing.first() {
        violation(format!("{} late messages are lost, {first} is the first", missing.len()));
    }
    Ok(())
}

/// Each is there once, also when its message is published again; rejected, it is dead by the policy.
async fn check_keys(world: &World, channel: &Channel, rules: &Rules) -> Result<()> {
    let violation = |what: String| world.ledger.lock().violation(what);
    let queue = rules.name("unique");
    for number in rules.keys.keys() {
        let header = ("x-deduplication-header", AMQPValue::LongLongInt(*number as i64));
        let again = publish(channel, "", &queue, *number, header).await?;
        ensure!(again.await?.is_ack(), "a message was refused");
    }
    for (queue, rejects) in [("unique", true), ("dead", false)] {
        let mut seen = BTreeSet::new();
        let (options, name) = (BasicConsumeOptions::default(), rules.name(queue));
        let mut consumer =
            channel.basic_consume(name.as_str().into(), queue.into(), options, table([])).await?;
        while seen.len() < rules.keys.len() {
            let Ok(delivery) = timeout(PATIENCE, consumer.next()).await else { break };
            let delivery = delivery.context("the consumer ended")??;
            let number = number(&delivery.data)?;
            if !seen.insert(number) {
                violation(format!("key {number} is in {queue} twice"));
            }
            match rejects {
                true => delivery.acker.reject(BasicRejectOptions { requeue: false }).await?,
                false => delivery.acker.ack(BasicAckOptions::default()).await?,
            };
        }
        let left = crate::topology::ready(channel, &name).await?;
        let (found, wanted) = (seen.len(), rules.keys.len());
        if found != wanted || left > 0 {
            violation(format!("{queue} has {found} of {wanted} keys, and {left} messages more"));
        }
    }
    Ok(())
}

fn number(body: &[u8]) -> Result<u64> {
    std::str::from_utf8(body)?.parse().context("a message that nobody has sent")
}

fn table<'a>(fields: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    table
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
}
