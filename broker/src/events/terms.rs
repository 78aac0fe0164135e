//! Values as RabbitMQ's events show them: arguments and addresses in Erlang's notation.

use std::net::IpAddr;

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use serde_json::Value;

use crate::topology::arguments::type_name;

/// Arguments, or a client's properties: an array with a text for each.
pub fn fields(table: &FieldTable) -> AMQPValue {
    let mut array = FieldArray::default();
    for (name, value) in table {
        array.push(AMQPValue::LongString(field(name.as_str(), value).into()));
    }
    AMQPValue::FieldArray(array)
}

fn field(name: &str, value: &AMQPValue) -> String {
    format!("{{<<\"{name}\">>,{},{}}}", type_name(value), term(value))
}

fn term(value: &AMQPValue) -> String {
    let binary = |octets: &[u8]| format!("<<\"{}\">>", String::from_utf8_lossy(octets));
    match value {
        AMQPValue::Boolean(flag) => flag.to_string(),
        AMQPValue::LongString(text) => binary(text.as_bytes()),
        AMQPValue::ShortString(text) => binary(text.as_str().as_bytes()),
        AMQPValue::ByteArray(octets) => binary(octets.as_slice()),
        AMQPValue::Float(number) => format!("{number:?}"),
        AMQPValue::Double(number) => format!("{number:?}"),
        AMQPValue::Timestamp(seconds) => seconds.to_string(),
        AMQPValue::DecimalValue(decimal) => format!("{{{},{}}}", decimal.scale, decimal.value),
        AMQPValue::Void => "undefined".to_owned(),
        AMQPValue::FieldTable(table) => {
            let fields = table.into_iter().map(|(name, value)| field(name.as_str(), value));
            format!("[{}]", fields.collect::<Vec<_>>().join(","))
        }
        AMQPValue::FieldArray(values) => {
            let values = values.as_slice().iter();
            let values = values.map(|value| format!("{{{},{}}}", type_name(value), term(value)));
            format!("[{}]", values.collect::<Vec<_>>().join(","))
        }
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
    }
}

/// An address as Erlang's tuple of its parts.
pub fn address(address: IpAddr) -> String {
    let parts: Vec<String> = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().map(u8::to_string).collect(),
        IpAddr::V6(address) => address.segments().iter().map(u16::to_string).collect(),
    };
    format!("{{{}}}", parts.join(","))
}

/// An array of texts.
pub fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> AMQPValue {
    let mut array = FieldArray::default();
    texts.for_each(|text| array.push(AMQPValue::LongString(text.into())));
    AMQPValue::FieldArray(array)
}

/// What a policy says.
pub fn json(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::LongString("null".into()),
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::Array(values) => {
            let mut array = FieldArray::default();
            values.iter().for_each(|value| array.push(json(value)));
            AMQPValue::FieldArray(array)
        }
        Value::Object(fields) => {
            let mut table = FieldTable::default();
            for (name, value) in fields {
                table.insert(name.as_str().into(), json(value));
            }
            AMQPValue::FieldTable(table)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RabbitMQ 3.10.8 has told it.
    #[test]
    fn arguments_are_shown_as_rabbitmq_shows_them() {
        let mut inner = FieldTable::default();
        inner.insert("basic.nack".into(), AMQPValue::Boolean(true));
        let mut table = FieldTable::default();
        table.insert("capabilities".into(), AMQPValue::FieldTable(inner));
        table.insert("product".into(), AMQPValue::LongString("Pika".into()));
        table.insert("x-max-length".into(), AMQPValue::LongInt(5));
        let AMQPValue::FieldArray(shown) = fields(&table) else { panic!("an array") };
        let shown: Vec<AMQPValue> = shown.as_slice().to_vec();
        let expected = [
            r#"{<<"capabilities">>,table,[{<<"basic.nack">>,bool,true}]}"#,
            r#"{<<"product">>,longstr,<<"Pika">>}"#,
            r#"{<<"x-max-length">>,signedint,5}"#,
        ];
        assert_eq!(shown, expected.map(|text| AMQPValue::LongString(text.into())));
        assert_eq!(address(IpAddr::from([127, 0, 0, 1])), "{127,0,0,1}");
    }
}
