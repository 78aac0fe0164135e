//! Connections, unique names, and waiting with deadlines.

use std::{
    env, fs,
    future::Future,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use futures_lite::{StreamExt, future};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    message::{BasicGetMessage, Delivery},
    options::{BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions},
    runtime::default_runtime,
    tcp::{OwnedIdentity, OwnedTLSConfig},
    types::FieldTable,
};

/// How long an expected event may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every scenario starts with.
pub struct Fixture {
    /// The scenario's own connection.
    pub connection: Arc<Connection>,
    /// A channel on it.
    pub channel: Channel,
    /// A queue that ends with the connection.
    pub queue: String,
}

impl Fixture {
    /// Connect, open a channel, declare a queue.
    pub async fn new() -> Result<Self> {
        let connection = Arc::new(connect().await?);
        let channel = connection.create_channel().await?;
        let queue = unique("lapin");
        channel.queue_declare(queue.as_str().into(), exclusive(), FieldTable::default()).await?;
        Ok(Self { connection, channel, queue })
    }
}

/// Where the broker is.
pub fn url() -> Result<String> {
    env::var("LEPUS_URL")
        .context("LEPUS_URL is not set, e.g. LEPUS_URL=amqp://guest:guest@127.0.0.1:5672")
}

/// One more connection.
pub async fn connect() -> Result<Connection> {
    connect_to(&url()?).await.context("connecting to the broker")
}

/// A connection by that address; over TLS with the certificates in `LEPUS_CERTIFICATES`.
pub async fn connect_to(url: &str) -> Result<Connection> {
    let mut tls = OwnedTLSConfig::default();
    if url.starts_with("amqps:") {
        let folder = PathBuf::from(env::var("LEPUS_CERTIFICATES")?);
        tls.cert_chain = Some(fs::read_to_string(folder.join("ca.pem"))?);
        let (pem, key) =
            (fs::read(folder.join("client.pem"))?, fs::read(folder.join("client.key"))?);
        tls.identity = Some(OwnedIdentity::PKCS8 { pem, key });
    }
    let options = ConnectionProperties::default();
    Ok(Connection::connect_with_config(url, options, tls, default_runtime()?).await?)
}

/// A name that no other scenario, run or client uses.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{prefix}.{}.{now}.{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Declare options of a queue that ends with its connection.
pub fn exclusive() -> QueueDeclareOptions {
    QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() }
}

/// Declare options that create nothing.
pub fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
}

/// `event`, or an error naming it when it takes too long.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, event)
        .await
        .with_context(|| format!("{what}: not within {PATIENCE:?}"))
}

/// Messages waiting in the queue.
pub async fn ready(channel: &Channel, queue: &str) -> Result<u32> {
    Ok(channel.queue_declare(queue.into(), passive(), FieldTable::default()).await?.message_count())
}

/// Ask until the queue holds `count` ready messages.
pub async fn wait_ready(channel: &Channel, queue: &str, count: u32) -> Result<()> {
    let poll = async {
        while ready(channel, queue).await? != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    within(&format!("{count} messages ready in {queue}"), poll).await?
}

/// Publish to a queue by its name.
pub async fn send(
    channel: &Channel,
    queue: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Result<()> {
    channel
        .basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, properties)
        .await?;
    Ok(())
}

/// Publish `m0`, `m1`, … and wait until the queue holds them.
pub async fn fill(channel: &Channel, queue: &str, count: u32) -> Result<()> {
    for index in 0..count {
        send(channel, queue, format!("m{index}").as_bytes(), BasicProperties::default()).await?;
    }
    wait_ready(channel, queue, count).await
}

/// One message, without acknowledgement.
pub async fn get(channel: &Channel, queue: &str) -> Result<BasicGetMessage> {
    let options = BasicGetOptions { no_ack: true };
    let poll = async {
        loop {
            if let Some(message) = channel.basic_get(queue.into(), options).await? {
                return Ok(message);
            }
        }
    };
    within("a message to get", poll).await?
}

/// Start a consumer with a tag of the broker's choosing.
pub async fn consume(channel: &Channel, queue: &str, no_ack: bool) -> Result<Consumer> {
    let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?)
}

/// The next `count` deliveries.
pub async fn take(consumer: &mut Consumer, count: usize) -> Result<Vec<Delivery>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match within("a delivery", consumer.next()).await? {
            Some(delivery) => taken.push(delivery?),
            None => bail!("the consumer ended after {} deliveries", taken.len()),
        }
    }
    Ok(taken)
}

/// The bodies, as text.
pub fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.data).into_owned()).collect()
}

/// Fails if the consumer was handed anything. Two round trips through the queue first, so that whatever
/// it had sent has been read.
pub async fn nothing_more(channel: &Channel, queue: &str, consumer: &mut Consumer) -> Result<()> {
    ready(channel, queue).await?;
    ready(channel, queue).await?;
    let next = future::poll_once(consumer.next()).await;
    ensure!(next.is_none(), "expected no delivery: {next:?}");
    Ok(())
}
