//! Optional arguments of declarations: RabbitMQ's validation, comparison and texts.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::QueueSpec;
use crate::dedup;
use crate::error::Refusal;

/// RabbitMQ's cap on times: ten years in milliseconds.
pub const MAX_EXPIRY_MS: i64 = 315_360_000_000;

/// An argument of queue.declare that has a meaning, and what values it may have.
struct Rule {
    name: &'static str,
    /// Whether quorum queues have it. Others have them all, RabbitMQ's classic ones not.
    quorum: bool,
    check: fn(&AMQPValue) -> Result<(), String>,
}

/// Validated on declaration, and compared when a queue is declared again.
const QUEUE_ARGUMENTS: &[Rule] = &[
    Rule { name: "x-expires", quorum: true, check: expires },
    Rule { name: "x-message-ttl", quorum: true, check: time },
    Rule { name: "x-dead-letter-exchange", quorum: true, check: string },
    Rule { name: "x-dead-letter-routing-key", quorum: true, check: string },
    Rule { name: "x-dead-letter-strategy", quorum: true, check: dead_letter_strategy },
    Rule { name: "x-max-length", quorum: true, check: non_negative },
    Rule { name: "x-max-length-bytes", quorum: true, check: non_negative },
    Rule { name: "x-max-in-memory-length", quorum: true, check: non_negative },
    Rule { name: "x-max-in-memory-bytes", quorum: true, check: non_negative },
    Rule { name: "x-max-priority", quorum: false, check: max_priority },
    Rule { name: "x-priority-mode", quorum: false, check: priority_mode },
    Rule { name: "x-priority-aging-ms", quorum: false, check: expires },
    Rule { name: "x-overflow", quorum: true, check: overflow },
    Rule { name: "x-queue-mode", quorum: false, check: queue_mode },
    Rule { name: "x-queue-version", quorum: false, check: queue_version },
    Rule { name: "x-single-active-consumer", quorum: true, check: boolean },
    Rule { name: "x-queue-type", quorum: true, check: queue_type },
    Rule { name: "x-quorum-initial-group-size", quorum: true, check: group_size },
    Rule { name: "x-queue-leader-locator", quorum: true, check: leader_locator },
    Rule { name: "x-queue-master-locator", quorum: false, check: anything },
    Rule { name: dedup::ARGUMENT, quorum: true, check: boolean },
    Rule { name: "x-deduplication-mode", quorum: true, check: deduplication_mode },
    Rule { name: dedup::SIZE, quorum: true, check: rate },
    Rule { name: dedup::TTL, quorum: true, check: expires },
    Rule { name: "x-delayed", quorum: true, check: boolean },
    Rule { name: "x-delayed-retry-type", quorum: true, check: retry_type },
    Rule { name: "x-delayed-retry-min", quorum: true, check: time },
    Rule { name: "x-delayed-retry-max", quorum: true, check: time },
    Rule { name: "x-delayed-retry-multiplier", quorum: true, check: multiplier },
    Rule { name: "x-delayed-retry-jitter", quorum: true, check: jitter },
    Rule { name: "x-delivery-limit", quorum: true, check: anything },
    Rule { name: "x-consumer-timeout", quorum: true, check: non_negative },
    Rule { name: "x-max-delivery-rate", quorum: true, check: rate },
];

/// Arguments of streams, which quorum queues refuse as they do those of classic queues.
const STREAM_ARGUMENTS: &[&str] =
    &["x-initial-cluster-size", "x-max-age", "x-stream-max-segment-size-bytes"];

