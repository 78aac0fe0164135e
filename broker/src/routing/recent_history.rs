//! What a recent history exchange keeps: it routes as a fanout exchange, and what was published to
//! it lately goes to new bindings too.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::{Invalid, value};

/// The argument that says how many messages are kept.
pub(super) const LENGTH: &str = "x-recent-history-length";

const DEFAULT_LENGTH: usize = 20;

/// How many messages an exchange with these arguments keeps.
///
/// # Errors
/// That is not a positive integer.
pub fn history_length(args: &FieldTable) -> Result<usize, Invalid> {
    let Some(given) = args.inner().get(LENGTH) else { return Ok(DEFAULT_LENGTH) };
    match value::integer(given) {
        Some(length) if length > 0 => Ok(usize::try_from(length).unwrap_or(usize::MAX)),
        _ => Err(Invalid::history_length(given)),
    }
}

/// Whether a message with these headers is kept.
pub(super) fn is_kept(headers: Option<&FieldTable>) -> bool {
    let asked = headers.and_then(|headers| headers.inner().get("x-recent-history-no-store"));
    asked != Some(&AMQPValue::Boolean(true))
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
    fn the_length_is_a_positive_integer() {
        let length = |value| history_length(&table(LENGTH, value)).map_err(|e| e.to_string());
        let refused =
            |term| Err(format!("Invalid argument {term}, '{LENGTH}' must be a positive integer"));
        assert_eq!(history_length(&FieldTable::default()), Ok(20));
        assert_eq!(length(AMQPValue::LongInt(5)), Ok(5));
        assert_eq!(length(AMQPValue::LongLongInt(1 << 40)), Ok(1 << 40));
        assert_eq!(length(AMQPValue::LongInt(0)), refused("0"));
        assert_eq!(length(AMQPValue::LongInt(-1)), refused("-1"));
        assert_eq!(length(AMQPValue::Double(5.0)), refused("5.0"));
        assert_eq!(length(AMQPValue::LongString("5".into())), refused("<<\"5\">>"));
        assert_eq!(length(AMQPValue::Boolean(true)), refused("true"));
        assert_eq!(length(AMQPValue::Void), refused("undefined"));
    }

    #[test]
    fn only_true_keeps_a_message_out() {
        let kept = |value| is_kept(Some(&table("x-recent-history-no-store", value)));
        assert!(is_kept(None) && is_kept(Some(&FieldTable::default())));
        assert!(kept(AMQPValue::Boolean(false)) && kept(AMQPValue::LongString("true".into())));
        assert!(!kept(AMQPValue::Boolean(true)));
    }
}
