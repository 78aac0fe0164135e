//! Watermarks: who is held back, who is not, and what the operator sees.

use lepus_tests::*;
use serde_json::{Value, json};

/// How connections are, by the HTTP API.
fn states(broker: &Broker) -> Vec<Value> {
    let (_, connections) = broker.api("/connections");
    connections.as_array().unwrap().iter().map(|each| each["state"].clone()).collect()
}

/// Puts a line into the configuration of a broker, which reads it again.
fn configure(broker: &mut Broker, line: &str) {
    std::fs::write(broker.config_file(), format!("{line}\n")).unwrap();
    broker.tell("HUP");
}

/// A resource gets short while somebody publishes and somebody consumes, and is there again.
fn watermark(quiet: &str, short: &str, resource: &str, rabbitmqs: &str, reason: &str) {
    let mut broker = Broker::with_config(&format!("{quiet}\n"));
    let mut publisher = broker.connect();
    let queue = publisher.channel_confirming(1).queue("backlog");
    for number in 1..=100 {
        publisher.ch(1).publish("", &queue, number.to_string());
        publisher.ch(1).confirmed(number, number);
    }
    let series = format!("lepus_alarm{{resource=\"{resource}\"}}");
    assert_eq!((broker.metric(&series), broker.metric(rabbitmqs)), (0.0, 0.0));
    configure(&mut broker, short);
    broker.wait_for_log(&format!("{resource} alarm set: publishers are held back"), 1);
    assert_eq!((broker.metric(&series), broker.metric(rabbitmqs)), (1.0, 1.0));
    assert_eq!(broker.api("/health/checks/alarms").0, 503);
    assert!(broker.is_ready(), "consumers help");
    let flag = if resource == "memory" { "mem_alarm" } else { "disk_free_alarm" };
    assert_eq!(broker.api("/nodes").1[0][flag], json!(true));
    // Nobody is blocked before it publishes.
    assert_eq!(states(&broker), [json!("blocking")]);
    publisher.ch(1).publish("", &queue, "held back");
    let blocked: connection::Blocked = publisher.expect(0);
    assert_eq!(blocked.reason.as_str(), reason);
    wait_until("it is shown as blocked", || states(&broker) == [json!("blocked")]);
    assert_eq!(broker.metric("lepus_connections{state=\"blocked\"}"), 1.0);
    publisher.send(1, qos(1));
    // Who consumes goes on: to the end of the queue, with acknowledgements.
    let mut consumer = broker.connect();
    let mut ch = consumer.channel(1);
    let _: basic::QosOk = ch.call(qos(10));
    ch.consume(&queue, "t");
    for number in 1..=100_u64 {
        assert_eq!(ch.delivery().text(), number.to_string());
        ch.send(ack(number));
    }
    assert!(!publisher.has_waiting(1));
    configure(&mut broker, quiet);
    let _: connection::Unblocked = publisher.expect(0);
    // What was sent meanwhile is carried out.
    publisher.ch(1).confirmed(101, 101);
    let _: basic::QosOk = publisher.expect(1);
    assert_eq!(ch.delivery().text(), "held back");
    broker.wait_for_log(&format!("{resource} alarm cleared"), 1);
    assert_eq!((broker.metric(&series), broker.metric(rabbitmqs)), (0.0, 0.0));
    assert_eq!(broker.api("/health/checks/alarms").0, 200);
}

#[test]
fn memory_gets_short_and_is_there_again() {
    lepus_only!("its settings are given");
    watermark(
        "vm_memory_high_watermark.absolute = 1GB",
        "vm_memory_high_watermark.absolute = 1",
        "memory",
        "rabbitmq_alarms_memory_used_watermark",
        "low on memory",
    );
}

#[test]
fn the_disk_gets_short_and_is_there_again() {
    lepus_only!("its settings are given");
    watermark(
        "disk_free_limit.absolute = 1",
        "disk_free_limit.absolute = 1000TB",
        "disk",
        "rabbitmq_alarms_free_disk_space_watermark",
        "low on disk",
    );
}

/// As in RabbitMQ nothing more of a blocked connection is read, so what its own consumers acknowledge
/// waits, too. Here that is told.
#[test]
fn who_blocks_its_own_consumers_is_shown() {
    lepus_only!("its settings are given");
    let (quiet, short) = ("disk_free_limit.absolute = 1", "disk_free_limit.absolute = 1000TB");
    let mut broker = Broker::with_config(&format!("{quiet}\n"));
    let mut conn = broker.connect();
    let queue = conn.channel(1).queue("own");
    conn.ch(1).publish_all(&queue, ["one", "two"]);
    let _: basic::QosOk = conn.ch(1).call(qos(1));
    conn.ch(1).consume(&queue, "t");
    conn.ch(1).deliveries(["one"]);
    configure(&mut broker, short);
    broker.wait_for_log("disk alarm set", 1);
    conn.ch(1).publish("", &queue, "three");
    let _: connection::Blocked = conn.expect(0);
    conn.ch(1).send(ack(1));
    broker.wait_for_log("blocked with consumers of its own", 1);
    broker.wait_for_metric("lepus_connections_blocking_own_consumers", 1.0);
    let (_, connections) = broker.api("/connections");
    assert_eq!(connections[0]["blocks_own_consumers"], json!(true));
    // The verdict is not read, so there is no room for the next message.
    assert_eq!(broker.api("/queues/%2F/own").1["messages_unacknowledged"], json!(1));
    configure(&mut broker, quiet);
    let _: connection::Unblocked = conn.expect(0);
    conn.ch(1).deliveries(["two"]);
    broker.wait_for_metric("lepus_connections_blocking_own_consumers", 0.0);
    assert_eq!(broker.api("/connections").1[0]["blocks_own_consumers"], Value::Null);
}
