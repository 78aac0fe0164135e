//! Why a binding or an exchange is refused, in RabbitMQ's words.

use amq_protocol::types::AMQPValue;

use super::{ExchangeKind, deduplication, delayed, recent_history};
use crate::dedup;

/// A binding or an exchange whose arguments make no sense. The peer's mistake: it closes the channel
/// with 406, `PRECONDITION_FAILED - ` and this text (at most [`Self::MAX_TEXT`] bytes).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Invalid {
    text: String,
    unknown_type: bool,
}

impl Invalid {
    /// Longest text, in bytes: more would not fit into a reply text, which is a short string.
    pub const MAX_TEXT: usize = 230;

    /// The text of the reply, without the name of the reply code.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a type of exchanges is named that there is not: the one mistake with another code.
    pub fn is_unknown_type(&self) -> bool {
        self.unknown_type
    }

    pub(super) fn x_match_value(value: &[u8]) -> Self {
        Self::new(format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            binary_term(value)
        ))
    }

    pub(super) fn x_match_type(value: &AMQPValue) -> Self {
        let (kind, term) = typed_term(value);
        Self::new(format!("Invalid x-match field type {kind} (value {term}); expected longstr"))
    }

    pub(super) fn weight_no_integer(key: &[u8]) -> Self {
        Self::new(format!("The binding key must be an integer: {}", binary_term(key)))
    }

    pub(super) fn weight_too_small() -> Self {
        Self::new("The binding key must be greater than 0".into())
    }

    pub(super) fn two_hashes() -> Self {
        Self::new("hash-header and hash-property are mutually exclusive".into())
    }

    pub(super) fn hash_property(name: &str) -> Self {
        Self::new(format!("Unsupported property: {name}"))
    }

    /// RabbitMQ has no words for it, but fails (541).
    pub(super) fn hash_property_type(value: &AMQPValue) -> Self {
        Self::hash_property(&typed_term(value).1)
    }

    /// RabbitMQ has no words for it, but fails (541).
    pub(super) fn hash_header(value: &AMQPValue) -> Self {
        Self::new(format!("Unsupported header: {}", typed_term(value).1))
    }

    pub(super) fn history_length(value: &AMQPValue) -> Self {
        let term = typed_term(value).1;
        let name = recent_history::LENGTH;
        Self::new(format!("Invalid argument {term}, '{name}' must be a positive integer"))
    }

    pub(super) fn cache_argument(name: &str) -> Self {
        Self::new(format!("Invalid argument, '{name}' must be an integer greater than 0"))
    }

    pub(super) fn no_cache_size() -> Self {
        let name = dedup::SIZE;
        Self::new(format!(
            "Missing or invalid argument, '{name}' must be an integer greater than 0"
        ))
    }

    pub(super) fn cache_persistence() -> Self {
        let name = deduplication::PERSISTENCE;
        Self::new(format!("Invalid argument, '{name}' must be either 'memory' or 'disk'"))
    }

    pub(super) fn delayed_type() -> Self {
        let name = delayed::INNER;
        Self::new(format!("Invalid argument, '{name}' must be an existing exchange type"))
    }

    pub(super) fn delayed_itself() -> Self {
        Self::delayed_by(ExchangeKind::Delayed)
    }

    pub(super) fn delayed_by(kind: ExchangeKind) -> Self {
        let (kind, name) = (kind.name(), delayed::INNER);
        Self::new(format!("Invalid argument, '{kind}' can't be used for '{name}'"))
    }

    /// As for the type of an exchange itself: it closes the connection with 503, COMMAND_INVALID.
    pub(super) fn unknown_type(name: &str) -> Self {
        let text = Self::new(format!("unknown exchange type '{name}'"));
        Self { unknown_type: true, ..text }
    }

    fn new(mut text: String) -> Self {
        if text.len() > Self::MAX_TEXT {
            text.truncate(text.floor_char_boundary(Self::MAX_TEXT - 3));
            text.push_str("...");
        }
        Self { text, unknown_type: false }
    }
}

