//! Values as RabbitMQ's tools write them: Erlang's terms in tables, pairs in JSON.

use serde_json::{Map, Value, json};

/// A value in a table.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(cell), ", ")),
        Value::Object(fields) => table(fields),
        other => other.to_string(),
    }
}

/// A table of AMQP.
fn table(fields: &Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{{{},{}}}", quoted(key), term(value));
    format!("[{}]", joined(fields.iter().map(pair), ","))
}

/// A value within another one.
pub fn term(value: &Value) -> String {
    match value {
        Value::Null => "undefined".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(term), ",")),
        Value::Object(fields) => table(fields),
        other => other.to_string(),
    }
}

/// Text as Erlang writes it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

/// A value in JSON: a table of AMQP as its keys with types and values, nothing as an empty text.
pub fn typed(value: &Value) -> Value {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => return json!(""),
        other => return other.clone(),
    };
    let field = |(key, value): (&String, &Value)| match value {
        Value::String(_) => json!([key, "longstr", value]),
        Value::Bool(_) => json!([key, "bool", value]),
        Value::Number(number) if number.is_f64() => json!([key, "double", value]),
        Value::Number(_) => json!([key, "long", value]),
        Value::Object(_) => json!([key, "table", typed(value)]),
        Value::Array(_) => json!([key, "array", value]),
        Value::Null => json!([key, "void", value]),
    };
    fields.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_as_rabbitmqctl_does() {
        let table = json!({"x-dead-letter-exchange": "dl", "x-message-ttl": 60000});
        let shown = r#"[{"x-dead-letter-exchange","dl"},{"x-message-ttl",60000}]"#;
        assert_eq!(cell(&table), shown);
        assert_eq!(cell(&json!({})), "[]");
        assert_eq!(cell(&json!(["administrator", "x"])), "[administrator, x]");
        let typed_table =
            json!([["x-dead-letter-exchange", "longstr", "dl"], ["x-message-ttl", "long", 60000]]);
        assert_eq!(typed(&table), typed_table);
    }
}