/// Refuses what RabbitMQ refuses. `what` names the queue: `queue 'q' in vhost '/'`.
pub fn check_queue(spec: &QueueSpec, what: &str) -> Result<(), Refusal> {
    let arguments = &spec.arguments;
    exchange_name(arguments, "x-dead-letter-exchange", what)?;
    let quorum = is_quorum(arguments);
    // The type first, since it tells which others there are; `false` stands before `true`.
    let mut rules: Vec<&Rule> = rules(quorum).collect();
    rules.sort_by_key(|rule| rule.name != "x-queue-type");
    for rule in rules {
        let Some(value) = arguments.inner().get(rule.name) else { continue };
        let checked = (rule.check)(value).and_then(|()| match needs(rule.name) {
            Some((other, refusal)) if !arguments.contains_key(other) => Err(refusal.to_owned()),
            _ => Ok(()),
        });
        checked.map_err(|reason| {
            let name = rule.name;
            Refusal::precondition(format_args!("invalid arg '{name}' for {what}: {reason}"))
        })?;
    }
    if quorum { check_quorum(spec, what) } else { Ok(()) }
}

/// Another argument without which this one makes no sense, and what is said if it is missing.
fn needs(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "x-dead-letter-routing-key" => {
            Some(("x-dead-letter-exchange", "routing_key_but_no_dlx_defined"))
        }
        "x-priority-mode" => Some(("x-max-priority", "priority_mode_but_no_max_priority_defined")),
        "x-priority-aging-ms" => {
            Some(("x-priority-mode", "priority_aging_but_no_priority_mode_defined"))
        }
        "x-deduplication-mode" => {
            Some((dedup::ARGUMENT, "deduplication_mode_but_no_message_deduplication_defined"))
        }
        dedup::SIZE | dedup::TTL => {
            Some(("x-deduplication-mode", "cache_but_no_deduplication_mode_defined"))
        }
        _ => None,
    }
}

/// What quorum queues do not have: arguments of other types first, then properties.
fn check_quorum(spec: &QueueSpec, what: &str) -> Result<(), Refusal> {
    let foreign = QUEUE_ARGUMENTS.iter().filter(|rule| !rule.quorum).map(|rule| rule.name);
    let mut foreign = foreign.chain(STREAM_ARGUMENTS.iter().copied());
    if let Some(name) = foreign.find(|name| spec.arguments.contains_key(name)) {
        return Err(Refusal::precondition(format_args!(
            "invalid arg '{name}' for {what} of queue type rabbit_quorum_queue"
        )));
    }
    let properties = [
        (spec.auto_delete, "auto-delete"),
        (spec.owner.is_some(), "exclusive-owner"),
        (!spec.durable, "non-durable"),
    ];
    match properties.into_iter().find(|(refused, _)| *refused) {
        Some((_, name)) => {
            Err(Refusal::precondition(format_args!("invalid property '{name}' for {what}")))
        }
        None => Ok(()),
    }
}

/// The arguments that a quorum queue has, or any other.
fn rules(quorum: bool) -> impl Iterator<Item = &'static Rule> {
    QUEUE_ARGUMENTS.iter().filter(move |rule| rule.quorum || !quorum)
}

/// Whether they say that the queue is a quorum queue.
pub fn is_quorum(arguments: &FieldTable) -> bool {
    let found = arguments.inner().get("x-queue-type");
    matches!(found, Some(AMQPValue::LongString(name)) if name.as_bytes() == b"quorum")
}

/// Adds a type to a queue that has none, if such a queue can be of that type.
pub fn add_type(spec: &mut QueueSpec, name: &str) {
    const TYPE: &str = "x-queue-type";
    let suits = name != "quorum" || (spec.durable && spec.owner.is_none() && !spec.auto_delete);
    if suits && !spec.arguments.contains_key(TYPE) {
        spec.arguments.insert(TYPE.into(), AMQPValue::LongString(name.into()));
    }
}

/// An argument that names an exchange.
pub fn exchange_name(
    arguments: &FieldTable,
    name: &str,
    what: &str,
) -> Result<Option<String>, Refusal> {
    match arguments.inner().get(name) {
        None => Ok(None),
        Some(AMQPValue::LongString(exchange)) => Ok(Some(exchange.to_string())),
        Some(other) => Err(Refusal::precondition(format_args!(
            "invalid type '{}' for arg '{name}' in {what}",
            type_name(other)
        ))),
    }
}

