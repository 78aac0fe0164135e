//! The dashboards that RabbitMQ has for Grafana: each of their queries finds data here.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use lepus_tests::Broker;

use super::page::{Page, text, wait_for_series};

/// What the queries of RabbitMQ-Overview name.
const OVERVIEW: &[&str] = &[
    "rabbitmq_build_info",
    "rabbitmq_channels",
    "rabbitmq_channels_closed_total",
    "rabbitmq_channels_opened_total",
    "rabbitmq_connections",
    "rabbitmq_connections_closed_total",
    "rabbitmq_connections_opened_total",
    "rabbitmq_disk_space_available_bytes",
    "rabbitmq_disk_space_available_limit_bytes",
    "rabbitmq_erlang_uptime_seconds",
    "rabbitmq_global_consumers",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_delivered_consume_auto_ack_total",
    "rabbitmq_global_messages_delivered_consume_manual_ack_total",
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_get_empty_total",
    "rabbitmq_global_messages_received_confirm_total",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_global_messages_routed_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_global_publishers",
    "rabbitmq_identity_info",
    "rabbitmq_message_size_bytes_bucket",
    "rabbitmq_message_size_bytes_count",
    "rabbitmq_message_size_bytes_sum",
    "rabbitmq_process_max_fds",
    "rabbitmq_process_open_fds",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_queues",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_deleted_total",
    "rabbitmq_resident_memory_limit_bytes",
];

/// What the queries of RabbitMQ-Quorum-Queues-Raft name.
const RAFT: &[&str] = &[
    "rabbitmq_identity_info",
    "rabbitmq_raft_commit_index",
    "rabbitmq_raft_commit_latency_seconds",
    "rabbitmq_raft_last_written_index",
    "rabbitmq_raft_log_commit_index",
    "rabbitmq_raft_log_last_written_index",
    "rabbitmq_raft_log_snapshot_index",
    "rabbitmq_raft_snapshot_index",
    "rabbitmq_raft_term",
];

/// What the queries of RabbitMQ-Stream name.
const STREAM: &[&str] = &[
    "rabbitmq_global_consumers",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_publishers",
    "rabbitmq_global_stream_error_access_refused_total",
    "rabbitmq_global_stream_error_authentication_failure_total",
    "rabbitmq_global_stream_error_frame_too_large_total",
    "rabbitmq_global_stream_error_internal_error_total",
    "rabbitmq_global_stream_error_precondition_failed_total",
    "rabbitmq_global_stream_error_publisher_does_not_exist_total",
    "rabbitmq_global_stream_error_sasl_authentication_failure_loopback_total",
    "rabbitmq_global_stream_error_sasl_challenge_total",
    "rabbitmq_global_stream_error_sasl_error_total",
    "rabbitmq_global_stream_error_sasl_mechanism_not_supported_total",
    "rabbitmq_global_stream_error_stream_already_exists_total",
    "rabbitmq_global_stream_error_stream_does_not_exist_total",
    "rabbitmq_global_stream_error_stream_not_available_total",
    "rabbitmq_global_stream_error_subscription_id_already_exists_total",
    "rabbitmq_global_stream_error_subscription_id_does_not_exist_total",
    "rabbitmq_global_stream_error_unknown_frame_total",
    "rabbitmq_global_stream_error_vhost_access_failure_total",
    "rabbitmq_identity_info",
];

/// Series that queries choose by their labels.
const CHOSEN: &[&str] = &[
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="100.0"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="1000.0"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="10000.0"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="100000.0"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="1e+06"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="1e+07"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="5e+07"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="1e+08"}"#,
    r#"rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="+Inf"}"#,
    r#"rabbitmq_global_consumers{protocol="stream"}"#,
    r#"rabbitmq_global_publishers{protocol="stream"}"#,
    r#"rabbitmq_global_messages_received_total{protocol="stream"}"#,
    r#"rabbitmq_global_messages_confirmed_total{protocol="stream"}"#,
    r#"rabbitmq_global_messages_delivered_total{protocol="stream",queue_type="rabbit_stream_queue"}"#,
    r#"rabbitmq_global_stream_error_access_refused_total{protocol="stream"}"#,
];

#[test]
fn each_query_of_the_dashboards_finds_data() {
    let broker = Broker::start();
    let page = Page::of(&broker, "/metrics");
    let wanted: BTreeSet<&str> = [OVERVIEW, RAFT, STREAM].concat().into_iter().collect();
    let names = page.names();
    let missing: Vec<_> = wanted.difference(&names).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for series in CHOSEN {
        page.value(series);
    }
}

#[test]
fn all_panels_join_with_one_series_that_says_who_it_is() {
    let broker = Broker::with_config("cluster_name = hutch");
    for (path, endpoint) in [("/metrics", "aggregated"), ("/metrics/per-object", "per-object")] {
        let page = Page::of(&broker, path);
        let infos = page.0.keys().filter(|series| series.starts_with("rabbitmq_identity_info"));
        let infos: Vec<_> = infos.collect();
        let expected = format!(
            "rabbitmq_identity_info{{rabbitmq_node=\"rabbit@localhost\",rabbitmq_cluster=\"hutch\",\
             rabbitmq_cluster_permanent_id=\"hutch\",rabbitmq_endpoint=\"{endpoint}\"}}"
        );
        assert_eq!(infos, [&expected]);
    }
}

fn has_promtool() -> bool {
    let quiet =
        |out: fn() -> Stdio| Command::new("promtool").arg("--version").stdout(out()).status();
    let there = quiet(Stdio::null).is_ok();
    if !there {
        eprintln!("skipped: promtool is not installed");
    }
    there
}

#[test]
fn the_alert_rules_are_in_order() {
    if !has_promtool() {
        return;
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts.yml");
    let output = Command::new("promtool").args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Prometheus' own tool, if it is installed.
#[test]
fn promtool_finds_no_fault() {
    if !has_promtool() {
        return;
    }
    let broker = Broker::start();
    let mut conn = broker.connect();
    conn.channel(1).temp_queue();
    let families = "family=queue_coarse_metrics&family=queue_metrics&family=channel_metrics\
                    &family=queue_delivery_metrics&family=connection_metrics&family=vhost_status";
    let detailed = format!("/metrics/detailed?{families}");
    for path in ["/metrics", "/metrics/per-object", &detailed] {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut promtool = promtool.stdout(Stdio::piped()).spawn().unwrap();
        promtool.stdin.take().unwrap().write_all(text(&broker, path).as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{path}:\n{said}");
    }
}

/// What our own dashboard and alert rules name is there.
#[test]
fn our_own_queries_find_data() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    ch.publish("", "q", "m");
    let row = r#"lepus_queue_oldest_message_age_seconds{vhost="/",queue="q"}"#;
    wait_for_series(&broker, "/metrics/per-object", row);
    let families = "family=queue_coarse_metrics&family=queue_consumer_count";
    let pages = ["/metrics", "/metrics/per-object", &format!("/metrics/detailed?{families}")]
        .map(|path| Page::of(&broker, path));
    let names: BTreeSet<&str> = pages.iter().flat_map(Page::names).collect();
    for file in ["grafana/lepus.json", "alerts.yml"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let asked = words.filter(|word| {
            let begins = word.starts_with("rabbitmq_") || word.starts_with("lepus_");
            // A pattern, and the name of a group.
            begins && !word.ends_with("dead_lettered_") && *word != "lepus_queue_metrics"
        });
        let missing: BTreeSet<&str> = asked.filter(|name| !names.contains(name)).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}
