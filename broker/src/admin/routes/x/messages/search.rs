//! Which messages have a text in them.

use memchr::memmem::Finder;
use serde_json::Value;

use crate::admin::routes::properties;
use crate::message::Message;

/// A text that is looked for, octet by octet: in the payload, the routing key, the exchange, the values of
/// properties, the names and values of headers.
pub struct Search(Finder<'static>);

impl Search {
    pub fn new(text: &str) -> Self {
        Self(Finder::new(text).into_owned())
    }

    pub fn finds(&self, message: &Message) -> bool {
        let plain = [message.body(), message.routing_key(), message.exchange()];
        // Two octets say that there are no properties.
        plain.into_iter().any(|octets| self.is_in(octets))
            || message.properties().len() > 2 && self.is_in_any(&properties::show(message))
    }

    fn is_in(&self, octets: &[u8]) -> bool {
        self.0.find(octets).is_some()
    }

    fn is_in_any(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::String(text) => self.is_in(text.as_bytes()),
            Value::Bool(_) | Value::Number(_) => self.is_in(value.to_string().as_bytes()),
            Value::Array(values) => values.iter().any(|value| self.is_in_any(value)),
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| self.is_in(name.as_bytes()) || self.is_in_any(value)),
        }
    }
}
