//! Parameters, and what comes of them.

use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use serde_json::{Map, Value, json};

use super::Node;
use crate::events::{Event, json as shown};
use crate::names;
use crate::parameters::{Effect, OPERATOR_POLICY, ParameterError, ParameterId, checked};
use crate::policy::{Kind, Policy};
use crate::topology::record::{self, Record};
use crate::vhost::{Vhost, VhostLimits};

/// The global parameter that names the cluster.
pub(crate) const CLUSTER_NAME: &str = "cluster_name";

impl Node {
    /// What the cluster is called, which is this node alone.
    pub fn cluster_name(&self) -> String {
        let set = self.global_parameters().into_iter().find(|(name, _)| name == CLUSTER_NAME);
        let set = set.and_then(|(_, value)| Some(value.as_str()?.to_owned()));
        set.or_else(|| self.config().cluster_name.clone()).unwrap_or_else(|| Self::NAME.to_owned())
    }

    /// Sets a parameter of a virtual host.
    ///
    /// # Errors
    /// In RabbitMQ's words.
    pub fn set_parameter(
        self: &Arc<Self>,
        user: &str,
        id: &ParameterId,
        value: Value,
    ) -> Result<(), ParameterError> {
        names::check("parameter", &id.name).map_err(ParameterError::Invalid)?;
        let effect = checked(&id.component, &id.name, &value).map_err(ParameterError::Invalid)?;
        let _changing = self.vhosts.changing();
        let vhost = self.vhost_of(id)?;
        if let Effect::Policy(spec) = effect {
            let set = vhost.set_policy(user, self, Kind::Operator, spec);
            return set.map_err(ParameterError::Invalid);
        }
        if !self.parameters.set(id.clone(), value.clone()) {
            return Ok(());
        }
        self.declared().change(self.store(), vec![record::put_parameter(id, &value)]);
        self.tell(|| parameter_set(id, shown(&value), user));
        match effect {
            Effect::Limits(limits) if *id == ParameterId::limits(&id.vhost) => {
                vhost.limit(limits);
                self.tell(|| limits_set(&value, user));
            }
            Effect::Nothing => {
                let ParameterId { component, name, .. } = id;
                tracing::warn!(%component, %name, "this parameter is kept, but nothing comes of it");
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets a parameter of a virtual host, and what came of it.
    ///
    /// # Errors
    /// In RabbitMQ's words.
    pub fn clear_parameter(
        self: &Arc<Self>,
        user: &str,
        id: &ParameterId,
    ) -> Result<(), ParameterError> {
        if id.component == "policy" {
            let text = "policies may not be cleared using this method";
            return Err(ParameterError::Invalid(text.to_owned()));
        }
        let _changing = self.vhosts.changing();
        let vhost = self.vhost_of(id)?;
        if id.component == OPERATOR_POLICY {
            let cleared = vhost.clear_policy(user, self, Kind::Operator, &id.name);
            return if cleared { Ok(()) } else { Err(ParameterError::Missing) };
        }
        if !self.parameters.clear(id) {
            return Err(ParameterError::Missing);
        }
        self.declared().change(self.store(), vec![record::remove_parameter(id)]);
        if *id == ParameterId::limits(&id.vhost) {
            vhost.limit(VhostLimits::default());
        }
        self.tell_parameter_cleared(user, id);
        Ok(())
    }

    /// A parameter is gone, and what came of it.
    pub(super) fn tell_parameter_cleared(&self, user: &str, id: &ParameterId) {
        self.tell(|| parameter_cleared(id, user));
        if *id == ParameterId::limits(&id.vhost) {
            self.tell(|| {
                Event::new("vhost.limits.cleared")
                    .text("name", &id.name)
                    .text("user_who_performed_action", user)
            });
        }
    }

    /// All parameters of virtual hosts, operators' policies among them.
    pub fn parameters(&self) -> Vec<(ParameterId, Value)> {
        let mut all = self.parameters.all();
        for vhost in self.vhosts() {
            let policies = vhost.policies(Kind::Operator);
            let id = |policy: &Policy| ParameterId::new(OPERATOR_POLICY, &vhost.name, &policy.name);
            all.extend(policies.iter().map(|policy| (id(policy), as_parameter(policy))));
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The limits of a virtual host that are set, as they were set.
    pub fn vhost_limits(&self, vhost: &str) -> Option<Map<String, Value>> {
        match self.parameters.get(&ParameterId::limits(vhost)) {
            Some(Value::Object(limits)) => Some(limits),
            _ => None,
        }
    }

    /// Limits what a virtual host may have, or does so no longer.
    ///
    /// # Errors
    /// There is no such virtual host.
    pub fn set_vhost_limits(
        self: &Arc<Self>,
        user: &str,
        vhost: &str,
        limits: VhostLimits,
    ) -> Result<(), ParameterError> {
        let mut value = Map::new();
        let limits =
            [("max-connections", limits.max_connections), ("max-queues", limits.max_queues)];
        for (name, limit) in limits {
            value.extend(limit.map(|limit| (name.to_owned(), limit.into())));
        }
        self.set_parameter(user, &ParameterId::limits(vhost), Value::Object(value))
    }

    /// Sets a parameter of the broker.
    pub fn set_global_parameter(self: &Arc<Self>, user: &str, name: &str, value: Value) {
        let changing = self.vhosts.changing();
        self.parameters.set_global(name, value.clone());
        self.declared().change(self.store(), vec![record::global_parameter(name, Some(&value))]);
        drop(changing);
        self.tell(|| {
            Event::new("parameter.set")
                .text("component", "global")
                .text("name", name)
                .with("value", shown(&value))
                .text("user_who_performed_action", user)
        });
    }

    /// Forgets a parameter of the broker.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn clear_global_parameter(
        self: &Arc<Self>,
        user: &str,
        name: &str,
    ) -> Result<(), ParameterError> {
        let changing = self.vhosts.changing();
        if !self.parameters.clear_global(name) {
            return Err(ParameterError::Missing);
        }
        self.declared().change(self.store(), vec![record::global_parameter(name, None)]);
        drop(changing);
        self.tell(|| {
            Event::new("parameter.cleared")
                .text("component", "global")
                .text("name", name)
                .text("user_who_performed_action", user)
        });
        Ok(())
    }

    /// All parameters of the broker.
    pub fn global_parameters(&self) -> Vec<(String, Value)> {
        self.parameters.all_global()
    }

    /// Brings back what was set in a former life.
    ///
    /// # Errors
    /// Which record cannot be understood, and why.
    pub(crate) fn restore_parameters(&self, records: &[Record]) -> Result<(), String> {
        for record in records {
            match record {
                Record::GlobalParameter { name, value, .. } => {
                    self.parameters.set_global(name, value.clone());
                }
                Record::Parameter { vhost, component, name, value, .. } => {
                    let id = ParameterId::new(component, vhost, name);
                    let effect = checked(component, name, value)
                        .map_err(|why| format!("{record:?}: {why}"))?;
                    if let Effect::Limits(limits) = effect
                        && id == ParameterId::limits(vhost)
                        && let Some(vhost) = self.vhost(vhost)
                    {
                        vhost.limit(limits);
                    }
                    self.parameters.set(id, value.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn vhost_of(&self, id: &ParameterId) -> Result<Arc<Vhost>, ParameterError> {
        self.vhost(&id.vhost).ok_or_else(|| ParameterError::NoVhost(id.vhost.clone()))
    }
}

/// A policy of an operator as the parameter that it is to RabbitMQ.
pub(crate) fn as_parameter(policy: &Policy) -> Value {
    json!({
        "pattern": policy.pattern,
        "definition": policy.definition,
        "priority": policy.priority,
        "apply-to": policy.apply_to.name(),
    })
}

/// A parameter was set.
pub(crate) fn parameter_set(id: &ParameterId, value: AMQPValue, user: &str) -> Event {
    Event::new("parameter.set")
        .text("component", &id.component)
        .text("name", &id.name)
        .with("value", value)
        .by(&id.vhost, user)
}

/// A parameter is gone.
pub(crate) fn parameter_cleared(id: &ParameterId, user: &str) -> Event {
    Event::new("parameter.cleared")
        .text("component", &id.component)
        .text("name", &id.name)
        .by(&id.vhost, user)
}

fn limits_set(limits: &Value, user: &str) -> Event {
    let event = Event::new("vhost.limits.set").text("name", "limits");
    let fields = limits.as_object().into_iter().flatten();
    let event = fields.fold(event, |event, (name, limit)| event.with(name, shown(limit)));
    event.text("user_who_performed_action", user)
}
