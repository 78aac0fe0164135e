//! Policies of a virtual host, and how its operators have messages flow.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Vhost;
use crate::error::Refusal;
use crate::events::{Event, INTERNAL_USER, json};
use crate::node::{Node, as_parameter, parameter_cleared, parameter_set};
use crate::parameters::{OPERATOR_POLICY, ParameterId};
use crate::policy::{Applied, Flow, Kind, Policy, PolicySpec};
use crate::queue::Queue;
use crate::topology::{Command, Outcome, Rerule};

impl Vhost {
    /// Sets a policy, at once for all that it matches.
    ///
    /// # Errors
    /// What is wrong with it, in RabbitMQ's words.
    pub fn set_policy(
        &self,
        user: &str,
        node: &Arc<Node>,
        kind: Kind,
        spec: PolicySpec,
    ) -> Result<(), String> {
        let policy = Arc::new(Policy::new(kind, spec)?);
        if self.policies(kind).contains(&policy) {
            return Ok(());
        }
        if kind == Kind::Operator {
            let id = self.operator_policy(&policy.name);
            node.tell(|| parameter_set(&id, json(&as_parameter(&policy)), user));
        }
        let command = Command::SetPolicy(kind, policy.clone());
        self.change_policies(node, command, |queue| {
            self.of_queue("queue.policy.updated", user, queue).all(policy.told())
        })
        .map_err(|refusal| refusal.text)?;
        let set = || Event::new("policy.set").text("name", &policy.name).by(&self.name, user);
        node.tell(|| set().all(policy.told()));
        Ok(())
    }

    /// Takes a policy away; `false` if there is none of that name.
    pub fn clear_policy(&self, user: &str, node: &Arc<Node>, kind: Kind, name: &str) -> bool {
        if !self.policies(kind).iter().any(|policy| policy.name == name) {
            return false;
        }
        if kind == Kind::Operator {
            node.tell(|| parameter_cleared(&self.operator_policy(name), user));
        }
        let done = self.change_policies(node, Command::ClearPolicy(kind, name), |queue| {
            self.of_queue("queue.policy.cleared", user, queue)
        });
        let cleared = done.unwrap_or_default();
        if cleared {
            self.tell_cleared(user, node, kind, name);
        }
        cleared
    }

    /// A policy is gone with its virtual host.
    pub(crate) fn tell_policy_gone(&self, user: &str, node: &Node, kind: Kind, name: &str) {
        if kind == Kind::Operator {
            node.tell(|| parameter_cleared(&self.operator_policy(name), user));
        }
        self.tell_cleared(user, node, kind, name);
    }

    fn tell_cleared(&self, user: &str, node: &Node, kind: Kind, name: &str) {
        let key = match kind {
            Kind::User => "policy.cleared",
            Kind::Operator => "operator.policy.cleared",
        };
        node.tell(|| Event::new(key).text("name", name).by(&self.name, user));
    }

    /// What RabbitMQ calls an operator's policy.
    fn operator_policy(&self, name: &str) -> ParameterId {
        ParameterId::new(OPERATOR_POLICY, &self.name, name)
    }

    /// Changes a policy, and tells of each queue before it has its other rules. `false` if there is no
    /// such policy.
    fn change_policies(
        &self,
        node: &Arc<Node>,
        command: Command<'_>,
        event: impl Fn(&Queue) -> Event,
    ) -> Result<bool, Refusal> {
        let Outcome::Reruled(changed) = self.apply_locked(INTERNAL_USER, node, command).outcome?
        else {
            return Ok(false);
        };
        for Rerule { queue, arguments, version } in changed {
            node.tell(|| event(&queue));
            queue.set_rules(&arguments, version);
        }
        Ok(true)
    }

    fn of_queue(&self, key: &'static str, user: &str, queue: &Queue) -> Event {
        let kind = if queue.is_quorum() { "rabbit_quorum_queue" } else { "rabbit_classic_queue" };
        Event::new(key).text("name", queue.name()).text("type", kind).by(&self.name, user)
    }

    /// Switches the firehose on or off; it stays so over a restart.
    pub fn set_tracing(&self, node: &Arc<Node>, on: bool) -> Result<(), Refusal> {
        self.apply(node, Command::SetTracing(on)).map(drop)
    }

    /// The policies of a kind, the first to count first.
    pub fn policies(&self, kind: Kind) -> Vec<Arc<Policy>> {
        self.read(|topology| topology.policies().of(kind).to_vec())
    }

    /// The policies of both kinds.
    pub(crate) fn all_policies(&self) -> Vec<(Kind, Arc<Policy>)> {
        let of = |kind| self.policies(kind).into_iter().map(move |policy| (kind, policy));
        of(Kind::User).chain(of(Kind::Operator)).collect()
    }

    /// The policies that count for a queue.
    pub fn queue_policies(&self, queue: &str) -> Result<Applied, Refusal> {
        self.read(|topology| topology.queue_policies(queue)).map(|(applied, _)| applied)
    }

    /// The policies that count for an exchange.
    pub fn exchange_policies(&self, exchange: &str) -> Result<Applied, Refusal> {
        self.read(|topology| topology.exchange(exchange).map(|found| found.applied.clone()))
    }

    /// How an operator has the messages of a queue flow.
    pub fn flow(&self, queue: &str) -> Result<Flow, Refusal> {
        self.read(|topology| topology.queue_policies(queue)).map(|(_, flow)| flow)
    }

    /// Pauses or resumes a queue, or limits how fast it delivers; what policies say holds besides.
    pub fn set_flow(&self, node: &Arc<Node>, queue: &str, flow: Flow) -> Result<(), Refusal> {
        self.apply(node, Command::SetFlow(queue, flow)).map(drop)
    }
}
