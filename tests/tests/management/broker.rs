//! The broker as a whole, policies, parameters, definitions, health.

use std::net::TcpListener;
use std::process::Command;

use lepus_tests::{lepus_binary, unique};
use serde_json::json;

use crate::api::Api;

#[test]
fn the_overview_has_what_tools_look_for() {
    let api = Api::start();
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    let overview = api.get("/overview");
    assert_eq!(overview["rates_mode"], "basic");
    assert_eq!(overview["object_totals"]["queues"], 1);
    assert_eq!(overview["object_totals"]["exchanges"], 8);
    assert_eq!(overview["queue_totals"]["messages"], 0);
    assert_eq!(overview["message_stats"]["publish_details"]["rate"], 0.0);
    let version = overview["rabbitmq_version"].as_str().unwrap();
    assert_eq!(version.split('.').count(), 3);
    let protocols: Vec<_> = overview["listeners"].as_array().unwrap().iter().collect();
    let is = |name: &str| protocols.iter().any(|listener| listener["protocol"] == name);
    assert!(is("amqp") && is("http"), "{protocols:?}");
    let contexts = overview["contexts"].as_array().unwrap().iter();
    let contexts: Vec<_> = contexts.map(|one| (&one["node"], &one["description"])).collect();
    let of = |description: &str| (json!("rabbit@localhost"), json!(description));
    let (api_of, metrics_of) = (of("RabbitMQ Management"), of("RabbitMQ Prometheus"));
    assert_eq!(contexts, [(&api_of.0, &api_of.1), (&metrics_of.0, &metrics_of.1)]);
    let types = overview["exchange_types"].as_array().unwrap();
    assert!(types.iter().any(|kind| kind["name"] == "topic" && kind["enabled"] == true));
    let part = api.get("/overview?columns=object_totals.queues,node");
    assert_eq!(part, json!({"object_totals": {"queues": 1}, "node": "rabbit@localhost"}));
}

#[test]
fn there_is_one_node() {
    let api = Api::start();
    let nodes = api.get("/nodes");
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!((&nodes[0]["running"], &nodes[0]["mem_alarm"]), (&json!(true), &json!(false)));
    assert!(nodes[0]["mem_used"].as_u64() > Some(0) && nodes[0]["mem_limit"].as_u64() > Some(0));
    assert_eq!(api.get("/nodes/rabbit@localhost")["name"], "rabbit@localhost");
    api.missing("GET", "/nodes/other@localhost");
    api.user("reader", "management", [".*", ".*", ".*"]);
    let answer = api.by("reader", "GET", "/nodes", "");
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (401, Some("Not monitor user")));
}

