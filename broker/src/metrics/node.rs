//! Families about the broker itself.

use super::page::Page;
use super::{Metrics, process};
use crate::access::attempts::{Attempted, Protocol};
use crate::alarm::Alarm;
use crate::connection::identity::VERSION;
use crate::node::Node;

/// What is asked for, of what there is of the broker itself.
pub(super) type Part = fn(&mut Page, &Metrics);

/// RabbitMQ's names of the parts.
pub(super) const PARTS: [(&str, Part); 5] = [
    ("connection_churn_metrics", churn),
    ("node_coarse_metrics", process::coarse),
    ("node_metrics", process::limits),
    ("auth_attempt_metrics", logins),
    ("ra_metrics", raft),
];

fn churn(page: &mut Page, metrics: &Metrics) {
    let stats = metrics.node.stats();
    let deleted = metrics.node.census().queues_deleted();
    let families = [
        (
            "connections_opened_total",
            "Total number of connections opened",
            &stats.connection_created,
        ),
        (
            "connections_closed_total",
            "Total number of connections closed or terminated",
            &stats.connection_closed,
        ),
        ("channels_opened_total", "Total number of channels opened", &stats.channel_created),
        ("channels_closed_total", "Total number of channels closed", &stats.channel_closed),
        ("queues_declared_total", "Total number of queues declared", &stats.queue_declared),
        ("queues_created_total", "Total number of queues created", &stats.queue_created),
    ];
    for (name, help, count) in families {
        page.counter(name, help, count.get());
    }
    page.counter("queues_deleted_total", "Total number of queues deleted", deleted);
}

fn logins(page: &mut Page, metrics: &Metrics) {
    let attempts = metrics.node.access().attempts();
    let mut family = |name, help, count: fn(&Attempted) -> u64| {
        let of = |protocol| count(&attempts.of(protocol)) as f64;
        let values: [(&[(&str, &str)], f64); 2] = [
            (&[("protocol", "amqp091")], of(Protocol::Amqp)),
            (&[("protocol", "http")], of(Protocol::Http)),
        ];
        page.counters(name, help, &values);
    };
    family("auth_attempts_total", "Total number of authorization attempts", |tried| {
        tried.succeeded + tried.failed
    });
    let help = "Total number of successful authentication attempts";
    family("auth_attempts_succeeded_total", help, |tried| tried.succeeded);
    let help = "Total number of failed authentication attempts";
    family("auth_attempts_failed_total", help, |tried| tried.failed);
}

/// There is no Raft, but a log that messages are committed to: what its dashboard asks of a log.
fn raft(page: &mut Page, metrics: &Metrics) {
    let node = &metrics.node;
    let status = node.store().status();
    let committed = node.durability().reached() as f64;
    let written = status.appended as f64;
    let checkpoint = status.checkpoint as f64;
    let latency = status.commit_time.mean() / 1e6;
    for name in ["raft_commit_index", "raft_log_commit_index"] {
        page.gauge(name, "Batches that the message store's log has made durable", committed);
    }
    for name in ["raft_last_written_index", "raft_log_last_written_index"] {
        page.gauge(name, "Batches that were appended to the message store's log", written);
    }
    for name in ["raft_snapshot_index", "raft_log_snapshot_index"] {
        page.gauge(name, "Batches that the message store's last checkpoint covers", checkpoint);
    }
    for name in ["raft_commit_latency_seconds", "raft_entry_commit_latency_seconds"] {
        let help = "Mean time that a group commit of the message store's log takes";
        page.gauge(name, help, latency);
    }
    let help = "Elections: none, as the message store's log is of one node";
    page.gauge("raft_term", help, 0.0);
}

/// Why publishers are held back.
pub(super) fn alarms(page: &mut Page, metrics: &Metrics) {
    let node = &metrics.node;
    let is_set = |alarm| f64::from(u8::from(node.alarms().is_set(alarm)));
    let full = node.connection_count() >= node.config().connections_max;
    let help = "is 1 if file descriptor limit alarm is in effect";
    page.gauge("rabbitmq_alarms_file_descriptor_limit", help, f64::from(u8::from(full)));
    let help = "is 1 if free disk space watermark alarm is in effect";
    let disk = is_set(Alarm::Disk).max(is_set(Alarm::Store));
    page.gauge("rabbitmq_alarms_free_disk_space_watermark", help, disk);
    let help = "is 1 if VM memory watermark alarm is in effect";
    page.gauge("rabbitmq_alarms_memory_used_watermark", help, is_set(Alarm::Memory));
}

/// Who it is. `endpoint`: what of the metrics is shown.
pub(super) fn identity(page: &mut Page, metrics: &Metrics, endpoint: &str) {
    let node = &metrics.node;
    page.gauges(
        "rabbitmq_build_info",
        "RabbitMQ & Erlang/OTP version info",
        &[(
            &[
                ("rabbitmq_version", VERSION),
                ("prometheus_plugin_version", VERSION),
                ("prometheus_client_version", ""),
                ("erlang_version", ""),
                ("product_name", "Lepus"),
                ("product_version", env!("CARGO_PKG_VERSION")),
            ],
            1.0,
        )],
    );
    let cluster = node.cluster_name();
    page.gauges(
        "rabbitmq_identity_info",
        "RabbitMQ node & cluster identity info",
        &[(
            &[
                ("rabbitmq_node", Node::NAME),
                ("rabbitmq_cluster", &cluster),
                ("rabbitmq_cluster_permanent_id", &cluster),
                ("rabbitmq_endpoint", endpoint),
            ],
            1.0,
        )],
    );
}

/// Which virtual hosts are up: all that there are.
pub(super) fn vhosts(page: &mut Page, metrics: &Metrics) {
    let vhosts = metrics.node.vhosts();
    let labels: Vec<_> = vhosts.iter().map(|vhost| [("vhost", &*vhost.name)]).collect();
    let values: Vec<(&[(&str, &str)], f64)> =
        labels.iter().map(|label| (&label[..], 1.0)).collect();
    page.gauges("vhost_status", "Whether a given vhost is running", &values);
}

/// How many there are of what.
pub(super) fn objects(page: &mut Page, metrics: &Metrics) {
    let node = &metrics.node;
    let consumers: u64 = node.vhosts().iter().map(|vhost| vhost.stats.totals.consumers.get()).sum();
    page.gauge("connections", "Connections currently open", node.connection_count() as f64);
    page.gauge("channels", "Channels currently open", node.channel_count() as f64);
    page.gauge("consumers", "Consumers currently connected", consumers as f64);
    page.gauge("queues", "Queues available", node.census().queues() as f64);
}
