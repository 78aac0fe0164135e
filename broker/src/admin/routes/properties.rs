//! Properties of messages as JSON.

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::ShortString;
use lepus_protocol::properties::{encode, parse};
use serde_json::{Map, Value, json};

use crate::admin::error::Fault;
use crate::envelope;
use crate::json_table::{from_json, to_json};
use crate::message::Message;

/// All that a message has.
pub(super) fn show(message: &Message) -> Value {
    let mut shown = Map::new();
    let Some(found) = parse(message.properties()) else { return Value::Object(shown) };
    let texts = envelope::texts(&found);
    shown.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    let numbers = envelope::numbers(&found);
    shown.extend(numbers.map(|(name, number)| (name.to_owned(), number.into())));
    if let Some(headers) = envelope::headers(message) {
        shown.insert("headers".to_owned(), Value::Object(to_json(&headers)));
    }
    Value::Object(shown)
}

/// The octets of properties, and whether the message is persistent.
pub(super) fn read(given: &Map<String, Value>) -> Result<(Vec<u8>, bool), Fault> {
    let mut found = AMQPProperties::default();
    let mut persistent = false;
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        found = match name.as_str() {
            "content_type" => found.with_content_type(text(value)?),
            "content_encoding" => found.with_content_encoding(text(value)?),
            "correlation_id" => found.with_correlation_id(text(value)?),
            "reply_to" => found.with_reply_to(text(value)?),
            "expiration" => found.with_expiration(text(value)?),
            "message_id" => found.with_message_id(text(value)?),
            "type" => found.with_type(text(value)?),
            "user_id" => found.with_user_id(text(value)?),
            "app_id" => found.with_app_id(text(value)?),
            "cluster_id" => found.with_cluster_id(text(value)?),
            "timestamp" => found.with_timestamp(number(value)?),
            "priority" => found.with_priority(octet(value)?),
            "delivery_mode" => {
                let mode = octet(value)?;
                persistent = mode == 2;
                found.with_delivery_mode(mode)
            }
            "headers" => {
                let Value::Object(headers) = value else { return Err(wrong(value)) };
                found.with_headers(from_json(headers).map_err(Fault::bad_request)?)
            }
            // As in all bodies.
            _ => found,
        };
    }
    Ok((encode(&found), persistent))
}

fn wrong(value: &Value) -> Fault {
    Fault::bad_request(json!(["invalid_property", value]))
}

/// Numbers may stand for texts.
fn text(value: &Value) -> Result<ShortString, Fault> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong(value)),
    };
    let fits = text.len() <= usize::from(u8::MAX);
    if fits { Ok(text.as_str().into()) } else { Err(wrong(value)) }
}

fn number(value: &Value) -> Result<u64, Fault> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| wrong(value))
}

fn octet(value: &Value) -> Result<u8, Fault> {
    u8::try_from(number(value)?).map_err(|_| wrong(value))
}
