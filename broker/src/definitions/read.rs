//! Reads a document, of any version of RabbitMQ from 3.0 to 4.x.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::model::Definitions;

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not JSON.
    #[error("the definitions are not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but neither an object nor an empty list.
    #[error("the definitions are not an object")]
    NotAnObject,
    /// A part of it is not a list.
    #[error("{0} is not a list")]
    NotAList(&'static str),
    /// An object of it makes no sense.
    #[error("{object}: {why}")]
    Object {
        /// Which one, as `queue "orders" in vhost "/"`.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// Objects have no virtual host: the document is one of a virtual host alone.
    #[error("{0} has no vhost: the definitions are of one virtual host, which must be named")]
    NoVhost(String),
}

/// Reads a document of the whole broker.
///
/// # Errors
/// The first fault, with the object that has it.
pub fn read(text: &[u8]) -> Result<Definitions, Fault> {
    parse(text, None)
}

/// Reads a document of a virtual host: whatever names none is of that one.
///
/// # Errors
/// The first fault, with the object that has it.
pub fn read_vhost(text: &[u8], vhost: &str) -> Result<Definitions, Fault> {
    parse(text, Some(vhost))
}

fn parse(text: &[u8], vhost: Option<&str>) -> Result<Definitions, Fault> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let document = serde_json::from_slice(text).map_err(|why| Fault::NotJson(why.to_string()))?;
    let mut document = match document {
        Value::Object(document) => document,
        Value::Array(values) if values.is_empty() => Map::new(),
        _ => return Err(Fault::NotAnObject),
    };
    let legacy = hashes_are_md5(&document);
    let mut reader = Reader { document: &mut document, vhost };
    let mut definitions = Definitions {
        vhosts: reader.global("vhosts")?,
        users: reader.users(legacy)?,
        permissions: reader.of_vhosts("permissions")?,
        topic_permissions: reader.of_vhosts("topic_permissions")?,
        parameters: reader.of_vhosts("parameters")?,
        global_parameters: reader.global("global_parameters")?,
        policies: reader.of_vhosts("policies")?,
        queues: reader.of_vhosts("queues")?,
        exchanges: reader.of_vhosts("exchanges")?,
        bindings: reader.of_vhosts("bindings")?,
    };
    definitions.users.iter_mut().for_each(|user| user.tags.dedup());
    Ok(definitions)
}

/// RabbitMQ had no other hashes before 3.6.
fn hashes_are_md5(document: &Map<String, Value>) -> bool {
    let version = document.get("rabbit_version").and_then(Value::as_str).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next().flatten(), parts.next().flatten()), (Some(3), Some(0..=5)))
}

struct Reader<'a> {
    document: &'a mut Map<String, Value>,
    vhost: Option<&'a str>,
}

impl Reader<'_> {
    fn list(&mut self, part: &'static str) -> Result<Vec<Value>, Fault> {
        match self.document.remove(part) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(Fault::NotAList(part)),
        }
    }

    fn global<T: DeserializeOwned>(&mut self, part: &'static str) -> Result<Vec<T>, Fault> {
        self.list(part)?.into_iter().map(|value| object(part, value)).collect()
    }

    fn of_vhosts<T: DeserializeOwned>(&mut self, part: &'static str) -> Result<Vec<T>, Fault> {
        let vhost = self.vhost;
        let belong = |mut value: Value| {
            if let Value::Object(fields) = &mut value
                && !fields.contains_key("vhost")
            {
                let Some(vhost) = vhost else { return Err(Fault::NoVhost(called(part, &value))) };
                fields.insert("vhost".to_owned(), vhost.into());
            }
            object(part, value)
        };
        self.list(part)?.into_iter().map(belong).collect()
    }

    fn users<T: DeserializeOwned>(&mut self, md5: bool) -> Result<Vec<T>, Fault> {
        let modern = |mut value: Value| {
            if let Value::Object(fields) = &mut value {
                if md5 && !fields.contains_key("hashing_algorithm") {
                    let md5 = "rabbit_password_hashing_md5".into();
                    fields.insert("hashing_algorithm".to_owned(), md5);
                }
                // Before tags there were administrators and others.
                if !fields.contains_key("tags") && fields.get("administrator") == Some(&true.into())
                {
                    fields.insert("tags".to_owned(), "administrator".into());
                }
            }
            object("users", value)
        };
        self.list("users")?.into_iter().map(modern).collect()
    }
}

fn object<T: DeserializeOwned>(part: &'static str, value: Value) -> Result<T, Fault> {
    let called = called(part, &value);
    serde_json::from_value(value)
        .map_err(|why| Fault::Object { object: called, why: why.to_string() })
}

/// An object by what it is and how it is called.
pub(super) fn called(part: &str, value: &Value) -> String {
    let one = match part {
        "policies" => "policy",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    let one = one.replace('_', " ");
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let name = match (text("name"), text("source"), text("user")) {
        (Some(name), ..) => format!(" {name:?}"),
        (_, Some(source), _) => {
            format!(" from {source:?} to {:?}", text("destination").unwrap_or_default())
        }
        (_, _, Some(user)) => format!(" of {user:?}"),
        _ => format!(" {}", without_passwords(value)),
    };
    let place = text("vhost").map(|vhost| format!(" in vhost {vhost:?}")).unwrap_or_default();
    format!("{one}{name}{place}")
}

/// A value to be told of: faults end up in logs.
fn without_passwords(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !name.starts_with("password"));
    }
    value
}
