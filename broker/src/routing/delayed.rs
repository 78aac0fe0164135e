//! What an `x-delayed-message` exchange does besides: it holds messages back as long as their header
//! `x-delay` says, and then routes them as another type does. Names, texts and what counts as a delay
//! are those of RabbitMQ's plugin.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::{ExchangeKind, Invalid, value};

/// The header that says how long, in ms.
pub const HEADER: &str = "x-delay";
/// The argument that says what type the exchange is after that.
pub(super) const INNER: &str = "x-delayed-type";

/// The longest delay that a delayed exchange knows; what asks for more is routed at once.
const MAX_MS: i64 = u32::MAX as i64;

/// The type that a delayed exchange with these arguments routes by.
///
/// # Errors
/// There is none, or it is not one that can be wrapped.
pub(super) fn inner_kind(args: &FieldTable) -> Result<ExchangeKind, Invalid> {
    let name = match args.inner().get(INNER) {
        Some(AMQPValue::LongString(name)) => String::from_utf8_lossy(name.as_bytes()).into_owned(),
        _ => return Err(Invalid::delayed_type()),
    };
    match ExchangeKind::parse(&name) {
        Some(ExchangeKind::Delayed) => Err(Invalid::delayed_itself()),
        // It has to hold messages back, too.
        Some(kind @ ExchangeKind::Deduplication) => Err(Invalid::delayed_by(kind)),
        Some(kind) => Ok(kind),
        None => Err(Invalid::unknown_type(&name)),
    }
}

/// What the header `x-delay` says: a number, or a string that is an integer.
pub fn header(headers: &FieldTable) -> Option<i64> {
    match headers.inner().get(HEADER)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        AMQPValue::ShortString(text) => text.as_str().parse().ok(),
        AMQPValue::Float(ms) => Some(*ms as i64),
        AMQPValue::Double(ms) => Some(*ms as i64),
        AMQPValue::Timestamp(_) | AMQPValue::DecimalValue(_) => None,
        other => i64::try_from(value::integer(other)?).ok(),
    }
}

/// How long a delayed exchange holds a message with these headers back, in ms.
pub(super) fn delay(headers: Option<&FieldTable>) -> Option<u64> {
    let ms = header(headers?).filter(|ms| (1..=MAX_MS).contains(ms))?;
    u64::try_from(ms).ok()
}

/// The headers of a message that was held back: a negative delay, so that none holds it back again.
pub fn negated(headers: &FieldTable) -> FieldTable {
    let mut headers = headers.clone();
    if let Some(ms) = header(&headers) {
        let ms = ms.saturating_neg();
        let shown = i32::try_from(ms).map_or(AMQPValue::LongLongInt(ms), AMQPValue::LongInt);
        headers.insert(HEADER.into(), shown);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, value: AMQPValue) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        table
    }

    #[test]
    fn delays_are_numbers_or_strings_of_digits() {
        let delay = |value| delay(Some(&table(HEADER, value)));
        assert_eq!(delay(AMQPValue::ShortShortInt(5)), Some(5));
        assert_eq!(delay(AMQPValue::LongUInt(u32::MAX)), Some(u64::from(u32::MAX)));
        assert_eq!(delay(AMQPValue::LongLongInt(5000)), Some(5000));
        assert_eq!(delay(AMQPValue::LongString("5000".into())), Some(5000));
        assert_eq!(delay(AMQPValue::Double(5.9)), Some(5));
        for none in [
            AMQPValue::LongInt(0),
            AMQPValue::LongInt(-5),
            AMQPValue::LongLongInt(MAX_MS + 1),
            AMQPValue::LongString("soon".into()),
            AMQPValue::LongString("-5".into()),
            AMQPValue::LongString("".into()),
            AMQPValue::Double(f64::NAN),
            AMQPValue::Boolean(true),
            AMQPValue::Timestamp(5),
            AMQPValue::Void,
        ] {
            assert_eq!(delay(none.clone()), None, "{none:?}");
        }
        assert_eq!(super::delay(None), None);
        assert_eq!(super::delay(Some(&FieldTable::default())), None);
    }

    #[test]
    fn the_delay_is_negated_once_its_time_has_come() {
        let after = |value| negated(&table(HEADER, value)).inner().get(HEADER).cloned();
        assert_eq!(after(AMQPValue::LongString("5000".into())), Some(AMQPValue::LongInt(-5000)));
        assert_eq!(after(AMQPValue::LongUInt(7)), Some(AMQPValue::LongInt(-7)));
        let long = AMQPValue::LongLongInt(-i64::from(u32::MAX));
        assert_eq!(after(AMQPValue::LongUInt(u32::MAX)), Some(long));
        assert_eq!(negated(&FieldTable::default()), FieldTable::default());
    }

    #[test]
    fn any_type_but_itself_can_be_wrapped() {
        let kind = |value| inner_kind(&table(INNER, value)).map_err(|e| e.to_string());
        let named = |name: &str| kind(AMQPValue::LongString(name.into()));
        assert_eq!(named("topic"), Ok(ExchangeKind::Topic));
        assert_eq!(named("x-consistent-hash"), Ok(ExchangeKind::ConsistentHash));
        let missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
        assert_eq!(kind(AMQPValue::LongInt(1)), Err(missing.to_owned()));
        let itself = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'";
        assert_eq!(named("x-delayed-message"), Err(itself.to_owned()));
        assert_eq!(named("other"), Err("unknown exchange type 'other'".to_owned()));
    }
}
