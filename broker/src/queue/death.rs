//! The history that a dead letter carries: RabbitMQ's headers `x-death` and `x-first-death-*`.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use lepus_protocol::properties::Split;
use lepus_protocol::table;

use super::state::{DeadLetterTo, Reason};
use crate::envelope;
use crate::message::{Builder, Message};

/// Makes dead letters of one queue's messages. What a letter has in common with the one before is
/// made once: most messages of a queue differ only in what no history shows.
pub struct Letters<'a> {
    reason: Reason,
    queue: &'a str,
    to: &'a DeadLetterTo,
    /// ms since 1970.
    now: u64,
    /// What the cover was made from.
    origin: Option<Origin>,
    cover: Cover,
    builder: Builder,
    /// Kept for its memory.
    properties: Vec<u8>,
}

/// What of a message its letter's cover depends on.
#[derive(PartialEq, Eq)]
struct Origin {
    route: Vec<u8>,
    headers: Option<Vec<u8>>,
    expiration: Option<Vec<u8>>,
    hidden: Vec<u8>,
}

/// What a letter has not from its message as it is.
#[derive(Default)]
pub struct Cover {
    /// The keys that it is routed by: the queue's, or else the message's own, those of CC and hidden ones.
    pub keys: Vec<Vec<u8>>,
    /// How many of them are hidden; they are the last ones.
    hidden: usize,
    /// Its headers.
    pub headers: FieldTable,
    /// The same as octets.
    table: Vec<u8>,
    /// Exchange and routing key as two short strings.
    route: Vec<u8>,
}

/// A message on its way to a dead letter exchange.
pub struct Letter<'a> {
    /// The message as it goes on.
    pub message: Message,
    /// What it says anew.
    pub cover: &'a Cover,
    /// The letter before had another cover.
    pub is_new: bool,
}

impl<'a> Letters<'a> {
    /// Letters that are written at a time, in ms since 1970.
    pub fn new(reason: Reason, queue: &'a str, to: &'a DeadLetterTo, now: u64) -> Self {
        let (builder, properties) = (Builder::default(), Vec::new());
        Self { reason, queue, to, now, origin: None, cover: Cover::default(), builder, properties }
    }

    /// Makes a letter of a message.
    pub fn write(&mut self, message: &Message) -> Letter<'_> {
        let split = Split::of(message.properties()).ok();
        let headers = split.and_then(|split| split.headers);
        let expiration = split.and_then(|split| split.expiration);
        let is_new = self.origin.as_ref().is_none_or(|origin| {
            origin.route != message.route()
                || origin.headers.as_deref() != headers
                || origin.expiration.as_deref() != expiration
                || origin.hidden != message.hidden()
        });
        if is_new {
            self.cover = self.cover_for(message, headers, expiration);
            self.origin = Some(Origin {
                route: message.route().to_vec(),
                headers: headers.map(<[u8]>::to_vec),
                expiration: expiration.map(<[u8]>::to_vec),
                hidden: message.hidden().to_vec(),
            });
        }
        self.properties.clear();
        match split {
            Some(split) => split.lasting(&self.cover.table, &mut self.properties),
            None => self.properties.extend_from_slice(message.properties()),
        }
        self.builder.begin(self.now, &self.cover.route);
        let body = message.body();
        self.builder.header(&self.properties, body.len() as u64, message.persistent());
        self.builder.body(body);
        let shown = self.cover.keys.len() - self.cover.hidden;
        self.builder.hide(self.cover.keys.iter().skip(shown).map(Vec::as_slice));
        Letter { message: self.builder.finish(), cover: &self.cover, is_new }
    }

    fn cover_for(
        &self,
        message: &Message,
        headers: Option<&[u8]>,
        expiration: Option<&[u8]>,
    ) -> Cover {
        let headers = headers.and_then(|octets| table::decode_body(octets).ok());
        let mut headers = headers.unwrap_or_default();
        let copies = copies(&headers);
        let own = message.routing_key().to_vec();
        let event = Event {
            reason: self.reason.name(),
            queue: self.queue,
            exchange: message.exchange(),
            keys: std::iter::once(&own).chain(&copies).map(|key| text(key)).collect(),
            expiration,
            seconds: self.now / 1000,
        };
        event.enter(&mut headers);
        let mut hidden = Vec::new();
        let mut keys: Vec<_> = match &self.to.key {
            Some(key) => {
                headers = envelope::without(&headers, "CC");
                vec![key.clone().into_bytes()]
            }
            None => {
                hidden = message.hidden_keys();
                std::iter::once(own).chain(copies).collect()
            }
        };
        let key = keys.first().map_or(&[][..], Vec::as_slice);
        let route = [short(self.to.exchange.as_bytes()), short(key)].concat();
        let (table, hidden_keys) = (table::encode(&headers), hidden.len());
        keys.append(&mut hidden);
        Cover { keys, hidden: hidden_keys, headers, table, route }
    }
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
                let names =
                    ["x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
                self.name_as(headers, names);
                Vec::new()
            }
        };
        let names = ["x-last-death-reason", "x-last-death-queue", "x-last-death-exchange"];
        self.name_as(headers, names);
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

    fn name_as(&self, headers: &mut FieldTable, names: [&str; 3]) {
        let values = [self.reason.as_bytes(), self.queue.as_bytes(), self.exchange];
        for (name, value) in names.into_iter().zip(values) {
            put(headers, name, text(value));
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

#[cfg(test)]
mod tests {
    use super::*;
    use lepus_protocol::methods::basic::AMQPProperties;
    use lepus_protocol::properties;
    use proptest::prelude::*;

    fn message((key, headers, expires, id): (u8, u8, bool, u8)) -> Message {
        let mut found = AMQPProperties::default().with_message_id(id.to_string().as_str().into());
        if headers > 0 {
            let mut table = FieldTable::default();
            put(&mut table, "mine", AMQPValue::ShortShortUInt(headers));
            put(&mut table, "CC", AMQPValue::FieldArray(vec![text(b"copy")].into()));
            found = found.with_headers(table).with_content_type("text/plain".into());
        }
        if expires {
            found = found.with_expiration("7".into());
        }
        let route = [short(b"from"), short(&[key])].concat();
        Builder::whole(1, &route, &properties::encode(&found), &[id; 40], id % 2 == 0)
    }

    proptest! {
        #[test]
        fn what_was_made_for_another_letter_changes_none(
            all in proptest::collection::vec((97u8..99, 0u8..3, any::<bool>(), 0u8..3), 0..60),
            own_key: bool,
            rounds in 1u64..4,
        ) {
            let key = own_key.then(|| "key".to_owned());
            let to = DeadLetterTo { exchange: "to".to_owned(), key };
            let mut all: Vec<Message> = all.into_iter().map(message).collect();
            // From the second round on the messages have died before.
            for now in (0..rounds).map(|round| round * 1500) {
                let mut together = Letters::new(Reason::Expired, "q", &to, now);
                for message in &mut all {
                    let mut alone = Letters::new(Reason::Expired, "q", &to, now);
                    let expected = alone.write(message);
                    let found = together.write(message);
                    prop_assert_eq!(&found.message, &expected.message);
                    prop_assert_eq!(&found.cover.keys, &expected.cover.keys);
                    let headers = envelope::headers(&found.message);
                    prop_assert_eq!(headers.as_ref(), Some(&found.cover.headers));
                    *message = found.message;
                }
            }
        }
    }
}
