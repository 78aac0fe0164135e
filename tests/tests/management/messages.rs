//! Messages by HTTP.

use serde_json::{Value, json};

use crate::api::Api;

const PUBLISH: &str = "/exchanges/%2F/amq.default/publish";
const GET: &str = "/queues/%2F/q/get";

fn with_queue() -> Api {
    let api = Api::start();
    api.change("PUT", "/queues/%2F/q", r#"{"durable":true}"#, 201);
    api
}

fn post(api: &Api, path: &str, body: Value) -> Value {
    let answer = api.send("POST", path, &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn publish(api: &Api, key: &str, payload: &str, properties: Value) -> Value {
    let body = json!({
        "properties": properties, "routing_key": key, "payload": payload,
        "payload_encoding": "string",
    });
    post(api, PUBLISH, body)
}

fn get(api: &Api, ackmode: &str) -> Value {
    post(api, GET, json!({"count": 5, "ackmode": ackmode, "encoding": "auto"}))
}

#[test]
fn a_message_goes_in_and_comes_out_with_its_properties() {
    let api = with_queue();
    let properties = json!({
        "delivery_mode": 2, "headers": {"a": 1}, "message_id": "m1", "timestamp": 123,
        "content_type": "text/plain", "priority": 3,
    });
    assert_eq!(publish(&api, "q", "hello", properties.clone()), json!({"routed": true}));
    assert_eq!(publish(&api, "nomatch", "hello", json!({})), json!({"routed": false}));
    let expected = json!([{
        "payload_bytes": 5, "redelivered": false, "exchange": "", "routing_key": "q",
        "message_count": 0, "properties": properties, "payload": "hello",
        "payload_encoding": "string",
    }]);
    assert_eq!(get(&api, "ack_requeue_false"), expected);
    assert_eq!(get(&api, "ack_requeue_false"), json!([]));
}

#[test]
fn a_message_may_go_back_or_not() {
    let api = with_queue();
    publish(&api, "q", "a", json!({}));
    publish(&api, "q", "b", json!({}));
    let seen = |taken: Value| {
        let taken = taken.as_array().unwrap().iter();
        let seen = taken.map(|one| {
            let text = one["payload"].as_str().unwrap();
            format!("{text} {} {}", one["message_count"], one["redelivered"])
        });
        seen.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(seen(get(&api, "ack_requeue_true")), "a 1 false, b 0 false");
    assert_eq!(seen(get(&api, "reject_requeue_true")), "a 1 true, b 0 true");
    assert_eq!(seen(get(&api, "reject_requeue_false")), "a 1 true, b 0 true");
    assert_eq!(seen(get(&api, "ack_requeue_true")), "");
}

#[test]
fn octets_that_are_no_text_come_as_base64() {
    let api = with_queue();
    let body = json!({
        "properties": {}, "routing_key": "q", "payload": "/wA=", "payload_encoding": "base64",
    });
    post(&api, PUBLISH, body);
    let taken = get(&api, "ack_requeue_true");
    assert_eq!((&taken[0]["payload"], &taken[0]["payload_bytes"]), (&json!("/wA="), &json!(2)));
    assert_eq!(taken[0]["payload_encoding"], "base64");
    let ask =
        json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "base64", "truncate": 1});
    assert_eq!(post(&api, GET, ask)[0]["payload"], "/w==");
}

#[test]
fn many_messages_are_read_back_from_the_disk() {
    let api = with_queue();
    let large = "x".repeat(1 << 20);
    for _ in 0..3 {
        publish(&api, "q", &large, json!({"delivery_mode": 2}));
    }
    assert_eq!(api.get("/queues/%2F/q")["messages"], 3);
    let taken = get(&api, "ack_requeue_false");
    assert_eq!(taken.as_array().unwrap().len(), 3);
    assert!(taken[2]["payload"] == large.as_str());
}

#[test]
fn messages_that_cannot_be_published_are_refused() {
    let api = with_queue();
    let refused = |path: &str, body: &str, reason: &str| {
        api.refused("POST", path, body, 400, ("bad_request", json!(reason)));
    };
    let missing = "[{key_missing,payload},{key_missing,payload_encoding}]";
    refused(PUBLISH, r#"{"properties":{},"routing_key":"x"}"#, missing);
    let body = r#"{"properties":{},"routing_key":"x","payload":"","payload_encoding":"string"}"#;
    let text = "404 NOT_FOUND - no exchange 'nosuch' in vhost '/'";
    refused("/exchanges/%2F/nosuch/publish", body, text);
    let body = r#"{"properties":{"user_id":"other"},"routing_key":"q","payload":"","payload_encoding":"string"}"#;
    let text = "406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user \
                was 'guest'";
    refused(PUBLISH, body, text);
    api.user("narrow", "management", ["", "^q$", ""]);
    let body = r#"{"properties":{},"routing_key":"q","payload":"","payload_encoding":"string"}"#;
    let answer = api.by("narrow", "POST", PUBLISH, body);
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (401, Some("Access refused.")));
}

#[test]
fn messages_that_cannot_be_taken_are_refused() {
    let api = with_queue();
    let missing = json!("[{key_missing,ackmode},{key_missing,encoding}]");
    api.refused("POST", GET, r#"{"count":5}"#, 400, ("bad_request", missing));
    let body = r#"{"count":5,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    let told = ("not_found", json!("NOT_FOUND - no queue 'nosuch' in vhost '/'"));
    api.refused("POST", "/queues/%2F/nosuch/get", body, 404, told);
    let body = r#"{"count":5,"ackmode":"foo","encoding":"auto"}"#;
    let told = ("bad_request", json!("Invalid ackmode value: foo"));
    api.refused("POST", GET, body, 400, told);
    api.user("narrow", "management", ["", ".*", ""]);
    let body = r#"{"count":5,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    assert_eq!(api.by("narrow", "POST", GET, body).status, 401);
}

#[test]
fn a_test_message_goes_through_a_queue_of_its_own() {
    let api = Api::start();
    for _ in 0..2 {
        assert_eq!(api.get("/aliveness-test/%2F"), json!({"status": "ok"}));
    }
    assert_eq!(api.get("/queues/%2F/aliveness-test")["messages"], 0);
    api.missing("GET", "/aliveness-test/nosuch");
}
