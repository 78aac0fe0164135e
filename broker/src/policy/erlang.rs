//! JSON values as RabbitMQ's refusals show them: in Erlang's notation.

use serde_json::Value;

/// A value as Erlang prints it.
pub(crate) fn term(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:?}"),
            _ => number.to_string(),
        },
        Value::String(text) => binary(text),
        Value::Array(values) => format!("[{}]", list(values.iter().map(term))),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| binary(key) + " => " + &term(value));
            format!("#{{{}}}", list(fields))
        }
    }
}

/// A list of keys with their values.
pub(crate) fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let pair =
        |(key, value): (&'a String, &'a Value)| format!("{{{},{}}}", binary(key), term(value));
    format!("[{}]", list(pairs.map(pair)))
}

fn list(terms: impl Iterator<Item = String>) -> String {
    terms.collect::<Vec<_>>().join(",")
}

fn binary(text: &str) -> String {
    if text.is_empty() {
        return "<<>>".to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("<<\"{escaped}\">>")
}
