//! A queue's rules, as its arguments and policies say them.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::state::schedule::{LONGEST_MS, Retry, RetryKind};
use super::state::{DeadLetterTo, Overflow, Priorities, PriorityMode, Rules, Unique};
use crate::dedup;
use crate::topology::arguments::{integer, is_quorum, real};

/// How often a message of a quorum queue comes back if nothing else is said, as in RabbitMQ 4.
const QUORUM_DELIVERY_LIMIT: u32 = 20;

/// What a priority is worth if nothing is said, in ms of waiting.
const AGING_MS: u64 = 10_000;

/// Reads arguments that were validated when the queue was declared, or with the policy that they are from.
pub fn rules(arguments: &FieldTable) -> Rules {
    let number = |name| number(arguments, name);
    let text = |name| text(arguments, name);
    let flag = |name| arguments.inner().get(name) == Some(&AMQPValue::Boolean(true));
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
        delivery_limit: delivery_limit(arguments),
        single_active: flag("x-single-active-consumer"),
        consumer_timeout: number("x-consumer-timeout"),
        paused: flag("x-pause"),
        max_rate: number("x-max-delivery-rate"),
        delays: flag("x-delayed"),
        retry: retry(arguments),
        unique: unique(arguments),
        passes: false,
        priority_mode: priority_mode(arguments),
    }
}

/// A negative limit is none, as in RabbitMQ 4; so is what is no integer, as in RabbitMQ 3.10.
fn delivery_limit(arguments: &FieldTable) -> Option<u32> {
    match arguments.inner().get("x-delivery-limit") {
        Some(limit) => u32::try_from(integer(limit)?).ok(),
        None => is_quorum(arguments).then_some(QUORUM_DELIVERY_LIMIT),
    }
}

/// What the same arguments say of priorities.
pub fn priorities(arguments: &FieldTable) -> Priorities {
    let max = number(arguments, "x-max-priority").and_then(|max| u8::try_from(max).ok());
    Priorities { max: max.unwrap_or_default(), mode: priority_mode(arguments) }
}

fn priority_mode(arguments: &FieldTable) -> PriorityMode {
    match text(arguments, "x-priority-mode").as_deref() {
        Some("weighted") => PriorityMode::Weighted,
        Some("aging") => {
            PriorityMode::Aging(number(arguments, "x-priority-aging-ms").unwrap_or(AGING_MS))
        }
        _ => PriorityMode::Strict,
    }
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

fn unique(arguments: &FieldTable) -> Option<Unique> {
    if arguments.inner().get(dedup::ARGUMENT) != Some(&AMQPValue::Boolean(true)) {
        return None;
    }
    let (size, ttl) = (number(arguments, dedup::SIZE), number(arguments, dedup::TTL));
    match text(arguments, "x-deduplication-mode").as_deref() {
        Some("window") => Some(Unique::Window { size, ttl }),
        _ => Some(Unique::UntilAcked),
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
