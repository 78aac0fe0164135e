//! Policies, and what they make of the queues and exchanges that there are.

use std::sync::Arc;

use amq_protocol::types::FieldTable;
use serde_json::Value;

use super::record::{self, Record};
use super::{Entry, QueueRecord, QueueSpec, Topology, arguments};
use crate::error::Refusal;
use crate::policy::{Applied, Flow, Kind, Policies, Policy, PolicySpec, Subject};
use crate::routing::QueueId;

/// A queue whose rules are other ones now.
#[derive(Clone, Debug, PartialEq)]
pub struct Rerule<H> {
    /// Which.
    pub queue: H,
    /// What its rules follow from.
    pub arguments: FieldTable,
    /// Of the changes of a queue the one with the highest number counts.
    pub version: u64,
}

/// A queue, for policies.
pub(super) fn subject<'a>(name: &'a str, spec: &QueueSpec) -> Subject<'a> {
    Subject::Queue { name, quorum: arguments::is_quorum(&spec.arguments) }
}

impl<H: Clone> Topology<H> {
    /// The policies that there are.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The policies that count for a queue, and how an operator has its messages flow.
    pub fn queue_policies(&self, name: &str) -> Result<(Applied, Flow), Refusal> {
        self.entry(name).map(|entry| (entry.applied.clone(), entry.flow))
    }

    /// Adds a queue, made by the policies that count for it.
    pub(super) fn keep_queue(
        &mut self,
        id: QueueId,
        name: Arc<str>,
        spec: QueueSpec,
        flow: Flow,
        make: impl FnOnce(Arc<QueueRecord>) -> H,
    ) -> (H, Arc<QueueRecord>) {
        let applied = self.policies.applied(subject(&name, &spec));
        let merged = applied.over(&spec.arguments, flow);
        let record = Arc::new(QueueRecord { id, name, spec, merged, holds_back: false });
        let handle = make(record.clone());
        self.queues.insert(record.name.clone(), record.id);
        let entry = Entry { record: record.clone(), handle: handle.clone(), applied, flow };
        self.queue.insert(record.id, entry);
        self.census.queue_came();
        (handle, record)
    }

    pub(super) fn set_policy(&mut self, kind: Kind, policy: Arc<Policy>) -> Vec<Rerule<H>> {
        self.changes.push(record::put_policy(&self.vhost, kind, &policy));
        self.policies.set(kind, policy);
        self.follow_policies()
    }

    /// `None` if there is no such policy.
    pub(super) fn clear_policy(&mut self, kind: Kind, name: &str) -> Option<Vec<Rerule<H>>> {
        self.policies.clear(kind, name)?;
        self.changes.push(record::remove_policy(&self.vhost, kind, name));
        Some(self.follow_policies())
    }

    /// Whether the firehose is on.
    pub fn is_traced(&self) -> bool {
        self.traced
    }

    pub(super) fn set_tracing(&mut self, on: bool) {
        if self.traced != on {
            self.traced = on;
            self.changes.push(record::put_tracing(&self.vhost, on));
        }
    }

    pub(super) fn set_flow(&mut self, queue: &str, flow: Flow) -> Result<Rerule<H>, Refusal> {
        let id = self.entry(queue)?.record.id;
        self.rules_version += 1;
        let version = self.rules_version;
        let Some(entry) = self.queue.get_mut(&id) else {
            return Err(Refusal::not_found("queue", queue, &self.vhost));
        };
        entry.flow = flow;
        self.changes.extend(record::put_queue(&self.vhost, &entry.record, flow));
        Ok(rerule(entry, version))
    }

    /// Looks again which policies count for what; returns the queues for which that has changed.
    pub(super) fn follow_policies(&mut self) -> Vec<Rerule<H>> {
        for exchange in self.exchange.values_mut() {
            let applied = self.policies.applied(Subject::Exchange(&exchange.name));
            if applied != exchange.applied {
                exchange.follow(applied);
            }
        }
        self.rules_version += 1;
        let mut changed = Vec::new();
        for entry in self.queue.values_mut().filter(|entry| !entry.record.holds_back) {
            let subject = subject(&entry.record.name, &entry.record.spec);
            let applied = self.policies.applied(subject);
            if applied != entry.applied {
                entry.applied = applied;
                changed.push((entry.record.id, rerule(entry, self.rules_version)));
            }
        }
        // A hash map has no order.
        changed.sort_by_key(|(id, _)| *id);
        changed.into_iter().map(|(_, changed)| changed).collect()
    }

    /// The rules of all queues, under a new version.
    pub(super) fn remake_rules(&mut self) -> Vec<Rerule<H>> {
        self.rules_version += 1;
        let version = self.rules_version;
        let entries = self.queue.values().filter(|entry| !entry.record.holds_back);
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|entry| entry.record.id);
        entries.into_iter().map(|entry| rerule(entry, version)).collect()
    }

    pub(super) fn restore_policy(&mut self, record: &Record) -> Result<(), String> {
        self.traced |= matches!(record, Record::Tracing { .. });
        let Record::Policy { name, operator, pattern, apply_to, priority, definition, .. } = record
        else {
            return Ok(());
        };
        let kind = if *operator { Kind::Operator } else { Kind::User };
        let spec = PolicySpec {
            name: name.clone(),
            pattern: pattern.clone(),
            apply_to: apply_to.clone(),
            priority: *priority,
            definition: Value::Object(definition.clone()),
        };
        self.policies.set(kind, Arc::new(Policy::new(kind, spec)?));
        Ok(())
    }
}

fn rerule<H: Clone>(entry: &Entry<H>, version: u64) -> Rerule<H> {
    let own = &entry.record.spec.arguments;
    let arguments = entry.applied.over(own, entry.flow).unwrap_or_else(|| own.clone());
    Rerule { queue: entry.handle.clone(), arguments, version }
}
