//! Where a dead letter was before: what its header `x-death` says.

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::envelope;
use crate::message::Message;

/// Which death of a letter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that brought it here.
    Newest,
    /// The one with which it began.
    First,
}

/// Where a message died.
#[derive(Debug)]
pub struct Death {
    pub queue: String,
    pub exchange: String,
    /// The routing key that it had there, without those of CC.
    pub key: String,
}

/// Where a message died; `None` if it never did.
pub fn death(message: &Message, which: Which) -> Option<Death> {
    let headers = envelope::headers(message)?;
    let Some(AMQPValue::FieldArray(events)) = headers.inner().get("x-death") else { return None };
    let mut events = events.as_slice().iter().filter_map(|event| match event {
        AMQPValue::FieldTable(event) => Some(event),
        _ => None,
    });
    let event = match which {
        Which::Newest => events.next(),
        Which::First => {
            // Events are ordered by their latest death: the first one may stand anywhere.
            let first = text(&headers, "x-first-death-queue");
            let reason = text(&headers, "x-first-death-reason");
            let is_first = |event: &&FieldTable| {
                text(event, "queue") == first && text(event, "reason") == reason
            };
            events.clone().find(is_first).or_else(|| events.next_back())
        }
    }?;
    let key = match event.inner().get("routing-keys") {
        Some(AMQPValue::FieldArray(keys)) => envelope::long_strings(keys.as_slice()).next(),
        _ => None,
    };
    Some(Death {
        queue: text(event, "queue")?,
        exchange: text(event, "exchange")?,
        key: String::from_utf8(key?).ok()?,
    })
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
