//! AMQP's values as JSON, with their types, so that nothing is lost on the way.

use amq_protocol::protocol::basic;
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lepus_protocol::properties::Properties;
use lepus_protocol::table;
use serde_json::{Map, Value, json};

/// Octets as text if they are text, and how they are written.
pub(super) fn octets(octets: &[u8]) -> (String, &'static str) {
    match std::str::from_utf8(octets) {
        Ok(text) => (text.to_owned(), "string"),
        Err(_) => (STANDARD.encode(octets), "base64"),
    }
}

/// A table: each field with its type, under the names that RabbitMQ's tools use.
pub(super) fn fields(table: &FieldTable) -> Value {
    let fields = table.inner().iter().map(|(name, field)| (name.to_string(), value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(value: &AMQPValue) -> Value {
    let (kind, value) = match value {
        AMQPValue::Boolean(bool) => ("bool", json!(bool)),
        AMQPValue::ShortShortInt(int) => ("byte", json!(int)),
        AMQPValue::ShortShortUInt(int) => ("unsignedbyte", json!(int)),
        AMQPValue::ShortInt(int) => ("short", json!(int)),
        AMQPValue::ShortUInt(int) => ("unsignedshort", json!(int)),
        AMQPValue::LongInt(int) => ("signedint", json!(int)),
        AMQPValue::LongUInt(int) => ("unsignedint", json!(int)),
        AMQPValue::LongLongInt(int) => ("long", json!(int)),
        AMQPValue::Float(real) => ("float", real_value(f64::from(*real))),
        AMQPValue::Double(real) => ("double", real_value(*real)),
        AMQPValue::DecimalValue(decimal) => {
            ("decimal", json!({ "scale": decimal.scale, "value": decimal.value }))
        }
        AMQPValue::ShortString(text) => ("longstr", json!(text.as_str())),
        AMQPValue::LongString(text) => return string("longstr", text.as_bytes()),
        AMQPValue::ByteArray(bytes) => ("binary", json!(STANDARD.encode(bytes.as_slice()))),
        AMQPValue::Timestamp(time) => ("timestamp", json!(time)),
        AMQPValue::FieldArray(array) => {
            ("array", Value::Array(array.as_slice().iter().map(self::value).collect()))
        }
        AMQPValue::FieldTable(table) => ("table", fields(table)),
        AMQPValue::Void => ("void", Value::Null),
    };
    json!({ "type": kind, "value": value })
}

fn string(kind: &str, bytes: &[u8]) -> Value {
    match octets(bytes) {
        (text, "string") => json!({ "type": kind, "value": text }),
        (text, encoding) => json!({ "type": kind, "value": text, "encoding": encoding }),
    }
}

/// JSON has no infinity and the like.
fn real_value(real: f64) -> Value {
    if real.is_finite() { json!(real) } else { json!(real.to_string()) }
}

/// A message's properties; their octets in base64 if they make no sense.
pub(super) fn properties(octets: &[u8]) -> Value {
    // Bounds the nesting before a parser that recurs sees it.
    let headers = Properties::decode(octets).ok().map(|found| found.headers.unwrap_or_default());
    let shallow = headers.is_some_and(|headers| table::check_shallow(headers).is_ok());
    match basic::parse_properties(octets) {
        Ok((_, found)) if shallow => properties_of(&found),
        _ => json!({ "octets": STANDARD.encode(octets), "encoding": "base64" }),
    }
}

fn properties_of(found: &basic::AMQPProperties) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| json!(text.as_str()));
    put("content_type", text(found.content_type()));
    put("content_encoding", text(found.content_encoding()));
    put("headers", found.headers().as_ref().map(self::fields));
    put("delivery_mode", found.delivery_mode().map(|mode| json!(mode)));
    put("priority", found.priority().map(|priority| json!(priority)));
    put("correlation_id", text(found.correlation_id()));
    put("reply_to", text(found.reply_to()));
    put("expiration", text(found.expiration()));
    put("message_id", text(found.message_id()));
    put("timestamp", found.timestamp().map(|time| json!(time)));
    put("type", text(found.kind()));
    put("user_id", text(found.user_id()));
    put("app_id", text(found.app_id()));
    put("cluster_id", text(found.cluster_id()));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_told_with_their_types() {
        let mut headers = FieldTable::default();
        headers.insert("small".into(), AMQPValue::ShortInt(-3));
        headers.insert("raw".into(), AMQPValue::LongString(vec![0xff].into()));
        headers.insert("nan".into(), AMQPValue::Double(f64::NAN));
        let properties = basic::AMQPProperties::default()
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_timestamp(u64::MAX)
            .with_type("kind".into());
        let octets = lepus_protocol::properties::encode(&properties);
        let expected = json!({
            "headers": {
                "small": { "type": "short", "value": -3 },
                "raw": { "type": "longstr", "value": "/w==", "encoding": "base64" },
                "nan": { "type": "double", "value": "NaN" },
            },
            "delivery_mode": 2,
            "timestamp": u64::MAX,
            "type": "kind",
        });
        assert_eq!(super::properties(&octets), expected);
        assert_eq!(super::properties(&[0, 0]), json!({}));
        assert_eq!(super::properties(&[0xff])["encoding"], "base64");
    }
}
