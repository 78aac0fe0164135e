//! Has a broker be what a document says, besides what it is.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tracing::subscriber::{NoSubscriber, with_default};

use super::export::export;
use super::model::{Binding, Definitions, Exchange, Object, Parameter, Policy, Queue, User, Vhost};
use super::read::{Fault, called};
use crate::access;
use crate::access::password::{Algorithm, PasswordHash};
use crate::config::Config;
use crate::error::Refusal;
use crate::events::INTERNAL_USER;
use crate::json_table::from_json;
use crate::names;
use crate::node::Node;
use crate::parameters::ParameterId;
use crate::policy::{Kind, PolicySpec};
use crate::routing::ExchangeKind;
use crate::stores::Stores;
use crate::topology::{BindingSpec, Command, ExchangeSpec, QueueSpec, Target};
use crate::vhost::{self, VhostSpec};

/// Imports a document for a user: what can be changed is overwritten; exchanges, queues and bindings
/// that are there stay as they are. A faulty document changes nothing.
///
/// # Errors
/// The first fault, with the object that has it.
pub fn import(node: &Arc<Node>, by: &str, definitions: &Definitions) -> Result<(), Fault> {
    // Nothing has happened yet that operators should read of.
    with_default(NoSubscriber::default(), || rehearse(node, definitions))?;
    Import { node, by }.carry_out(definitions)
}

/// Imports it into a copy without messages, so that whatever would be refused is refused before
/// anything has changed.
fn rehearse(node: &Arc<Node>, definitions: &Definitions) -> Result<(), Fault> {
    let config = Config::clone(&node.config());
    // What there is counts, even if it is more than what may be there by now.
    let without_limits = Config {
        vhost_max: None,
        queue_max: None,
        default_limits: Default::default(),
        default_policies: Default::default(),
        default_users: Default::default(),
        ..config.clone()
    };
    let copy = Node::new(without_limits, Stores::in_memory());
    let mut present = export(node);
    let parameters = std::mem::take(&mut present.parameters);
    let limits = Definitions { parameters, ..Definitions::default() };
    for vhost in copy.vhosts() {
        if !present.vhosts.iter().any(|known| *known.name == *vhost.name) {
            // What was just made is neither protected nor missing.
            let _ = copy.delete_vhost(INTERNAL_USER, &vhost.name);
        }
    }
    let import = Import { node: &copy, by: INTERNAL_USER };
    let done = import
        .carry_out(&present)
        .and_then(|()| import.carry_out(&limits))
        .inspect(|()| copy.reconfigure(config))
        .and_then(|()| import.carry_out(definitions));
    copy.dismantle();
    done
}

struct Import<'a> {
    node: &'a Arc<Node>,
    by: &'a str,
}

/// What is wrong with an object.
type Why = String;

