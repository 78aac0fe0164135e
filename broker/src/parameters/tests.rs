use serde_json::json;

use super::*;
use crate::vhost::VhostLimits;

fn refused(component: &str, value: &Value) -> String {
    checked(component, "n", value).expect_err("a refusal")
}

/// As RabbitMQ 3.10.8 has said it.
#[test]
fn refusals_are_rabbitmqs() {
    for (component, value, why) in [
        (
            LIMITS,
            json!({"max-connections": "a"}),
            "max-connections should be a number, actually was <<\"a\">>",
        ),
        (
            LIMITS,
            json!({"foo": 1, "max-queues": 1.5}),
            "Unrecognised terms [{<<\"foo\">>,1}] in n\nmax-queues should be a number, actually was 1.5",
        ),
        ("nocomp", json!({"a": 1}), "component nocomp not found"),
        (
            OPERATOR_POLICY,
            json!({"pattern": "^x", "definition": {"max-length": 5}}),
            "Key \"priority\" not found in n",
        ),
        (
            OPERATOR_POLICY,
            json!({"pattern": "^x", "priority": "1", "definition": {"max-length": 5}, "foo": 1}),
            "Unrecognised terms [{<<\"foo\">>,1}] in n\npriority should be a number, actually was <<\"1\">>",
        ),
    ] {
        assert_eq!(refused(component, &value), format!("Validation failed\n\n{why}\n"));
    }
    assert_eq!(refused("policy", &json!({})), "policies may not be set using this method");
}

#[test]
fn limits_that_are_negative_or_missing_are_none() {
    let limits = |value: Value| match checked(LIMITS, "limits", &value) {
        Ok(Effect::Limits(limits)) => limits,
        other => panic!("{other:?}"),
    };
    assert_eq!(limits(json!({"max-queues": -1})), VhostLimits::default());
    let both = VhostLimits { max_connections: Some(0), max_queues: Some(7) };
    assert_eq!(limits(json!({"max-connections": 0, "max-queues": 7})), both);
}
