//! Exports as the versions of RabbitMQ make them, and what arrives of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::importing::node;
use crate::access::password::Secret;
use crate::node::Node;

/// A broker that has taken a document. What the document says is what it exports now, and a second
/// import changes nothing.
fn imported(text: &[u8]) -> (Arc<Node>, Definitions, Vec<String>) {
    let theirs = read(text).unwrap();
    let node = node();
    import(&node, "tester", &theirs).unwrap();
    let ours = export(&node);
    let differences = difference(&theirs, &ours).iter().map(Change::to_string).collect();
    import(&node, "tester", &ours).unwrap();
    assert_eq!(difference(&ours, &export(&node)), []);
    (node, ours, differences)
}

fn named<'a, T>(objects: &'a [T], name: &str, of: impl Fn(&T) -> &str) -> &'a T {
    objects.iter().find(|object| of(object) == name).unwrap()
}

fn queue<'a>(definitions: &'a Definitions, name: &str) -> &'a Queue {
    named(&definitions.queues, name, |queue| &queue.name)
}

fn user<'a>(definitions: &'a Definitions, name: &str) -> &'a User {
    named(&definitions.users, name, |user| &user.name)
}

fn vhost<'a>(definitions: &'a Definitions, name: &str) -> &'a Vhost {
    named(&definitions.vhosts, name, |vhost| &vhost.name)
}

fn knows(node: &Node, user: &str, password: &str) -> bool {
    let password = Secret::from(password);
    node.access().user(user).unwrap().password.as_ref().is_some_and(|hash| hash.matches(&password))
}

#[test]
fn rabbitmq_3_8() {
    let (node, ours, differences) = imported(include_bytes!("../fixtures/rabbitmq-3.8.json"));
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(user(&ours, "ops").tags, ["monitoring", "policymaker"]);
    assert_eq!(user(&ours, "app").tags, Vec::<String>::new());
    assert!(knows(&node, "guest", "guest") && !knows(&node, "app", ""));
    assert_eq!(ours.parameters[0].value, json!({"max-connections": 10, "max-queues": 5}));
    assert_eq!(ours.permissions.len(), 2);
    assert_eq!(
        (ours.policies[0].priority, &ours.policies[0].definition["ha-mode"]),
        (1, &json!("all"))
    );
    assert_eq!(queue(&ours, "lazy").arguments["x-queue-mode"], "lazy");
    assert_eq!((ours.exchanges.len(), ours.bindings[0].routing_key.as_str()), (1, "order.#"));
    node.dismantle();
}

#[test]
fn rabbitmq_3_9() {
    let (node, ours, differences) = imported(include_bytes!("../fixtures/rabbitmq-3.9.json"));
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(user(&ours, "app").limits["max-channels"], 20);
    assert_eq!(ours.topic_permissions[0].write, "^{username}\\.");
    let dead = named(&ours.exchanges, "dead", |exchange| &exchange.name);
    assert!(dead.internal);
    assert_eq!(queue(&ours, "celery").arguments["x-max-priority"], 10);
    assert_eq!(queue(&ours, "pending").arguments["x-delivery-limit"], 5);
    let bound = named(&ours.bindings, "celeryev", |binding| &binding.source);
    assert_eq!(bound.arguments["x-note"], json!([1, "two", true]));
    node.dismantle();
}

#[test]
fn rabbitmq_3_11() {
    let (node, ours, differences) = imported(include_bytes!("../fixtures/rabbitmq-3.11.json"));
    let expected = [
        r#"~ vhosts "/": default_queue_type: "undefined" -> null"#,
        r#"~ vhosts "/": metadata: {"description":"Default virtual host","tags":[]} -> {"description":"Default virtual host"}"#,
    ];
    assert_eq!(differences, expected, "two ways of saying nothing");
    let prod = vhost(&ours, "prod");
    assert_eq!(
        (prod.description.as_str(), &*prod.tags),
        ("production", &["prod".into(), "eu".into()][..])
    );
    assert_eq!(prod.default_queue_type.as_deref(), Some("quorum"));
    assert_eq!(vhost(&ours, "/").default_queue_type, None);
    let components: Vec<_> = ours.parameters.iter().map(|one| one.component.as_str()).collect();
    assert_eq!(components, ["operator_policy", "vhost-limits"]);
    assert_eq!(queue(&ours, "queue_from_definitions").arguments["expires"], 5000);
    node.dismantle();
}

#[test]
fn rabbitmq_4_1() {
    let (node, ours, differences) = imported(include_bytes!("../fixtures/rabbitmq-4.1.json"));
    let expected = [
        r#"~ vhosts "/": metadata: {"default_queue_type":"classic","description":"Default virtual host","tags":[]} -> {"default_queue_type":"classic","description":"Default virtual host"}"#,
    ];
    assert_eq!(differences, expected, "another way of saying nothing");
    assert!(knows(&node, "long", "long") && !knows(&node, "long", "short"));
    assert_eq!(user(&ours, "long").limits["max-connections"], 2);
    assert_eq!(vhost(&ours, "safe").metadata["protected_from_deletion"], true);
    assert!(node.delete_vhost("tester", "safe").is_err());
    assert_eq!(queue(&ours, "out").arguments["x-queue-type"], "quorum");
    assert_eq!(
        (ours.policies[0].apply_to.as_str(), ours.policies[0].priority),
        ("quorum_queues", 7)
    );
    let arguments = Value::Object(ours.bindings[0].arguments.clone());
    assert_eq!(arguments, json!({"x-match": "any", "kind": "bill"}));
    let tags = named(&ours.global_parameters, "cluster_tags", |parameter| &parameter.name);
    assert_eq!(tags.value, json!([]));
    node.dismantle();
}

#[test]
fn a_virtual_host_of_rabbitmq_4_0() {
    let text = include_bytes!("../fixtures/rabbitmq-4.0-vhost.json");
    let why = read(text).unwrap_err();
    assert!(matches!(why, Fault::NoVhost(_)), "{why}");
    let node = node();
    let before = export(&node);
    import(&node, "tester", &read_vhost(text, "/").unwrap()).unwrap();
    let added = difference(&before, &export(&node));
    let added: Vec<String> = added.iter().map(Change::to_string).collect();
    let expected = [
        r#"+ parameters "/" "vhost-limits" "limits""#,
        r#"+ policies "/" "ttl""#,
        r#"+ queues "/" "work""#,
        r#"+ exchanges "/" "front""#,
        r#"+ bindings "/" "front" "queue" "work" "go" {}"#,
    ];
    assert_eq!(added, expected);
    node.dismantle();
}
