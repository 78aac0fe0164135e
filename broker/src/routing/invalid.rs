//! Why a binding is refused, in RabbitMQ's words.

use amq_protocol::types::AMQPValue;

/// A binding whose arguments make no sense for its exchange. The peer's mistake: it closes the
/// channel with 406, `PRECONDITION_FAILED - ` and this text (at most [`Self::MAX_TEXT`] bytes).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct InvalidBinding {
    text: String,
}

impl InvalidBinding {
    /// Longest text, in bytes: more would not fit into a reply text, which is a short string.
    pub const MAX_TEXT: usize = 230;

    /// The text of the reply, without the name of the reply code.
    pub fn text(&self) -> &str {
        &self.text
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

    fn new(mut text: String) -> Self {
        if text.len() > Self::MAX_TEXT {
            text.truncate(text.floor_char_boundary(Self::MAX_TEXT - 3));
            text.push_str("...");
        }
        Self { text }
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

/// Bytes as Erlang prints a binary: as text if it is text, and as numbers otherwise.
fn binary_term(bytes: &[u8]) -> String {
    // The text is cut anyway: do not print what cannot be in it.
    let bytes = bytes.get(..InvalidBinding::MAX_TEXT).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok("") => "<<>>".into(),
        Ok(text) if text.chars().all(printable) => {
            let suffix = if text.is_ascii() { "" } else { "/utf8" };
            format!("<<\"{}\"{suffix}>>", escaped(text))
        }
        _ => {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            format!("<<{}>>", numbers.join(","))
        }
    }
}

fn printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
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
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> String {
        let text = InvalidBinding::x_match_value(bytes).text;
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
        assert_eq!(value("é".as_bytes()), "<<\"é\"/utf8>>");
    }

    #[test]
    fn other_types_are_named() {
        let text = |value| InvalidBinding::x_match_type(&value).to_string();
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
            let text = InvalidBinding::x_match_value(&[byte; 100_000]).text;
            assert_eq!(text.len(), InvalidBinding::MAX_TEXT);
        }
        let text = InvalidBinding::x_match_value("é".repeat(500).as_bytes()).text;
        assert!(text.len() <= InvalidBinding::MAX_TEXT);
    }
}
