//! What operators see of work that goes on, and how they hold it.

use std::io::{BufRead, BufReader};

use amq_protocol::protocol::basic;
use lepus_tests::{Conn, ack};
use serde_json::{Value, json};

use crate::api::Api;

const QUEUE: &str = "/x/queues/%2F/q";

fn publish(api: &Api, payload: &str) {
    let body = json!({
        "properties": {}, "routing_key": "q", "payload": payload, "payload_encoding": "string",
    });
    let answer = api.send("POST", "/exchanges/%2F/amq.default/publish", &body.to_string());
    assert_eq!(answer.json(), json!({"routed": true}));
}

fn consumer(api: &Api) -> Conn {
    let mut conn = api.broker.connect();
    let mut channel = conn.channel(1);
    channel.queue("q");
    channel.consume("q", "c");
    conn
}

/// Server-sent events, by name, as they come.
fn listen(api: &Api, path: &str) -> impl Iterator<Item = (String, Value)> {
    let mut lines = BufReader::new(api.stream(path)).lines().map(Result::unwrap);
    std::iter::from_fn(move || {
        let mut name = String::new();
        loop {
            let line = lines.next()?;
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    })
}

#[test]
fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let api = Api::start();
    let mut conn = consumer(&api);
    api.change("POST", &format!("{QUEUE}/pause"), "", 204);
    publish(&api, "a");
    assert_eq!(api.get("/queues/%2F/q")["state"], "paused");
    let shown = api.get(QUEUE);
    assert_eq!((&shown["paused"], &shown["messages_ready"]), (&json!(true), &json!(1)));
    assert!(shown["oldest_ready_age"].is_u64(), "{shown}");
    assert_eq!(shown["oldest_unacknowledged_age"], Value::Null);
    api.change("POST", &format!("{QUEUE}/resume"), "", 204);
    conn.ch(1).deliveries(["a"]);
    assert_eq!(api.get(QUEUE)["paused"], false);
    api.missing("POST", "/x/queues/%2F/other/pause");
    api.missing("GET", "/x/queues/%2F/other");
}

#[test]
fn who_may_not_configure_a_queue_does_not_pause_it() {
    let api = Api::start();
    let _conn = consumer(&api);
    api.user("guard", "management", ["^$", ".*", ".*"]);
    let answer = api.by("guard", "POST", &format!("{QUEUE}/pause"), "");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(api.by("guard", "GET", QUEUE, "").json()["paused"], false);
}

#[test]
fn a_queue_says_who_holds_its_messages_and_since_when() {
    let api = Api::start();
    let mut conn = consumer(&api);
    let idle = &api.get(QUEUE)["consumers"][0];
    assert_eq!((&idle["last_delivery"], &idle["last_ack"]), (&Value::Null, &Value::Null));
    publish(&api, "a");
    publish(&api, "b");
    let [first, _] = conn.ch(1).deliveries(["a", "b"]);
    let shown = api.get(QUEUE);
    let of = &shown["consumers"][0];
    assert_eq!((&of["consumer_tag"], &of["messages_unacknowledged"]), (&json!("c"), &json!(2)));
    assert!(of["last_delivery"].is_u64() && of["last_ack"].is_null(), "{of}");
    assert!(of["oldest_unacknowledged_age"].is_u64(), "{of}");
    assert_eq!(of["oldest_unacknowledged_age"], shown["oldest_unacknowledged_age"]);
    conn.send(1, ack(first.method.delivery_tag));
    conn.ch(1).queue("q");
    let of = &api.get(QUEUE)["consumers"][0];
    assert!(of["last_ack"].as_u64() >= of["last_delivery"].as_u64(), "{of}");
    assert_eq!(of["messages_unacknowledged"], 1);
}

#[test]
fn a_consumer_is_sent_away_and_keeps_what_it_holds() {
    let api = Api::start();
    let mut conn = consumer(&api);
    publish(&api, "a");
    let [held] = conn.ch(1).deliveries(["a"]);
    let name = api.get("/connections")[0]["name"].as_str().unwrap().replace(' ', "%20");
    let path = format!("/x/consumers/%2F/{}/1/c", name.replace('>', "%3E"));
    api.missing("DELETE", &path.replace("/1/c", "/2/c"));
    api.missing("DELETE", &path.replace("/1/c", "/1/d"));
    api.change("DELETE", &path, "", 204);
    let told: basic::Cancel = conn.expect(1);
    assert_eq!(told, basic::Cancel { consumer_tag: "c".into(), nowait: true });
    api.missing("DELETE", &path);
    publish(&api, "b");
    let shown = api.get("/queues/%2F/q");
    assert_eq!((&shown["consumers"], &shown["messages_ready"]), (&json!(0), &json!(1)));
    conn.send(1, ack(held.method.delivery_tag));
    conn.ch(1).queue("q");
    assert_eq!(api.get("/queues/%2F/q")["messages_unacknowledged"], 0);
}

#[test]
fn events_are_told_as_they_happen() {
    let api = Api::start();
    let mut all = listen(&api, "/x/events");
    let mut queues = listen(&api, "/x/events?event=queue.&vhost=%2F");
    api.change("PUT", "/exchanges/%2F/e", r#"{"type":"fanout"}"#, 201);
    api.change("PUT", "/queues/%2F/q", r#"{"durable":true}"#, 201);
    let (name, event) = all.next().unwrap();
    assert_eq!((name.as_str(), &event["name"]), ("exchange.created", &json!("e")));
    let (name, event) = queues.next().unwrap();
    assert_eq!((name.as_str(), &event["name"]), ("queue.created", &json!("q")));
    assert_eq!((&event["vhost"], &event["durable"]), (&json!("/"), &json!(true)));
    assert_eq!(event["user_who_performed_action"], "guest");
    api.user("plain", "management", [".*"; 3]);
    assert_eq!(api.by("plain", "GET", "/x/events", "").status, 401);
}

#[test]
fn the_log_is_followed() {
    let api = Api::start();
    let mut lines = listen(&api, "/x/logs");
    let _conn = api.broker.connect();
    let (_, line) = lines.find(|(_, line)| line["msg"] == "connected").unwrap();
    assert_eq!((&line["level"], &line["user"]), (&json!("info"), &json!("guest")));
    let answer = api.send("GET", "/x/logs?level=loud", "");
    assert_eq!(answer.status, 400, "{answer:?}");
    api.user("watcher", "monitoring", [".*"; 3]);
    assert_eq!(api.by("watcher", "GET", "/x/logs", "").status, 401);
}

#[test]
fn whoever_changes_something_is_in_the_log() {
    let api = Api::start();
    let mut lines = listen(&api, "/x/logs").map(|(_, line)| line);
    let mut next = |part: &str| {
        lines.find(|line| line["msg"].as_str().unwrap().contains(part)).expect("a line")
    };
    api.user("anna", "management", [".*"; 3]);
    let line = next("/users/");
    assert_eq!(
        (&line["msg"], &line["user"], &line["level"]),
        (&json!("PUT /api/users/anna"), &json!("guest"), &json!("info"))
    );
    assert!(line["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_eq!(next("/permissions/")["vhost"], "/");
    // What is refused changes nothing; queues come and messages go as by AMQP.
    api.missing("DELETE", "/users/nobody");
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    publish(&api, "a");
    assert_eq!(api.by("anna", "DELETE", "/queues/%2F/q/contents", "").status, 204);
    let line = next("/api/");
    assert_eq!(
        (&line["msg"], &line["user"], &line["vhost"]),
        (&json!("DELETE /api/queues/%2F/q/contents"), &json!("anna"), &json!("/"))
    );
}
