//! What an `x-message-deduplication` exchange does besides routing to all that is bound: a message whose
//! header `x-deduplication-header` equals that of one of the last messages is dropped. Names and meaning
//! are those of the plugin rabbitmq-message-deduplication.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::{Invalid, value};
use crate::dedup::{ARGUMENT, SIZE, TTL};

/// Where the plugin keeps the keys; here those of durable exchanges are in the store.
pub(super) const PERSISTENCE: &str = "x-cache-persistence";

/// Refuses what the plugin refuses.
///
/// # Errors
/// No size, or something that is none.
pub(super) fn check(args: &FieldTable) -> Result<(), Invalid> {
    if positive(args, SIZE).is_none() {
        return Err(Invalid::no_cache_size());
    }
    if args.contains_key(TTL) && positive(args, TTL).is_none() {
        return Err(Invalid::cache_argument(TTL));
    }
    match args.inner().get(PERSISTENCE) {
        None => Ok(()),
        Some(AMQPValue::LongString(kind)) if matches!(kind.as_bytes(), b"memory" | b"disk") => {
            Ok(())
        }
        Some(_) => Err(Invalid::cache_persistence()),
    }
}

/// The arguments of the queue that such an exchange is in front of its bindings.
pub fn queue_arguments(args: &FieldTable) -> FieldTable {
    let mut own = FieldTable::default();
    own.insert(ARGUMENT.into(), AMQPValue::Boolean(true));
    own.insert("x-deduplication-mode".into(), AMQPValue::LongString("window".into()));
    for name in [SIZE, TTL] {
        if let Some(number) = positive(args, name) {
            own.insert(name.into(), AMQPValue::LongLongInt(number));
        }
    }
    own
}

/// A number above 0, or a string that is one.
fn positive(args: &FieldTable, name: &str) -> Option<i64> {
    let number = match args.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        number => i64::try_from(value::integer(number)?).ok(),
    };
    number.filter(|number| *number > 0)
}
