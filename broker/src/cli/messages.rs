//! `lepus messages`.

use std::io::{Read, stdin};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::path;
use super::failure::{Done, Failure};
use super::queues::argument_table;
use super::reach::Reach;
use super::table::Column;

const COLUMNS: &[Column] = &[
    Column::text("exchange", "exchange"),
    Column::text("routing key", "routing_key"),
    Column::text("redelivered", "redelivered"),
    Column::count("left", "message_count"),
    Column::text("properties", "properties"),
    Column::text("payload", "payload"),
];

/// Arguments of `lepus messages`.
#[derive(Args)]
pub struct MessagesArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Publish one. Exit code 1: no queue has it.
    Publish {
        /// The routing key; a queue's name, with the default exchange.
        routing_key: String,
        /// What is in it; `-` reads it from standard input.
        payload: String,
        /// The exchange [default: the default exchange].
        #[arg(long, short = 'e', default_value = "amq.default")]
        exchange: String,
        /// A property, `delivery_mode=2`, `expiration=1000`.
        #[arg(long, value_name = "KEY=VALUE")]
        property: Vec<String>,
        /// A header, `key=value`; numbers and truth values are taken as such.
        #[arg(long, value_name = "KEY=VALUE")]
        header: Vec<String>,
    },
    /// Take messages from a queue. To look at them without a change there is `lepus queues peek`.
    Get {
        /// The queue.
        queue: String,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 1)]
        count: u32,
        /// Put them back where they were, marked as redelivered.
        #[arg(long)]
        requeue: bool,
        /// Only so many octets of a payload.
        #[arg(long)]
        truncate: Option<u64>,
    },
}

/// Runs `lepus messages`.
pub fn run(MessagesArgs { reach, verb }: &MessagesArgs) -> Done {
    let session = reach.session()?;
    match verb {
        Verb::Publish { routing_key, payload, exchange, property, header } => {
            let (payload, encoding) = read(payload)?;
            let body = json!({
                "routing_key": routing_key, "payload": payload, "payload_encoding": encoding,
                "properties": properties(property, header)?,
            });
            let exchange = if exchange.is_empty() { "amq.default" } else { exchange.as_str() };
            let publish = path(&["exchanges", session.vhost(), exchange, "publish"]);
            let told = session.client.post(&publish, &body)?;
            if session.json {
                session.show(&told)?;
            }
            match told.get("routed") == Some(&Value::Bool(true)) {
                true => session.say("published"),
                false => Err(Failure::no("no queue has it")),
            }
        }
        Verb::Get { queue, count, requeue, truncate } => {
            let ackmode = if *requeue { "ack_requeue_true" } else { "ack_requeue_false" };
            let mut body = json!({"count": count, "ackmode": ackmode, "encoding": "auto"});
            if let Some(octets) = truncate {
                body["truncate"] = (*octets).into();
            }
            let get = path(&["queues", session.vhost(), queue, "get"]);
            session.list(&session.client.post(&get, &body)?, COLUMNS)
        }
    }
}

fn properties(given: &[String], headers: &[String]) -> Done<Map<String, Value>> {
    // Of properties only these are numbers.
    const NUMBERS: [&str; 3] = ["delivery_mode", "priority", "timestamp"];
    let mut properties = argument_table(given)?;
    for (key, value) in &mut properties {
        if !NUMBERS.contains(&key.as_str()) {
            *value = super::table::text(value).into();
        }
    }
    if !headers.is_empty() {
        properties.insert("headers".to_owned(), argument_table(headers)?.into());
    }
    Ok(properties)
}

/// A payload, and how it is written.
fn read(payload: &str) -> Done<(String, &'static str)> {
    if payload != "-" {
        return Ok((payload.to_owned(), "string"));
    }
    let mut octets = Vec::new();
    stdin().read_to_end(&mut octets)?;
    Ok((STANDARD.encode(octets), "base64"))
}