#[test]
fn the_cluster_has_a_name() {
    let api = Api::start();
    assert_eq!(api.get("/cluster-name"), json!({"name": "rabbit@localhost"}));
    api.change("PUT", "/cluster-name", r#"{"name":"c1"}"#, 204);
    assert_eq!(api.get("/cluster-name"), json!({"name": "c1"}));
    assert_eq!(api.get("/overview")["cluster_name"], "c1");
}

#[test]
fn policies_come_change_and_go() {
    let api = Api::start();
    let p1 = "/policies/%2F/p1";
    let body =
        r#"{"pattern":"^q","definition":{"max-length":10},"priority":1,"apply-to":"queues"}"#;
    api.change("PUT", p1, body, 201);
    api.change("PUT", p1, r#"{"pattern":"^q","definition":{"max-length":11}}"#, 204);
    let shown = json!({
        "vhost": "/", "name": "p1", "pattern": "^q", "apply-to": "all",
        "definition": {"max-length": 11}, "priority": 0,
    });
    assert_eq!(api.get(p1), shown);
    assert_eq!(api.get("/policies/%2F"), json!([shown]));
    assert_eq!(api.get("/policies"), json!([shown]));
    let operator = r#"{"pattern":"^q","definition":{"message-ttl":1000},"apply-to":"queues"}"#;
    api.change("PUT", "/operator-policies/%2F/op1", operator, 201);
    api.change("PUT", "/queues/%2F/q2", "{}", 201);
    let columns = "columns=policy,operator_policy,effective_policy_definition";
    let expected = json!({
        "policy": "p1", "operator_policy": "op1",
        "effective_policy_definition": {"max-length": 11, "message-ttl": 1000},
    });
    assert_eq!(api.get(&format!("/queues/%2F/q2?{columns}")), expected);
    api.change("DELETE", "/operator-policies/%2F/op1", "", 204);
    api.change("DELETE", p1, "", 204);
    api.missing("DELETE", p1);
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let api = Api::start();
    let refused = |body: &str, reason: &str| {
        let told = ("bad_request", json!(reason));
        api.refused("PUT", "/policies/%2F/p", body, 400, told);
    };
    let text = "Validation failed\n\n[{<<\"nosuch\">>,11}] are not recognised policy settings\n";
    refused(r#"{"pattern":"^q","definition":{"nosuch":11}}"#, text);
    refused(r#"{"definition":{"max-length":11}}"#, "[{key_missing,pattern}]");
    let text = "Validation failed\n\nno policy provided\n";
    refused(r#"{"pattern":"^q","definition":{}}"#, text);
}

#[test]
fn parameters_come_and_go() {
    let api = Api::start();
    let told = ("bad_request", json!("Validation failed\n\ncomponent nocomp not found\n"));
    api.refused("PUT", "/parameters/nocomp/%2F/x", r#"{"value":{"a":1}}"#, 400, told);
    api.change("PUT", "/global-parameters/myp", r#"{"value":{"a":1}}"#, 201);
    api.change("PUT", "/global-parameters/myp", r#"{"value":{"a":2}}"#, 204);
    assert_eq!(api.get("/global-parameters/myp"), json!({"name": "myp", "value": {"a": 2}}));
    api.change("DELETE", "/global-parameters/myp", "", 204);
    api.missing("DELETE", "/global-parameters/myp");
    let limits = "/parameters/vhost-limits/%2F/limits";
    api.change("PUT", limits, r#"{"value":{"max-queues":3}}"#, 201);
    let shown = json!({
        "value": {"max-queues": 3}, "vhost": "/", "component": "vhost-limits", "name": "limits",
    });
    assert_eq!(api.get(limits), shown);
    assert_eq!(api.get("/parameters/vhost-limits"), json!([shown]));
    api.change("DELETE", limits, "", 204);
    assert_eq!(api.get("/parameters"), json!([]));
}

#[test]
fn definitions_go_from_one_broker_to_another() {
    let (one, other) = (Api::start(), Api::start());
    one.change("PUT", "/vhosts/shop", "", 201);
    one.change("PUT", "/queues/%2F/q", r#"{"durable":true}"#, 201);
    let body = one.send("GET", "/definitions?download=all.json", "");
    let attachment = "attachment; filename=all.json";
    assert_eq!((body.status, body.header("content-disposition")), (200, attachment));
    other.change("POST", "/definitions", &body.text, 204);
    assert_eq!(other.get("/queues/%2F/q")["durable"], true);
    let part = one.get("/definitions/%2F");
    assert_eq!(
        part["queues"],
        json!([
            {"name": "q", "durable": true, "auto_delete": false, "arguments": {}},
        ])
    );
    let all = r#"{"configure":".*","write":".*","read":".*"}"#;
    other.change("PUT", "/permissions/shop/guest", all, 204);
    other.change("POST", "/definitions/shop", &part.to_string(), 204);
    assert_eq!(other.get("/queues/shop/q")["vhost"], "shop");
    let told = ("bad_request", json!("failed_to_parse_json"));
    other.refused("POST", "/definitions", "notjson", 400, told);
}

#[test]
fn health_is_checked() {
    let api = Api::start();
    let checks = "/health/checks";
    for check in ["alarms", "local-alarms", "virtual-hosts", "is-in-service"] {
        assert_eq!(api.get(&format!("{checks}/{check}")), json!({"status": "ok"}), "{check}");
    }
    let alone = json!({"status": "ok", "reason": "single node cluster"});
    assert_eq!(api.get(&format!("{checks}/node-is-quorum-critical")), alone);
    let amqp: u16 = api.broker.address().rsplit(':').next().unwrap().parse().unwrap();
    let found = api.get(&format!("{checks}/port-listener/{amqp}"));
    assert_eq!(found, json!({"status": "ok", "port": amqp}));
    let answer = api.send("GET", &format!("{checks}/port-listener/1"), "");
    assert_eq!((answer.status, &answer.json()["missing"]), (503, &json!(1)));
    let found = api.get(&format!("{checks}/protocol-listener/amqp091"));
    assert_eq!(found, json!({"status": "ok", "protocol": "amqp"}));
    let answer = api.send("GET", &format!("{checks}/protocol-listener/mqtt"), "");
    assert_eq!(
        (answer.status, answer.json()),
        (
            503,
            json!({
                "status": "failed", "reason": "No active listener", "missing": "mqtt",
                "protocols": ["amqp", "http", "http/prometheus"],
            })
        )
    );
}

#[test]
fn a_port_that_is_taken_keeps_the_broker_from_starting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let directory = std::env::temp_dir().join(unique("taken"));
    let mut lepus = Command::new(lepus_binary());
    lepus.args(["--amqp-port", "0", "--metrics-port", "0", "--http-port", &port]);
    lepus.arg("--data-dir").arg(&directory);
    let output = lepus.output().unwrap();
    let _ = std::fs::remove_dir_all(&directory);
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("cannot listen on 127.0.0.1:{port} for HTTP");
    assert!(!output.status.success() && said.contains(&expected), "{said}");
}
