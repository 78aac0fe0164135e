//! What operators do, and clients see: a broker in this process, real connections, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod here;

use here::{Directory, Here};
use lepus::node::Node;
use lepus::policy::{Flow, Kind, PolicySpec};
use lepus_tests::*;
use serde_json::{Value, json};

impl Here {
    fn set(&self, name: &str, pattern: &str, definition: Value) {
        let (name, pattern, apply_to) = (name.to_owned(), pattern.to_owned(), String::new());
        let spec = PolicySpec { name, pattern, apply_to, priority: 3, definition };
        self.vhost.set_policy("operator", &self.node, Kind::User, spec).expect("a valid policy");
    }
}

fn durable(name: &str) -> queue::Declare {
    queue::Declare { durable: true, ..declare(name) }
}

#[test]
fn what_was_set_survives_a_restart() {
    let directory = Directory::new();
    let mut here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    ch.declare(durable("q"));
    ch.declare(durable("other"));
    here.set("p", "^q$", json!({"max-length": 2}));
    let flow = Flow { paused: true, max_rate: Some(9) };
    here.vhost.set_flow(&here.node, "other", flow).expect("the queue");
    here.vhost.set_tracing(&here.node, true).expect("done");
    conn.close();
    here.end();
    drop(here);

    let copy = directory.copy();
    let here = Here::start(&copy.0);
    let applied = here.vhost.queue_policies("q").expect("the queue");
    let effective = applied.effective().map(Value::Object);
    assert_eq!(effective, Some(json!({"max-length": 2})));
    assert_eq!(here.vhost.flow("other"), Ok(flow));
    assert!(here.vhost.is_traced());
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    ch.publish_all("q", ["1", "2", "3", "4"]);
    ch.expect_counts("q", (2, 0));
    ch.publish_all("other", ["1"]);
    ch.expect_counts("other", (1, 0));
    assert!(ch.get("other", true).is_none());
    here.vhost.set_flow(&here.node, "other", Flow::default()).expect("the queue");
    assert!(ch.get("other", true).is_some());
}

#[test]
fn clients_meet_policies_at_once() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel_confirming(1);
    ch.declare(durable("q"));
    ch.publish("", "q", "1");
    ch.confirmed(1, 1);
    here.set("p", "", json!({"max-length": 1, "overflow": "reject-publish"}));
    ch.publish("", "q", "2");
    assert_eq!(ch.expect::<basic::Nack>().delivery_tag, 2);
    assert!(here.vhost.clear_policy("operator", &here.node, Kind::User, "p"));
    ch.publish("", "q", "3");
    ch.confirmed(3, 3);
    here.set(
        "p",
        "",
        json!({"message-ttl": 1, "dead-letter-exchange": "",
        "dead-letter-routing-key": "dead"}),
    );
    ch.declare(durable("dead"));
    here.set("keep", "^dead$", json!({"queue-version": 2}));
    here.set("a", "^dead$", json!({"queue-version": 2}));
    ch.publish("", "q", "4");
    ch.confirmed(4, 4);
    ch.expect_counts("q", (0, 0));
}

#[test]
fn a_pause_and_a_rate_hold_consumers_back() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    ch.declare(durable("q"));
    here.set("p", "^q$", json!({"pause": true}));
    ch.consume_with(consume_no_ack("q", "c"));
    ch.publish_all("q", ["1", "2", "3"]);
    ch.expect_counts("q", (3, 1));
    ch.expect_silence("q");
    // One at once, and then by the timer.
    here.set("p", "^q$", json!({"max-delivery-rate": 5}));
    for expected in ["1", "2", "3"] {
        assert_eq!(ch.delivery().text(), expected);
    }
}

fn headers_of<M>(message: &Message<M>) -> FieldTable {
    message.properties.headers().clone().expect("headers")
}

