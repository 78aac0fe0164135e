//! What is counted of messages, and how fast it changes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use lepus_tests::*;
use serde_json::{Value, json};

use crate::api::Api;

/// Samples are taken so often that a test need not wait for them.
const OFTEN: &str = "collect_statistics_interval = 100";

/// What a `message_stats` has counted, without what is 0.
fn counted(stats: &Value) -> Value {
    let stats = stats.as_object().expect("message_stats").clone();
    let numbers = stats.into_iter().filter(|(name, _)| !name.ends_with("_details"));
    Value::Object(numbers.filter(|(_, number)| *number != json!(0)).collect())
}

/// Asks until something is as it should be.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begin.elapsed() > DEADLINE => panic!("{what}: {seen}"),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

#[track_caller]
fn expect(api: &Api, path: &str, expected: &Value) {
    until(path, || match counted(&api.get(path)["message_stats"]) {
        seen if seen == *expected => Ok(()),
        seen => Err(format!("{seen}, not {expected}")),
    });
}

#[test]
fn messages_are_counted_where_they_pass() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel_confirming(1);
    let queue = ch.queue("q");
    ch.exchange("x", "fanout");
    ch.bind(&queue, "x", "");
    ch.publish_all(&queue, ["a", "b"]);
    ch.publish("x", "", "c");
    ch.publish("x", "", "d");
    // Dropped, and returned.
    ch.publish("", "nowhere", "e");
    ch.confirmed(1, 5);
    let mandatory = basic::Publish { mandatory: true, ..publish("", "nowhere") };
    ch.publish_with(mandatory, &props(), "f");
    ch.returned();
    ch.confirmed(6, 6);
    assert!(ch.get("q", true).is_some());
    let held = ch.got("q");
    ch.send(nack(held.method.delivery_tag, true));
    let again = ch.got("q");
    assert!(again.method.redelivered);
    ch.send(ack(again.method.delivery_tag));
    ch.consume("q", "t");
    let [third, fourth] = ch.deliveries(["c", "d"]);
    ch.send(ack(third.method.delivery_tag));
    ch.send(reject(fourth.method.delivery_tag, false));
    let _: basic::CancelOk = ch.call(cancel("t"));
    assert!(ch.get("q", true).is_none());
    let of_queue = json!({
        "publish": 4, "get": 2, "get_no_ack": 1, "get_empty": 1, "deliver": 2, "redeliver": 1,
        "ack": 2, "deliver_get": 5,
    });
    expect(&api, "/queues/%2F/q", &of_queue);
    let mut of_all = of_queue;
    let more = [("publish", 6), ("confirm", 6), ("drop_unroutable", 1), ("return_unroutable", 1)];
    more.iter().for_each(|(name, number)| of_all[*name] = json!(number));
    expect(&api, "/overview", &of_all);
    expect(&api, "/vhosts/%2F", &of_all);
    expect(&api, "/exchanges/%2F/x", &json!({"publish_in": 2, "publish_out": 2}));
    expect(&api, "/exchanges/%2F/amq.default", &json!({"publish_in": 4, "publish_out": 2}));
}

#[test]
fn what_consumers_need_not_acknowledge_is_counted_apart() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    ch.consume_with(consume_no_ack("q", "t"));
    ch.publish_all("q", ["a", "b", "c"]);
    ch.deliveries(["a", "b", "c"]);
    let expected = json!({"publish": 3, "deliver_no_ack": 3, "deliver_get": 3});
    expect(&api, "/queues/%2F/q", &expected);
    expect(&api, "/overview", &expected);
}

#[test]
fn transactions_count_once_they_are_committed() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    let _: tx::SelectOk = ch.call(tx::Select {});
    ch.queue("q");
    ch.publish_all("q", ["a", "b"]);
    let _: tx::RollbackOk = ch.call(tx::Rollback {});
    ch.publish_all("q", ["c"]);
    let _: tx::CommitOk = ch.call(tx::Commit {});
    let expected = json!({"publish": 1});
    expect(&api, "/queues/%2F/q", &expected);
    expect(&api, "/overview", &expected);
    expect(&api, "/exchanges/%2F/amq.default", &json!({"publish_in": 1, "publish_out": 1}));
}

#[test]
fn messages_by_http_are_counted_too() {
    let api = Api::start();
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    for key in ["q", "nowhere"] {
        let body = json!({
            "properties": {}, "routing_key": key, "payload": "x", "payload_encoding": "string",
        });
        api.send("POST", "/exchanges/%2F/amq.default/publish", &body.to_string());
    }
    let body = json!({"count": 2, "ackmode": "ack_requeue_false", "encoding": "auto"});
    api.send("POST", "/queues/%2F/q/get", &body.to_string());
    let of_queue = json!({"publish": 1, "get_no_ack": 1, "get_empty": 1, "deliver_get": 1});
    expect(&api, "/queues/%2F/q", &of_queue);
    let of_all = json!({
        "publish": 2, "confirm": 2, "return_unroutable": 1, "get_no_ack": 1, "get_empty": 1,
        "deliver_get": 1,
    });
    expect(&api, "/overview", &of_all);
}