impl Import<'_> {
    /// Who and where come before what they may do, and what is bound before bindings.
    fn carry_out(&self, definitions: &Definitions) -> Result<(), Fault> {
        let Self { node, by } = self;
        each("users", &definitions.users, |user| self.user(user))?;
        each("vhosts", &definitions.vhosts, |vhost| self.vhost(vhost))?;
        each("permissions", &definitions.permissions, |permission| {
            let set = node.access().set_permission(by, node, permission.clone());
            set.map_err(|why| why.to_string())
        })?;
        each("exchanges", &definitions.exchanges, |exchange| self.exchange(exchange))?;
        each("topic_permissions", &definitions.topic_permissions, |topic| {
            let set = node.access().set_topic_permission(by, node, topic.clone());
            set.map_err(|why| why.to_string())
        })?;
        for parameter in &definitions.global_parameters {
            node.set_global_parameter(by, &parameter.name, parameter.value.clone());
        }
        each("policies", &definitions.policies, |policy| self.policy(policy))?;
        each("parameters", &definitions.parameters, |parameter| self.parameter(parameter))?;
        each("queues", &definitions.queues, |queue| self.queue(queue))?;
        each("bindings", &definitions.bindings, |binding| self.binding(binding))
    }

    fn user(&self, user: &User) -> Result<(), Why> {
        let name = user.hashing_algorithm.as_deref();
        let algorithm = match name {
            None => Algorithm::default(),
            Some(name) => {
                Algorithm::parse(name).ok_or_else(|| format!("unknown hashing_algorithm {name}"))?
            }
        };
        let password = match (user.password_hash.as_str(), &user.password) {
            ("", None) => None,
            ("", Some(secret)) => {
                let config = self.node.config();
                let valid = config.auth.validator.check(secret);
                valid.map_err(|why| format!("credential_validation_failed: {why}"))?;
                let hash = || PasswordHash::new(config.password_hashing, secret);
                (!secret.octets().is_empty()).then(hash)
            }
            (hash, None) => Some(PasswordHash::decode(algorithm, hash)?),
            (_, Some(_)) => return Err("both_password_and_password_hash_are_provided".to_owned()),
        };
        names::check("user", &user.name)?;
        let limits = user_limits(&user.limits)?;
        let (name, tags) = (user.name.clone(), user.tags.clone());
        self.node.access().put_user(
            self.by,
            self.node,
            access::User { name, password, tags, limits },
        );
        Ok(())
    }

    fn vhost(&self, vhost: &Vhost) -> Result<(), Why> {
        let created = self.node.create_vhost(self.by, spec(vhost));
        created.map_err(|why| why.to_string())?;
        if !vhost.limits.is_empty() {
            let limits = Value::Object(vhost.limits.clone());
            let set = self.node.set_parameter(self.by, &ParameterId::limits(&vhost.name), limits);
            set.map_err(|why| why.to_string())?;
        }
        if vhost.tracing {
            let on = self.vhost_named(&vhost.name)?.set_tracing(self.node, true);
            on.map_err(|why| why.text)?;
        }
        Ok(())
    }

    fn parameter(&self, parameter: &Parameter) -> Result<(), Why> {
        let Parameter { vhost, component, name, value } = parameter;
        let id = ParameterId::new(component, vhost, name);
        self.node.set_parameter(self.by, &id, value.clone()).map_err(|why| why.to_string())
    }

    fn policy(&self, policy: &Policy) -> Result<(), Why> {
        let spec = PolicySpec {
            name: policy.name.clone(),
            pattern: policy.pattern.clone(),
            apply_to: policy.apply_to.clone(),
            priority: policy.priority,
            definition: Value::Object(policy.definition.clone()),
        };
        self.vhost_named(&policy.vhost)?.set_policy(self.by, self.node, Kind::User, spec)
    }

    fn exchange(&self, exchange: &Exchange) -> Result<(), Why> {
        let vhost = self.vhost_named(&exchange.vhost)?;
        let name = &exchange.name;
        if is_reserved(name) || vhost.read(|topology| topology.exchange(name).is_ok()) {
            return Ok(());
        }
        let kind = ExchangeKind::parse(&exchange.kind);
        let declare = Command::DeclareExchange(ExchangeSpec {
            name: name.clone(),
            kind: kind.ok_or_else(|| format!("unknown exchange type '{}'", exchange.kind))?,
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: from_json(&exchange.arguments)?,
        });
        vhost.apply_by(self.by, self.node, declare).map(drop).map_err(text)
    }

    fn queue(&self, queue: &Queue) -> Result<(), Why> {
        let vhost = self.vhost_named(&queue.vhost)?;
        let name = &queue.name;
        if is_reserved(name) || vhost.read(|topology| topology.has_queue(name)) {
            return Ok(());
        }
        let mut spec = QueueSpec {
            name: name.clone(),
            durable: queue.durable,
            owner: None,
            auto_delete: queue.auto_delete,
            arguments: from_json(&queue.arguments)?,
        };
        vhost.complete(self.node, &mut spec);
        vhost.declare_queue_by(self.by, self.node, &spec).map(drop).map_err(text)
    }

    fn binding(&self, binding: &Binding) -> Result<(), Why> {
        let vhost = self.vhost_named(&binding.vhost)?;
        if binding.source.is_empty() {
            // Such bindings are there as soon as there is the queue.
            return Ok(());
        }
        let name = binding.destination.as_str();
        let target = match binding.destination_type.as_str() {
            "queue" if is_reserved(name) && !vhost.read(|topology| topology.has_queue(name)) => {
                return Ok(());
            }
            "queue" => Target::Queue(name),
            "exchange" => Target::Exchange(name),
            other => {
                return Err(format!("destination_type {other:?} is neither queue nor exchange"));
            }
        };
        let arguments = &from_json(&binding.arguments)?;
        let (source, key) = (binding.source.as_str(), binding.routing_key.as_str());
        let bind = Command::Bind(BindingSpec { source, target, key, arguments }, NO_CONNECTION);
        vhost.apply_by(self.by, self.node, bind).map(drop).map_err(text)
    }

    fn vhost_named(&self, name: &str) -> Result<Arc<vhost::Vhost>, Why> {
        self.node.vhost(name).ok_or_else(|| format!("no such vhost: {name:?}"))
    }
}

/// Nobody's: exclusive queues are out of reach.
const NO_CONNECTION: u64 = 0;

/// Such names are the broker's own: it has them already, or makes others.
fn is_reserved(name: &str) -> bool {
    let reserved = name.is_empty() || name.starts_with("amq.");
    if reserved {
        tracing::debug!(name, "not imported: the name is reserved");
    }
    reserved
}

fn each<T: Serialize>(
    part: &str,
    objects: &[T],
    mut import: impl FnMut(&T) -> Result<(), Why>,
) -> Result<(), Fault> {
    objects.iter().try_for_each(|object| {
        import(object).map_err(|why| {
            let object = called(part, &serde_json::to_value(object).unwrap_or_default());
            Fault::Object { object, why }
        })
    })
}

/// What `metadata` says counts, if it is there: RabbitMQ has written both since 3.11.
fn spec(vhost: &Vhost) -> VhostSpec {
    let text = |name: &str| vhost.metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let tags = vhost.metadata.get("tags").and_then(Value::as_array).map(|tags| {
        let tags = tags.iter().filter_map(Value::as_str);
        tags.map(str::to_owned).collect()
    });
    let kind = text("default_queue_type").or_else(|| vhost.default_queue_type.clone());
    VhostSpec {
        name: vhost.name.clone(),
        description: text("description").unwrap_or_else(|| vhost.description.clone()),
        tags: tags.unwrap_or_else(|| vhost.tags.clone()),
        default_queue_type: kind.filter(|kind| kind != "undefined"),
        protected: vhost.metadata.get("protected_from_deletion") == Some(&Value::Bool(true)),
    }
}

/// A negative limit is none.
fn user_limits(limits: &Object) -> Result<access::UserLimits, Why> {
    let mut limits = limits.clone();
    limits.retain(|_, limit| limit.as_i64().is_none_or(|limit| limit >= 0));
    serde_json::from_value(Value::Object(limits)).map_err(|why| format!("limits: {why}"))
}

fn text(refusal: Refusal) -> Why {
    refusal.text
}
