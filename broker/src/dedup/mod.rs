//! Messages that must not come twice: the header `x-deduplication-header` says which are the same.
//! Names and meaning are those of the plugin rabbitmq-message-deduplication; what it forgets at a
//! restart is kept here.

mod recent;
mod unsure;

pub use recent::{Recent, Remembered};
pub use unsure::Unsure;

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::table;
use twox_hash::XxHash3_128;

use crate::envelope;
use crate::message::Message;
use crate::topology::arguments::integer;

/// The header that makes messages the same if its values are equal, in type and content.
pub const HEADER: &str = "x-deduplication-header";
/// The argument that has a queue drop them.
pub const ARGUMENT: &str = "x-message-deduplication";
/// How many keys are kept, and for how long (ms); the latter is a header, too.
pub const SIZE: &str = "x-cache-size";
/// See [`SIZE`].
pub const TTL: &str = "x-cache-ttl";

/// Stands for a value of [`HEADER`].
pub type Key = u128;

/// What makes a message the same as others; `None` for one that is like no other.
pub fn key(headers: &FieldTable) -> Option<Key> {
    match headers.inner().get(HEADER)? {
        AMQPValue::Void => None,
        value => {
            let mut only = FieldTable::default();
            only.insert("".into(), value.clone());
            Some(XxHash3_128::oneshot(&table::encode_body(&only)))
        }
    }
}

/// The key of a message, and how long (ms) it wants that to be remembered.
pub fn named(message: &Message) -> Option<(Key, Option<u64>)> {
    if !message.has_headers() {
        return None;
    }
    let headers = envelope::headers(message)?;
    let ttl = headers.inner().get(TTL).and_then(integer);
    Some((key(&headers)?, ttl.and_then(|ttl| u64::try_from(ttl).ok())))
}
