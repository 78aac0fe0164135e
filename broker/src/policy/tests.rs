//! Which policy counts, what is refused, and what comes of several together.

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::json;

use super::*;

fn spec(name: &str, pattern: &str, definition: Value) -> PolicySpec {
    let (name, pattern) = (name.to_owned(), pattern.to_owned());
    PolicySpec { name, pattern, apply_to: String::new(), priority: 0, definition }
}

fn policy(name: &str, pattern: &str, priority: i64, definition: Value) -> Arc<Policy> {
    let spec = PolicySpec { priority, ..spec(name, pattern, definition) };
    Arc::new(Policy::new(Kind::User, spec).expect("a valid policy"))
}

fn refused(kind: Kind, definition: &Value) -> String {
    let refused = Policy::new(kind, spec("p", "^q", definition.clone())).expect_err("a refusal");
    let text = refused.strip_prefix("Validation failed\n\n").expect("RabbitMQ's first line");
    text.strip_suffix('\n').expect("RabbitMQ's last line").to_owned()
}

const QUEUE: Subject<'static> = Subject::Queue { name: "q1", quorum: false };
const QUORUM: Subject<'static> = Subject::Queue { name: "q1", quorum: true };
const EXCHANGE: Subject<'static> = Subject::Exchange("q1");

/// As RabbitMQ 3.10.8 answers `rabbit_policy:parse_set`.
#[test]
fn definitions_are_refused_with_rabbitmqs_texts() {
    for (definition, text) in [
        (json!({"message-ttl": -1}), "-1 is not a valid message TTL"),
        (json!({"message-ttl": "a"}), r#"<<"a">> is not a valid message TTL"#),
        (json!({"message-ttl": 1.5}), "1.5 is not a valid message TTL"),
        (json!({"expires": 0}), "0 is not a valid queue expiry"),
        (json!({"overflow": "x"}), r#"<<"x">> is not a valid overflow value"#),
        (json!({"overflow": 5}), "5 is not a valid overflow value"),
        (json!({"max-length": true}), "true is not a valid maximum length"),
        (json!({"max-length": null}), "null is not a valid maximum length"),
        (json!({"max-length": [1, 2]}), "[1,2] is not a valid maximum length"),
        (json!({"max-length": {"a": 1}}), r#"#{<<"a">> => 1} is not a valid maximum length"#),
        (json!({"dead-letter-exchange": 1}), "1 is not a valid dead letter exchange name"),
        (json!({"dead-letter-routing-key": 1}), "1 is not a valid dead letter routing key"),
        (json!({"dead-letter-strategy": "x"}), r#"<<"x">> is not a valid dead letter strategy"#),
        (json!({"alternate-exchange": 1}), "1 is not a valid alternate exchange name"),
        (json!({"delivery-limit": -3}), "-3 is not a valid delivery limit"),
        (json!({"queue-mode": "x"}), r#"<<"x">> is not a valid queue-mode value"#),
        (json!({"queue-version": 3}), "3 is not a valid queue-version value"),
        (json!({"queue-version": 1.0}), "1.0 is not a valid queue-version value"),
        (json!({"max-in-memory-length": -5}), "-5 is not a valid maximum memory in bytes"),
        (json!({"ha-mode": "x"}), r#"<<"x">> is not a valid ha-mode value"#),
        (json!({"message-ttl": -1, "ha-mode": "x"}), r#"<<"x">> is not a valid ha-mode value"#),
        (
            json!({"ha-sync-mode": "automatic"}),
            "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
        ),
        (json!({"queue-master-locator": "z"}), r#"<<"z">> invalid queue-master-locator value"#),
        (
            json!({"max-length-bytes": -1, "message-ttl": -1}),
            "-1 is not a valid maximum length in bytes",
        ),
        (
            json!({"expires": -1, "alternate-exchange": 7}),
            "7 is not a valid alternate exchange name",
        ),
        (json!({"nosuch": 1, "max-length": -1}), "-1 is not a valid maximum length"),
        (
            json!({"nosuch": 1, "another": {"b": [1]}}),
            r#"[{<<"another">>,#{<<"b">> => [1]}},{<<"nosuch">>,1}] are not recognised policy settings"#,
        ),
        (json!({"nosuch": ""}), r#"[{<<"nosuch">>,<<>>}] are not recognised policy settings"#),
        (
            json!({"nosuch": ["a", [], {}]}),
            r#"[{<<"nosuch">>,[<<"a">>,[],#{}]}] are not recognised policy settings"#,
        ),
        (
            json!({"max-priority": 3}),
            r#"[{<<"max-priority">>,3}] are not recognised policy settings"#,
        ),
        (json!({}), "no policy provided"),
        (json!([1, 2]), "definition must be a dictionary: [1,2]"),
        (json!(5), "parse error while reading policy definition: 5. Validator: policy_validator."),
    ] {
        assert_eq!(refused(Kind::User, &definition), text, "{definition}");
    }
}

#[test]
fn operators_may_only_limit() {
    for key in ["overflow", "dead-letter-exchange", "ha-mode", "alternate-exchange"] {
        let text = refused(Kind::Operator, &json!({key: "all"}));
        let expected =
            format!("[{{<<\"{key}\">>,<<\"all\">>}}] are not recognised policy settings");
        assert_eq!(text, expected);
    }
    let all = json!({"expires": 1, "message-ttl": 1, "max-length": 1, "max-length-bytes": 1,
        "delivery-limit": 2, "max-in-memory-length": 1, "max-in-memory-bytes": 2});
    assert!(Policy::new(Kind::Operator, spec("p", "", all)).is_ok());
}

#[test]
fn all_that_is_wrong_is_told() {
    let wrong = PolicySpec { apply_to: "bad".to_owned(), ..spec("p", "a{2,1}", json!({})) };
    let text = Policy::new(Kind::User, wrong).expect_err("three mistakes");
    assert_eq!(
        text,
        "Validation failed\n\nno policy provided\n\
         apply-to 'bad' unrecognised; should be one of: 'queues', 'classic_queues',  \
         'quorum_queues', 'streams', 'exchanges', or 'all'\n\
         pattern should be regular expression but is invalid: \"invalid repetition count range, \
         the start must be <= the end\"\n"
    );
}

#[test]
fn policies_apply_by_name_and_kind() {
    for (apply_to, queue, quorum, exchange) in [
        ("", true, true, true),
        ("all", true, true, true),
        ("queues", true, true, false),
        ("classic_queues", true, false, false),
        ("quorum_queues", false, true, false),
        ("streams", false, false, false),
        ("exchanges", false, false, true),
    ] {
        let of =
            PolicySpec { apply_to: apply_to.to_owned(), ..spec("p", "1$", json!({"expires": 1})) };
        let policy = Policy::new(Kind::User, of).expect("a valid policy");
        let applies = [QUEUE, QUORUM, EXCHANGE].map(|subject| policy.applies_to(subject));
        assert_eq!(applies, [queue, quorum, exchange], "{apply_to}");
        assert!(!policy.applies_to(Subject::Exchange("q2")));
    }
    // RabbitMQ leaves a policy with anything that a type of queue has not.
    let mirrored = policy("p", "", 0, json!({"ha-mode": "all", "max-length": 1}));
    assert!(mirrored.applies_to(QUEUE) && !mirrored.applies_to(QUORUM));
    let stream = policy("p", "", 0, json!({"max-age": "1h", "max-length": 1}));
    assert!(!stream.applies_to(QUEUE) && !stream.applies_to(QUORUM));
}

#[test]
fn the_highest_priority_counts_then_the_first_name() {
    let mut policies = Policies::default();
    let name =
        |policies: &Policies| policies.applied(QUEUE).policy.map(|policy| policy.name.clone());
    assert_eq!(name(&policies), None);
    for (added, pattern, priority, first) in [
        ("m", "^q", 0, "m"),
        ("z", "^q", 0, "m"),
        ("a", "^q", 0, "a"),
        ("x", "^x", 9, "a"),
        ("b", "q", 1, "b"),
        ("b", "q", -1, "a"),
    ] {
        policies.set(Kind::User, policy(added, pattern, priority, json!({"expires": 1})));
        assert_eq!(name(&policies).as_deref(), Some(first), "{added}");
    }
    assert!(policies.clear(Kind::User, "a").is_some() && policies.clear(Kind::User, "a").is_none());
    assert_eq!(name(&policies).as_deref(), Some("m"));
}

fn applied(user: Value, operator: Option<Value>) -> Applied {
    Applied {
        policy: Some(policy("u", "", 0, user)),
        operator: operator.map(|definition| policy("o", "", 0, definition)),
    }
}

#[test]
fn operators_tighten() {
    let user = json!({"max-length": 5, "message-ttl": 50, "overflow": "drop-head"});
    let operator = json!({"max-length": 9, "message-ttl": 10, "expires": 7});
    let both = applied(user.clone(), Some(operator));
    let expected =
        json!({"max-length": 5, "message-ttl": 10, "overflow": "drop-head", "expires": 7});
    assert_eq!(both.effective().map(Value::Object), Some(expected));
    assert_eq!(both.get("message-ttl"), Some(json!(10)));
    assert_eq!(applied(user.clone(), None).effective().map(Value::Object), Some(user));
    assert_eq!(Applied::default().effective(), None);
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

#[test]
fn of_numbers_the_smaller_counts_and_of_others_the_argument() {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let policies = applied(
        json!({"max-length": 5, "expires": 50, "message-ttl": 3, "overflow": "drop-head",
            "dead-letter-exchange": "policy", "alternate-exchange": "a", "pause": false}),
        Some(json!({"expires": 40, "delivery-limit": 4})),
    );
    let own = table(&[
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-message-ttl", AMQPValue::ShortInt(9)),
        ("x-overflow", text("reject-publish")),
        ("x-mine", text("kept")),
        // Not an argument: only operators pause queues.
        ("x-pause", AMQPValue::Boolean(true)),
    ]);
    let expected = table(&[
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-message-ttl", AMQPValue::LongLongInt(3)),
        ("x-overflow", text("reject-publish")),
        ("x-mine", text("kept")),
        ("x-pause", AMQPValue::Boolean(false)),
        ("x-expires", AMQPValue::LongLongInt(40)),
        ("x-delivery-limit", AMQPValue::LongLongInt(4)),
        ("x-dead-letter-exchange", text("policy")),
    ]);
    assert_eq!(policies.over(&own, Flow::default()), Some(expected));
    let own = table(&[("x-max-length", AMQPValue::LongInt(2))]);
    assert_eq!(Applied::default().over(&own, Flow::default()), None);
}

#[test]
fn parts_of_numbers_reach_the_arguments() {
    let retry = json!({"delayed-retry-type": "all", "delayed-retry-min": 5,
        "delayed-retry-multiplier": 1.5, "consumer-timeout": 9});
    let merged = applied(retry, Some(json!({"consumer-timeout": 7})));
    let merged = merged.over(&FieldTable::default(), Flow::default());
    let expected = table(&[
        ("x-delayed-retry-type", AMQPValue::LongString("all".into())),
        ("x-delayed-retry-min", AMQPValue::LongLongInt(5)),
        ("x-delayed-retry-multiplier", AMQPValue::Double(1.5)),
        ("x-consumer-timeout", AMQPValue::LongLongInt(7)),
    ]);
    assert_eq!(merged, Some(expected));
    for (key, value) in [
        ("delayed-retry-type", json!("never")),
        ("delayed-retry-multiplier", json!(0.5)),
        ("delayed-retry-jitter", json!(2)),
        ("delayed-retry-max", json!(-1)),
    ] {
        assert!(refused(Kind::User, &json!({key: value})).contains("is not a valid delayed retry"));
    }
}

#[test]
fn the_order_of_priorities_is_a_policy_s_unless_the_queue_says_it() {
    let policy = applied(json!({"priority-mode": "aging", "priority-aging-ms": 5}), None);
    let own = table(&[("x-priority-mode", AMQPValue::LongString("weighted".into()))]);
    let ms = ("x-priority-aging-ms", AMQPValue::LongLongInt(5));
    let expected =
        table(&[("x-priority-mode", AMQPValue::LongString("weighted".into())), ms.clone()]);
    assert_eq!(policy.over(&own, Flow::default()), Some(expected));
    let expected = table(&[("x-priority-mode", AMQPValue::LongString("aging".into())), ms]);
    assert_eq!(policy.over(&FieldTable::default(), Flow::default()), Some(expected));
    for (key, value) in [("priority-mode", json!("fair")), ("priority-aging-ms", json!(0))] {
        assert!(refused(Kind::User, &json!({key: value})).contains("is not a valid priority"));
    }
    assert!(
        refused(Kind::Operator, &json!({"priority-mode": "strict"})).contains("not recognised")
    );
}

#[test]
fn calls_hold_back_besides_policies() {
    let flow = Flow { paused: true, max_rate: Some(7) };
    let rate = |own: i64, policy: u64| {
        let own = table(&[("x-max-delivery-rate", AMQPValue::LongLongInt(own))]);
        let merged = applied(json!({"max-delivery-rate": policy}), None).over(&own, flow);
        let merged = merged.expect("something is added");
        assert_eq!(merged.inner().get("x-pause"), Some(&AMQPValue::Boolean(true)));
        merged.inner().get("x-max-delivery-rate").cloned()
    };
    assert_eq!(rate(9, 8), Some(AMQPValue::LongLongInt(7)));
    assert_eq!(rate(5, 8), Some(AMQPValue::LongLongInt(5)));
    assert_eq!(rate(9, 3), Some(AMQPValue::LongLongInt(3)));
}
