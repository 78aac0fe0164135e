use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::read_json;
use crate::config::{Config, DefaultLimits};
use crate::node::Node;

pub(super) fn node() -> Arc<Node> {
    let node = Node::in_memory(Config::default());
    node.restore(crate::stores::Found::default()).unwrap();
    node
}

fn import_json(node: &Arc<Node>, document: &Value) -> Result<(), Fault> {
    import(node, "tester", &read_json(document).unwrap())
}

fn refusal(node: &Arc<Node>, document: &Value) -> String {
    let before = export(node);
    let why = import_json(node, document).unwrap_err().to_string();
    assert_eq!(difference(&before, &export(node)), [], "{why}");
    why
}

/// What a node that has taken a document exports more than before.
fn added(before: &Definitions, node: &Node) -> Vec<String> {
    difference(before, &export(node)).iter().map(Change::to_string).collect()
}

#[test]
fn an_export_of_rabbitmq_comes_out_as_it_went_in() {
    let theirs = read(include_bytes!("../fixtures/rabbitmq-3.10.8.json")).unwrap();
    let node = node();
    import(&node, "tester", &theirs).unwrap();
    assert_eq!(difference(&theirs, &export(&node)), []);
    node.dismantle();
}

#[test]
fn a_second_import_changes_nothing() {
    let theirs = read(include_bytes!("../fixtures/rabbitmq-3.10.8.json")).unwrap();
    let node = node();
    import(&node, "tester", &theirs).unwrap();
    let once = export(&node);
    import(&node, "tester", &once).unwrap();
    assert_eq!(difference(&once, &export(&node)), []);
    node.dismantle();
}

#[test]
fn what_is_there_stays_and_what_can_change_does() {
    let node = node();
    import_json(
        &node,
        &json!({
            "users": [{"name": "u", "password_hash": "", "tags": ["old"]}],
            "queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": 1}}],
            "policies": [{"name": "p", "vhost": "/", "pattern": "a", "definition": {"expires": 9}}],
        }),
    )
    .unwrap();
    let before = export(&node);
    import_json(
        &node,
        &json!({
            "users": [{"name": "u", "password_hash": "", "tags": ["new"]}],
            "queues": [{"name": "q", "vhost": "/", "durable": false}],
            "policies": [{"name": "p", "vhost": "/", "pattern": "b", "definition": {"expires": 9}}],
        }),
    )
    .unwrap();
    let expected =
        [r#"~ users "u": tags: ["old"] -> ["new"]"#, r#"~ policies "/" "p": pattern: "a" -> "b""#];
    assert_eq!(added(&before, &node), expected);
    node.dismantle();
}

#[test]
fn reserved_names_are_passed_over() {
    let node = node();
    let before = export(&node);
    import_json(
        &node,
        &json!({
            "queues": [{"name": "amq.gen-x", "vhost": "/"}],
            "exchanges": [
                {"name": "amq.topic", "vhost": "/", "type": "fanout"},
                {"name": "amq.mine", "vhost": "/", "type": "fanout"},
            ],
            "bindings": [{
                "source": "amq.topic", "vhost": "/", "destination": "amq.gen-x",
                "destination_type": "queue", "routing_key": "#",
            }],
        }),
    )
    .unwrap();
    assert_eq!(added(&before, &node), Vec::<String>::new());
    node.dismantle();
}