/// Compares the arguments that must not change with a redeclaration.
pub fn check_equivalent(
    current: &FieldTable,
    received: &FieldTable,
    names: impl IntoIterator<Item = &'static str>,
    what: &str,
) -> Result<(), Refusal> {
    for name in names {
        let (current, received) = (current.inner().get(name), received.inner().get(name));
        if !equivalent(said(name, current), said(name, received)) {
            let (received, current) = match (received, current) {
                (Some(received), Some(current)) => (quoted(received), quoted(current)),
                (received, current) => (show(received), show(current)),
            };
            return Err(inequivalent(name, what, &received, &current));
        }
    }
    Ok(())
}

/// Names for [`check_equivalent`] of queues with an existing one.
pub fn queue_argument_names(existing: &FieldTable) -> impl Iterator<Item = &'static str> {
    rules(is_quorum(existing)).map(|rule| rule.name)
}

/// Compares a property such as `durable`.
pub fn check_property(
    name: &str,
    what: &str,
    received: impl ToString,
    current: impl ToString,
) -> Result<(), Refusal> {
    let (received, current) = (received.to_string(), current.to_string());
    if received == current {
        return Ok(());
    }
    Err(inequivalent(name, what, &format!("'{received}'"), &format!("'{current}'")))
}

/// A queue without a type is a classic one, said or not.
fn said<'a>(name: &str, value: Option<&'a AMQPValue>) -> Option<&'a AMQPValue> {
    let classic = |value: &&AMQPValue| {
        name == "x-queue-type"
            && matches!(value, AMQPValue::LongString(text) if text.as_bytes() == b"classic")
    };
    value.filter(|value| !classic(value))
}

fn inequivalent(name: &str, what: &str, received: &str, current: &str) -> Refusal {
    Refusal::precondition(format_args!(
        "inequivalent arg '{name}' for {what}: received {received} but current is {current}"
    ))
}

fn equivalent(a: Option<&AMQPValue>, b: Option<&AMQPValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || matches!((integer(a), integer(b)), (Some(a), Some(b)) if a == b)
        }
        (None, None) => true,
        _ => false,
    }
}

fn show(value: Option<&AMQPValue>) -> String {
    match value {
        Some(value) => format!("the value {} of type '{}'", quoted(value), type_name(value)),
        None => "none".to_owned(),
    }
}

fn quoted(value: &AMQPValue) -> String {
    format!("'{}'", plain(value))
}

fn plain(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::Boolean(flag) => flag.to_string(),
        AMQPValue::Float(number) => number.to_string(),
        AMQPValue::Double(number) => number.to_string(),
        other => integer(other).map_or_else(|| format!("{other:?}"), |number| number.to_string()),
    }
}

/// RabbitMQ's names of the wire's types.
pub fn type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "bool",
        AMQPValue::ShortShortInt(_) => "byte",
        AMQPValue::ShortShortUInt(_) => "unsignedbyte",
        AMQPValue::ShortInt(_) => "short",
        AMQPValue::ShortUInt(_) => "unsignedshort",
        AMQPValue::LongInt(_) => "signedint",
        AMQPValue::LongUInt(_) => "unsignedint",
        AMQPValue::LongLongInt(_) => "long",
        AMQPValue::Float(_) => "float",
        AMQPValue::Double(_) => "double",
        AMQPValue::DecimalValue(_) => "decimal",
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "longstr",
        AMQPValue::FieldArray(_) => "array",
        AMQPValue::Timestamp(_) => "timestamp",
        AMQPValue::FieldTable(_) => "table",
        AMQPValue::ByteArray(_) => "binary",
        AMQPValue::Void => "void",
    }
}

/// An integer of any of the wire's widths.
pub fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::LongInt(n) => Some(i64::from(*n)),
        AMQPValue::LongUInt(n) => Some(i64::from(*n)),
        AMQPValue::LongLongInt(n) => Some(*n),
        _ => None,
    }
}

/// A number of any of the wire's types.
pub fn real(value: &AMQPValue) -> Option<f64> {
    match value {
        AMQPValue::Float(number) => Some(f64::from(*number)),
        AMQPValue::Double(number) => Some(*number),
        other => integer(other).map(|number| number as f64),
    }
}

fn expect_integer(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))
}

