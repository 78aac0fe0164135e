//! All that is declared now, as a document.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::model::{
    Binding, Definitions, Exchange, GlobalParameter, Parameter, Policy, Queue, User, Vhost,
};
use crate::access;
use crate::json_table::to_json;
use crate::node::Node;
use crate::policy::Kind;
use crate::queue::Queue as Handle;
use crate::topology::{self, Bound, QueueRecord, Target, Topology};
use crate::vhost;

/// The version of RabbitMQ whose form documents have: it tells RabbitMQ's import how to read them.
pub const RABBITMQ_VERSION: &str = "4.2.3";

/// A document of the whole broker. Exclusive queues, predeclared exchanges and the bindings that every
/// queue has are not in it.
pub fn export(node: &Node) -> Definitions {
    let mut definitions = Definitions {
        users: node.access().users().iter().map(|user| self::user(user)).collect(),
        permissions: node.access().permissions(),
        topic_permissions: node.access().topic_permissions(),
        global_parameters: global_parameters(node),
        ..Definitions::default()
    };
    for vhost in node.vhosts() {
        definitions.vhosts.push(self::vhost(&vhost));
        add_vhost(node, &vhost, &mut definitions);
    }
    definitions
}

/// A document of a virtual host alone; its objects name the virtual host still.
pub fn export_vhost(node: &Node, vhost: &vhost::Vhost) -> Definitions {
    let mut definitions = Definitions::default();
    add_vhost(node, vhost, &mut definitions);
    definitions
}

/// The document with what says where it comes from.
pub fn document(definitions: &Definitions) -> Value {
    let mut document = heading();
    document.extend(fields(definitions));
    Value::Object(document)
}

/// The document of a virtual host in the form that RabbitMQ has for it: what it says of virtual hosts,
/// users and permissions is left out, and objects do not name the virtual host.
pub fn vhost_document(definitions: &Definitions, vhost: &str) -> Value {
    let mut document = heading();
    document.insert("rabbitmq_definition_format".into(), "single_virtual_host".into());
    document.insert("original_vhost_name".into(), vhost.into());
    const PARTS: [&str; 5] = ["parameters", "policies", "queues", "exchanges", "bindings"];
    let parts = fields(definitions).into_iter().filter(|(part, _)| PARTS.contains(&part.as_str()));
    for (part, mut list) in parts {
        let objects = list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
        objects.for_each(|object| drop(object.remove("vhost")));
        document.insert(part, list);
    }
    Value::Object(document)
}

fn heading() -> Map<String, Value> {
    let heading = json!({
        "rabbit_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": "Lepus",
        "product_version": env!("CARGO_PKG_VERSION"),
    });
    match heading {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn fields(of: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        // Lists of texts, flags and numbers can always be written.
        _ => Map::new(),
    }
}

fn user(user: &access::User) -> User {
    let password = user.password.as_ref();
    User {
        name: user.name.clone(),
        password_hash: password.map(|hash| hash.encode()).unwrap_or_default(),
        password: None,
        hashing_algorithm: Some(
            password.map(|hash| hash.algorithm).unwrap_or_default().name().to_owned(),
        ),
        tags: user.tags.clone(),
        limits: fields(&user.limits),
    }
}

fn global_parameters(node: &Node) -> Vec<GlobalParameter> {
    let parameters = node.global_parameters().into_iter();
    parameters.map(|(name, value)| GlobalParameter { name, value }).collect()
}

fn vhost(vhost: &vhost::Vhost) -> Vhost {
    let spec = vhost.spec();
    let mut metadata = Map::new();
    if !spec.description.is_empty() {
        metadata.insert("description".into(), spec.description.clone().into());
    }
    if !spec.tags.is_empty() {
        metadata.insert("tags".into(), spec.tags.clone().into());
    }
    if let Some(kind) = &spec.default_queue_type {
        metadata.insert("default_queue_type".into(), kind.clone().into());
    }
    if spec.protected {
        metadata.insert("protected_from_deletion".into(), true.into());
    }
    Vhost {
        name: spec.name.clone(),
        description: spec.description.clone(),
        tags: spec.tags.clone(),
        default_queue_type: spec.default_queue_type.clone(),
        metadata,
        limits: Map::new(),
        tracing: vhost.is_traced(),
    }
}

fn add_vhost(node: &Node, vhost: &vhost::Vhost, definitions: &mut Definitions) {
    let name = vhost.name.to_string();
    let of_vhost = node.parameters().into_iter().filter(|(id, _)| id.vhost == name);
    definitions.parameters.extend(of_vhost.map(|(id, value)| Parameter {
        vhost: id.vhost,
        component: id.component,
        name: id.name,
        value,
    }));
    definitions.policies.extend(vhost.policies(Kind::User).iter().map(|policy| Policy {
        vhost: name.clone(),
        name: policy.name.clone(),
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to.name().to_owned(),
        definition: fields(&policy.definition),
        priority: policy.priority,
    }));
    vhost.read(|topology| add_topology(&name, topology, definitions));
}

fn add_topology(vhost: &str, topology: &Topology<Arc<Handle>>, definitions: &mut Definitions) {
    let declared = topology.exchanges().filter(|exchange| !exchange.name.starts_with("amq."));
    let mut exchanges: Vec<Exchange> = declared.map(|found| exchange(vhost, found)).collect();
    let shared = topology.queues().filter(|(record, _)| record.spec.owner.is_none());
    let mut queues: Vec<Queue> = shared.map(|(record, _)| queue(vhost, record)).collect();
    let exported: HashSet<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
    let leads_to_some = |bound: &Bound<'_>| match bound.target {
        Target::Queue(name) => exported.contains(name),
        Target::Exchange(_) => true,
    };
    let bound = topology.all_bindings().filter(leads_to_some);
    let mut bindings: Vec<Binding> = bound.map(|bound| binding(vhost, &bound)).collect();
    exchanges.sort_by(|a, b| a.name.cmp(&b.name));
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    let place = |of: &Binding| (of.source.clone(), of.destination.clone(), of.routing_key.clone());
    bindings.sort_by_key(place);
    definitions.exchanges.extend(exchanges);
    definitions.queues.extend(queues);
    definitions.bindings.extend(bindings);
}

fn exchange(vhost: &str, exchange: &topology::Exchange) -> Exchange {
    let spec = &exchange.spec;
    Exchange {
        name: spec.name.clone(),
        vhost: vhost.to_owned(),
        kind: spec.kind.name().to_owned(),
        durable: spec.durable,
        auto_delete: spec.auto_delete,
        internal: spec.internal,
        arguments: to_json(&spec.arguments),
    }
}

fn queue(vhost: &str, record: &QueueRecord) -> Queue {
    let spec = &record.spec;
    Queue {
        name: spec.name.clone(),
        vhost: vhost.to_owned(),
        durable: spec.durable,
        auto_delete: spec.auto_delete,
        arguments: to_json(&spec.arguments),
    }
}

fn binding(vhost: &str, bound: &Bound<'_>) -> Binding {
    let (destination, destination_type) = match bound.target {
        Target::Queue(name) => (name, "queue"),
        Target::Exchange(name) => (name, "exchange"),
    };
    Binding {
        source: bound.source.to_owned(),
        vhost: vhost.to_owned(),
        destination: destination.to_owned(),
        destination_type: destination_type.to_owned(),
        routing_key: String::from_utf8_lossy(bound.key).into_owned(),
        arguments: to_json(bound.arguments),
    }
}
