//! What all clients together have sent and got.

use super::Metrics;
use super::page::Page;
use crate::queue::state::Reason;
use crate::stats::Messages;
use crate::stats::traffic::Dead;

const AMQP: &str = "amqp091";
/// RabbitMQ's protocol for streams, which nobody speaks here: its dashboard asks for it all the same.
const STREAM: &str = "stream";

/// What stream clients could have been refused for, by RabbitMQ's names.
const STREAM_ERRORS: [&str; 17] = [
    "access_refused",
    "authentication_failure",
    "frame_too_large",
    "internal_error",
    "precondition_failed",
    "publisher_does_not_exist",
    "sasl_authentication_failure_loopback",
    "sasl_challenge",
    "sasl_error",
    "sasl_mechanism_not_supported",
    "stream_already_exists",
    "stream_does_not_exist",
    "stream_not_available",
    "subscription_id_already_exists",
    "subscription_id_does_not_exist",
    "unknown_frame",
    "vhost_access_failure",
];

type Count = fn(&Messages<u64>) -> u64;

/// Families by type of queue.
const BY_QUEUE_TYPE: [(&str, &str, Count); 8] = [
    (
        "global_messages_acknowledged_total",
        "Total number of messages acknowledged by consumers",
        |of| of.ack,
    ),
    (
        "global_messages_delivered_consume_auto_ack_total",
        "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
        |of| of.deliver_no_ack,
    ),
    (
        "global_messages_delivered_consume_manual_ack_total",
        "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
        |of| of.deliver,
    ),
    (
        "global_messages_delivered_get_auto_ack_total",
        "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
        |of| of.get_no_ack,
    ),
    (
        "global_messages_delivered_get_manual_ack_total",
        "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
        |of| of.get,
    ),
    (
        "global_messages_delivered_total",
        "Total number of messages delivered to consumers",
        Messages::deliver_get,
    ),
    (
        "global_messages_get_empty_total",
        "Total number of times basic.get operations fetched no message",
        |of| of.get_empty,
    ),
    (
        "global_messages_redelivered_total",
        "Total number of messages redelivered to consumers",
        |of| of.redeliver,
    ),
];

/// All that was counted since the start, of virtual hosts that are gone too.
pub(super) fn messages(metrics: &Metrics) -> Messages<u64> {
    let node = &metrics.node;
    let vhosts = node.vhosts();
    let of_vhosts: Messages<u64> = vhosts.iter().map(|vhost| vhost.stats.messages.get()).sum();
    of_vhosts + node.stats().gone.get()
}

pub(super) fn write(page: &mut Page, metrics: &Metrics) {
    let (messages, traffic) = (messages(metrics), &metrics.node.stats().traffic);
    publishers(page, metrics, &messages);
    let quorum = traffic.quorum.get();
    for (name, help, count) in BY_QUEUE_TYPE {
        let of_quorum = count(&quorum);
        let of_classic = count(&messages).saturating_sub(of_quorum);
        let labels = |queue_type| [("protocol", AMQP), ("queue_type", queue_type)];
        let stream = [("protocol", STREAM), ("queue_type", "rabbit_stream_queue")];
        page.counters(
            name,
            help,
            &[
                (&labels("rabbit_classic_queue"), of_classic as f64),
                (&labels("rabbit_quorum_queue"), of_quorum as f64),
                (&labels("rabbit_stream_queue"), 0.0),
                (&stream, 0.0),
            ],
        );
    }
    dead_letters(page, metrics);
    for error in STREAM_ERRORS {
        let name = format!("global_stream_error_{error}_total");
        let help =
            format!("Streams: {} (nobody speaks their protocol here)", error.replace('_', " "));
        page.counters(&name, &help, &[(&[("protocol", STREAM)], 0.0)]);
    }
    let help = "Size of messages received from publishers";
    let labels = [("protocol", AMQP)];
    page.histogram("message_size_bytes", help, &labels, &traffic.sizes.get(), 1.0);
}