/// Refuses all but integers from 0.
pub fn non_negative(value: &AMQPValue) -> Result<(), String> {
    match expect_integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

fn time(value: &AMQPValue) -> Result<(), String> {
    non_negative(value)?;
    match expect_integer(value)? {
        number if number > MAX_EXPIRY_MS => Err(format!("{{value_too_large,{number}}}")),
        _ => Ok(()),
    }
}

fn expires(value: &AMQPValue) -> Result<(), String> {
    if expect_integer(value)? == 0 {
        return Err("{value_zero,0}".to_owned());
    }
    time(value)
}

/// Lepus's own.
fn rate(value: &AMQPValue) -> Result<(), String> {
    non_negative(value)?;
    if expect_integer(value)? == 0 {
        return Err("{value_zero,0}".to_owned());
    }
    Ok(())
}

fn max_priority(value: &AMQPValue) -> Result<(), String> {
    non_negative(value)?;
    match expect_integer(value)? {
        number if number > 255 => Err(format!("{{max_value_exceeded,{number}}}")),
        _ => Ok(()),
    }
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", type_name(value))
}

fn expect_string(value: &AMQPValue) -> Result<&[u8], String> {
    match value {
        AMQPValue::LongString(text) => Ok(text.as_bytes()),
        other => Err(unacceptable(other)),
    }
}

fn string(value: &AMQPValue) -> Result<(), String> {
    expect_string(value).map(drop)
}

fn one_of(value: &AMQPValue, allowed: &[&str], refusal: &str) -> Result<(), String> {
    let text = expect_string(value)?;
    let known = allowed.iter().any(|name| name.as_bytes() == text);
    if known { Ok(()) } else { Err(refusal.to_owned()) }
}

fn overflow(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["drop-head", "reject-publish", "reject-publish-dlx"], "invalid_overflow")
}

fn priority_mode(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["strict", "weighted", "aging"], "invalid_priority_mode")
}

fn queue_mode(value: &AMQPValue) -> Result<(), String> {
    let text = String::from_utf8_lossy(expect_string(value)?).into_owned();
    one_of(value, &["default", "lazy"], &format!("\"unsupported queue mode '{text}'\""))
}

fn queue_type(value: &AMQPValue) -> Result<(), String> {
    let text = String::from_utf8_lossy(expect_string(value)?).into_owned();
    one_of(value, &["classic", "quorum"], &format!("\"unsupported queue type '{text}'\""))
}

fn queue_version(value: &AMQPValue) -> Result<(), String> {
    non_negative(value)?;
    match expect_integer(value)? {
        1 | 2 => Ok(()),
        number => Err(format!("\"unsupported queue version '{number}'\"")),
    }
}

fn dead_letter_strategy(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
}

fn group_size(value: &AMQPValue) -> Result<(), String> {
    non_negative(value)?;
    match expect_integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

fn leader_locator(value: &AMQPValue) -> Result<(), String> {
    let allowed = ["client-local", "balanced", "random", "least-leaders"];
    one_of(value, &allowed, "invalid_queue_locator_arg")
}

fn deduplication_mode(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["until-acked", "window"], "invalid_deduplication_mode")
}

fn retry_type(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["disabled", "all", "failed", "returned"], "invalid_delayed_retry_type")
}

fn multiplier(value: &AMQPValue) -> Result<(), String> {
    within(value, 1.0, 1000.0)
}

fn jitter(value: &AMQPValue) -> Result<(), String> {
    within(value, 0.0, 1.0)
}

fn within(value: &AMQPValue, least: f64, most: f64) -> Result<(), String> {
    let number = real(value).ok_or_else(|| unacceptable(value))?;
    let fits = (least..=most).contains(&number);
    if fits { Ok(()) } else { Err(format!("\"expected {least} to {most}, got {number}\"")) }
}

fn anything(_: &AMQPValue) -> Result<(), String> {
    Ok(())
}

fn boolean(value: &AMQPValue) -> Result<(), String> {
    match value {
        AMQPValue::Boolean(_) => Ok(()),
        other => Err(unacceptable(other)),
    }
}
