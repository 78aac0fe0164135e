//! What routing looks at of a message.

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties::{self, Properties};
use lepus_protocol::table;

use crate::error::Refusal;
use crate::message::{Builder, Message};
use crate::routing::RouteInput;
use crate::topology::arguments::type_name;

/// What decides where a message goes, with a number drawn for it.
pub fn route_input<'a>(
    message: &'a Message,
    keys: &'a [&'a [u8]],
    headers: Option<&'a FieldTable>,
) -> RouteInput<'a> {
    RouteInput { keys, headers, properties: message.properties(), draw: rand::random() }
}

/// The routing key, and then those of [`extra_keys`].
pub fn keys<'a>(message: &'a Message, extra: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let first = std::iter::once(message.routing_key());
    first.chain(extra.iter().map(Vec::as_slice)).collect()
}

/// The headers, if there are any that can be read.
pub fn headers(message: &Message) -> Option<FieldTable> {
    let found = Properties::decode(message.properties()).ok()?;
    table::decode_body(found.headers?).ok()
}

/// The same headers, but for one.
pub fn without(headers: &FieldTable, name: &str) -> FieldTable {
    let mut kept = FieldTable::default();
    for (key, value) in headers.into_iter().filter(|(key, _)| key.as_str() != name) {
        kept.insert(key.clone(), value.clone());
    }
    kept
}

/// A message's properties with these headers; `None` if they cannot be read.
pub fn with_headers(message: &Message, headers: &FieldTable) -> Option<Vec<u8>> {
    properties::replace_headers(message.properties(), headers).ok()
}

/// A message without the header BCC.
pub fn without_bcc(message: &Message, headers: &FieldTable) -> Message {
    match with_headers(message, &without(headers, "BCC")) {
        Some(properties) => {
            let (now, route) = (message.arrived(), message.route());
            Builder::whole(now, route, &properties, message.body(), message.persistent())
        }
        None => message.clone(),
    }
}

/// The routing keys in CC and BCC: arrays of long strings (RabbitMQ's sender-selected distribution).
pub fn extra_keys(headers: &FieldTable) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut keys = Vec::new();
    for name in ["CC", "BCC"] {
        match headers.inner().get(name) {
            None => {}
            Some(AMQPValue::FieldArray(values)) => {
                let text = |value: &AMQPValue| match value {
                    AMQPValue::LongString(key) => Some(key.as_bytes().to_vec()),
                    _ => None,
                };
                keys.extend(values.as_slice().iter().filter_map(text));
            }
            Some(other) => {
                let kind = type_name(other);
                return Err(Refusal::precondition(format_args!(
                    "invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
                )));
            }
        }
    }
    Ok(keys)
}
