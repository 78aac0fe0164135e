//! What queues have and do: each of them, and all together.

use std::sync::Arc;

use super::rows::{Column, Kind, Object};
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::{Counts, Status};
use crate::stats::Messages;
use crate::vhost::Vhost;

/// What is shown of a queue, or of all.
pub(super) struct Numbers {
    pub counts: Counts,
    pub messages: Messages<u64>,
    /// What is known of one queue only.
    pub status: Option<Status>,
    /// Since when the first message waits, in ms.
    pub oldest: Option<u64>,
}

const fn gauge(
    group: &'static str,
    name: &'static str,
    help: &'static str,
    of: fn(&Numbers) -> f64,
) -> Column<Numbers> {
    Column { group, name, help, kind: Kind::Gauge, of }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    of: fn(&Numbers) -> f64,
) -> Column<Numbers> {
    Column { group: "queue_delivery_metrics", name, help, kind: Kind::Counter, of }
}

const COARSE: &str = "queue_coarse_metrics";
const DETAILS: &str = "queue_metrics";
const OWN: &str = "lepus_queue_metrics";

/// All families; those of the groups that [`is_summed`] are there for all queues together too.
pub(super) static COLUMNS: [Column<Numbers>; 22] = [
    gauge(COARSE, "queue_messages_ready", "Messages ready to be delivered to consumers", |queue| {
        queue.counts.ready as f64
    }),
    gauge(
        COARSE,
        "queue_messages_unacked",
        "Messages delivered to consumers but not yet acknowledged",
        |queue| queue.counts.unacked as f64,
    ),
    gauge(
        COARSE,
        "queue_messages",
        "Sum of ready and unacknowledged messages - total queue depth",
        |queue| (queue.counts.ready + queue.counts.unacked) as f64,
    ),
    gauge("queue_consumer_count", "queue_consumers", "Consumers on a queue", |queue| {
        queue.counts.consumers as f64
    }),
    gauge(
        DETAILS,
        "queue_messages_bytes",
        "Size in bytes of ready and unacknowledged messages",
        |queue| (queue.counts.ready_bytes + queue.counts.unacked_bytes) as f64,
    ),
    gauge(DETAILS, "queue_messages_ready_bytes", "Size in bytes of ready messages", |queue| {
        queue.counts.ready_bytes as f64
    }),
    gauge(
        DETAILS,
        "queue_messages_unacked_bytes",
        "Size in bytes of all unacknowledged messages",
        |queue| queue.counts.unacked_bytes as f64,
    ),
    gauge(
        DETAILS,
        "queue_messages_ram",
        "Ready and unacknowledged messages stored in memory",
        |queue| told(queue, |status| status.in_memory as f64),
    ),
    gauge(
        DETAILS,
        "queue_messages_ram_bytes",
        "Size of ready and unacknowledged messages stored in memory",
        |queue| told(queue, |status| status.bytes_in_memory as f64),
    ),
    gauge(DETAILS, "queue_messages_ready_ram", "Ready messages stored in memory", |queue| {
        told(queue, |status| status.ready_in_memory as f64)
    }),
    gauge(DETAILS, "queue_messages_persistent", "Persistent messages", |queue| {
        told(queue, |status| status.persistent as f64)
    }),
    gauge(
        DETAILS,
        "queue_messages_persistent_bytes",
        "Size in bytes of persistent messages",
        |queue| told(queue, |status| status.persistent_bytes as f64),
    ),
    counter(
        "queue_messages_published_total",
        "Total number of messages published to queues",
        |queue| queue.messages.publish as f64,
    ),
    counter(
        "queue_messages_delivered_total",
        "Total number of messages delivered to consumers in automatic acknowledgement mode",
        |queue| queue.messages.deliver_no_ack as f64,
    ),
    counter(
        "queue_messages_delivered_ack_total",
        "Total number of messages delivered to consumers in manual acknowledgement mode",
        |queue| queue.messages.deliver as f64,
    ),
    counter(
        "queue_messages_redelivered_total",
        "Total number of messages redelivered to consumers",
        |queue| queue.messages.redeliver as f64,
    ),
    counter(
        "queue_messages_acked_total",
        "Total number of messages acknowledged by consumers",
        |queue| queue.messages.ack as f64,
    ),
    counter(
        "queue_get_total",
        "Total number of messages fetched with basic.get in automatic acknowledgement mode",
        |queue| queue.messages.get_no_ack as f64,
    ),
    counter(
        "queue_get_ack_total",
        "Total number of messages fetched with basic.get in manual acknowledgement mode",
        |queue| queue.messages.get as f64,
    ),
    counter(
        "queue_get_empty_total",
        "Total number of times basic.get operations fetched no message",
        |queue| queue.messages.get_empty as f64,
    ),
    gauge(
        OWN,
        "lepus_queue_oldest_message_age_seconds",
        "How long the first ready message has waited, as far as it is in memory",
        |queue| queue.oldest.map_or(f64::NAN, |age| age as f64 / 1000.0),
    ),
    gauge(
        OWN,
        "lepus_queue_messages_scheduled",
        "Messages that are not ready before their time",
        |queue| queue.counts.scheduled as f64,
    ),
];

/// What is known of one queue only; NaN for all together.
fn told(queue: &Numbers, of: fn(&Status) -> f64) -> f64 {
    queue.status.as_ref().map_or(f64::NAN, of)
}

/// Whether a group of families is there for all queues together.
pub(super) fn is_summed(group: &str) -> bool {
    [COARSE, "queue_consumer_count", DETAILS].contains(&group)
}

/// What all queues have. It takes no longer with more queues: virtual hosts keep their sums.
pub(super) fn all_together(node: &Node) -> Numbers {
    let mut counts = Counts::default();
    for vhost in node.vhosts() {
        let totals = &vhost.stats.totals;
        counts.ready += totals.ready.get() as usize;
        counts.unacked += totals.unacked.get() as usize;
        counts.consumers += totals.consumers.get() as usize;
        counts.ready_bytes += totals.ready_bytes.get();
        counts.unacked_bytes += totals.unacked_bytes.get();
    }
    Numbers { counts, messages: Messages::default(), status: None, oldest: None }
}

impl Object for Arc<Queue> {
    type Numbers = Numbers;

    fn labels(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("vhost", self.vhost());
        put("queue", self.name());
    }

    fn numbers(&self) -> Numbers {
        let (counts, status, messages, oldest) = self.figures();
        Numbers { counts, messages, status: Some(status), oldest }
    }
}

/// The queues of virtual hosts.
pub(super) fn of(vhosts: &[Arc<Vhost>]) -> Vec<Arc<Queue>> {
    vhosts.iter().flat_map(|vhost| vhost.queues().iter().cloned().collect::<Vec<_>>()).collect()
}