/// The type's name and the value, as RabbitMQ prints them.
fn typed_term(value: &AMQPValue) -> (&'static str, String) {
    match value {
        AMQPValue::Boolean(bool) => ("bool", bool.to_string()),
        AMQPValue::ShortShortInt(int) => ("byte", int.to_string()),
        AMQPValue::ShortShortUInt(int) => ("unsignedbyte", int.to_string()),
        AMQPValue::ShortInt(int) => ("short", int.to_string()),
        AMQPValue::ShortUInt(int) => ("unsignedshort", int.to_string()),
        AMQPValue::LongInt(int) => ("signedint", int.to_string()),
        AMQPValue::LongUInt(int) => ("unsignedint", int.to_string()),
        AMQPValue::LongLongInt(int) => ("long", int.to_string()),
        AMQPValue::Float(real) => ("float", format!("{real:?}")),
        AMQPValue::Double(real) => ("double", format!("{real:?}")),
        AMQPValue::DecimalValue(d) => ("decimal", format!("{{{},{}}}", d.scale, d.value)),
        AMQPValue::LongString(text) => ("longstr", binary_term(text.as_bytes())),
        AMQPValue::ShortString(text) => ("longstr", binary_term(text.as_str().as_bytes())),
        AMQPValue::ByteArray(bytes) => ("binary", binary_term(bytes.as_slice())),
        AMQPValue::Timestamp(time) => ("timestamp", time.to_string()),
        // What is inside helps nobody, and may be nested as deeply as a peer likes.
        AMQPValue::FieldArray(_) => ("array", "[...]".into()),
        AMQPValue::FieldTable(_) => ("table", "[...]".into()),
        AMQPValue::Void => ("void", "undefined".into()),
    }
}

/// Bytes as Erlang prints a binary: as text if each is a printable character of Latin-1 (though the
/// bytes may mean UTF-8), and as numbers otherwise.
fn binary_term(bytes: &[u8]) -> String {
    // The text is cut anyway: do not print what cannot be in it.
    let bytes = bytes.get(..Invalid::MAX_TEXT).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok("") => "<<>>".into(),
        Ok(text) if text.bytes().all(printable) => format!("<<\"{}\">>", escaped(text)),
        _ => {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            format!("<<{}>>", numbers.join(","))
        }
    }
}

fn printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 160.. | 0x08..=0x0d | 0x1b)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\x08' => escaped.push_str("\\b"),
            '\x0b' => escaped.push_str("\\v"),
            '\x0c' => escaped.push_str("\\f"),
            '\x1b' => escaped.push_str("\\e"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> String {
        let text = Invalid::x_match_value(bytes).text;
        let term = text.strip_prefix("Invalid x-match field value ").unwrap();
        let term = term.strip_suffix("; expected all, any, all-with-x, or any-with-x");
        term.unwrap_or("cut").into()
    }

    #[test]
    fn values_are_printed_as_erlang_prints_them() {
        assert_eq!(value(b"foo"), r#"<<"foo">>"#);
        assert_eq!(value(b""), "<<>>");
        assert_eq!(value(b"a\"b\n\\"), r#"<<"a\"b\n\\">>"#);
        assert_eq!(value(&[200, 1]), "<<200,1>>");
        assert_eq!(value(&[7, 127, b'x']), "<<7,127,120>>");
        assert_eq!(value(b"a\x08\x0b\x0c\x1b"), r#"<<"a\b\v\f\e">>"#);
        assert_eq!(value("é".as_bytes()), "<<\"é\">>");
        assert_eq!(value("€".as_bytes()), "<<226,130,172>>");
        assert_eq!(value("č".as_bytes()), "<<196,141>>");
    }

    #[test]
    fn other_types_are_named() {
        let text = |value| Invalid::x_match_type(&value).to_string();
        assert_eq!(
            text(AMQPValue::LongInt(5)),
            "Invalid x-match field type signedint (value 5); expected longstr"
        );
        assert_eq!(
            text(AMQPValue::Boolean(true)),
            "Invalid x-match field type bool (value true); expected longstr"
        );
        assert_eq!(
            text(AMQPValue::Void),
            "Invalid x-match field type void (value undefined); expected longstr"
        );
        assert_eq!(
            text(AMQPValue::Double(1.5)),
            "Invalid x-match field type double (value 1.5); expected longstr"
        );
    }

    #[test]
    fn a_text_fits_into_a_reply() {
        for byte in [b'q', 0, 0xc3] {
            let text = Invalid::x_match_value(&[byte; 100_000]).text;
            assert_eq!(text.len(), Invalid::MAX_TEXT);
        }
        let text = Invalid::x_match_value("é".repeat(500).as_bytes()).text;
        assert!(text.len() <= Invalid::MAX_TEXT);
    }
}
