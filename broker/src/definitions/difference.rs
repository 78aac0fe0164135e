//! What makes two documents different.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::model::Definitions;

/// How an object of one document is in the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    /// Only the first has it.
    Removed {
        /// What it is: `queues`, `users`, …
        part: String,
        /// What makes it unique there.
        key: String,
    },
    /// Only the second has it.
    Added {
        /// What it is.
        part: String,
        /// What makes it unique there.
        key: String,
    },
    /// Both have it, with another value of a field.
    Changed {
        /// What it is.
        part: String,
        /// What makes it unique there.
        key: String,
        /// The field.
        field: String,
        /// What the first says.
        from: Value,
        /// What the second says.
        to: Value,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed { part, key } => write!(f, "- {part} {key}"),
            Self::Added { part, key } => write!(f, "+ {part} {key}"),
            Self::Changed { part, key, field, from, to } => {
                write!(f, "~ {part} {key}: {field}: {from} -> {to}")
            }
        }
    }
}

/// All that must change in the first document to make the second; the order of lists does not count.
pub fn difference(from: &Definitions, to: &Definitions) -> Vec<Change> {
    let (from, to) = (parts(from), parts(to));
    let mut changes = Vec::new();
    for (part, keys) in PARTS {
        let (mut old, mut new) = (named(&from, part, keys), named(&to, part, keys));
        for (key, old) in std::mem::take(&mut old) {
            let (part, key) = ((*part).to_owned(), key);
            match new.remove(&key) {
                None => changes.push(Change::Removed { part, key }),
                Some(new) => changed(&part, &key, &old, &new, &mut changes),
            }
        }
        let added = new.into_keys().map(|key| Change::Added { part: (*part).to_owned(), key });
        changes.extend(added);
    }
    changes
}

/// The parts of a document, and what makes an object of each unique.
const PARTS: &[(&str, &[&str])] = &[
    ("users", &["name"]),
    ("vhosts", &["name"]),
    ("permissions", &["vhost", "user"]),
    ("topic_permissions", &["vhost", "user", "exchange"]),
    ("parameters", &["vhost", "component", "name"]),
    ("global_parameters", &["name"]),
    ("policies", &["vhost", "name"]),
    ("queues", &["vhost", "name"]),
    ("exchanges", &["vhost", "name"]),
    (
        "bindings",
        &["vhost", "source", "destination_type", "destination", "routing_key", "arguments"],
    ),
];

fn parts(definitions: &Definitions) -> Value {
    // A structure of lists, texts and numbers can always be written.
    serde_json::to_value(definitions).unwrap_or_default()
}

fn named(document: &Value, part: &str, keys: &[&str]) -> BTreeMap<String, Value> {
    let objects = document.get(part).and_then(Value::as_array).into_iter().flatten();
    objects.map(|object| (key(object, keys), object.clone())).collect()
}

fn key(object: &Value, keys: &[&str]) -> String {
    let part = |name: &&str| object.get(*name).map(Value::to_string).unwrap_or_default();
    keys.iter().map(part).collect::<Vec<_>>().join(" ")
}

fn changed(part: &str, key: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return };
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for field in old.keys().chain(added) {
        let value =
            |of: &serde_json::Map<String, Value>| of.get(field).cloned().unwrap_or_default();
        let (from, to) = (value(old), value(new));
        if from != to {
            let (part, key, field) = (part.to_owned(), key.to_owned(), field.clone());
            changes.push(Change::Changed { part, key, field, from, to });
        }
    }
}
