//! Queues, connections and channels one by one.

use lepus_tests::Broker;

use super::page::{self, Page, ask, wait_for};

#[test]
fn each_object_has_its_row() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("a \"b\\c");
    ch.queue("empty");
    ch.publish("", "a \"b\\c", "one");
    ch.publish("", "a \"b\\c", "two");
    let labels = r#"{vhost="/",queue="a \"b\\c"}"#;
    let page = wait_for(
        &broker,
        "/metrics/per-object",
        &[
            (&format!("rabbitmq_queue_messages_ready{labels}"), 2.0),
            (&format!("rabbitmq_queue_messages_bytes{labels}"), 6.0),
            (&format!("rabbitmq_queue_messages_published_total{labels}"), 2.0),
            (r#"rabbitmq_queue_messages{vhost="/",queue="empty"}"#, 0.0),
            (r#"rabbitmq_exchange_messages_published_total{vhost="/",exchange=""}"#, 2.0),
        ],
    );
    assert!(page.value(&format!("lepus_queue_oldest_message_age_seconds{labels}")) < 20.0);
    let age_of_none = r#"lepus_queue_oldest_message_age_seconds{vhost="/",queue="empty"}"#;
    assert!(!page.0.contains_key(age_of_none));
    let of_one = |name: &str| page.0.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(of_one("rabbitmq_connection_incoming_bytes_total{channel="), 1);
    assert_eq!(of_one("rabbitmq_channel_messages_unacked{channel="), 1);
    // No sums among rows.
    assert!(!page.0.contains_key("rabbitmq_queue_messages_ready"));
}

#[test]
fn only_what_is_asked_for_is_told_in_detail() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    conn.channel(1).queue("q");
    let page = Page::of(&broker, "/metrics/detailed?family=queue_coarse_metrics&vhost=%2F");
    let names: Vec<_> = page.names().into_iter().collect();
    assert_eq!(
        names,
        [
            "rabbitmq_detailed_queue_messages",
            "rabbitmq_detailed_queue_messages_ready",
            "rabbitmq_detailed_queue_messages_unacked",
        ]
    );
    page.value(r#"rabbitmq_detailed_queue_messages{vhost="/",queue="q"}"#);
    assert_eq!(
        page::text(&broker, "/metrics/detailed?family=queue_coarse_metrics&vhost=other"),
        ""
    );
    assert_eq!(page::text(&broker, "/metrics/detailed"), "");
    let page =
        Page::of(&broker, "/metrics/detailed?family=connection_churn_metrics&family=vhost_status");
    assert_eq!(page.value("rabbitmq_detailed_queues_created_total"), 1.0);
    assert_eq!(page.value(r#"rabbitmq_cluster_vhost_status{vhost="/"}"#), 1.0);
}

#[test]
fn many_queues_are_told_of_and_added_up() {
    const QUEUES: usize = 1_500;
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    for number in 0..QUEUES {
        ch.queue(&format!("q{number}"));
    }
    let page = Page::of(&broker, "/metrics/detailed?family=queue_consumer_count");
    assert_eq!(page.0.len(), QUEUES);
    assert_eq!(Page::of(&broker, "/metrics").value("rabbitmq_queues"), QUEUES as f64);
}

#[test]
fn answers_are_compressed_if_that_is_asked() {
    let broker = Broker::start();
    for path in ["/metrics", "/metrics/per-object"] {
        let answer = ask(&broker, path, &[("accept-encoding", "gzip")]);
        assert_eq!(answer.headers["content-encoding"], "gzip", "{path}");
        assert_eq!(answer.body[..2], [0x1f, 0x8b], "{path}");
        let plain = ask(&broker, path, &[("accept-encoding", "identity")]);
        assert!(!plain.headers.contains_key("content-encoding"));
        assert!(
            plain.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/plain; version=0.0.4")
        );
        assert!(answer.body.len() < plain.body.len() / 2, "{path}");
    }
}

#[test]
fn path_and_granularity_can_be_set() {
    let settings = "prometheus.path = /numbers\nprometheus.return_per_object_metrics = true\n";
    let broker = Broker::with_config(settings);
    broker.connect().channel(1).queue("q");
    let page = Page::of(&broker, "/numbers");
    page.value(r#"rabbitmq_queue_messages{vhost="/",queue="q"}"#);
    Page::of(&broker, "/numbers/detailed");
    assert_eq!(ask(&broker, "/metrics", &[]).status, 404);
}

#[test]
fn a_login_can_be_asked_for() {
    let broker = Broker::with_config("prometheus.authentication.enabled = true");
    let status = |login: &[(&str, &str)]| ask(&broker, "/metrics", login).status;
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("authorization", "Basic Z3Vlc3Q6d3Jvbmc=")]), 401);
    assert_eq!(status(&[("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")]), 200);
    assert_eq!(ask(&broker, "/health/ready", &[]).status, 200);
}
