//! The queues of the soak.

use anyhow::{Context, Result};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};

/// What all clients publish to and consume.
pub const QUEUES: [&str; 3] = ["soak.classic", "soak.quorum", "soak.priority"];
/// Where rejected messages of all of them go; consumed as well.
pub const DEAD: &str = "soak.dead";
/// Celery declares its own.
const CELERY: &str = "soak.celery";

/// Declares all.
pub async fn declare(url: &str) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    for queue in QUEUES.iter().chain([&DEAD]) {
        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        if *queue != DEAD {
            arguments.insert("x-dead-letter-exchange".into(), text(""));
            arguments.insert("x-dead-letter-routing-key".into(), text(DEAD));
        }
        match *queue {
            "soak.quorum" => {
                arguments.insert("x-queue-type".into(), text("quorum"));
            }
            "soak.priority" => {
                arguments.insert("x-max-priority".into(), AMQPValue::ShortShortInt(3));
            }
            _ => {}
        }
        channel.queue_declare((*queue).into(), durable, arguments).await?;
    }
    connection.close(200, "bye".into()).await.context("taking leave")
}

/// Messages that are ready in all queues.
pub async fn ready(url: &str) -> Result<u64> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let mut all = 0;
    for queue in QUEUES.iter().chain([&DEAD, &CELERY]) {
        // A queue that is not there closes the channel: Celery may not run.
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare((*queue).into(), passive, FieldTable::default()).await;
        all += found.map_or(0, |queue| u64::from(queue.message_count()));
    }
    drop(connection.close(200, "bye".into()).await);
    Ok(all)
}
