//! What each new virtual host begins with.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::Node;
use crate::access::password::PasswordHash;
use crate::access::{Permission, User, UserLimits};
use crate::config::DefaultUser;
use crate::events::INTERNAL_USER;
use crate::policy::{Kind, PolicySpec};
use crate::vhost::{Vhost, VhostLimits};

impl Node {
    /// Gives a new virtual host the limits of the first rule for it, and all users and operator policies
    /// for it.
    pub(crate) fn give_defaults(self: &Arc<Self>, vhost: &Vhost) {
        let config = Arc::clone(&self.config());
        let limits = config.default_limits.values();
        if let Some(limits) = limits.into_iter().find(|rule| is_for(&rule.pattern, &vhost.name)) {
            let limits = VhostLimits {
                max_connections: limits.max_connections.map(u64::from),
                max_queues: limits.max_queues.map(u64::from),
            };
            if let Err(error) = self.set_vhost_limits(INTERNAL_USER, &vhost.name, limits) {
                tracing::error!(vhost = &*vhost.name, "default limits: {error}");
            }
        }
        let users = config.default_users.iter();
        for (name, user) in users.filter(|(_, user)| is_for(&user.vhost_pattern, &vhost.name)) {
            self.let_in(name, user, &vhost.name);
        }
        let policies = config.default_policies.iter();
        for (name, policy) in policies.filter(|(_, rule)| is_for(&rule.vhost_pattern, &vhost.name))
        {
            let definition = policy.definition.iter();
            let spec = PolicySpec {
                name: name.clone(),
                pattern: policy.queue_pattern.clone().unwrap_or_else(|| ".*".to_owned()),
                apply_to: "queues".to_owned(),
                priority: 0,
                definition: definition
                    .map(|(key, value)| (key.clone(), Value::from(*value)))
                    .collect(),
            };
            if let Err(error) = vhost.set_policy(INTERNAL_USER, self, Kind::Operator, spec) {
                tracing::error!(vhost = &*vhost.name, "default policy {name}: {error}");
            }
        }
    }

    /// Who is there already keeps password and tags.
    fn let_in(&self, name: &str, user: &DefaultUser, vhost: &str) {
        let hashing = self.config().password_hashing;
        if self.access().user(name).is_none() {
            let made = User {
                name: name.to_owned(),
                password: user.password.as_ref().map(|word| PasswordHash::new(hashing, word)),
                tags: user.tags.clone(),
                limits: UserLimits::default(),
            };
            self.access().put_user(INTERNAL_USER, self, made);
        }
        let [configure, write, read] = user.permissions.clone();
        let (user, vhost) = (name.to_owned(), vhost.to_owned());
        let permission = Permission { user, vhost, configure, write, read };
        if let Err(error) = self.access().set_permission(INTERNAL_USER, self, permission) {
            tracing::error!("default user {name}: {error}");
        }
    }
}

fn is_for(pattern: &Option<String>, vhost: &str) -> bool {
    let pattern = pattern.as_ref().map(|pattern| Regex::new(pattern));
    pattern.is_none_or(|pattern| pattern.is_ok_and(|pattern| pattern.is_match(vhost)))
}
