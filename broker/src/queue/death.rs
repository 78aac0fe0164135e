//! The history that a dead letter carries: RabbitMQ's headers `x-death` and `x-first-death-*`.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use lepus_protocol::properties::{self, Properties};
use lepus_protocol::table;

use super::state::{DeadLetterTo, Reason};
use crate::envelope;
use crate::message::{Builder, Message};

/// A message on its way to a dead letter exchange.
pub struct Letter {
    /// The message as it goes on.
    pub message: Message,
    /// The keys that it is routed by: its own or the queue's, and those of CC.
    pub keys: Vec<Vec<u8>>,
    /// Its headers.
    pub headers: FieldTable,
}

/// Makes a dead letter. `now` is in ms since 1970.
pub fn letter(
    message: &Message,
    reason: Reason,
    queue: &str,
    to: &DeadLetterTo,
    now: u64,
) -> Letter {
    let found = Properties::decode(message.properties()).unwrap_or_default();
    let mut headers = found.headers.and_then(|octets| table::decode_body(octets).ok());
    let headers = headers.get_or_insert_default();
    let copies = copies(headers);
    let own = message.routing_key().to_vec();
    let event = Event {
        reason: reason.name(),
        queue,
        exchange: message.exchange(),
        keys: std::iter::once(&own).chain(&copies).map(|key| text(key)).collect(),
        expiration: found.expiration,
        seconds: now / 1000,
    };
    event.enter(headers);
    let keys = match &to.key {
        Some(key) => {
            *headers = envelope::without(headers, "CC");
            vec![key.clone().into_bytes()]
        }
        None => std::iter::once(own).chain(copies).collect(),
    };
    let key = keys.first().map_or(&[][..], Vec::as_slice);
    let route = [short(to.exchange.as_bytes()), short(key)].concat();
    let octets = properties::without_expiration(message.properties())
        .and_then(|octets| properties::replace_headers(&octets, headers))
        .unwrap_or_else(|_| message.properties().to_vec());
    let message = Builder::whole(now, &route, &octets, message.body(), message.persistent());
    Letter { message, keys, headers: std::mem::take(headers) }
}

/// Whether a dead letter comes back to a queue by itself: it has been there, and no consumer has rejected
/// it since.
pub fn is_cycle(headers: &FieldTable, queue: &str) -> bool {
    let Some(AMQPValue::FieldArray(events)) = headers.inner().get("x-death") else { return false };
    let says = |event: &AMQPValue, name: &str, value: &str| match event {
        AMQPValue::FieldTable(event) => is_text(event, name, value),
        _ => false,
    };
    let events = events.as_slice();
    let Some(at) = events.iter().position(|event| says(event, "queue", queue)) else {
        return false;
    };
    !events.iter().take(at + 1).any(|event| says(event, "reason", Reason::Rejected.name()))
}

/// One death of a message.
struct Event<'a> {
    reason: &'a str,
    queue: &'a str,
    exchange: &'a [u8],
    keys: Vec<AMQPValue>,
    expiration: Option<&'a [u8]>,
    seconds: u64,
}

impl Event<'_> {
    /// Enters the event into the headers: equal ones (queue and reason) are counted, the latest stands
    /// first.
    fn enter(self, headers: &mut FieldTable) {
        let mut events = match headers.inner().get("x-death") {
            Some(AMQPValue::FieldArray(events)) => events.as_slice().to_vec(),
            _ => {
                self.name_as(headers, "first");
                Vec::new()
            }
        };
        self.name_as(headers, "last");
        let same = |event: &AMQPValue| match event {
            AMQPValue::FieldTable(event) => {
                is_text(event, "queue", self.queue) && is_text(event, "reason", self.reason)
            }
            _ => false,
        };
        let event = match events.iter().position(same) {
            Some(at) => match events.remove(at) {
                AMQPValue::FieldTable(mut event) => {
                    let count = match event.inner().get("count") {
                        Some(AMQPValue::LongLongInt(count)) => *count,
                        _ => 0,
                    };
                    put(&mut event, "count", AMQPValue::LongLongInt(count.saturating_add(1)));
                    event
                }
                _ => self.table(),
            },
            None => self.table(),
        };
        events.insert(0, AMQPValue::FieldTable(event));
        put(headers, "x-death", AMQPValue::FieldArray(FieldArray::from(events)));
    }

    fn name_as(&self, headers: &mut FieldTable, which: &str) {
        for (what, value) in [
            ("reason", self.reason.as_bytes()),
            ("queue", self.queue.as_bytes()),
            ("exchange", self.exchange),
        ] {
            put(headers, &format!("x-{which}-death-{what}"), text(value));
        }
    }

    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        put(&mut table, "count", AMQPValue::LongLongInt(1));
        put(&mut table, "reason", text(self.reason.as_bytes()));
        put(&mut table, "queue", text(self.queue.as_bytes()));
        put(&mut table, "time", AMQPValue::Timestamp(self.seconds));
        put(&mut table, "exchange", text(self.exchange));
        put(&mut table, "routing-keys", AMQPValue::FieldArray(FieldArray::from(self.keys.clone())));
        if let Some(expiration) = self.expiration {
            put(&mut table, "original-expiration", text(expiration));
        }
        table
    }
}

/// The routing keys in CC.
fn copies(headers: &FieldTable) -> Vec<Vec<u8>> {
    let Some(AMQPValue::FieldArray(values)) = headers.inner().get("CC") else { return Vec::new() };
    envelope::long_strings(values.as_slice()).collect()
}

fn is_text(table: &FieldTable, name: &str, value: &str) -> bool {
    let is = |found: &AMQPValue| matches!(found, AMQPValue::LongString(text) if text.as_bytes() == value.as_bytes());
    table.inner().get(name).is_some_and(is)
}

fn put(table: &mut FieldTable, name: &str, value: AMQPValue) {
    table.insert(ShortString::from(name), value);
}

fn text(octets: &[u8]) -> AMQPValue {
    AMQPValue::LongString(LongString::from(octets))
}

/// A short string as it is on the wire; names are never longer than that takes.
fn short(octets: &[u8]) -> Vec<u8> {
    let octets = octets.get(..octets.len().min(255)).unwrap_or_default();
    [&[octets.len() as u8], octets].concat()
}
