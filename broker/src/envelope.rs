//! What routing looks at of a message.

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties::{self, Properties};
use lepus_protocol::{encode, table};
use memchr::memmem;

use crate::error::Refusal;
use crate::limits::EXTRA_KEYS_MAX;
use crate::message::{Builder, Message};
use crate::routing::RouteInput;
use crate::topology::arguments::{integer, type_name};

/// What decides where a message goes, with a number drawn for it.
pub fn route_input<'a>(
    message: &'a Message,
    keys: &'a [&'a [u8]],
    headers: Option<&'a FieldTable>,
) -> RouteInput<'a> {
    RouteInput {
        keys,
        headers,
        properties: message.properties(),
        released: false,
        draw: rand::random(),
    }
}

/// The routing key, and then those of [`extra_keys`].
pub fn keys<'a>(message: &'a Message, extra: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let first = std::iter::once(message.routing_key());
    first.chain(extra.iter().map(Vec::as_slice)).collect()
}

/// Routes a message by its keys, those of [`extra_keys`], which were checked when it was published, and
/// hidden ones.
pub fn addressed<R>(
    message: &Message,
    headers: Option<&FieldTable>,
    route: impl FnOnce(RouteInput<'_>) -> R,
) -> R {
    let mut extra = headers.and_then(|headers| extra_keys(headers).ok()).unwrap_or_default();
    extra.extend(message.hidden_keys());
    let keys = keys(message, &extra);
    route(route_input(message, &keys, headers))
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

/// How long the message says that its consumer may hold it (`x-time-to-run`), in ms; 0 is for ever.
pub fn time_to_run(message: &Message) -> Option<u64> {
    const NAME: &str = "x-time-to-run";
    // Most messages have no such header, and this is asked of every one that is handed out.
    if !message.has_headers() || memmem::find(message.properties(), NAME.as_bytes()).is_none() {
        return None;
    }
    match headers(message)?.inner().get(NAME)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        number => u64::try_from(integer(number)?).ok(),
    }
}

/// The content header's payload of a message that came back so often: the header `x-delivery-count`
/// says so. Headers that cannot be read stay as they are.
pub fn counted(message: &Message, returns: u32) -> Vec<u8> {
    let count = AMQPValue::LongLongInt(i64::from(returns));
    let octets = with_header(message.properties(), "x-delivery-count", count);
    match octets {
        Some(octets) => encode::content_header(message.body_len() as u64, &octets),
        None => message.header().to_vec(),
    }
}

/// Properties with one header more, or another value of it.
fn with_header(octets: &[u8], name: &str, value: AMQPValue) -> Option<Vec<u8>> {
    let found = Properties::decode(octets).ok()?;
    let mut headers = match found.headers {
        Some(headers) => table::decode_body(headers).ok()?,
        None => FieldTable::default(),
    };
    headers.insert(name.into(), value);
    properties::replace_headers(octets, &headers).ok()
}

/// A message's properties with these headers; `None` if they cannot be read.
pub fn with_headers(message: &Message, headers: &FieldTable) -> Option<Vec<u8>> {
    properties::replace_headers(message.properties(), headers).ok()
}

/// A message without the header BCC, whose keys are hidden in it.
pub fn without_bcc(message: &Message, headers: &FieldTable) -> Message {
    let Some(properties) = with_headers(message, &without(headers, "BCC")) else {
        return message.clone();
    };
    let keys = match headers.inner().get("BCC") {
        Some(AMQPValue::FieldArray(values)) => long_strings(values.as_slice()).collect(),
        _ => Vec::new(),
    };
    let mut builder = Builder::default();
    builder.begin(message.arrived(), message.route());
    builder.header(&properties, message.body_len() as u64, message.persistent());
    builder.body(message.body());
    builder.hide(keys.iter().map(Vec::as_slice));
    builder.finish()
}

/// The routing keys in CC and BCC: arrays of long strings (RabbitMQ's sender-selected distribution), up to
/// [`EXTRA_KEYS_MAX`] of them.
pub fn extra_keys(headers: &FieldTable) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut keys = Vec::new();
    for name in ["CC", "BCC"] {
        match headers.inner().get(name) {
            None => {}
            Some(AMQPValue::FieldArray(values)) => {
                keys.extend(long_strings(values.as_slice()));
            }
            Some(other) => {
                let kind = type_name(other);
                return Err(Refusal::precondition(format_args!(
                    "invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
                )));
            }
        }
    }
    if keys.len() > EXTRA_KEYS_MAX {
        return Err(Refusal::precondition(format_args!(
            "{} routing keys in CC and BCC, of at most {EXTRA_KEYS_MAX}",
            keys.len()
        )));
    }
    Ok(keys)
}

/// Those of the values that are long strings.
pub fn long_strings(values: &[AMQPValue]) -> impl Iterator<Item = Vec<u8>> {
    values.iter().filter_map(|value| match value {
        AMQPValue::LongString(text) => Some(text.as_bytes().to_vec()),
        _ => None,
    })
}

/// The properties that are texts, of those that there are, by RabbitMQ's names.
pub fn texts(properties: &AMQPProperties) -> impl Iterator<Item = (&'static str, &str)> {
    let texts = [
        ("content_type", properties.content_type()),
        ("content_encoding", properties.content_encoding()),
        ("correlation_id", properties.correlation_id()),
        ("reply_to", properties.reply_to()),
        ("expiration", properties.expiration()),
        ("message_id", properties.message_id()),
        ("type", properties.kind()),
        ("user_id", properties.user_id()),
        ("app_id", properties.app_id()),
        ("cluster_id", properties.cluster_id()),
    ];
    texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?.as_str())))
}

/// The properties that are numbers, of those that there are.
pub fn numbers(properties: &AMQPProperties) -> impl Iterator<Item = (&'static str, u64)> {
    let numbers = [
        ("delivery_mode", properties.delivery_mode().map(u64::from)),
        ("priority", properties.priority().map(u64::from)),
        ("timestamp", *properties.timestamp()),
    ];
    numbers.into_iter().filter_map(|(name, number)| Some((name, number?)))
}
