//! What is declared, as keys and values of the catalog.
//!
//! A key is what kind of thing it is, its virtual host, and what makes it unique there; a value is
//! JSON, so that it can be read without this program and grow. Arguments are kept as the octets of
//! their table, which no other form repeats exactly.

use amq_protocol::types::FieldTable;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lepus_protocol::table;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::census::LAST_PREDECLARED;
use super::{BindingSpec, Exchange, QueueRecord, Target};
use crate::declared::Change;
use crate::parameters::ParameterId;
use crate::policy::{Definition, Flow, Kind, Policy};
use crate::routing::{BindingRef, Destination, ExchangeId};
use crate::vhost::VhostSpec;

/// The version of the values.
const VERSION: u8 = 1;

/// A thing that survives a restart.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// An exchange; not a predeclared one.
    Exchange {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
        /// Its name.
        name: String,
        /// Its id, for life.
        id: u64,
        /// How it routes, as exchange.declare says it.
        exchange_type: String,
        /// Deleted when it is not used any more.
        auto_delete: bool,
        /// Closed to publishers.
        internal: bool,
        /// Optional arguments: their table, in base64.
        arguments: String,
        /// Who has declared it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A queue; its id is its name in the message store.
    Queue {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
        /// Its name.
        name: String,
        /// Its id, for life.
        id: u64,
        /// Deleted when it is not used any more.
        auto_delete: bool,
        /// Optional arguments: their table, in base64.
        arguments: String,
        /// An operator has stopped its deliveries.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
        /// An operator's limit of deliveries a second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rate: Option<u64>,
    },
    /// A policy.
    Policy {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
        /// Its name.
        name: String,
        /// Whether it is an operator's.
        operator: bool,
        /// Its regular expression.
        pattern: String,
        /// What it applies to, in RabbitMQ's words.
        apply_to: String,
        /// The higher one counts.
        priority: i64,
        /// What it says.
        definition: Definition,
    },
    /// A virtual host.
    Vhost {
        /// The version of the value.
        v: u8,
        /// Its name.
        vhost: String,
        /// What it is for.
        description: String,
        /// What kind of virtual host it is.
        tags: Vec<String>,
        /// The type of the queues that are declared without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default_queue_type: Option<String>,
        /// It cannot be deleted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
    },
    /// A parameter of a virtual host.
    Parameter {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
        /// What it is for.
        component: String,
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// A parameter of the broker.
    GlobalParameter {
        /// The version of the value.
        v: u8,
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// The firehose is on.
    Tracing {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
    },
    /// A binding of durable things.
    Binding {
        /// The version of the value.
        v: u8,
        /// The virtual host.
        vhost: String,
        /// The exchange that messages come from.
        source: String,
        /// The queue or exchange that they go to.
        destination: String,
        /// Whether that is a queue.
        to_queue: bool,
        /// The routing key or pattern.
        routing_key: String,
        /// Optional arguments: their table, in base64.
        arguments: String,
    },
}

impl Record {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(value: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let (Self::Exchange { v, .. }
        | Self::Queue { v, .. }
        | Self::Policy { v, .. }
        | Self::Tracing { v, .. }
        | Self::Vhost { v, .. }
        | Self::Parameter { v, .. }
        | Self::GlobalParameter { v, .. }
        | Self::Binding { v, .. }) = &record;
        if *v > VERSION {
            return Err(format!("version {v}, of which only {VERSION} is known"));
        }
        Ok(record)
    }

    /// The virtual host that it belongs to, if it belongs to one.
    pub fn vhost(&self) -> Option<&str> {
        match self {
            Self::GlobalParameter { .. } => None,
            Self::Exchange { vhost, .. }
            | Self::Queue { vhost, .. }
            | Self::Policy { vhost, .. }
            | Self::Tracing { vhost, .. }
            | Self::Vhost { vhost, .. }
            | Self::Parameter { vhost, .. }
            | Self::Binding { vhost, .. } => Some(vhost),
        }
    }
}

/// Reads arguments.
///
/// # Errors
/// What is wrong with them.
pub fn arguments(text: &str) -> Result<FieldTable, String> {
    let octets = STANDARD.decode(text).map_err(|error| error.to_string())?;
    table::decode_body(&octets).map_err(|error| error.to_string())
}

fn text(arguments: &FieldTable) -> String {
    STANDARD.encode(table::encode_body(arguments))
}

/// Predeclared exchanges are there anyway.
fn is_recorded(exchange: &Exchange) -> bool {
    exchange.spec.durable && exchange.id.0 > LAST_PREDECLARED
}

/// An exchange was declared.
pub fn put_exchange(vhost: &str, exchange: &Exchange) -> Option<Change> {
    let spec = &exchange.spec;
    let record = Record::Exchange {
        v: VERSION,
        vhost: vhost.to_owned(),
        name: spec.name.clone(),
        id: exchange.id.0,
        exchange_type: spec.kind.name().to_owned(),
        auto_delete: spec.auto_delete,
        internal: spec.internal,
        arguments: text(&spec.arguments),
        user: Some(exchange.user.to_string()),
    };
    is_recorded(exchange).then(|| (exchange_key(vhost, exchange), value(&record)))
}

/// An exchange is gone.
pub fn remove_exchange(vhost: &str, exchange: &Exchange) -> Option<Change> {
    is_recorded(exchange).then(|| (exchange_key(vhost, exchange), None))
}

/// A queue was declared, or an operator has changed how its messages flow.
pub fn put_queue(vhost: &str, queue: &QueueRecord, flow: Flow) -> Option<Change> {
    let record = Record::Queue {
        v: VERSION,
        vhost: vhost.to_owned(),
        name: queue.spec.name.clone(),
        id: queue.id.0,
        auto_delete: queue.spec.auto_delete,
        arguments: text(&queue.spec.arguments),
        paused: flow.paused,
        max_rate: flow.max_rate,
    };
    queue.spec.durable.then(|| (queue_key(vhost, queue), value(&record)))
}

/// A queue is gone.
pub fn remove_queue(vhost: &str, queue: &QueueRecord) -> Option<Change> {
    queue.spec.durable.then(|| (queue_key(vhost, queue), None))
}

/// A policy was set.
pub fn put_policy(vhost: &str, kind: Kind, policy: &Policy) -> Change {
    let record = Record::Policy {
        v: VERSION,
        vhost: vhost.to_owned(),
        name: policy.name.clone(),
        operator: kind == Kind::Operator,
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to.name().to_owned(),
        priority: policy.priority,
        definition: policy.definition.clone(),
    };
    (policy_key(vhost, kind, &policy.name), value(&record))
}

/// A policy is gone.
pub fn remove_policy(vhost: &str, kind: Kind, name: &str) -> Change {
    (policy_key(vhost, kind, name), None)
}

/// The firehose was switched on or off.
pub fn put_tracing(vhost: &str, on: bool) -> Change {
    let record = Record::Tracing { v: VERSION, vhost: vhost.to_owned() };
    (key(b't', vhost, &[]), on.then(|| value(&record)).flatten())
}

/// A virtual host was made, or something that is said of it has changed.
pub fn put_vhost(spec: &VhostSpec) -> Change {
    let record = Record::Vhost {
        v: VERSION,
        vhost: spec.name.clone(),
        description: spec.description.clone(),
        tags: spec.tags.clone(),
        default_queue_type: spec.default_queue_type.clone(),
        protected: spec.protected,
    };
    (key(b'v', &spec.name, &[]), value(&record))
}

/// A virtual host is gone.
pub fn remove_vhost(name: &str) -> Change {
    (key(b'v', name, &[]), None)
}

/// A parameter was set.
pub fn put_parameter(id: &ParameterId, content: &Value) -> Change {
    let record = Record::Parameter {
        v: VERSION,
        vhost: id.vhost.clone(),
        component: id.component.clone(),
        name: id.name.clone(),
        value: content.clone(),
    };
    (parameter_key(id), value(&record))
}

/// A parameter is gone.
pub fn remove_parameter(id: &ParameterId) -> Change {
    (parameter_key(id), None)
}

/// A parameter of the broker was set, or without a value is gone.
pub fn global_parameter(name: &str, content: Option<&Value>) -> Change {
    let record = |content: &Value| Record::GlobalParameter {
        v: VERSION,
        name: name.to_owned(),
        value: content.clone(),
    };
    (key(b'g', "", &[name.as_bytes()]), content.and_then(|content| value(&record(content))))
}

/// A binding between durable things was made.
pub fn put_binding(
    vhost: &str,
    source: ExchangeId,
    destination: Destination,
    spec: &BindingSpec<'_>,
) -> Change {
    let (name, to_queue) = match spec.target {
        Target::Queue(name) => (name, true),
        Target::Exchange(name) => (name, false),
    };
    let record = Record::Binding {
        v: VERSION,
        vhost: vhost.to_owned(),
        source: spec.source.to_owned(),
        destination: name.to_owned(),
        to_queue,
        routing_key: spec.key.to_owned(),
        arguments: text(spec.arguments),
    };
    let (key, args) = (spec.key.as_bytes(), spec.arguments);
    let binding = BindingRef { dest: destination, key, args };
    (binding_key(vhost, source, &binding), value(&record))
}

/// Such a binding is gone.
pub fn remove_binding(vhost: &str, source: ExchangeId, binding: &BindingRef<'_>) -> Change {
    (binding_key(vhost, source, binding), None)
}

fn value(record: &Record) -> Option<Bytes> {
    // Strings, numbers and flags always have a JSON form.
    serde_json::to_vec(record).ok().map(Bytes::from)
}

fn exchange_key(vhost: &str, exchange: &Exchange) -> Bytes {
    key(b'e', vhost, &[&exchange.id.0.to_be_bytes()])
}

fn queue_key(vhost: &str, queue: &QueueRecord) -> Bytes {
    key(b'q', vhost, &[&queue.id.0.to_be_bytes()])
}

fn policy_key(vhost: &str, kind: Kind, name: &str) -> Bytes {
    let kind = if kind == Kind::Operator { b'o' } else { b'p' };
    key(kind, vhost, &[name.as_bytes()])
}

fn parameter_key(id: &ParameterId) -> Bytes {
    let component = id.component.as_bytes();
    let len = u16::try_from(component.len()).unwrap_or(u16::MAX).to_be_bytes();
    key(b'm', &id.vhost, &[&len, component, id.name.as_bytes()])
}

fn binding_key(vhost: &str, source: ExchangeId, binding: &BindingRef<'_>) -> Bytes {
    let (kind, id) = match binding.dest {
        Destination::Queue(id) => (b'q', id.0),
        Destination::Exchange(id) => (b'e', id.0),
    };
    let routing_key = [&[binding.key.len() as u8], binding.key].concat();
    let (source, id) = (source.0.to_be_bytes(), id.to_be_bytes());
    let arguments = table::encode_body(binding.args);
    key(b'b', vhost, &[&source, &[kind], &id, &routing_key, &arguments])
}

/// The virtual host's length stands before its name, so that no two keys are the same by chance.
fn key(kind: u8, vhost: &str, parts: &[&[u8]]) -> Bytes {
    let len = u16::try_from(vhost.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind], &len[..], vhost.as_bytes(), &parts.concat()].concat().into()
}
