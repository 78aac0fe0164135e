//! Messages that follow from their numbers.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{self, AMQPProperties};
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::{encode, properties};
use lepus_storage::disk::sim::Random;

use super::laws::{self, is_ruled};
use crate::dedup;
use crate::routing::delayed;

/// The exchanges that messages are published to: the default one, a direct one, a fanout, one that
/// delays.
pub const EXCHANGES: [&str; 4] = ["", "direct", "fan", laws::LATE];
/// The last of them.
pub const LATE: u8 = 3;
/// Routing keys of the direct exchange.
pub const KEYS: u8 = 3;
/// The frames that all agree on.
pub const FRAME_MAX: u32 = 64 * 1024;

/// The priority of some letters; the others have none.
pub const HIGH: u8 = 3;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    pub id: u64,
    /// Of [`EXCHANGES`].
    pub exchange: u8,
    /// A key, or for the default exchange and the one that delays the number of a queue.
    pub key: u8,
    pub persistent: bool,
    pub mandatory: bool,
}

/// The name of a queue.
pub fn queue_name(queue: u8) -> String {
    format!("q{queue}")
}

/// The name of a routing key.
pub fn key_name(key: u8) -> String {
    format!("k{key}")
}

impl Letter {
    pub fn exchange(&self) -> &'static str {
        EXCHANGES[usize::from(self.exchange)]
    }

    /// Whether it waits before it reaches its queue.
    pub fn is_late(&self) -> bool {
        self.exchange == LATE
    }

    /// Whether it goes to a queue with rules.
    pub fn is_ruled(&self) -> bool {
        (self.exchange == 0 || self.is_late()) && is_ruled(self.key)
    }

    pub fn routing_key(&self) -> String {
        if self.exchange == 0 || self.is_late() { queue_name(self.key) } else { key_name(self.key) }
    }

    pub fn body(&self) -> Vec<u8> {
        let mut random = Random::new(self.id ^ 0x1e77e2);
        let len = 8 + match random.below(200) {
            0 => 17_000 + random.index(20_000),
            1..8 => 1000 + random.index(7000),
            8..60 => 100 + random.index(900),
            _ => random.index(60),
        };
        let mut body = self.id.to_be_bytes().to_vec();
        while body.len() < len {
            body.extend(random.number().to_le_bytes());
        }
        body.truncate(len);
        body
    }

    pub fn properties(&self) -> AMQPProperties {
        let mut random = Random::new(self.id ^ 0x9209);
        let mode = if self.persistent { 2 } else { 1 };
        let mut properties = AMQPProperties::default().with_delivery_mode(mode);
        if random.chance(40) {
            properties = properties.with_message_id(format!("m{}", self.id).into());
        }
        if random.chance(30) {
            let mut headers = FieldTable::default();
            headers.insert("n".into(), AMQPValue::LongLongInt(self.id as i64));
            headers.insert("on".into(), AMQPValue::Boolean(random.chance(50)));
            properties = properties.with_headers(headers);
        }
        if random.chance(20) {
            properties = properties.with_content_type("text/plain".into()).with_priority(HIGH);
        }
        if self.is_ruled() && random.chance(15) {
            properties = properties.with_expiration("150".into());
        }
        if let Some(key) = self.dedup_key() {
            let mut headers = properties.headers().clone().unwrap_or_default();
            headers.insert(dedup::HEADER.into(), AMQPValue::LongLongInt(key as i64));
            properties = properties.with_headers(headers);
        }
        if self.is_late() {
            let mut headers = properties.headers().clone().unwrap_or_default();
            let wait = 1 + random.below(1500);
            headers.insert(delayed::HEADER.into(), AMQPValue::LongLongInt(wait as i64));
            properties = properties.with_headers(headers);
        }
        properties
    }

    /// Whether the queue that it goes to may refuse it.
    pub fn may_be_rejected(&self) -> bool {
        self.is_ruled() && !self.is_late() && laws::law(self.key).refuses
    }

    /// Of letters with the same key only some are taken.
    pub fn dedup_key(&self) -> Option<u64> {
        let mut random = Random::new(self.id ^ 0xdedb);
        let has = self.is_ruled() && laws::law(self.key).unique.is_some() && random.chance(70);
        has.then(|| random.below(5))
    }

    /// Whether it has a priority.
    pub fn is_high(&self) -> bool {
        self.properties().priority().is_some()
    }

    /// Writes basic.publish and the content.
    pub fn publish(&self, out: &mut Vec<u8>, channel: u16) {
        let publish = basic::Publish {
            exchange: self.exchange().into(),
            routing_key: self.routing_key().as_str().into(),
            mandatory: self.mandatory,
            immediate: false,
        };
        encode::method(out, channel, &AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
        let body = self.body();
        let properties = properties::encode(&self.properties());
        encode::header(out, channel, &encode::content_header(body.len() as u64, &properties));
        encode::body(out, channel, &body, FRAME_MAX);
    }
}

/// The number of a message, by its body.
pub fn id_of(body: &[u8]) -> u64 {
    let (id, _) = body.split_first_chunk().expect("a message of the simulation");
    u64::from_be_bytes(*id)
}
