//! Policies: optional arguments for queues and exchanges in bulk, by their names.
//!
//! One policy of the users and one of the operators counts for a queue or an exchange: the one of the
//! highest priority whose pattern matches its name. [`Applied`] is what comes of both together, and
//! [`Applied::over`] what comes of them and of a queue's own arguments, from which its rules are made.

mod definition;
mod erlang;
mod merge;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::{events, names};
pub use definition::Definition;
pub(crate) use erlang::{pairs as terms_of, term as term_of};
pub use merge::{Applied, Flow};

/// Octets that a compiled pattern may have.
const PATTERN_MAX: usize = 1 << 20;

/// Whose policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Says what is wanted.
    User,
    /// Says how far that may go.
    Operator,
}

impl Kind {
    /// RabbitMQ's name of the component that keeps such policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "policy",
            Self::Operator => "operator_policy",
        }
    }
}

/// What is asked for when a policy is set.
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// Its name, of which there is one of each kind.
    pub name: String,
    /// A regular expression, found anywhere in the names that it applies to.
    pub pattern: String,
    /// To what kind of thing; "" is the same as "all".
    pub apply_to: String,
    /// The higher one counts.
    pub priority: i64,
    /// What it says, as JSON.
    pub definition: Value,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its regular expression.
    pub pattern: String,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// The higher one counts.
    pub priority: i64,
    /// What it says.
    pub definition: Definition,
    regex: Regex,
}

/// What a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyTo {
    /// Queues and exchanges.
    All,
    /// Queues.
    Queues,
    /// Queues that are not quorum queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Nothing: there are none yet.
    Streams,
    /// Exchanges.
    Exchanges,
}

impl ApplyTo {
    const ALL: [Self; 6] = [
        Self::All,
        Self::Queues,
        Self::ClassicQueues,
        Self::QuorumQueues,
        Self::Streams,
        Self::Exchanges,
    ];

    /// RabbitMQ's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
        }
    }

    fn parse(name: &str) -> Result<Self, String> {
        let name = if name.is_empty() { "all" } else { name };
        // The text of the RabbitMQ that first knew types of queues here, blanks included.
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            format!(
                "apply-to '{name}' unrecognised; should be one of: 'queues', 'classic_queues',  \
                 'quorum_queues', 'streams', 'exchanges', or 'all'"
            )
        })
    }
}

/// Something that a policy may apply to.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A queue.
    Queue {
        /// Its name.
        name: &'a str,
        /// Its type.
        quorum: bool,
    },
    /// An exchange, by name.
    Exchange(&'a str),
}

impl Policy {
    /// Validates a policy.
    ///
    /// # Errors
    /// RabbitMQ's text.
    pub fn new(kind: Kind, spec: PolicySpec) -> Result<Self, String> {
        let PolicySpec { name, pattern, apply_to, priority, definition } = spec;
        names::check("policy", &name)?;
        let checked =
            (definition::check(kind, &definition), ApplyTo::parse(&apply_to), compiled(&pattern));
        match checked {
            (Ok(definition), Ok(apply_to), Ok(regex)) => {
                Ok(Self { name, pattern, apply_to, priority, definition, regex })
            }
            (definition, apply_to, regex) => {
                let whys = [definition.err(), apply_to.err(), regex.err()];
                let whys: Vec<String> = whys.into_iter().flatten().collect();
                Err(format!("Validation failed\n\n{}\n", whys.join("\n")))
            }
        }
    }

    /// All of it but its name, as it is told.
    pub fn told(&self) -> [(&'static str, AMQPValue); 4] {
        [
            ("pattern", AMQPValue::LongString(self.pattern.as_str().into())),
            ("apply-to", AMQPValue::LongString(self.apply_to.name().into())),
            ("priority", AMQPValue::LongLongInt(self.priority)),
            ("definition", events::json(&Value::Object(self.definition.clone()))),
        ]
    }

    fn applies_to(&self, subject: Subject<'_>) -> bool {
        let name = match subject {
            Subject::Exchange(name) => {
                if !matches!(self.apply_to, ApplyTo::All | ApplyTo::Exchanges) {
                    return false;
                }
                name
            }
            Subject::Queue { name, quorum } => {
                let of_type = match self.apply_to {
                    ApplyTo::All | ApplyTo::Queues => true,
                    ApplyTo::ClassicQueues => !quorum,
                    ApplyTo::QuorumQueues => quorum,
                    ApplyTo::Streams | ApplyTo::Exchanges => false,
                };
                if !of_type || !definition::suits_queue(&self.definition, quorum) {
                    return false;
                }
                name
            }
        };
        self.regex.is_match(name)
    }
}

/// The regular expression follows from its pattern.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.name.clone(), of.pattern.clone(), of.apply_to, of.priority);
        parts(self) == parts(other) && self.definition == other.definition
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(PATTERN_MAX).build().map_err(|error| {
        // The last line says what, those before it where.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        format!("pattern should be regular expression but is invalid: \"{why}\"")
    })
}

/// The policies of a virtual host.
#[derive(Debug, Default)]
pub struct Policies {
    users: Vec<Arc<Policy>>,
    operators: Vec<Arc<Policy>>,
}

impl Policies {
    /// Those of a kind, the first to count first. RabbitMQ takes any of those with the same priority,
    /// which here is the first by name.
    pub fn of(&self, kind: Kind) -> &[Arc<Policy>] {
        match kind {
            Kind::User => &self.users,
            Kind::Operator => &self.operators,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Vec<Arc<Policy>> {
        match kind {
            Kind::User => &mut self.users,
            Kind::Operator => &mut self.operators,
        }
    }

    /// Sets one, instead of that of the same name if there is one.
    pub fn set(&mut self, kind: Kind, policy: Arc<Policy>) {
        self.clear(kind, &policy.name);
        let policies = self.of_mut(kind);
        policies.push(policy);
        policies
            .sort_by(|a, b| (Reverse(a.priority), &a.name).cmp(&(Reverse(b.priority), &b.name)));
    }

    /// Takes one away, if it is there.
    pub fn clear(&mut self, kind: Kind, name: &str) -> Option<Arc<Policy>> {
        let policies = self.of_mut(kind);
        let at = policies.iter().position(|policy| policy.name == name)?;
        Some(policies.remove(at))
    }

    /// Those that count for something.
    pub fn applied(&self, subject: Subject<'_>) -> Applied {
        let first = |kind| self.of(kind).iter().find(|policy| policy.applies_to(subject)).cloned();
        Applied { policy: first(Kind::User), operator: first(Kind::Operator) }
    }
}
