//! A queue's rules, as its arguments and policies say them.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::state::{DeadLetterTo, Overflow, Rules};
use crate::topology::arguments::integer;

/// Reads arguments that were validated when the queue was declared, or with the policy that they are from.
pub fn rules(arguments: &FieldTable) -> Rules {
    let number = |name| u64::try_from(integer(arguments.inner().get(name)?)?).ok();
    let text = |name| match arguments.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    };
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
        paused: arguments.inner().get("x-pause") == Some(&AMQPValue::Boolean(true)),
        max_rate: number("x-max-delivery-rate"),
    }
}
