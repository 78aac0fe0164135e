//! Messages that ask for all sorts of things.

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::dedup;
use crate::message::{Builder, Message};
use crate::routing::delayed;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    pub id: u32,
    pub priority: Option<u8>,
    pub expiration: Option<u64>,
    pub delay: i64,
    pub key: Option<u8>,
    /// How long its key is to be remembered.
    pub key_ttl: Option<u64>,
    pub time_to_run: Option<u64>,
    padding: usize,
    pub persistent: bool,
}

/// A message without a number.
pub fn any_letter() -> impl Strategy<Value = Letter> {
    let delay = prop_oneof![4 => Just(0), 1 => -50i64..0, 2 => 1i64..300, 1 => 1i64..500_000];
    (
        weighted(0.5, 0u8..7),
        weighted(0.2, prop_oneof![1 => Just(0), 4 => 1u64..200]),
        delay,
        weighted(0.5, 0u8..4),
        weighted(0.1, 0u64..200),
        weighted(0.1, prop_oneof![1 => Just(0), 4 => 1u64..200]),
        0usize..40,
        prop::bool::weighted(0.7),
    )
        .prop_map(
            |(priority, expiration, delay, key, key_ttl, time_to_run, padding, persistent)| {
                let id = 0;
                Letter {
                    id,
                    priority,
                    expiration,
                    delay,
                    key,
                    key_ttl,
                    time_to_run,
                    padding,
                    persistent,
                }
            },
        )
}

impl Letter {
    /// Octets of its body.
    pub fn len(&self) -> u64 {
        4 + self.padding as u64
    }

    pub fn message(&self, now: u64) -> Message {
        let mut headers = FieldTable::default();
        let mut put = |name: &str, value: Option<i64>| {
            if let Some(value) = value {
                headers.insert(name.into(), AMQPValue::LongLongInt(value));
            }
        };
        let ms = |ms: Option<u64>| ms.map(|ms| ms as i64);
        put(delayed::HEADER, Some(self.delay).filter(|delay| *delay != 0));
        put(dedup::HEADER, self.key.map(i64::from));
        put(dedup::TTL, ms(self.key_ttl));
        put("x-time-to-run", ms(self.time_to_run));
        let mut asked = AMQPProperties::default();
        if !headers.inner().is_empty() {
            asked = asked.with_headers(headers);
        }
        if let Some(priority) = self.priority {
            asked = asked.with_priority(priority);
        }
        if let Some(ms) = self.expiration {
            asked = asked.with_expiration(ms.to_string().into());
        }
        let mut body = self.id.to_be_bytes().to_vec();
        body.resize(4 + self.padding, b'.');
        Builder::whole(now, b"\0\0", &properties::encode(&asked), &body, self.persistent)
    }
}

/// The number of a message.
pub fn id_of(message: &Message) -> u32 {
    super::super::id_of(message)
}
