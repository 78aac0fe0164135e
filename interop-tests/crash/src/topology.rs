//! The exchanges, queues and bindings of the run, and those that a crash must take with it.

use std::time::Duration;

use anyhow::{Result, ensure};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

use crate::ledger::Queue;

/// The durable queues, by number: two that publishers fill, and two that transactions move between.
pub const QUEUES: [&str; 4] = ["crash.a", "crash.b", "crash.from", "crash.to"];
/// Queues by number.
pub const FROM: Queue = 2;
/// As above.
pub const TO: Queue = 3;
/// The durable exchange, bound to the first three queues.
pub const EXCHANGE: &str = "crash.direct";
/// Routing keys and the queues that they lead to.
pub const ROUTES: [(&str, &[Queue]); 4] =
    [("a", &[0]), ("b", &[1]), ("both", &[0, 1]), ("from", &[2])];

const TRANSIENT_EXCHANGE: &str = "crash.transient";
const TRANSIENT: &str = "crash.transient";
const EXCLUSIVE: &str = "crash.exclusive";

/// Connects.
pub async fn connect(url: &str) -> Result<Connection> {
    Ok(Connection::connect(url, ConnectionProperties::default()).await?)
}

/// Closes a connection. Its channels close themselves as they are dropped: lapin reports such a one
/// as an error here, or waits for ever for an answer that came before the socket closed.
pub async fn bye(connection: Connection) {
    const PATIENCE: Duration = Duration::from_secs(2);
    drop(timeout(PATIENCE, connection.close(200, "bye".into())).await);
}

fn arguments() -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(86_400_000));
    table
}

fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
}

/// Declares all that is to survive.
pub async fn declare(url: &str) -> Result<()> {
    let connection = connect(url).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default;
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, options, none()).await?;
    for queue in QUEUES {
        channel.queue_declare(queue.into(), durable(), arguments()).await?;
    }
    for (key, queues) in ROUTES {
        for queue in queues {
            bind(&channel, QUEUES.get(*queue).copied().unwrap_or_default(), key).await?;
        }
    }
    bye(connection).await;
    Ok(())
}

/// Binds a queue to the durable exchange.
pub async fn bind(channel: &Channel, queue: &str, key: &str) -> Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(queue.into(), EXCHANGE.into(), key.into(), options, FieldTable::default())
        .await?;
    Ok(())
}

/// Declares a durable queue and binds it under its name.
pub async fn declare_bound(channel: &Channel, queue: &str) -> Result<()> {
    channel.queue_declare(queue.into(), durable(), arguments()).await?;
    bind(channel, queue, queue).await
}

/// Declares what must be gone after a restart. The exclusive queue lives with the connection.
pub async fn declare_transient(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let plain = ExchangeDeclareOptions::default();
    let none = FieldTable::default;
    channel
        .exchange_declare(TRANSIENT_EXCHANGE.into(), ExchangeKind::Fanout, plain, none())
        .await?;
    channel.queue_declare(TRANSIENT.into(), QueueDeclareOptions::default(), none()).await?;
    let exclusive = QueueDeclareOptions { exclusive: true, ..durable() };
    channel.queue_declare(EXCLUSIVE.into(), exclusive, none()).await?;
    Ok(())
}

/// What must be there is there, as it was declared; what must be gone is gone.
pub async fn check(url: &str) -> Result<()> {
    let connection = connect(url).await?;
    let channel = connection.create_channel().await?;
    for queue in QUEUES {
        // Not passive: the flags and arguments are compared.
        channel.queue_declare(queue.into(), durable(), arguments()).await?;
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default;
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, options, none()).await?;
    for queue in [TRANSIENT, EXCLUSIVE] {
        ensure!(!exists(&connection, queue).await?, "queue {queue} should be gone");
    }
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let found = channel
        .exchange_declare(TRANSIENT_EXCHANGE.into(), ExchangeKind::Fanout, passive, none())
        .await;
    ensure!(found.is_err(), "exchange {TRANSIENT_EXCHANGE} should be gone");
    // The refusal closed the channel, not the connection.
    bye(connection).await;
    Ok(())
}

/// Whether a queue exists, by a passive declare on a channel of its own.
pub async fn exists(connection: &Connection, queue: &str) -> Result<bool> {
    let channel = connection.create_channel().await?;
    let found = channel.queue_declare(queue.into(), passive(), FieldTable::default()).await;
    Ok(found.is_ok())
}

/// Messages ready in a queue.
pub async fn ready(channel: &Channel, queue: &str) -> Result<u64> {
    let found = channel.queue_declare(queue.into(), passive(), FieldTable::default()).await?;
    Ok(u64::from(found.message_count()))
}
