//! What is counted is what happened.

use lepus_tests::*;

use super::page::{Page, wait_for};

const METRICS: &str = "/metrics";

/// A series of AMQP clients.
fn amqp(name: &str) -> String {
    format!("rabbitmq_global_{name}{{protocol=\"amqp091\"}}")
}

/// A series of AMQP clients and queues of a type.
fn of_type(name: &str, queue_type: &str) -> String {
    format!(
        "rabbitmq_global_{name}{{protocol=\"amqp091\",queue_type=\"rabbit_{queue_type}_queue\"}}"
    )
}

#[test]
fn messages_are_counted_on_their_way() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.queue("q");
    for body in ["a", "b", "c"] {
        ch.publish("", "q", body);
    }
    ch.publish("", "nowhere", vec![0; 5_000]);
    ch.confirmed(1, 4);
    ch.publish_with(basic::Publish { mandatory: true, ..publish("", "nowhere") }, &props(), "d");
    ch.returned();
    ch.confirmed(5, 5);
    let first = ch.got("q");
    ch.send(ack(first.method.delivery_tag));
    assert!(ch.get("q", true).is_some());
    ch.consume("q", "c");
    ch.delivery();
    assert!(ch.get("q", true).is_none());
    let page = wait_for(
        &broker,
        METRICS,
        &[
            (&amqp("messages_received_total"), 5.0),
            (&amqp("messages_received_confirm_total"), 5.0),
            (&amqp("messages_confirmed_total"), 5.0),
            (&amqp("messages_routed_total"), 3.0),
            (&amqp("messages_unroutable_dropped_total"), 1.0),
            (&amqp("messages_unroutable_returned_total"), 1.0),
            (&amqp("publishers"), 1.0),
            (&amqp("consumers"), 1.0),
            (&of_type("messages_delivered_total", "classic"), 3.0),
            (&of_type("messages_delivered_consume_manual_ack_total", "classic"), 1.0),
            (&of_type("messages_delivered_get_manual_ack_total", "classic"), 1.0),
            (&of_type("messages_delivered_get_auto_ack_total", "classic"), 1.0),
            (&of_type("messages_get_empty_total", "classic"), 1.0),
            (&of_type("messages_acknowledged_total", "classic"), 1.0),
            ("rabbitmq_queue_messages_unacked", 1.0),
            ("rabbitmq_queue_messages_ready", 0.0),
            ("rabbitmq_queue_messages_unacked_bytes", 1.0),
            ("rabbitmq_channel_messages_published_total", 5.0),
        ],
    );
    let size = |le| {
        page.value(&format!(
            "rabbitmq_message_size_bytes_bucket{{protocol=\"amqp091\",le=\"{le}\"}}"
        ))
    };
    assert_eq!(
        [size("100.0"), size("1000.0"), size("10000.0"), size("+Inf")],
        [4.0, 4.0, 5.0, 5.0]
    );
    assert_eq!(page.value("rabbitmq_message_size_bytes_sum{protocol=\"amqp091\"}"), 5004.0);
    conn.close();
    wait_for(
        &broker,
        METRICS,
        &[
            (&amqp("publishers"), 0.0),
            (&amqp("consumers"), 0.0),
            ("rabbitmq_queue_messages_ready", 1.0),
            ("rabbitmq_queue_messages_unacked", 0.0),
            ("rabbitmq_queue_messages_unacked_bytes", 0.0),
            ("rabbitmq_queue_messages_ready_bytes", 1.0),
        ],
    );
}

#[test]
fn comings_and_goings_are_counted() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("a");
    ch.queue("a");
    ch.queue("b");
    let _: queue::DeleteOk = ch.call(delete("b"));
    conn.channel(2);
    conn.ch(2).close();
    wait_for(
        &broker,
        METRICS,
        &[
            ("rabbitmq_connections", 1.0),
            ("rabbitmq_channels", 1.0),
            ("rabbitmq_queues", 1.0),
            ("rabbitmq_connections_opened_total", 1.0),
            ("rabbitmq_channels_opened_total", 2.0),
            ("rabbitmq_channels_closed_total", 1.0),
            ("rabbitmq_queues_declared_total", 3.0),
            ("rabbitmq_queues_created_total", 2.0),
            ("rabbitmq_queues_deleted_total", 1.0),
            (r#"rabbitmq_auth_attempts_total{protocol="amqp091"}"#, 1.0),
            (r#"rabbitmq_auth_attempts_succeeded_total{protocol="amqp091"}"#, 1.0),
        ],
    );
    conn.close();
    wait_for(
        &broker,
        METRICS,
        &[("rabbitmq_connections", 0.0), ("rabbitmq_connections_closed_total", 1.0)],
    );
}

#[test]
fn quorum_queues_and_dead_letters_are_told_apart() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let arguments = table([("x-queue-type", text("quorum"))]);
    ch.declare(queue::Declare { durable: true, arguments, ..declare("quorum") });
    let arguments = table([
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("quorum")),
    ]);
    ch.declare(queue::Declare { arguments, ..declare("classic") });
    ch.publish("", "classic", "m");
    let got = ch.got("classic");
    ch.send(reject(got.method.delivery_tag, false));
    ch.consume("quorum", "c");
    let letter = ch.delivery();
    ch.send(ack(letter.method.delivery_tag));
    let dead = r#"rabbitmq_global_messages_dead_lettered_rejected_total{queue_type="rabbit_classic_queue",dead_letter_strategy="at_least_once"}"#;
    let page = wait_for(
        &broker,
        METRICS,
        &[
            (dead, 1.0),
            (&of_type("messages_acknowledged_total", "quorum"), 1.0),
            (&of_type("messages_acknowledged_total", "classic"), 0.0),
            (&of_type("messages_delivered_total", "quorum"), 1.0),
            (&of_type("messages_delivered_total", "classic"), 1.0),
            ("lepus_message_wait_seconds_count", 1.0),
            ("lepus_message_ack_seconds_count", 1.0),
        ],
    );
    assert!(page.value("lepus_message_wait_seconds_sum") < 20.0);
}

#[test]
fn the_message_store_says_what_it_does() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.declare(queue::Declare { durable: true, ..declare("q") });
    let persistent = props().with_delivery_mode(2);
    for _ in 0..3 {
        ch.publish_with(publish("", "q"), &persistent, vec![7; 2_000]);
    }
    ch.confirmed(1, 3);
    let page = Page::of(&broker, METRICS);
    let commits = page.value("lepus_store_commits_total");
    assert!(commits >= 1.0);
    assert_eq!(page.value("lepus_store_commit_seconds_count"), commits);
    assert!(page.value("lepus_store_commit_bytes_sum") >= 6_000.0);
    assert!(page.value("lepus_store_live_bytes") >= 6_000.0);
    assert!(page.value(r#"lepus_store_written_bytes_total{purpose="log"}"#) >= 6_000.0);
    assert!(page.value("rabbitmq_raft_commit_index") >= 1.0);
    assert!(page.value("rabbitmq_process_open_fds") > 5.0);
    assert!(page.value("rabbitmq_process_resident_memory_bytes") > 1e6);
    assert!(page.value("rabbitmq_disk_space_available_bytes") > 1e6);
}
