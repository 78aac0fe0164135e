//! A queue's rules, as its arguments say them.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::state::{DeadLetterTo, Overflow, Priorities, PriorityMode, Rules};
use crate::topology::arguments::integer;

/// What a priority is worth if nothing is said, in ms of waiting.
const AGING_MS: u64 = 10_000;

/// Reads arguments that were validated when the queue was declared.
pub fn rules(arguments: &FieldTable) -> Rules {
    let number = |name| number(arguments, name);
    let text = |name| text(arguments, name);
    let overflow = match text("x-overflow").as_deref() {
        Some("reject-publish") => Overflow::RejectPublish,
        Some("reject-publish-dlx") => Overflow::RejectPublishDlx,
        _ => Overflow::DropHead,
    };
    let dead_letter = text("x-dead-letter-exchange")
        .map(|exchange| DeadLetterTo { exchange, key: text("x-dead-letter-routing-key") });
    Rules {
        ttl: number("x-message-ttl"),
        expires: number("x-expires"),
        max_length: number("x-max-length"),
        max_bytes: number("x-max-length-bytes"),
        overflow,
        dead_letter,
    }
}

/// What the same arguments say of priorities.
pub fn priorities(arguments: &FieldTable) -> Priorities {
    let max = number(arguments, "x-max-priority").and_then(|max| u8::try_from(max).ok());
    let mode = match text(arguments, "x-priority-mode").as_deref() {
        Some("weighted") => PriorityMode::Weighted,
        Some("aging") => {
            PriorityMode::Aging(number(arguments, "x-priority-aging-ms").unwrap_or(AGING_MS))
        }
        _ => PriorityMode::Strict,
    };
    Priorities { max: max.unwrap_or_default(), mode }
}

fn number(arguments: &FieldTable, name: &str) -> Option<u64> {
    u64::try_from(integer(arguments.inner().get(name)?)?).ok()
}

fn text(arguments: &FieldTable, name: &str) -> Option<String> {
    match arguments.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}
