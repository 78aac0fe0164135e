//! Field tables as JSON, and back, as RabbitMQ's HTTP API and definitions show them.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use lepus_protocol::limits::TABLE_DEPTH_MAX;
use serde_json::{Map, Number, Value};

/// A table as an object. What JSON has no form for is shown as RabbitMQ shows it: timestamps as
/// numbers, octets that are not text with the replacement character.
pub fn to_json(table: &FieldTable) -> Map<String, Value> {
    table.into_iter().map(|(name, value)| (name.to_string(), value_to_json(value))).collect()
}

/// An object as a table: integers become long ones, texts long strings.
///
/// # Errors
/// A name of more than 255 octets, a number beyond 64 bits, or what nests deeper than tables do.
pub fn from_json(object: &Map<String, Value>) -> Result<FieldTable, String> {
    table_from_json(object, TABLE_DEPTH_MAX)
}

fn table_from_json(object: &Map<String, Value>, levels: usize) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        if name.len() > usize::from(u8::MAX) {
            return Err(format!("the name {name:?} is longer than 255 octets"));
        }
        table.insert(name.as_str().into(), value_from_json(value, levels)?);
    }
    Ok(table)
}

fn value_to_json(value: &AMQPValue) -> Value {
    let text = |octets: &[u8]| Value::String(String::from_utf8_lossy(octets).into_owned());
    match value {
        AMQPValue::Boolean(flag) => Value::Bool(*flag),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::Float(number) => float(f64::from(*number)),
        AMQPValue::Double(number) => float(*number),
        AMQPValue::DecimalValue(decimal) => {
            float(f64::from(decimal.value) / 10f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::LongString(octets) => text(octets.as_bytes()),
        AMQPValue::ShortString(octets) => text(octets.as_str().as_bytes()),
        AMQPValue::ByteArray(octets) => text(octets.as_slice()),
        AMQPValue::FieldTable(table) => Value::Object(to_json(table)),
        AMQPValue::FieldArray(values) => {
            Value::Array(values.as_slice().iter().map(value_to_json).collect())
        }
        AMQPValue::Void => Value::Null,
    }
}

/// JSON has no infinities.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A value within which there may be so many levels of tables and arrays.
fn value_from_json(value: &Value, levels: usize) -> Result<AMQPValue, String> {
    let within = || levels.checked_sub(1).ok_or_else(too_deep);
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Number(number) => integer_or_double(number)?,
        Value::Array(values) => {
            let (mut array, levels) = (FieldArray::default(), within()?);
            for value in values {
                array.push(value_from_json(value, levels)?);
            }
            AMQPValue::FieldArray(array)
        }
        Value::Object(fields) => AMQPValue::FieldTable(table_from_json(fields, within()?)?),
    })
}

fn too_deep() -> String {
    format!("it nests deeper than {TABLE_DEPTH_MAX} levels")
}

fn integer_or_double(number: &Number) -> Result<AMQPValue, String> {
    if let Some(integer) = number.as_i64() {
        return Ok(AMQPValue::LongLongInt(integer));
    }
    match number.as_f64() {
        Some(double) if !number.is_u64() => Ok(AMQPValue::Double(double)),
        _ => Err(format!("the number {number} does not fit 64 bits")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn table(value: &Value) -> Result<FieldTable, String> {
        from_json(value.as_object().unwrap())
    }

    #[test]
    fn types_are_those_of_rabbitmq() {
        let found = table(&json!({"i": 1, "s": "x", "b": true, "f": 1.5, "n": null})).unwrap();
        let get = |name: &str| found.inner().get(name).unwrap().clone();
        assert_eq!(get("i"), AMQPValue::LongLongInt(1));
        assert_eq!(get("s"), AMQPValue::LongString("x".into()));
        assert_eq!(get("b"), AMQPValue::Boolean(true));
        assert_eq!(get("f"), AMQPValue::Double(1.5));
        assert_eq!(get("n"), AMQPValue::Void);
    }

    #[test]
    fn what_a_table_cannot_have_is_refused() {
        assert!(table(&json!({"n": u64::MAX})).is_err());
        assert!(table(&json!({"a": [{"n": u64::MAX}]})).is_err());
        assert!(table(&json!({"x".repeat(256): 1})).is_err());
    }

    #[test]
    fn what_would_not_be_read_again_is_too_deep() {
        let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({ "t": inner }));
        let listed = |levels| json!({"l": (1..levels).fold(json!([]), |inner, _| json!([inner]))});
        for value in [nested(TABLE_DEPTH_MAX), listed(TABLE_DEPTH_MAX)] {
            let body = lepus_protocol::table::encode_body(&table(&value).unwrap());
            assert!(lepus_protocol::table::decode_body(&body).is_ok());
        }
        assert!(table(&nested(TABLE_DEPTH_MAX + 1)).is_err());
        assert!(table(&listed(TABLE_DEPTH_MAX + 1)).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_and_back(object in prop::collection::btree_map("[a-z-]{1,9}", any_json(), 0..6)) {
            let object: Map<String, Value> = object.into_iter().collect();
            prop_assert_eq!(to_json(&from_json(&object).unwrap()), object);
        }
    }
}
