use serde_json::json;

use super::*;

mod importing;
mod versions;

fn read_json(value: &serde_json::Value) -> Result<Definitions, Fault> {
    read(value.to_string().as_bytes())
}

fn refusal(value: &serde_json::Value) -> String {
    read_json(value).unwrap_err().to_string()
}

#[test]
fn an_export_of_rabbitmq_is_read_whole() {
    let found = read(include_bytes!("fixtures/rabbitmq-3.10.8.json")).unwrap();
    let counts = (found.users.len(), found.vhosts.len(), found.permissions.len());
    assert_eq!(counts, (3, 3, 4));
    let counts = (found.queues.len(), found.exchanges.len(), found.bindings.len());
    assert_eq!(counts, (5, 3, 2));
    assert_eq!((found.parameters.len(), found.global_parameters.len()), (2, 3));
    assert_eq!(found.users[0].limits["max-connections"], 3);
    assert_eq!(found.policies[0].definition["max-length"], 11);
    assert_eq!(found.topic_permissions[0].exchange, "amq.topic");
}

#[test]
fn what_was_read_and_written_is_read_the_same() {
    let found = read(include_bytes!("fixtures/rabbitmq-3.10.8.json")).unwrap();
    let written = serde_json::to_vec(&found).unwrap();
    let again = read(&written).unwrap();
    assert_eq!(again, found);
    assert_eq!(difference(&found, &again), []);
}

#[test]
fn what_old_versions_leave_out_has_rabbitmqs_values() {
    let found = read_json(&json!({
        "queues": [{"name": "q", "vhost": "/"}],
        "exchanges": [
            {"name": "e", "vhost": "/", "type": "fanout", "arguments": []},
            {"name": "n", "vhost": "/", "type": "fanout", "arguments": null},
        ],
        "policies": [{"name": "p", "vhost": "/", "pattern": "", "definition": {"expires": 1}}],
        "nobody": "knows",
    }))
    .unwrap();
    let (queue, exchange, policy) = (&found.queues[0], &found.exchanges[0], &found.policies[0]);
    assert!(queue.durable && !queue.auto_delete && exchange.durable && !exchange.internal);
    assert_eq!((policy.apply_to.as_str(), policy.priority), ("all", 0));
}

#[test]
fn tags_have_three_forms_and_hashes_two() {
    let found = read_json(&json!({
        "rabbit_version": "3.5.7",
        "users": [
            {"name": "a", "password_hash": "x", "tags": "management, own"},
            {"name": "b", "password_hash": "x", "administrator": true},
            {"name": "c", "password_hash": "x", "tags": ["x"], "hashing_algorithm": "own"},
        ],
    }))
    .unwrap();
    let tags: Vec<_> = found.users.iter().map(|user| user.tags.join(" ")).collect();
    assert_eq!(tags, ["management own", "administrator", "x"]);
    let how = |at: usize| found.users[at].hashing_algorithm.as_deref();
    assert_eq!((how(0), how(2)), (Some("rabbit_password_hashing_md5"), Some("own")));
    let newer = read_json(&json!({"rabbit_version": "3.10.8", "users": [{"name": "a"}]})).unwrap();
    assert_eq!(newer.users[0].hashing_algorithm, None);
}

#[test]
fn a_byte_order_mark_and_an_empty_list_are_tolerated() {
    assert_eq!(read(b"\xEF\xBB\xBF{}").unwrap(), Definitions::default());
    assert_eq!(read(b"[]").unwrap(), Definitions::default());
}

#[test]
fn a_document_of_a_vhost_needs_its_name() {
    let document = json!({"queues": [{"name": "q", "durable": true}]}).to_string();
    let why = read(document.as_bytes()).unwrap_err();
    assert!(matches!(why, Fault::NoVhost(_)), "{why}");
    let found = read_vhost(document.as_bytes(), "v").unwrap();
    assert_eq!(found.queues[0].vhost, "v");
}

#[test]
fn faults_name_the_object() {
    let queue = json!({"queues": [{"name": "q", "vhost": "/", "durable": "maybe"}]});
    assert!(refusal(&queue).starts_with(r#"queue "q" in vhost "/": "#), "{}", refusal(&queue));
    let policy = json!({"policies": [{"name": "p", "vhost": "/", "definition": {}}]});
    assert_eq!(refusal(&policy), r#"policy "p" in vhost "/": missing field `pattern`"#);
    let bound = json!({"bindings": [{"source": "a", "destination": "b", "vhost": "/"}]});
    assert!(refusal(&bound).starts_with(r#"binding from "a" to "b" in vhost "/": missing"#));
    assert_eq!(refusal(&json!({"queues": {}})), "queues is not a list");
    assert_eq!(refusal(&json!(1)), "the definitions are not an object");
    assert!(read(b"{").unwrap_err().to_string().starts_with("the definitions are not JSON"));
}

#[test]
fn differences_do_not_depend_on_the_order() {
    let of = |queues: serde_json::Value| read_json(&json!({"queues": queues})).unwrap();
    let (a, b) = (json!({"name": "a", "vhost": "/"}), json!({"name": "b", "vhost": "/"}));
    assert_eq!(difference(&of(json!([a, b])), &of(json!([b, a]))), []);
    let transient = json!({"name": "a", "vhost": "/", "durable": false});
    let changes =
        difference(&of(json!([a, b])), &of(json!([transient, {"name": "c", "vhost": "/"}])));
    let texts: Vec<String> = changes.iter().map(Change::to_string).collect();
    let expected = [
        r#"~ queues "/" "a": durable: true -> false"#,
        r#"- queues "/" "b""#,
        r#"+ queues "/" "c""#,
    ];
    assert_eq!(texts, expected);
}