#[test]
fn names_that_cannot_be_are_refused_with_the_object() {
    let node = node();
    let long = "n".repeat(256);
    let told = |what: &str| format!("{what} should be less than 255 bytes, actually was 256");
    for (part, mut object, what) in [
        ("users", json!({"tags": ""}), "user"),
        ("vhosts", json!({}), "vhost"),
        ("queues", json!({"vhost": "/"}), "queue"),
        ("exchanges", json!({"vhost": "/", "type": "fanout"}), "exchange"),
        ("policies", json!({"vhost": "/", "pattern": "", "definition": {"expires": 9}}), "policy"),
    ] {
        object["name"] = long.as_str().into();
        let why = refusal(&node, &json!({part: [object]}));
        assert!(why.starts_with(&format!("{what} \"nnn")), "{why}");
        assert!(why.contains(&told(what)), "{why}");
    }
    let binding = json!({
        "source": "amq.topic", "vhost": "/", "destination": "amq.fanout",
        "destination_type": "exchange", "routing_key": long,
    });
    let why = refusal(&node, &json!({"bindings": [binding]}));
    let binding = r#"binding from "amq.topic" to "amq.fanout" in vhost "/": "#;
    assert_eq!(why, format!("{binding}{}", told("routing_key")));
    let why = refusal(&node, &json!({"users": [{"name": ""}]}));
    assert_eq!(why, r#"user "": user cannot be blank"#);
    let why = refusal(&node, &json!({"vhosts": [{"name": ""}]}));
    assert_eq!(why, r#"vhost "": vhost cannot be blank"#);
    node.dismantle();
}

#[test]
fn a_faulty_object_is_named_and_nothing_changes() {
    let node = node();
    let queue = json!({"name": "fine", "vhost": "/"});
    for (part, object, expected) in [
        (
            "queues",
            json!({"name": "q", "vhost": "none"}),
            r#"queue "q" in vhost "none": no such vhost: "none""#,
        ),
        (
            "queues",
            json!({"name": "q", "vhost": "/", "arguments": {"x-expires": "soon"}}),
            r#"queue "q" in vhost "/": invalid arg 'x-expires' for queue 'q' in vhost '/'"#,
        ),
        (
            "exchanges",
            json!({"name": "e", "vhost": "/", "type": "odd"}),
            r#"exchange "e" in vhost "/": unknown exchange type 'odd'"#,
        ),
        (
            "bindings",
            json!({"source": "amq.topic", "vhost": "/", "destination": "q", "destination_type": "queue"}),
            r#"binding from "amq.topic" to "q" in vhost "/": no queue 'q' in vhost '/'"#,
        ),
        (
            "bindings",
            json!({"source": "amq.topic", "vhost": "/", "destination": "q", "destination_type": "hole"}),
            r#"binding from "amq.topic" to "q" in vhost "/": destination_type "hole""#,
        ),
        (
            "permissions",
            json!({"user": "guest", "vhost": "/", "configure": "(", "write": "", "read": ""}),
            r#"permission of "guest" in vhost "/": regular expression '(' is invalid"#,
        ),
        (
            "permissions",
            json!({"user": "nobody", "vhost": "/", "configure": "", "write": "", "read": ""}),
            r#"permission of "nobody" in vhost "/": no such user"#,
        ),
        (
            "policies",
            json!({"name": "p", "vhost": "/", "pattern": "", "definition": {"odd": 1}}),
            r#"policy "p" in vhost "/": Validation failed"#,
        ),
        (
            "parameters",
            json!({"name": "p", "vhost": "/", "component": "odd", "value": 1}),
            r#"parameter "p" in vhost "/": Validation failed"#,
        ),
        ("users", json!({"name": "u", "password_hash": "???"}), r#"user "u": "#),
        (
            "users",
            json!({"name": "u", "password_hash": "", "hashing_algorithm": "rot13"}),
            r#"user "u": unknown hashing_algorithm rot13"#,
        ),
        (
            "vhosts",
            json!({"name": "v", "default_queue_type": "stream"}),
            r#"vhost "v": Unsupported default queue type 'stream'"#,
        ),
    ] {
        let mut document = json!({"queues": [queue]});
        let list = &mut document[part];
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().unwrap().push(object);
        let why = refusal(&node, &document);
        assert!(why.starts_with(expected), "{why}");
    }
    node.dismantle();
}

#[test]
fn limits_count_and_the_last_import_before_a_limit_is_undone() {
    let node = node();
    let queues: Vec<Value> =
        (0..3).map(|number| json!({"name": format!("q{number}"), "vhost": "/"})).collect();
    let limits = json!([{
        "vhost": "/", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 2},
    }]);
    let why = refusal(&node, &json!({"parameters": limits, "queues": queues}));
    assert!(why.starts_with(r#"queue "q2" in vhost "/": "#), "{why}");
    node.dismantle();
}

#[test]
fn a_virtual_host_alone_goes_elsewhere() {
    let node = node();
    import_json(&node, &json!({
        "vhosts": [{"name": "a", "metadata": {"description": "first", "tags": ["x"]}}, {"name": "b"}],
        "queues": [{"name": "q", "vhost": "a"}],
        "bindings": [{
            "source": "amq.topic", "vhost": "a", "destination": "q", "destination_type": "queue",
            "routing_key": "#", "arguments": {"n": 1},
        }],
    }))
    .unwrap();
    let vhost = node.vhost("a").unwrap();
    assert_eq!(vhost.spec().description, "first");
    let document = vhost_document(&export_vhost(&node, &vhost), "a");
    assert_eq!(document["bindings"][0].get("vhost"), None);
    let moved = read_vhost(document.to_string().as_bytes(), "b").unwrap();
    import(&node, "tester", &moved).unwrap();
    let found = export(&node);
    let in_b: Vec<_> = found.bindings.iter().filter(|binding| binding.vhost == "b").collect();
    assert_eq!((in_b.len(), &in_b[0].arguments["n"]), (1, &json!(1)));
    node.dismantle();
}

#[test]
fn what_is_there_does_not_stand_in_the_way_of_limits() {
    let node = node();
    let queues: Vec<Value> =
        (0..3).map(|number| json!({"name": format!("q{number}"), "vhost": "/"})).collect();
    let limits = json!([{
        "vhost": "/", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 1},
    }]);
    import_json(&node, &json!({ "queues": queues })).unwrap();
    import_json(&node, &json!({ "parameters": limits })).unwrap();
    let tight = DefaultLimits { max_queues: Some(2), ..DefaultLimits::default() };
    node.reconfigure(Config {
        vhost_max: Some(0),
        queue_max: Some(1),
        default_limits: [("all".to_owned(), tight)].into(),
        ..Config::default()
    });
    let document = json!({ "parameters": limits, "queues": queues });
    import_json(&node, &document).unwrap();
    refusal(&node, &json!({"queues": [{"name": "q3", "vhost": "/"}]}));
    refusal(&node, &json!({"vhosts": [{"name": "v"}]}));
    node.dismantle();
}

#[test]
fn what_nests_too_deeply_to_be_read_again_is_refused() {
    let node = node();
    let arguments = (0..100).fold(json!({}), |inner, _| json!({ "t": inner }));
    let why = refusal(
        &node,
        &json!({"queues": [
            {"name": "q", "vhost": "/", "arguments": arguments},
        ]}),
    );
    assert_eq!(why, r#"queue "q" in vhost "/": it nests deeper than 64 levels"#);
    node.dismantle();
}

#[test]
fn a_password_is_as_good_as_its_hash_and_told_to_nobody() {
    let node = node();
    import_json(
        &node,
        &json!({"users": [
            {"name": "u", "password": "s3cret", "tags": ""}, {"name": "none", "password": ""},
        ]}),
    )
    .unwrap();
    let hash = node.access().user("u").unwrap().password.clone().unwrap();
    assert!(hash.matches(&"s3cret".into()) && !hash.matches(&"".into()));
    assert_eq!(node.access().user("none").unwrap().password, None);
    let both = json!({"name": "u", "password": "s3cret", "password_hash": hash.encode()});
    let why = refusal(&node, &json!({"users": [both]}));
    assert_eq!(why, r#"user "u": both_password_and_password_hash_are_provided"#);
    let nameless = json!({"users": [{"username": "u", "password": "s3cret"}]});
    let why = read_json(&nameless).unwrap_err().to_string();
    assert!(!why.contains("s3cret"), "{why}");
    assert!(
        !format!("{:?}", read_json(&json!({"users": [{"name": "u", "password": "s3cret"}]})))
            .contains("s3cret")
    );
    node.dismantle();
}

#[test]
fn negative_limits_are_none_and_the_default_exchange_is_bound_already() {
    let node = node();
    import_json(
        &node,
        &json!({
            "users": [{"name": "u", "limits": {"max-connections": -1, "max-channels": 3}}],
            "queues": [{"name": "q", "vhost": "/"}],
            "bindings": [{
                "source": "", "vhost": "/", "destination": "q", "destination_type": "queue",
                "routing_key": "q",
            }],
        }),
    )
    .unwrap();
    let limits = node.access().user("u").unwrap().limits;
    assert_eq!((limits.max_connections, limits.max_channels), (None, Some(3)));
    node.dismantle();
}

#[test]
fn policies_of_plugins_are_kept() {
    let node = node();
    let before = export(&node);
    let definition =
        json!({"federation-upstream-set": "all", "shards-per-node": 2, "target-group-size": 3});
    let policy = json!({"name": "p", "vhost": "/", "pattern": "", "definition": definition});
    import_json(&node, &json!({"policies": [policy]})).unwrap();
    assert_eq!(added(&before, &node), [r#"+ policies "/" "p""#]);
    node.dismantle();
}
