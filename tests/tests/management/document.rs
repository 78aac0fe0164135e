//! What the API says of itself.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lepus_tests::{Conn, DEADLINE, basic, consume, declare, headers, int, publish, queue};
use serde_json::{Value, json};

use crate::api::Api;

#[test]
fn the_document_tells_of_all_routes_and_what_they_answer() {
    let api = Api::start();
    let document = api.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 100, "{}", paths.len());
    let declare = &paths["/api/queues/{vhost}/{queue}"]["put"];
    assert_eq!(declare["operationId"], "put_queues_vhost_queue");
    assert_eq!(declare["requestBody"]["content"]["application/json"]["schema"]["type"], "object");
    let names = declare["parameters"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vhost", "queue"]);
    for (path, operations) in paths {
        let endless = path.starts_with("/api/x/events") || path.starts_with("/api/x/logs");
        if path.contains('{') || operations["get"].is_null() || endless {
            continue;
        }
        let answer = api.send("GET", path.strip_prefix("/api").unwrap(), "");
        let told = &operations["get"]["responses"][answer.status.to_string()];
        assert!(!told.is_null(), "{path}: {answer:?}");
        let _: Value = answer.json();
    }
    assert_eq!(api.raw(None, "GET", "/api/openapi.json", "").status, 401);
}

