//! What a document of definitions says. Field names are RabbitMQ's keys; what old versions leave out
//! has the value that RabbitMQ's import gives it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use crate::access::{Permission, TopicPermission};

use crate::access::password::Secret;

/// A JSON object whose names have no fixed meaning.
pub type Object = Map<String, Value>;

/// A document, of the whole broker or of a virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each is a list of the type that tells")]
pub struct Definitions {
    pub users: Vec<User>,
    pub vhosts: Vec<Vhost>,
    pub permissions: Vec<Permission>,
    pub topic_permissions: Vec<TopicPermission>,
    pub parameters: Vec<Parameter>,
    pub global_parameters: Vec<GlobalParameter>,
    pub policies: Vec<Policy>,
    pub queues: Vec<Queue>,
    pub exchanges: Vec<Exchange>,
    pub bindings: Vec<Binding>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Base64 of salt and hash; empty: no login by password.
    #[serde(default)]
    pub password_hash: String,
    /// Instead of a hash; no export has it.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// How the hash was made; none is named by documents of RabbitMQ before 3.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashing_algorithm: Option<String>,
    /// What the user may administer.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// `max-connections`, `max-channels`.
    #[serde(default, deserialize_with = "object")]
    pub limits: Object,
}

/// A virtual host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vhost {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Free words.
    #[serde(default, deserialize_with = "tags", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The type of queues that are declared without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_queue_type: Option<String>,
    /// The same once more, and `protected_from_deletion`.
    #[serde(default, deserialize_with = "object", skip_serializing_if = "Object::is_empty")]
    pub metadata: Object,
    /// `max-connections`, `max-queues`; otherwise a parameter.
    #[serde(default, deserialize_with = "limits", skip_serializing_if = "Object::is_empty")]
    pub limits: Object,
    /// The firehose is on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tracing: bool,
}

/// A setting of a component in a virtual host: limits and operator policies are such.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct Parameter {
    pub vhost: String,
    pub component: String,
    pub name: String,
    pub value: Value,
}

/// A setting of the whole broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct GlobalParameter {
    pub name: String,
    pub value: Value,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct Policy {
    pub vhost: String,
    pub name: String,
    pub pattern: String,
    #[serde(rename = "apply-to", default = "all")]
    pub apply_to: String,
    #[serde(deserialize_with = "object")]
    pub definition: Object,
    #[serde(default)]
    pub priority: i64,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct Queue {
    pub name: String,
    pub vhost: String,
    #[serde(default = "yes")]
    pub durable: bool,
    #[serde(default)]
    pub auto_delete: bool,
    #[serde(default, deserialize_with = "object")]
    pub arguments: Object,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct Exchange {
    pub name: String,
    pub vhost: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default = "yes")]
    pub durable: bool,
    #[serde(default)]
    pub auto_delete: bool,
    #[serde(default)]
    pub internal: bool,
    #[serde(default, deserialize_with = "object")]
    pub arguments: Object,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names tell")]
pub struct Binding {
    pub source: String,
    pub vhost: String,
    pub destination: String,
    /// `queue` or `exchange`.
    pub destination_type: String,
    #[serde(default)]
    pub routing_key: String,
    #[serde(default, deserialize_with = "object")]
    pub arguments: Object,
}

fn yes() -> bool {
    true
}

fn all() -> String {
    "all".to_owned()
}

/// RabbitMQ writes an empty object as `[]` here and there, others as `null`.
fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
    match Value::deserialize(from)? {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Object::new()),
        Value::Array(values) if values.is_empty() => Ok(Object::new()),
        other => Err(serde::de::Error::custom(format!("expected an object, got {other}"))),
    }
}

/// Limits are an object, or as RabbitMQ 3.7 wrote them a list of one whose value is that object.
fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
    match Value::deserialize(from)? {
        Value::Array(values) => {
            let of = |value: &Value| value.get("value").and_then(Value::as_object).cloned();
            Ok(values.first().and_then(of).unwrap_or_default())
        }
        other => object(other).map_err(serde::de::Error::custom),
    }
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::from(String::deserialize(from)?)))
}

/// A list, or words with commas between.
fn tags<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tags {
        List(Vec<String>),
        Words(String),
    }
    let tags = match Tags::deserialize(from)? {
        Tags::List(tags) => tags,
        Tags::Words(words) => words.split(',').map(|word| word.trim().to_owned()).collect(),
    };
    Ok(tags.into_iter().filter(|tag| !tag.is_empty()).collect())
}
