//! The methods a client sends, with their usual flags; a test changes what it is about:
//! `queue::Declare { durable: true, ..declare("q") }`.

use amq_protocol::protocol::{basic, exchange, queue};

/// `queue.declare`.
#[must_use]
pub fn declare(name: &str) -> queue::Declare {
    queue::Declare { queue: name.into(), ..Default::default() }
}

/// `queue.declare`, passive.
#[must_use]
pub fn look(name: &str) -> queue::Declare {
    queue::Declare { passive: true, ..declare(name) }
}

/// `queue.delete`.
#[must_use]
pub fn delete(name: &str) -> queue::Delete {
    queue::Delete { queue: name.into(), ..Default::default() }
}

/// `queue.purge`.
#[must_use]
pub fn purge(name: &str) -> queue::Purge {
    queue::Purge { queue: name.into(), nowait: false }
}

/// `queue.bind`.
#[must_use]
pub fn bind(queue: &str, exchange: &str, key: &str) -> queue::Bind {
    queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

/// `queue.unbind`.
#[must_use]
pub fn unbind(queue: &str, exchange: &str, key: &str) -> queue::Unbind {
    queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

/// `exchange.declare`.
#[must_use]
pub fn declare_exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare { exchange: name.into(), kind: kind.into(), ..Default::default() }
}

/// `exchange.declare`, passive.
#[must_use]
pub fn look_exchange(name: &str) -> exchange::Declare {
    exchange::Declare { passive: true, ..declare_exchange(name, "direct") }
}

/// `exchange.delete`.
#[must_use]
pub fn delete_exchange(name: &str) -> exchange::Delete {
    exchange::Delete { exchange: name.into(), ..Default::default() }
}

/// `exchange.bind`.
#[must_use]
pub fn bind_exchange(destination: &str, source: &str, key: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

/// `exchange.unbind`.
#[must_use]
pub fn unbind_exchange(destination: &str, source: &str, key: &str) -> exchange::Unbind {
    exchange::Unbind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

/// `basic.consume` with manual acknowledgement.
#[must_use]
pub fn consume(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume { queue: queue.into(), consumer_tag: tag.into(), ..Default::default() }
}

/// `basic.consume` without acknowledgements.
#[must_use]
pub fn consume_no_ack(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume { no_ack: true, ..consume(queue, tag) }
}

/// `basic.cancel`.
#[must_use]
pub fn cancel(tag: &str) -> basic::Cancel {
    basic::Cancel { consumer_tag: tag.into(), nowait: false }
}

/// `basic.get` with manual acknowledgement.
#[must_use]
pub fn get(queue: &str) -> basic::Get {
    basic::Get { queue: queue.into(), no_ack: false }
}

/// `basic.publish`.
#[must_use]
pub fn publish(exchange: &str, key: &str) -> basic::Publish {
    basic::Publish { exchange: exchange.into(), routing_key: key.into(), ..Default::default() }
}

/// `basic.qos`, for each consumer.
#[must_use]
pub fn qos(prefetch_count: u16) -> basic::Qos {
    basic::Qos { prefetch_count, global: false }
}

/// `basic.qos`, for the whole channel.
#[must_use]
pub fn qos_global(prefetch_count: u16) -> basic::Qos {
    basic::Qos { prefetch_count, global: true }
}

/// `basic.ack`.
#[must_use]
pub fn ack(delivery_tag: u64) -> basic::Ack {
    basic::Ack { delivery_tag, multiple: false }
}

/// `basic.ack` of everything up to a tag.
#[must_use]
pub fn ack_up_to(delivery_tag: u64) -> basic::Ack {
    basic::Ack { delivery_tag, multiple: true }
}

/// `basic.nack` of one delivery.
#[must_use]
pub fn nack(delivery_tag: u64, requeue: bool) -> basic::Nack {
    basic::Nack { delivery_tag, multiple: false, requeue }
}

/// `basic.nack` of everything up to a tag.
#[must_use]
pub fn nack_up_to(delivery_tag: u64, requeue: bool) -> basic::Nack {
    basic::Nack { delivery_tag, multiple: true, requeue }
}

/// `basic.reject`.
#[must_use]
pub fn reject(delivery_tag: u64, requeue: bool) -> basic::Reject {
    basic::Reject { delivery_tag, requeue }
}