/// A broker with something of each kind, most of it with all that it can have.
fn scene() -> (Api, Conn) {
    let api = Api::with_config("collect_statistics_interval = 100\n");
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.declare(queue::Declare { exclusive: true, ..declare("mine") });
    ch.consume_with(basic::Consume { exclusive: true, ..consume("mine", "t") });
    let quorum = r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#;
    api.change("PUT", "/queues/%2F/q", quorum, 201);
    let late =
        r#"{"type":"x-delayed-message","durable":true,"arguments":{"x-delayed-type":"direct"}}"#;
    api.change("PUT", "/exchanges/%2F/late", late, 201);
    assert_eq!(api.send("POST", "/bindings/%2F/e/late/q/q", r#"{"routing_key":"k"}"#).status, 201);
    for (path, body) in [
        (
            "/policies/%2F/p",
            r#"{"pattern":"^late$","definition":{"alternate-exchange":"amq.fanout"}}"#,
        ),
        ("/operator-policies/%2F/p", r#"{"pattern":"^q$","definition":{"max-length":9}}"#),
        ("/topic-permissions/%2F/guest", r#"{"exchange":"amq.topic","write":".*","read":".*"}"#),
        ("/global-parameters/g", r#"{"value":1}"#),
    ] {
        api.change("PUT", path, body, 201);
    }
    api.change("PUT", "/vhost-limits/%2F/max-queues", r#"{"value":9}"#, 204);
    api.change("PUT", "/user-limits/guest/max-channels", r#"{"value":9}"#, 204);
    let waits = headers([("x-delay", int(600_000))]);
    ch.publish_with(publish("late", "k"), &waits, "later");
    for body in ["held", "ready"] {
        ch.publish("", "q", body);
    }
    ch.got("q");
    (api, conn)
}

/// Where a route leads in the scene.
fn place(path: &str, connection: &str) -> Option<String> {
    let channel = format!("{connection}%20%281%29");
    let name = match path.split('/').nth(2)? {
        "connections" => connection,
        "channels" => &channel,
        "policies" | "operator-policies" => "p",
        "parameters" => "limits",
        "global-parameters" => "g",
        _ => "",
    };
    let mut place = path.strip_prefix("/api")?.to_owned();
    for (part, value) in [
        ("{vhost}", "%2F"),
        ("{queue}", "q"),
        ("{exchange}", "late"),
        ("{user}", "guest"),
        ("{node}", "rabbit@localhost"),
        ("{component}", "vhost-limits"),
        ("{source}", "late"),
        ("{kind}", "q"),
        ("{destination}", "q"),
        ("{key}", "k"),
        ("{end}", "source"),
        ("{name}", name),
    ] {
        place = place.replace(part, value);
    }
    Some(place)
}

/// Whether a value is of a type, or one of several, of a schema.
fn is_of(value: &Value, kind: &Value) -> bool {
    let one = |kind: &str| match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("what is {other}?"),
    };
    match kind {
        Value::Null => true,
        Value::String(kind) => one(kind),
        several => several.as_array().unwrap().iter().any(|kind| one(kind.as_str().unwrap())),
    }
}

/// Compares the objects of an answer with what the document says of their kind: what was there.
fn compare(document: &Value, schema: &Value, answer: &Value, at: &str) -> BTreeSet<String> {
    let is_list = schema["anyOf"].is_array();
    let named = if is_list { &schema["anyOf"][0]["items"]["$ref"] } else { &schema["$ref"] };
    let kind = named.as_str().unwrap().rsplit('/').next().unwrap();
    let fields = &document["components"]["schemas"][kind]["properties"];
    let whole = [answer.clone()];
    let objects = if is_list { answer.as_array().unwrap().as_slice() } else { &whole };
    let mut seen = BTreeSet::new();
    for (name, value) in objects.iter().flat_map(|object| object.as_object().unwrap()) {
        let told = fields.get(name).unwrap_or_else(|| panic!("{at}: {kind} has no {name}"));
        assert!(is_of(value, &told["type"]), "{at}: {kind}'s {name} is {value}, not {told}");
        seen.insert(format!("{kind}.{name}"));
    }
    seen
}

/// What is not to be had in the scene.
const RARE: [&str; 2] = ["Connection.blocks_own_consumers", "Connection.user_provided_name"];

#[test]
fn answers_have_what_the_document_says_of_them() {
    let (api, _conn) = scene();
    let connections = api.get("/connections");
    let name = connections[0]["name"].as_str().unwrap();
    let name = name.replace(' ', "%20").replace('>', "%3E");
    let document = api.get("/openapi.json");
    let schema = |path: &str, method: &str| {
        let operation = &document["paths"][path][method];
        operation["responses"]["200"]["content"]["application/json"]["schema"].clone()
    };
    let is_known = |schema: &Value| schema["anyOf"].is_array() || schema["$ref"].is_string();
    let deadline = Instant::now() + DEADLINE;
    while api.get("/queues/%2F/q")["idle_since"].is_null() {
        assert!(Instant::now() < deadline, "the queue is never idle");
        sleep(Duration::from_millis(20));
    }
    let mut seen = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for path in paths.keys() {
        let schema = schema(path, "get");
        let Some(place) = place(path, &name).filter(|_| is_known(&schema)) else { continue };
        let answer = api.get(&place);
        seen.extend(compare(&document, &schema, &answer, &place));
        if schema["anyOf"].is_array() {
            let page = api.get(&format!("{place}?page=1"));
            assert_eq!(page["items"].as_array().map(Vec::len), answer.as_array().map(Vec::len));
            seen.extend(compare(&document, &schema, &page["items"], &place));
        }
    }
    let browsed = "/api/x/queues/{vhost}/{queue}/messages";
    let message = json!({"$ref": "#/components/schemas/Message"});
    for place in ["queues/%2F/q/messages?state=unacked", "exchanges/%2F/late/messages"] {
        let page = api.get(&format!("/x/{place}"));
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        seen.extend(compare(&document, &message, &page["items"][0], place));
    }
    let since = api.get("/x/queues/%2F/q/messages?since=now");
    seen.extend(compare(&document, &schema(browsed, "get"), &since, "since"));
    let body =
        json!({"properties": {}, "routing_key": "k", "payload": "m", "payload_encoding": "string"});
    let get = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    for (path, body) in [
        ("/api/exchanges/{vhost}/{exchange}/publish", body),
        ("/api/queues/{vhost}/{queue}/get", get),
        ("/api/x/queues/{vhost}/{queue}/messages/delete", json!({"all": true})),
    ] {
        let answer = api.send("POST", &place(path, &name).unwrap(), &body.to_string());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        seen.extend(compare(&document, &schema(path, "post"), &answer.json(), path));
    }
    let mut missing = Vec::new();
    for (kind, schema) in document["components"]["schemas"].as_object().unwrap() {
        let fields = schema["properties"].as_object().unwrap().keys();
        let names = fields.map(|field| format!("{kind}.{field}")).filter(|_| kind != "Fault");
        missing.extend(names.filter(|name| !seen.contains(name) && !RARE.contains(&name.as_str())));
    }
    assert!(missing.is_empty(), "no answer has {missing:?}");
}
