//! The soak's client on lapin. See the README.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use futures_lite::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    BasicRejectOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::time::{interval, sleep, timeout};

use crate::topology::{DEAD, QUEUES};

/// Lapin's futures do not always end when their connection does: who waits so long connects again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client does.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Work {
    /// Publishes, with confirms.
    Publish,
    /// Consumes, with acks.
    Consume,
}

struct Client {
    url: String,
    id: u32,
    rate: f64,
    pause: Duration,
    /// The input has ended.
    over: Arc<AtomicBool>,
    number: u64,
}

/// Connects again and again until the input ends.
pub async fn run(work: Work) -> Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    std::thread::spawn(move || {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        ended.store(true, Ordering::SeqCst);
    });
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let mut client = Client {
        url: format!("{}/%2f?heartbeat=10", variable("SOAK_URL")?),
        id: variable("SOAK_ID")?.parse()?,
        rate: variable("SOAK_RATE")?.parse()?,
        pause: Duration::from_secs_f64(variable("SOAK_PAUSE")?.parse()?),
        over,
        number: 0,
    };
    let mut again = false;
    while !client.is_over() {
        if let Err(error) = client.attempt(work, &mut again).await {
            eprintln!("{error:#}");
            sleep(Duration::from_millis(300)).await;
        }
    }
    Ok(())
}

impl Client {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    async fn attempt(&mut self, work: Work, again: &mut bool) -> Result<()> {
        let connecting = Connection::connect(&self.url, ConnectionProperties::default());
        let connection = timeout(Duration::from_secs(10), connecting).await??;
        if std::mem::replace(again, true) {
            say("r");
        }
        match work {
            Work::Publish => self.publish(&connection).await?,
            Work::Consume => self.consume(&connection).await?,
        }
        drop(timeout(Duration::from_secs(2), connection.close(200, "bye".into())).await);
        Ok(())
    }

    async fn publish(&mut self, connection: &Connection) -> Result<()> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let durable = BasicProperties::default().with_delivery_mode(2);
        let mut pace = interval(Duration::from_secs_f64(1.0 / self.rate));
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_over() {
            pace.tick().await;
            self.number += 1;
            let number = self.number;
            let queue = QUEUES.iter().cycle().nth((number % 3) as usize).copied().unwrap_or(DEAD);
            let body = body(self.id, number);
            let options = BasicPublishOptions::default();
            let published =
                channel.basic_publish("".into(), queue.into(), options, &body, durable.clone());
            let confirm = timeout(PATIENCE, async { published.await?.await }).await??;
            say(&if confirm.is_ack() {
                format!("c {number} {number}")
            } else {
                format!("n {number}")
            });
        }
        Ok(())
    }

    async fn consume(&self, connection: &Connection) -> Result<()> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(50, BasicQosOptions::default()).await?;
        let mut streams = Vec::new();
        for queue in QUEUES.iter().chain([&DEAD]) {
            let options = BasicConsumeOptions::default();
            let tag = format!("{queue}.{}", self.id);
            streams.push(
                channel
                    .basic_consume((*queue).into(), tag.into(), options, FieldTable::default())
                    .await?,
            );
        }
        let mut heard = Instant::now();
        while !self.is_over() {
            let mut any = false;
            for stream in &mut streams {
                let next = timeout(Duration::from_millis(2), stream.next()).await;
                if let Ok(next) = next {
                    timeout(PATIENCE, self.settle(next.context("the consumer ended")??)).await??;
                    (any, heard) = (true, Instant::now());
                }
            }
            ensure!(any || connection.status().connected(), "the connection ended");
            ensure!(heard.elapsed() < PATIENCE, "nothing came");
        }
        Ok(())
    }

    async fn settle(&self, delivery: Delivery) -> Result<()> {
        let (publisher, number, sent) =
            read(&delivery.data).context("not a message of the soak")?;
        let is_dead = delivery.routing_key.as_str() == DEAD;
        match number % 50 {
            7 if !is_dead => {
                delivery.acker.reject(BasicRejectOptions { requeue: false }).await?;
            }
            8 if !delivery.redelivered => {
                delivery.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await?;
            }
            _ => {
                let age = micros().saturating_sub(sent);
                say(&format!("d {publisher} {number} {} {age}", u8::from(delivery.redelivered)));
                delivery.acker.ack(BasicAckOptions::default()).await?;
            }
        }
        sleep(self.pause).await;
        Ok(())
    }
}

fn say(line: &str) {
    // Nobody listens any more once the run is over.
    drop(writeln!(std::io::stdout().lock(), "@{line}"));
}

fn micros() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64
}

fn size(number: u64) -> usize {
    if number.is_multiple_of(997) { 150_000 } else { 40 + (number * 7919 % 4000) as usize }
}

fn body(id: u32, number: u64) -> Vec<u8> {
    let mut body = format!("{id} {number} {} ", micros()).into_bytes();
    body.resize(body.len().max(size(number)), b'x');
    body
}

/// Publisher, number, when it was sent.
fn read(body: &[u8]) -> Option<(u32, u64, u64)> {
    let head = String::from_utf8_lossy(body.get(..60.min(body.len()))?).into_owned();
    let mut parts = head.splitn(4, ' ');
    let (publisher, number, sent) = (parts.next()?, parts.next()?, parts.next()?);
    let head = publisher.len() + number.len() + sent.len() + 3;
    let read = (publisher.parse().ok()?, number.parse().ok()?, sent.parse().ok()?);
    let rest = body.get(head..).unwrap_or_default();
    if body.len() != size(read.1).max(head) || rest.iter().any(|octet| *octet != b'x') {
        say(&format!("! {publisher} {number} is another one, of {} octets", body.len()));
    }
    Some(read)
}