fn publishers(page: &mut Page, metrics: &Metrics, messages: &Messages<u64>) {
    let traffic = &metrics.node.stats().traffic;
    let vhosts = metrics.node.vhosts();
    let consumers: u64 = vhosts.iter().map(|vhost| vhost.stats.totals.consumers.get()).sum();
    let gauges = [
        ("global_consumers", "Current number of consumers", consumers),
        ("global_publishers", "Current number of publishers", traffic.publishers.get()),
    ];
    for (name, help, value) in gauges {
        page.gauges(name, help, &by_protocol(value));
    }
    let counters = [
        (
            "global_messages_confirmed_total",
            "Total number of messages confirmed to publishers",
            messages.confirm,
        ),
        (
            "global_messages_received_confirm_total",
            "Total number of messages received from publishers expecting confirmations",
            traffic.received_confirm.get(),
        ),
        (
            "global_messages_received_total",
            "Total number of messages received from publishers",
            messages.publish,
        ),
        (
            "global_messages_routed_total",
            "Total number of messages routed to queues or streams",
            traffic.routed.get(),
        ),
        (
            "global_messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            messages.drop_unroutable,
        ),
        (
            "global_messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
            messages.return_unroutable,
        ),
    ];
    for (name, help, value) in counters {
        page.counters(name, help, &by_protocol(value));
    }
}

fn by_protocol(of_amqp: u64) -> [(&'static [(&'static str, &'static str)], f64); 2] {
    [(&[("protocol", AMQP)], of_amqp as f64), (&[("protocol", STREAM)], 0.0)]
}

/// Quorum queues or not, a letter leaves its queue in the step in which it is where it goes.
fn dead_letters(page: &mut Page, metrics: &Metrics) {
    let traffic = &metrics.node.stats().traffic;
    let families = [
        ("expired", "due to message TTL exceeded", Reason::Expired),
        ("maxlen", "due to overflow drop-head or reject-publish-dlx", Reason::MaxLength),
        ("rejected", "due to basic.reject or basic.nack", Reason::Rejected),
        ("delivery_limit", "due to delivery-limit exceeded", Reason::DeliveryLimit),
    ];
    for (name, why, reason) in families {
        let name = format!("global_messages_dead_lettered_{name}_total");
        let help = format!("Total number of messages dead-lettered {why}");
        let count = |dead: &Dead| dead.get(reason) as f64;
        let classic =
            [("queue_type", "rabbit_classic_queue"), ("dead_letter_strategy", "at_least_once")];
        let quorum =
            [("queue_type", "rabbit_quorum_queue"), ("dead_letter_strategy", "at_least_once")];
        let values: [(&[(&str, &str)], f64); 2] =
            [(&classic, count(&traffic.dead)), (&quorum, count(&traffic.dead_of_quorum))];
        page.counters(&name, &help, &values);
    }
}

/// The sums of what channels and connections have done, those that are gone too.
pub(super) fn channels(page: &mut Page, metrics: &Metrics) {
    let messages = messages(metrics);
    let families = [
        (
            "channel_messages_published_total",
            "Total number of messages published into an exchange on a channel",
            messages.publish,
        ),
        (
            "channel_messages_confirmed_total",
            "Total number of messages published into an exchange and confirmed on the channel",
            messages.confirm,
        ),
        (
            "channel_messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
            messages.return_unroutable,
        ),
        (
            "channel_messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            messages.drop_unroutable,
        ),
        (
            "channel_get_ack_total",
            "Total number of messages fetched with basic.get in manual acknowledgement mode",
            messages.get,
        ),
        (
            "channel_get_total",
            "Total number of messages fetched with basic.get in automatic acknowledgement mode",
            messages.get_no_ack,
        ),
        (
            "channel_messages_delivered_ack_total",
            "Total number of messages delivered to consumers in manual acknowledgement mode",
            messages.deliver,
        ),
        (
            "channel_messages_delivered_total",
            "Total number of messages delivered to consumers in automatic acknowledgement mode",
            messages.deliver_no_ack,
        ),
        (
            "channel_messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            messages.redeliver,
        ),
        (
            "channel_messages_acked_total",
            "Total number of messages acknowledged by consumers",
            messages.ack,
        ),
        (
            "channel_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            messages.get_empty,
        ),
        (
            "queue_messages_published_total",
            "Total number of messages published to queues",
            metrics.node.stats().traffic.routed.get(),
        ),
    ];
    for (name, help, value) in families {
        page.counter(name, help, value);
    }
}

/// Octets on the wire.
pub(super) fn octets(page: &mut Page, metrics: &Metrics) {
    let vhosts = metrics.node.vhosts();
    let received = vhosts.iter().map(|vhost| vhost.stats.recv_oct.get()).sum();
    let sent = vhosts.iter().map(|vhost| vhost.stats.send_oct.get()).sum();
    let help = "Total number of bytes received on a connection";
    page.counter("connection_incoming_bytes_total", help, received);
    let help = "Total number of bytes sent on a connection";
    page.counter("connection_outgoing_bytes_total", help, sent);
}
