//! Policies that come and go while there are messages.

use std::sync::Arc;

use serde_json::{Value, json};

use super::laws::{GRAVES, Law, RULED, TO_LAST};
use super::letter::queue_name;
use crate::node::Node;
use crate::policy::{Kind, PolicySpec};

/// Which of each kind is set; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    pub user: u64,
    pub operator: u64,
}

/// As many are there of each kind.
pub const USER: u64 = 4;
/// See [`USER`].
pub const OPERATOR: u64 = 3;

impl Policies {
    /// The rules of the queue that they are about.
    pub fn law(self) -> Law {
        let none = Law { queue: RULED, ..Law::default() };
        let law = match self.user {
            1 => Law { ttl: Some(250), dead_letter: GRAVES, ..none },
            2 => Law { max_length: Some(3), dead_letter: TO_LAST, ..none },
            3 => Law { delivery_limit: Some(1), dead_letter: GRAVES, ..none },
            _ => none,
        };
        let tighter = |own: Option<u64>, most: u64| Some(own.unwrap_or(most).min(most));
        match self.operator {
            1 => Law { max_length: tighter(law.max_length, 2), ..law },
            2 => Law { ttl: tighter(law.ttl, 400), ..law },
            _ => law,
        }
    }

    /// What a broker has.
    pub fn of(node: &Arc<Node>) -> Self {
        let vhost = node.vhost("/").expect("the virtual host that every broker has");
        let number = |kind| vhost.policies(kind).first().map_or(0, |policy| policy.priority as u64);
        Self { user: number(Kind::User), operator: number(Kind::Operator) }
    }

    /// Sets those, and takes others away.
    pub fn set(self, node: &Arc<Node>) {
        let last = queue_name(super::laws::LAST);
        let user = match self.user {
            1 => json!({"message-ttl": 250, "dead-letter-exchange": "grave"}),
            2 => json!({
                "max-length": 3,
                "dead-letter-exchange": "",
                "dead-letter-routing-key": last,
            }),
            3 => json!({"delivery-limit": 1, "dead-letter-exchange": "grave"}),
            _ => Value::Null,
        };
        let operator = match self.operator {
            1 => json!({"max-length": 2}),
            2 => json!({"message-ttl": 400}),
            _ => Value::Null,
        };
        let all = [(Kind::User, self.user, user), (Kind::Operator, self.operator, operator)];
        let vhost = node.vhost("/").expect("the virtual host that every broker has");
        for (kind, number, definition) in all {
            if definition.is_null() {
                vhost.clear_policy("operator", node, kind, "policy");
                continue;
            }
            let spec = PolicySpec {
                name: "policy".to_owned(),
                pattern: format!("^{}$", queue_name(RULED)),
                apply_to: "queues".to_owned(),
                priority: number as i64,
                definition,
            };
            vhost.set_policy("operator", node, kind, spec).expect("a valid policy");
        }
    }
}