#[test]
fn channels_count_what_they_do() {
    let api = Api::with_config(OFTEN);
    let mut conn = api.broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.queue("q");
    ch.publish_all("q", ["a", "b"]);
    ch.confirmed(1, 2);
    let first = ch.got("q");
    ch.send(ack(first.method.delivery_tag));
    let expected = json!({"publish": 2, "confirm": 2, "get": 1, "ack": 1, "deliver_get": 1});
    until("channel", || match counted(&api.get("/channels")[0]["message_stats"]) {
        seen if seen == expected => Ok(()),
        seen => Err(seen.to_string()),
    });
    let mut rate = |path: &str, pointer: &str| {
        until(pointer, || {
            ch.publish("", "q", "more");
            let seen = api.get(path);
            let rate = seen.pointer(pointer).and_then(Value::as_f64);
            rate.filter(|rate| *rate > 0.0).map(drop).ok_or_else(|| seen.to_string())
        });
    };
    rate("/channels", "/0/message_stats/publish_details/rate");
    rate("/connections", "/0/recv_oct_details/rate");
    rate("/connections?data_rates_age=10&data_rates_incr=5", "/0/send_oct_details/avg");
}

#[test]
fn connections_count_what_their_channels_do() {
    let api = Api::with_config(OFTEN);
    let mut conn = api.broker.connect();
    conn.channel(1).queue("q");
    conn.ch(1).publish_all("q", ["a", "b"]);
    conn.ch(1).close();
    let mut ch = conn.channel(2);
    assert!(ch.get("q", true).is_some());
    let expected = json!({"publish": 2, "get_no_ack": 1, "deliver_get": 1});
    until("connection", || match counted(&api.get("/connections")[0]["message_stats"]) {
        seen if seen == expected => Ok(()),
        seen => Err(seen.to_string()),
    });
    until("its rate", || {
        ch.publish("", "q", "more");
        let seen = api.get("/connections");
        let rate = seen.pointer("/0/message_stats/publish_details/rate").and_then(Value::as_f64);
        rate.filter(|rate| *rate > 0.0).map(drop).ok_or_else(|| seen.to_string())
    });
}

/// Publishes until a rate is told.
fn rate(api: &Api, path: &str, pointer: &str) -> f64 {
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    until(pointer, || {
        ch.publish("", "q", "more");
        let seen = api.get(path);
        let rate = seen.pointer(pointer).and_then(Value::as_f64);
        rate.filter(|rate| *rate > 0.0).ok_or_else(|| seen.to_string())
    })
}

#[test]
fn rates_are_of_the_time_between_two_samples() {
    let api = Api::with_config(OFTEN);
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    assert!(rate(&api, "/queues/%2F/q", "/message_stats/publish_details/rate") > 0.0);
    assert!(rate(&api, "/queues/%2F/q", "/messages_details/rate") > 0.0);
    assert!(rate(&api, "/queues", "/0/messages_ready_details/rate") > 0.0);
    assert!(rate(&api, "/vhosts/%2F", "/message_stats/publish_details/rate") > 0.0);
    assert!(rate(&api, "/vhosts/%2F", "/recv_oct_details/rate") > 0.0);
    assert!(rate(&api, "/overview", "/message_stats/publish_details/rate") > 0.0);
    assert!(rate(&api, "/overview", "/queue_totals/messages_details/rate") > 0.0);
    let default = "/exchanges/%2F/amq.default";
    assert!(rate(&api, default, "/message_stats/publish_in_details/rate") > 0.0);
    // Nothing happens any more.
    until("rates", || {
        let seen = api.get("/queues/%2F/q");
        let rate = &seen["message_stats"]["publish_details"]["rate"];
        if *rate == json!(0.0) { Ok(()) } else { Err(seen.to_string()) }
    });
}

