//! Field tables, properties and their values, written shortly.

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::{AMQPValue, FieldTable};

/// A field table.
#[must_use]
pub fn table<'a>(fields: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    table
}

/// A long string.
#[must_use]
pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A signed 32-bit integer.
#[must_use]
pub fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

/// A signed 64-bit integer.
#[must_use]
pub fn long(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

/// A boolean.
#[must_use]
pub fn flag(value: bool) -> AMQPValue {
    AMQPValue::Boolean(value)
}

/// An array.
#[must_use]
pub fn list(values: impl IntoIterator<Item = AMQPValue>) -> AMQPValue {
    AMQPValue::FieldArray(values.into_iter().collect::<Vec<_>>().into())
}

/// No properties.
#[must_use]
pub fn props() -> BasicProperties {
    BasicProperties::default()
}

/// Properties that are headers only.
#[must_use]
pub fn headers<'a>(fields: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> BasicProperties {
    props().with_headers(table(fields))
}
