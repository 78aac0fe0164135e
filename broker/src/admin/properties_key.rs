//! What names a binding among all those of the same two ends, as part of a path.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::byte_serialize;
use serde_json::{Map, Value};
use twox_hash::XxHash64;

/// The name of a binding. Of its arguments there is a hash: not RabbitMQ's, but clients only say it back.
pub(super) fn properties_key(key: &[u8], arguments: &Map<String, Value>) -> String {
    let quoted = quote(key).replace('~', "%7E");
    match (quoted.is_empty(), arguments.is_empty()) {
        (true, true) => "~".to_owned(),
        (false, true) => quoted,
        _ => {
            let text = Value::Object(arguments.clone()).to_string();
            let [.., a, b, c, d] = XxHash64::oneshot(0, text.as_bytes()).to_be_bytes();
            format!("{quoted}~{}", URL_SAFE_NO_PAD.encode([a, b, c, d]))
        }
    }
}

/// As in a path: a space becomes a plus sign, a tilde stays.
pub(super) fn quote(octets: &[u8]) -> String {
    byte_serialize(octets).collect::<String>().replace("%7E", "~").replace('*', "%2A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rabbitmq_where_there_are_no_arguments() {
        let name = |key: &str| properties_key(key.as_bytes(), &Map::new());
        assert_eq!((name("").as_str(), name("a.b").as_str()), ("~", "a.b"));
        assert_eq!(name("a b/c~"), "a+b%2Fc%7E");
        assert_eq!(name("#.*"), "%23.%2A");
        assert_eq!(quote(name("a b/c~").as_bytes()), "a%2Bb%252Fc%257E");
    }

    #[test]
    fn arguments_tell_bindings_apart() {
        let with = |value: &str| {
            properties_key(b"a~b", &Map::from_iter([("k".to_owned(), Value::from(value))]))
        };
        assert!(with("v").starts_with("a%7Eb~") && with("v").len() == "a%7Eb~".len() + 6);
        assert_eq!(with("v"), with("v"));
        assert_ne!(with("v"), with("w"));
    }
}
