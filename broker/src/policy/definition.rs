//! What a policy's definition may say, with RabbitMQ's refusals.

use serde_json::{Map, Value};

use super::Kind;
use super::erlang::{pairs, term};

/// The keys of a policy and their values.
pub type Definition = Map<String, Value>;

/// A key.
pub struct Key {
    /// Its name; a queue's argument of the same meaning has `x-` before it.
    pub name: &'static str,
    /// What its value may be, and what is said of others.
    valid: fn(&Value) -> bool,
    refusal: Refused,
    /// What becomes of it where a queue's argument says something, too.
    pub beside_argument: Beside,
    /// Operator policies may have it; of two numbers the smaller one counts.
    operator: bool,
    /// The types of queues that do not have it: a policy that does never applies to them.
    foreign_to: Foreign,
}

/// Whether a policy's value counts beside a queue's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The smaller one counts.
    Smaller,
    /// The argument counts.
    Argument,
    /// The policy's counts: there is no such argument.
    Policy,
    /// Nothing comes of it here.
    Nothing,
}

enum Refused {
    /// `<value> is not a valid <this>`
    NotValid(&'static str),
    /// `<value> <this>`
    Other(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Foreign {
    None,
    Classic,
    Quorum,
    Both,
}

const fn key(
    name: &'static str,
    valid: fn(&Value) -> bool,
    what: &'static str,
    beside_argument: Beside,
) -> Key {
    let refusal = Refused::NotValid(what);
    Key { name, valid, refusal, beside_argument, operator: false, foreign_to: Foreign::None }
}

const fn limit(name: &'static str, valid: fn(&Value) -> bool, what: &'static str) -> Key {
    Key { operator: true, ..key(name, valid, what, Beside::Smaller) }
}

const fn time(name: &'static str, what: &'static str) -> Key {
    key(name, is_count, what, Beside::Argument)
}

const fn foreign(to: Foreign, key: Key) -> Key {
    Key { foreign_to: to, ..key }
}

/// Mirroring, which a queue of one node has none of.
const fn mirroring(name: &'static str, valid: fn(&Value) -> bool, what: &'static str) -> Key {
    foreign(Foreign::Quorum, key(name, valid, what, Beside::Nothing))
}

/// Of plugins and clusters, which there are none of here: what RabbitMQ has exported is kept.
const fn plugins(name: &'static str, valid: fn(&Value) -> bool, what: &'static str) -> Key {
    key(name, valid, what, Beside::Nothing)
}

const MEMORY: &str = "maximum memory in bytes";

/// By name, but for those of mirroring, which RabbitMQ looks at first.
const KEYS: &[Key] = &[
    mirroring("ha-mode", is_ha_mode, "ha-mode value"),
    mirroring("ha-params", is_anything, "ha-params value"),
    mirroring("ha-promote-on-failure", is_promotion, "ha-promote-on-failure value"),
    mirroring("ha-promote-on-shutdown", is_promotion, "ha-promote-on-shutdown value"),
    mirroring("ha-sync-batch-size", is_positive, "ha-sync-batch-size value"),
    mirroring("ha-sync-mode", is_sync_mode, "ha-sync-mode value"),
    key("alternate-exchange", Value::is_string, "alternate exchange name", Beside::Nothing),
    limit("consumer-timeout", is_count, "consumer timeout"),
    key("dead-letter-exchange", Value::is_string, "dead letter exchange name", Beside::Argument),
    key("dead-letter-routing-key", Value::is_string, "dead letter routing key", Beside::Argument),
    key("dead-letter-strategy", is_strategy, "dead letter strategy", Beside::Nothing),
    key("delayed-retry-jitter", is_part, "delayed retry jitter", Beside::Argument),
    time("delayed-retry-max", "delayed retry maximum"),
    time("delayed-retry-min", "delayed retry minimum"),
    key("delayed-retry-multiplier", is_factor, "delayed retry multiplier", Beside::Argument),
    key("delayed-retry-type", is_retry_type, "delayed retry type", Beside::Argument),
    limit("delivery-limit", is_count, "delivery limit"),
    limit("expires", is_positive, "queue expiry"),
    plugins("federation-upstream", Value::is_string, "upstream name"),
    plugins("federation-upstream-pattern", Value::is_string, "upstream pattern"),
    plugins("federation-upstream-set", Value::is_string, "upstream set name"),
    foreign(Foreign::Both, key("initial-cluster-size", is_count, "cluster size", Beside::Nothing)),
    foreign(Foreign::Both, key("max-age", Value::is_string, "max age", Beside::Nothing)),
    limit("max-delivery-rate", is_positive, "maximum delivery rate"),
    Key { beside_argument: Beside::Nothing, ..limit("max-in-memory-bytes", is_count, MEMORY) },
    Key { beside_argument: Beside::Nothing, ..limit("max-in-memory-length", is_count, MEMORY) },
    limit("max-length", is_count, "maximum length"),
    limit("max-length-bytes", is_count, "maximum length in bytes"),
    limit("message-ttl", is_count, "message TTL"),
    key("overflow", is_overflow, "overflow value", Beside::Argument),
    key("pause", Value::is_boolean, "pause value", Beside::Policy),
    key("priority-aging-ms", is_positive, "priority aging", Beside::Argument),
    key("priority-mode", is_priority_mode, "priority mode", Beside::Argument),
    foreign(
        Foreign::Classic,
        key("queue-leader-locator", is_locator, "queue leader locator value", Beside::Nothing),
    ),
    Key {
        refusal: Refused::Other("invalid queue-master-locator value"),
        ..mirroring("queue-master-locator", is_master_locator, "")
    },
    foreign(Foreign::Quorum, key("queue-mode", is_mode, "queue-mode value", Beside::Argument)),
    key("queue-version", is_version, "queue-version value", Beside::Argument),
    plugins("shards-per-node", is_count, "number of shards"),
    foreign(
        Foreign::Both,
        key("stream-max-segment-size-bytes", is_count, "segment size", Beside::Nothing),
    ),
    plugins("target-group-size", is_count, "target group size"),
];

/// The keys that do something to queues.
pub(super) fn queue_keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(|key| key.beside_argument != Beside::Nothing)
}

/// Whether a queue of a type may have all of it. RabbitMQ leaves a policy alone otherwise.
pub(super) fn suits_queue(definition: &Definition, quorum: bool) -> bool {
    let own = if quorum { Foreign::Quorum } else { Foreign::Classic };
    let foreign = |key: &&Key| key.foreign_to == own || key.foreign_to == Foreign::Both;
    !KEYS.iter().filter(foreign).any(|key| definition.contains_key(key.name))
}

/// What RabbitMQ says of a definition that it refuses.
pub(super) fn check(kind: Kind, definition: &Value) -> Result<Definition, String> {
    let definition = match definition {
        Value::Object(definition) => definition,
        Value::Array(terms) if !terms.is_empty() => {
            let terms = term(definition);
            return Err(format!("definition must be a dictionary: {terms}"));
        }
        Value::Array(_) => return Err("no policy provided".to_owned()),
        other => {
            let (what, other) = (kind.name(), term(other));
            return Err(format!(
                "parse error while reading policy definition: {other}. Validator: {what}_validator."
            ));
        }
    };
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let keys = KEYS.iter().filter(|key| kind == Kind::User || key.operator);
    for key in keys.clone() {
        let Some(value) = definition.get(key.name) else { continue };
        if !(key.valid)(value) {
            let value = term(value);
            return Err(match key.refusal {
                Refused::NotValid(what) => format!("{value} is not a valid {what}"),
                Refused::Other(what) => format!("{value} {what}"),
            });
        }
    }
    let unknown = |key: &String| !keys.clone().any(|known| known.name == key);
    let mut unknown = definition.iter().filter(|(key, _)| unknown(key)).peekable();
    if unknown.peek().is_some() {
        return Err(format!("{} are not recognised policy settings", pairs(unknown)));
    }
    check_mirroring(definition)?;
    Ok(definition.clone())
}

fn check_mirroring(definition: &Definition) -> Result<(), String> {
    if definition.contains_key("ha-mode") || !definition.keys().any(|key| key.starts_with("ha-")) {
        return Ok(());
    }
    let text =
        "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown";
    Err(text.to_owned())
}

/// What counts where two policies say something: the operator's, unless the other is tighter.
pub(super) fn tighter<'a>(user: &'a Value, operator: &'a Value) -> &'a Value {
    match (number(user), number(operator)) {
        (Some(user_number), Some(limit)) if user_number <= limit => user,
        _ => operator,
    }
}

/// An integer, whatever its size.
pub(super) fn number(value: &Value) -> Option<i64> {
    let clamped = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    value.as_i64().or_else(|| value.as_u64().map(clamped))
}

fn is_count(value: &Value) -> bool {
    number(value).is_some_and(|number| number >= 0)
}

fn is_positive(value: &Value) -> bool {
    number(value).is_some_and(|number| number >= 1)
}

fn is_one_of(value: &Value, names: &[&str]) -> bool {
    value.as_str().is_some_and(|text| names.contains(&text))
}

fn is_overflow(value: &Value) -> bool {
    is_one_of(value, &["drop-head", "reject-publish", "reject-publish-dlx"])
}

fn is_strategy(value: &Value) -> bool {
    is_one_of(value, &["at-most-once", "at-least-once"])
}

fn is_priority_mode(value: &Value) -> bool {
    is_one_of(value, &["strict", "weighted", "aging"])
}

fn is_retry_type(value: &Value) -> bool {
    is_one_of(value, &["disabled", "all", "failed", "returned"])
}

fn is_factor(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| (1.0..=1000.0).contains(&number))
}

fn is_part(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number))
}

fn is_mode(value: &Value) -> bool {
    is_one_of(value, &["default", "lazy"])
}

fn is_version(value: &Value) -> bool {
    matches!(number(value), Some(1 | 2))
}

fn is_locator(value: &Value) -> bool {
    is_one_of(value, &["client-local", "balanced", "random", "least-leaders"])
}

fn is_master_locator(value: &Value) -> bool {
    is_one_of(value, &["min-masters", "client-local", "random"])
}

fn is_ha_mode(value: &Value) -> bool {
    is_one_of(value, &["all", "exactly", "nodes"])
}

fn is_sync_mode(value: &Value) -> bool {
    is_one_of(value, &["manual", "automatic"])
}

fn is_promotion(value: &Value) -> bool {
    is_one_of(value, &["always", "when-synced"])
}

fn is_anything(_: &Value) -> bool {
    true
}
