//! Parameters: what is set at run time, by component, virtual host and name, as JSON. Limits of virtual
//! hosts and operators' policies come and go by them, too, which is how definitions carry those.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use parking_lot::RwLock;
use serde_json::Value;

pub use check::{Effect, checked};

/// What limits a virtual host.
pub const LIMITS: &str = "vhost-limits";

/// The policies of operators.
pub const OPERATOR_POLICY: &str = "operator_policy";

/// What names a parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterId {
    /// The virtual host that it belongs to.
    pub vhost: String,
    /// What it is for.
    pub component: String,
    /// Its name.
    pub name: String,
}

impl ParameterId {
    /// One of a component and a virtual host.
    pub fn new(component: &str, vhost: &str, name: &str) -> Self {
        Self { vhost: vhost.to_owned(), component: component.to_owned(), name: name.to_owned() }
    }

    /// The limits of a virtual host.
    pub fn limits(vhost: &str) -> Self {
        Self::new(LIMITS, vhost, "limits")
    }
}

/// Why a parameter was not set or cleared, in RabbitMQ's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// There is no such virtual host.
    #[error("Virtual host '{0}' does not exist")]
    NoVhost(String),
    /// There is no such parameter.
    #[error("Parameter does not exist")]
    Missing,
    /// What is wrong with it.
    #[error("{0}")]
    Invalid(String),
}

/// The parameters of a broker, but for those that are kept as what they have become.
#[derive(Debug, Default)]
pub struct Parameters {
    of_vhosts: RwLock<BTreeMap<ParameterId, Value>>,
    global: RwLock<BTreeMap<String, Value>>,
}

impl Parameters {
    /// Sets one; `true` if that is a change.
    pub(crate) fn set(&self, id: ParameterId, value: Value) -> bool {
        self.of_vhosts.write().insert(id, value.clone()) != Some(value)
    }

    /// Forgets one; `true` if it was there.
    pub(crate) fn clear(&self, id: &ParameterId) -> bool {
        self.of_vhosts.write().remove(id).is_some()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &ParameterId) -> Option<Value> {
        self.of_vhosts.read().get(id).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(ParameterId, Value)> {
        self.of_vhosts.read().iter().map(|(id, value)| (id.clone(), value.clone())).collect()
    }

    /// Forgets those of a virtual host.
    pub(crate) fn forget_vhost(&self, vhost: &str) -> Vec<ParameterId> {
        let mut all = self.of_vhosts.write();
        let gone: Vec<ParameterId> = all.keys().filter(|id| id.vhost == vhost).cloned().collect();
        gone.iter().for_each(|id| drop(all.remove(id)));
        gone
    }

    /// Sets one of the broker.
    pub(crate) fn set_global(&self, name: &str, value: Value) {
        self.global.write().insert(name.to_owned(), value);
    }

    /// Forgets one of the broker; `true` if it was there.
    pub(crate) fn clear_global(&self, name: &str) -> bool {
        self.global.write().remove(name).is_some()
    }

    /// All of the broker.
    pub(crate) fn all_global(&self) -> Vec<(String, Value)> {
        self.global.read().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