/// As RabbitMQ 3.10.8 traces them, but for the channel and what addresses are in there.
#[test]
fn the_firehose_shows_what_is_published_and_delivered() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut watching = here.connect();
    let mut watch = watching.channel(1);
    let traces = watch.temp_queue();
    watch.bind(&traces, "amq.rabbitmq.trace", "#");
    let mut conn = here.connect();
    let mut ch = conn.channel(2);
    ch.queue("q1");
    ch.bind("q1", "amq.topic", "a");
    ch.publish("amq.topic", "a", "untold");
    ch.got("q1");
    here.vhost.set_tracing(&here.node, true).expect("done");
    let properties = headers([("h", int(1)), ("BCC", list([text("nobody")]))])
        .with_content_type("t/x".into())
        .with_delivery_mode(2)
        .with_priority(3)
        .with_timestamp(77)
        .with_app_id("ap".into());
    ch.publish_with(publish("amq.topic", "a"), &properties, "hello");
    ch.got("q1");
    ch.send(nack(2, true));
    ch.consume_with(consume_no_ack("q1", "c"));
    assert_eq!(ch.delivery().text(), "hello");
    here.vhost.set_tracing(&here.node, false).expect("done");
    ch.publish("amq.topic", "a", "untold");
    assert_eq!(ch.delivery().text(), "untold");

    watch.expect_counts(&traces, (3, 0));
    let told: Vec<_> = (0..3).map(|_| watch.get(&traces, true).expect("a trace")).collect();
    let keys: Vec<&str> = told.iter().map(|trace| trace.method.routing_key.as_str()).collect();
    assert_eq!(keys, ["publish.amq.topic", "deliver.q1", "deliver.q1"]);
    for (trace, more) in told.iter().zip([
        ("routed_queues", list([text("q1")])),
        ("redelivered", int(0)),
        ("redelivered", int(1)),
    ]) {
        assert_eq!((trace.text(), trace.method.exchange.as_str()), ("hello", "amq.rabbitmq.trace"));
        let mut headers = headers_of(trace).inner().clone();
        let Some(AMQPValue::LongString(name)) = headers.remove("connection") else {
            panic!("no connection in {headers:?}");
        };
        assert!(name.to_string().ends_with(&format!(" -> {}", here.address)), "{name}");
        // As delivered: BCC is taken out of what is published.
        let properties = table([
            ("content_type", text("t/x")),
            ("headers", table([("h", int(1))]).into()),
            ("delivery_mode", int(2)),
            ("priority", int(3)),
            ("timestamp", int(77)),
            ("app_id", text("ap")),
        ]);
        let expected = table([
            ("exchange_name", text("amq.topic")),
            ("routing_keys", list([text("a"), text("nobody")])),
            ("properties", properties.into()),
            ("node", text(Node::NAME)),
            ("vhost", text("/")),
            ("channel", int(2)),
            ("user", text("guest")),
            more,
        ]);
        assert_eq!(FieldTable::from(headers), expected);
    }
    // Nor are traces traced.
    here.vhost.set_tracing(&here.node, true).expect("done");
    ch.publish("", "nowhere", "x");
    watch.expect_counts(&traces, (1, 0));
    assert!(watch.get(&traces, true).is_some() && watch.get(&traces, true).is_none());
}

#[test]
fn priorities_take_turns_as_a_policy_says() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    let arguments = table([("x-max-priority", int(1))]);
    ch.declare(queue::Declare { arguments, ..declare("q") });
    let turns = |ch: &mut Chan<'_>| {
        for priority in [0, 0, 1, 1, 1] {
            let body = priority.to_string();
            ch.publish_with(publish("", "q"), &props().with_priority(priority), body.as_str());
        }
        ch.drain("q").concat()
    };
    assert_eq!(turns(&mut ch), "11100");
    here.set("p", "^q$", json!({"priority-mode": "weighted"}));
    assert_eq!(turns(&mut ch), "11010");
    here.vhost.clear_policy("operator", &here.node, Kind::User, "p");
    assert_eq!(turns(&mut ch), "11100");
}

/// The routing keys and headers of the next events, without their times.
fn told(ch: &mut Chan<'_>, events: usize) -> Vec<(String, FieldTable)> {
    let event = |_| {
        let event = ch.delivery();
        let mut headers = headers_of(&event).inner().clone();
        assert!(headers.remove("timestamp_in_ms").is_some());
        (event.method.routing_key.to_string(), FieldTable::from(headers))
    };
    (0..events).map(event).collect()
}

