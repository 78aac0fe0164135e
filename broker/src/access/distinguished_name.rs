//! Distinguished names as text, as RabbitMQ writes them: RFC 4514, with more escaped than it asks for.

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::oid_registry::Oid;
use x509_parser::x509::X509Name;

/// Names of attributes; others are dotted numbers.
const NAMES: &[(&str, &str)] = &[
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATIONQUALIFIER"),
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.6", "C"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.65", "PSEUDONYM"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name, its last part first.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let part = |(oid, value): (&Oid<'_>, &Any<'_>)| {
        let number = oid.to_id_string();
        let known = NAMES.iter().find(|(known, _)| *known == number);
        format!(
            "{}={}",
            known.map_or(number.as_str(), |(_, name)| name),
            escape(&self::value(value))
        )
    };
    let parts = name.iter_rdn().map(|parts| {
        let parts: Vec<String> =
            parts.iter().map(|each| part((each.attr_type(), each.attr_value()))).collect();
        parts.join("+")
    });
    let mut parts: Vec<String> = parts.collect();
    parts.reverse();
    parts.join(",")
}

/// The text of a string of any kind; `#` and hexadecimal digits for what is none (RFC 4514 §2.4).
pub(super) fn value(value: &Any<'_>) -> String {
    let octets = value.data;
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8_lossy(octets).into_owned(),
        Tag::T61String => octets.iter().copied().map(char::from).collect(),
        Tag::BmpString => {
            let units = octets.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units)
                .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        Tag::UniversalString => {
            let chars = octets.as_chunks::<4>().0.iter().map(|char| u32::from_be_bytes(*char));
            chars.map(|char| char::from_u32(char).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => octets.iter().fold("#".to_owned(), |text, octet| format!("{text}{octet:02x}")),
    }
}

/// As RFC 4514 §2.4 asks, and whatever is not printable ASCII as octets of UTF-8.
fn escape(value: &str) -> String {
    let mut text = String::new();
    let last = value.len().saturating_sub(1);
    for (at, octet) in value.bytes().enumerate() {
        match octet {
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.extend(['\\', char::from(octet)])
            }
            32..126 => text.push(char::from(octet)),
            _ => text.push_str(&format!("\\{octet:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_in_rabbitmq() {
        for (value, text) in [
            ("plain text", "plain text"),
            ("a,b+c", "a\\,b\\+c"),
            ("\"<;>\\", "\\\"\\<\\;\\>\\\\"),
            (" both ", "\\ both\\ "),
            ("##", "\\##"),
            ("é~\n", "\\C3\\A9\\7E\\0A"),
            (" ", "\\ "),
            ("", ""),
        ] {
            assert_eq!(escape(value), text);
        }
    }
}
