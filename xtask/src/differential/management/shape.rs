//! Which keys a body has, and of which types their values are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Paths, and the types of what was found there.
#[derive(Default)]
pub(super) struct Shape(BTreeMap<String, BTreeSet<&'static str>>);

/// Below these are names that users have given.
const FREE: &[&str] = &[
    "arguments",
    "client_properties",
    "capabilities",
    "definition",
    "effective_policy_definition",
    "metadata",
    "cluster_state",
    "value",
    "limits",
    "headers",
];

impl Shape {
    pub(super) fn of(body: &Value) -> Self {
        let mut shape = Self::default();
        shape.add(String::new(), body);
        shape
    }

    fn add(&mut self, path: String, value: &Value) {
        let kind = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.0.entry(path.clone()).or_default().insert(kind);
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.add(format!("{path}[]"), item))
            }
            Value::Object(fields) if !FREE.iter().any(|name| path.ends_with(name)) => {
                fields.iter().for_each(|(name, value)| self.add(format!("{path}.{name}"), value));
            }
            _ => {}
        }
    }

    /// What `other` does not have of this.
    pub(super) fn missing_in(&self, other: &Self) -> Vec<String> {
        let mut missing = Vec::new();
        for (path, kinds) in &self.0 {
            let found = other.0.get(path);
            match found {
                Some(found) if found.is_subset(kinds) || kinds.is_subset(found) => {}
                Some(found) => missing.push(format!("{path} is {found:?}, not {kinds:?}")),
                // What is below a thing that is missing goes without saying.
                None if self.parent_is_missing(path, other) => {}
                None => missing.push(format!("no {path}, which is {kinds:?}")),
            }
        }
        missing
    }

    fn parent_is_missing(&self, path: &str, other: &Self) -> bool {
        let parent =
            path.strip_suffix("[]").or_else(|| path.rsplit_once('.').map(|(parent, _)| parent));
        parent.is_some_and(|parent| !other.0.contains_key(parent))
    }
}
