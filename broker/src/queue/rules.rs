//! A queue's rules, as its arguments say them.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::state::{DeadLetterTo, Overflow, Rules};
use crate::topology::arguments::{integer, is_quorum};

/// How often a message of a quorum queue comes back if nothing else is said, as in RabbitMQ 4.
const QUORUM_DELIVERY_LIMIT: u32 = 20;

/// Reads arguments that were validated when the queue was declared.
pub fn rules(arguments: &FieldTable) -> Rules {
    let number = |name| u64::try_from(integer(arguments.inner().get(name)?)?).ok();
    let text = |name| match arguments.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    };
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
    }
}

/// A negative limit is none, as in RabbitMQ 4; so is what is no integer, as in RabbitMQ 3.10.
fn delivery_limit(arguments: &FieldTable) -> Option<u32> {
    match arguments.inner().get("x-delivery-limit") {
        Some(limit) => u32::try_from(integer(limit)?).ok(),
        None => is_quorum(arguments).then_some(QUORUM_DELIVERY_LIMIT),
    }
}