#[test]
fn samples_come_if_they_are_asked_for() {
    let api = Api::with_config(OFTEN);
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    rate(&api, "/overview", "/message_stats/publish_details/rate");
    let query = "lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5";
    let told = until("samples", || {
        let told = api.get(&format!("/overview?{query}"));
        let newest = told.pointer("/message_stats/publish_details/samples/0/sample");
        let some = newest.and_then(Value::as_u64).is_some_and(|newest| newest > 0);
        if some { Ok(told) } else { Err(told.to_string()) }
    });
    let details = &told["message_stats"]["publish_details"];
    let samples = details["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 13);
    let at = |n: usize| samples[n]["timestamp"].as_u64().unwrap();
    let number = |n: usize| samples[n]["sample"].as_u64().unwrap();
    assert!((1..13).all(|n| at(n) + 5000 == at(n - 1) && number(n) <= number(n - 1)));
    assert!(at(0).is_multiple_of(5000) && number(12) == 0);
    let sum: u64 = (0..13).map(number).sum();
    let is = |name: &str, expected: f64| {
        details[name].as_f64().is_some_and(|told| (told - expected).abs() < 1e-9)
    };
    assert!(is("avg", sum as f64 / 13.0) && is("avg_rate", number(0) as f64 / 60.0), "{details}");
    assert_eq!(told["queue_totals"]["messages_details"]["samples"].as_array().unwrap().len(), 13);
    assert_eq!(told["churn_rates"]["queue_created_details"]["samples"][0]["sample"], 1);
    let queue = api.get("/queues/%2F/q?lengths_age=10&lengths_incr=5");
    assert_eq!(queue["messages_details"]["samples"].as_array().unwrap().len(), 3);
    assert!(queue["message_stats"]["publish_details"].get("samples").is_none());
    let told = ("invalid_range_parameters", json!("Invalid range parameters: age 501, incr 1"));
    api.refused("GET", "/overview?lengths_age=501&lengths_incr=1", "", 400, told);
}

#[test]
fn queues_tell_what_they_have() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.declare(queue::Declare { durable: true, ..declare("q") });
    let persistent = || BasicProperties::default().with_delivery_mode(2).with_timestamp(1234);
    ch.publish_with(publish("", "q"), &persistent(), "12345");
    ch.publish("", "q", "123");
    ch.publish_with(publish("", "q"), &persistent(), "1234567");
    ch.confirmed(1, 3);
    let number =
        |queue: &Value, name: &str| queue[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    let told = |names: &[&str]| {
        let queue = api.get("/queues/%2F/q");
        names.iter().map(|name| number(&queue, name)).collect::<Vec<_>>()
    };
    let names = ["messages", "messages_ready", "messages_unacknowledged", "messages_ram"];
    let persistent = ["messages_persistent", "message_bytes_persistent"];
    let bytes = ["message_bytes", "message_bytes_ready", "message_bytes_unacknowledged"];
    assert_eq!((told(&names), told(&persistent)), (vec![3, 3, 0, 3], vec![2, 12]));
    assert_eq!(told(&bytes), [15, 15, 0]);
    let first = ch.got("q");
    assert_eq!((told(&names), told(&persistent)), (vec![3, 2, 1, 3], vec![2, 12]));
    assert_eq!(told(&bytes), [15, 10, 5]);
    let queue = api.get("/queues/%2F/q");
    assert_eq!(queue["head_message_timestamp"], 1234);
    assert!(number(&queue, "memory") > 15 && number(&queue, "message_bytes_ram") == 15);
    ch.send(ack(first.method.delivery_tag));
    let second = ch.got("q");
    assert_eq!((told(&names), told(&persistent)), (vec![2, 1, 1, 2], vec![1, 7]));
    assert_eq!(api.get("/queues/%2F/q")["head_message_timestamp"], json!(null));
    ch.send(ack(second.method.delivery_tag));
    ch.got("q");
    assert_eq!((told(&names), told(&persistent)), (vec![1, 0, 1, 1], vec![1, 7]));
    let totals = api.get("/overview")["queue_totals"].clone();
    assert_eq!((&totals["messages"], &totals["messages_ready"]), (&json!(1), &json!(0)));
    ch.send(delete("q"));
    let _: queue::DeleteOk = ch.expect();
    assert_eq!(api.get("/overview")["queue_totals"]["messages"], 0);
}

#[test]
fn a_queue_that_nobody_uses_is_idle() {
    let api = Api::with_config(OFTEN);
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    let since = until("idle", || {
        let queue = api.get("/queues/%2F/q");
        queue["idle_since"].as_str().map(str::to_owned).ok_or_else(|| queue.to_string())
    });
    assert!(since.len() == 29 && since.starts_with("20") && since.ends_with("+00:00"), "{since}");
    rate(&api, "/queues/%2F/q", "/message_stats/publish_details/rate");
    until("idle again", || {
        let queue = api.get("/queues/%2F/q");
        match queue["idle_since"].as_str().is_some_and(|later| *later > *since) {
            true => Ok(()),
            false => Err(queue.to_string()),
        }
    });
}

#[test]
fn consumers_that_cannot_take_more_are_told_of() {
    let api = Api::with_config(OFTEN);
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    let capacity = || api.get("/queues/%2F/q")["consumer_capacity"].as_f64().unwrap();
    assert!(capacity() == 0.0);
    let _: basic::QosOk = ch.call(qos(1));
    ch.consume("q", "t");
    let wait = |expected: f64| {
        until("capacity", || match capacity() {
            seen if seen == expected => Ok(()),
            seen => Err(seen.to_string()),
        });
    };
    wait(1.0);
    ch.publish_all("q", ["a", "b"]);
    let first = ch.delivery();
    wait(0.0);
    ch.send(ack_up_to(first.method.delivery_tag));
    let second = ch.delivery();
    ch.send(ack(second.method.delivery_tag));
    wait(1.0);
}

#[test]
fn what_comes_and_goes_is_counted() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    ch.queue("q");
    let _: queue::DeleteOk = ch.call(delete("q"));
    ch.close();
    conn.close();
    let expected = json!({
        "channel_created": 1, "channel_closed": 1, "connection_created": 1, "connection_closed": 1,
        "queue_created": 1, "queue_declared": 2, "queue_deleted": 1,
    });
    until("churn", || match counted(&api.get("/overview")["churn_rates"]) {
        seen if seen == expected => Ok(()),
        seen => Err(seen.to_string()),
    });
}

