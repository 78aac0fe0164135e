//! A queue's rules, as its arguments say them.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::state::schedule::{LONGEST_MS, Retry, RetryKind};
use super::state::{DeadLetterTo, Overflow, Rules};
use crate::topology::arguments::{integer, real};

/// Reads arguments that were validated when the queue was declared.
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
        delays: arguments.inner().get("x-delayed") == Some(&AMQPValue::Boolean(true)),
        retry: retry(arguments),
    }
}

fn retry(arguments: &FieldTable) -> Option<Retry> {
    let argument = |name: &str| arguments.inner().get(&*format!("x-delayed-retry-{name}"));
    let kind = match argument("type")? {
        AMQPValue::LongString(kind) => match kind.as_bytes() {
            b"all" => RetryKind::All,
            b"failed" => RetryKind::Failed,
            b"returned" => RetryKind::Returned,
            _ => return None,
        },
        _ => return None,
    };
    let ms = |name| argument(name).and_then(integer).and_then(|ms| u64::try_from(ms).ok());
    Some(Retry {
        kind,
        min: ms("min").unwrap_or_default(),
        max: ms("max").unwrap_or(LONGEST_MS),
        multiplier: argument("multiplier").and_then(real),
        jitter: argument("jitter").and_then(real).unwrap_or_default(),
    })
}
