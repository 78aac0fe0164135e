//! Messages that must not come twice: the header `x-deduplication-header` says which are the same.
//! Names and meaning are those of the plugin rabbitmq-message-deduplication; what it forgets at a
//! restart is kept here.

mod recent;

pub use recent::{Recent, Remembered};

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::table;
use twox_hash::XxHash3_128;

use crate::message::Message;
use crate::envelope;

/// The header that makes messages the same if its values are equal, in type and content.
pub const HEADER: &str = "x-deduplication-header";

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

/// The same, of a message whose headers were not read yet.
pub fn key_of(message: &Message) -> Option<Key> {
    key(&envelope::headers(message)?)
}