#[test]
fn what_is_counted_may_be_left_out() {
    let api = Api::start();
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    let names = |queue: &Value| {
        let names = queue.as_object().unwrap().keys().cloned();
        names.collect::<Vec<_>>().join(" ")
    };
    let few = api.get("/queues?disable_stats=true");
    let known = "arguments auto_delete durable exclusive name node state type vhost";
    assert_eq!(names(&few[0]), known);
    let some = api.get("/queues/%2F?disable_stats=true&enable_queue_totals=true");
    let known = "arguments auto_delete durable exclusive messages messages_ready \
                 messages_unacknowledged name node state type vhost";
    assert_eq!(names(&some[0]), known);
    let overview = api.get("/overview?disable_stats=true");
    assert!(overview.get("message_stats").is_none() && overview.get("queue_totals").is_none());
    let overview = api.get("/overview?disable_stats=true&enable_queue_totals=true");
    assert_eq!(overview["object_totals"]["queues"], 1);
    let exchange = api.get("/exchanges/%2F/amq.topic?disable_stats=true");
    assert!(exchange.get("message_stats").is_none());
}

#[test]
fn queues_are_sorted_by_their_rates() {
    let api = Api::with_config(OFTEN);
    for name in ["a", "b", "q"] {
        api.change("PUT", &format!("/queues/%2F/{name}"), "{}", 201);
    }
    let path = "/queues?page=1&sort=message_stats.publish_details.rate&sort_reverse=true";
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    until("order", || {
        ch.publish("", "b", "more");
        let items = api.get(path)["items"].clone();
        if items[0]["name"] == "b" { Ok(()) } else { Err(items.to_string()) }
    });
}

#[test]
fn without_rates_there_are_only_counts() {
    let api = Api::with_config("management.rates_mode = none\n");
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.queue("q");
    ch.publish_all("q", ["a", "b"]);
    let overview = api.get("/overview");
    assert_eq!(
        (&overview["rates_mode"], &overview["message_stats"]),
        (&json!("none"), &json!(null))
    );
    assert_eq!(overview["queue_totals"].as_object().unwrap().len(), 3, "{overview}");
    until("two messages", || match api.get("/queues/%2F/q") {
        queue if queue["messages_ready"] == 2 => Ok(()),
        queue => Err(queue.to_string()),
    });
    for path in ["/queues", "/exchanges", "/connections", "/channels", "/vhosts", "/nodes"] {
        for object in api.get(path).as_array().unwrap() {
            assert!(object.get("message_stats").is_none(), "{path}: {object}");
            let mut rates = object.as_object().unwrap().values();
            assert!(rates.all(|part| part.get("rate").is_none()), "{path}: {object}");
        }
    }
}

#[test]
fn rates_of_pairs_of_objects_are_not_counted() {
    let api = Api::with_config(
        "management.rates_mode = detailed\nmanagement.sample_retention_policies.basic.minute = 5\n",
    );
    api.broker.wait_for_log("management.rates_mode: `detailed` counts as `basic` here", 1);
    api.broker.wait_for_log("`management.sample_retention_policies.basic.minute` is ignored", 1);
    assert_eq!(api.get("/overview")["rates_mode"], "basic");
    assert_eq!(api.get("/nodes")[0]["rates_mode"], "basic");
}
