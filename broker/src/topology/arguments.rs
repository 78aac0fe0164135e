//! Optional arguments of declarations: RabbitMQ's validation, comparison and texts.

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::error::Refusal;

/// RabbitMQ's cap on times: ten years in milliseconds.
pub const MAX_EXPIRY_MS: i64 = 315_360_000_000;

/// An argument of queue.declare that has a meaning, and what values it may have.
struct Rule {
    name: &'static str,
    check: fn(&AMQPValue) -> Result<(), String>,
}

/// Validated on declaration, and compared when a queue is declared again.
const QUEUE_ARGUMENTS: &[Rule] = &[
    Rule { name: "x-expires", check: expires },
    Rule { name: "x-message-ttl", check: time },
    Rule { name: "x-dead-letter-exchange", check: string },
    Rule { name: "x-dead-letter-routing-key", check: string },
    Rule { name: "x-dead-letter-strategy", check: string },
    Rule { name: "x-max-length", check: non_negative },
    Rule { name: "x-max-length-bytes", check: non_negative },
    Rule { name: "x-max-priority", check: max_priority },
    Rule { name: "x-overflow", check: overflow },
    Rule { name: "x-queue-mode", check: queue_mode },
    Rule { name: "x-single-active-consumer", check: boolean },
    Rule { name: "x-queue-type", check: queue_type },
];

/// Refuses values that RabbitMQ refuses. `what` names the queue: `queue 'q' in vhost '/'`.
pub fn check_queue(arguments: &FieldTable, what: &str) -> Result<(), Refusal> {
    exchange_name(arguments, "x-dead-letter-exchange", what)?;
    for rule in QUEUE_ARGUMENTS {
        let Some(value) = arguments.inner().get(rule.name) else { continue };
        (rule.check)(value).map_err(|reason| {
            let name = rule.name;
            Refusal::precondition(format_args!("invalid arg '{name}' for {what}: {reason}"))
        })?;
    }
    if arguments.contains_key("x-dead-letter-routing-key")
        && !arguments.contains_key("x-dead-letter-exchange")
    {
        return Err(Refusal::precondition(format_args!(
            "invalid arg 'x-dead-letter-routing-key' for {what}: \
             routing_key_but_no_dlx_defined"
        )));
    }
    Ok(())
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
        let (current, received) = (value_of(current, name), value_of(received, name));
        if !equivalent(current, received) {
            let (received, current) = match (received, current) {
                (Some(received), Some(current)) => (quoted(received), quoted(current)),
                (received, current) => (show(received), show(current)),
            };
            return Err(inequivalent(name, what, &received, &current));
        }
    }
    Ok(())
}

/// Names for [`check_equivalent`] of queues.
pub fn queue_argument_names() -> impl Iterator<Item = &'static str> {
    QUEUE_ARGUMENTS.iter().map(|rule| rule.name)
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
fn value_of<'a>(arguments: &'a FieldTable, name: &str) -> Option<&'a AMQPValue> {
    let classic = |value: &&AMQPValue| {
        name == "x-queue-type"
            && matches!(value, AMQPValue::LongString(text) if text.as_bytes() == b"classic")
    };
    arguments.inner().get(name).filter(|value| !classic(value))
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

fn expect_integer(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))
}

fn non_negative(value: &AMQPValue) -> Result<(), String> {
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

fn queue_mode(value: &AMQPValue) -> Result<(), String> {
    let text = String::from_utf8_lossy(expect_string(value)?).into_owned();
    one_of(value, &["default", "lazy"], &format!("\"unsupported queue mode '{text}'\""))
}

fn queue_type(value: &AMQPValue) -> Result<(), String> {
    let text = String::from_utf8_lossy(expect_string(value)?).into_owned();
    one_of(value, &["classic", "quorum"], &format!("\"unsupported queue type '{text}'\""))
}

fn boolean(value: &AMQPValue) -> Result<(), String> {
    match value {
        AMQPValue::Boolean(_) => Ok(()),
        other => Err(unacceptable(other)),
    }
}
