//! What the configuration has for virtual hosts to come.

use std::sync::Arc;

use regex::Regex;

use super::Node;
use crate::policy::{Kind, PolicySpec};
use crate::vhost::VhostLimits;

impl Node {
    /// Gives a new virtual host its limits, the first that its name matches, and operators' policies.
    pub(crate) fn apply_defaults(self: &Arc<Self>, user: &str, name: &str) {
        let config = self.config();
        let mut limits = config.default_limits.values();
        let limits = limits.find(|limits| matches(limits.pattern.as_deref(), name)).map(|found| {
            let max = |max: Option<u32>| max.map(u64::from);
            VhostLimits {
                max_connections: max(found.max_connections),
                max_queues: max(found.max_queues),
            }
        });
        let policies = config.default_policies.iter();
        let policies = policies.filter(|(_, of)| matches(of.vhost_pattern.as_deref(), name));
        let policies = policies.map(|(policy, found)| PolicySpec {
            name: policy.clone(),
            pattern: found.queue_pattern.clone().unwrap_or_else(|| ".*".to_owned()),
            apply_to: String::new(),
            priority: 0,
            definition: serde_json::json!(found.definition),
        });
        let policies: Vec<PolicySpec> = policies.collect();
        drop(config);
        let set = limits.filter(|limits| *limits != VhostLimits::default()).map(|limits| {
            let set = self.set_vhost_limits(user, name, limits);
            set.map_err(|why| why.to_string())
        });
        // It may be gone already.
        let vhost = self.vhost(name);
        let set_policy = |policy| {
            let set =
                vhost.as_ref().map(|vhost| vhost.set_policy(user, self, Kind::Operator, policy));
            set.unwrap_or(Ok(()))
        };
        for why in
            set.into_iter().chain(policies.into_iter().map(set_policy)).filter_map(Result::err)
        {
            tracing::warn!(vhost = name, "a default of the configuration is not set: {why}");
        }
    }
}

/// Without a pattern all do. One that is none matches nothing; the configuration's reader refuses it.
fn matches(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name)))
}