#[test]
fn what_policies_are_to_queues_and_parameters_is_told() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    let events = ch.temp_queue();
    ch.declare(declare("matched"));
    for key in ["#.policy.#", "parameter.#"] {
        ch.bind(&events, "amq.rabbitmq.event", key);
    }
    ch.consume_with(consume_no_ack(&events, "events"));
    let spec = || PolicySpec {
        name: "p".to_owned(),
        pattern: "^m".to_owned(),
        apply_to: "queues".to_owned(),
        priority: 0,
        definition: json!({"max-length": 7}),
    };
    let policy = [
        ("pattern", text("^m")),
        ("apply-to", text("queues")),
        ("priority", long(0)),
        ("definition", table([("max-length", long(7))]).into()),
    ];
    let by = [("vhost", text("/")), ("user_who_performed_action", text("operator"))];
    let named = |name| by.clone().into_iter().chain([("name", text(name))]);
    let parameter = || named("p").chain([("component", text("operator_policy"))]);
    let queue = || named("matched").chain([("type", text("rabbit_classic_queue"))]);
    for kind in [Kind::User, Kind::Operator] {
        // Nothing is told of what changes nothing.
        for _ in 0..2 {
            here.vhost.set_policy("operator", &here.node, kind, spec()).expect("a valid policy");
        }
        here.vhost.clear_policy("operator", &here.node, kind, "p");
        assert!(!here.vhost.clear_policy("operator", &here.node, kind, "p"));
        let mut expected = vec![
            ("queue.policy.updated", table(queue().chain(policy.clone()))),
            ("policy.set", table(named("p").chain(policy.clone()))),
            ("queue.policy.cleared", table(queue())),
            ("policy.cleared", table(named("p"))),
        ];
        if kind == Kind::Operator {
            expected[3].0 = "operator.policy.cleared";
            let value = ("value", table(policy.clone()).into());
            expected.insert(0, ("parameter.set", table(parameter().chain([value]))));
            expected.insert(3, ("parameter.cleared", table(parameter())));
        }
        let expected: Vec<_> =
            expected.into_iter().map(|(key, headers)| (key.to_owned(), headers)).collect();
        assert_eq!(told(&mut ch, expected.len()), expected);
    }
}

#[test]
fn policies_and_alarms_are_told() {
    let directory = Directory::new();
    let here = Here::start(&directory.0);
    let mut conn = here.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for key in ["policy.*", "operator.#", "alarm.*"] {
        ch.bind(&queue, "amq.rabbitmq.event", key);
    }
    ch.consume_with(consume_no_ack(&queue, "events"));
    here.set("p", "^x", json!({"max-length": 7, "overflow": "drop-head"}));
    here.vhost.clear_policy("operator", &here.node, Kind::User, "p");
    let set = ch.delivery();
    let mut headers = headers_of(&set).inner().clone();
    assert!(headers.remove("timestamp_in_ms").is_some());
    let definition = table([("max-length", long(7)), ("overflow", text("drop-head"))]);
    let expected = table([
        ("name", text("p")),
        ("pattern", text("^x")),
        ("apply-to", text("all")),
        ("priority", long(3)),
        ("definition", definition.into()),
        ("vhost", text("/")),
        ("user_who_performed_action", text("operator")),
    ]);
    assert_eq!(
        (set.method.routing_key.as_str(), FieldTable::from(headers)),
        ("policy.set", expected)
    );
    assert_eq!(ch.delivery().method.routing_key.as_str(), "policy.cleared");
    here.node.set_alarm(lepus::alarm::Alarm::Memory, true);
    let alarm = ch.delivery();
    assert_eq!(alarm.method.routing_key.as_str(), "alarm.set");
    assert_eq!(headers_of(&alarm).inner().get("source"), Some(&text("memory")));
    // The watch over memory clears it.
    assert_eq!(ch.delivery().method.routing_key.as_str(), "alarm.cleared");
}
