//! What there is, for operators.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::{Exchange, QueueRecord, Target, Topology};
use crate::routing::Destination;

/// A binding by the names of what it binds.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The exchange that messages come from.
    pub source: &'a str,
    /// Where they go.
    pub target: Target<'a>,
    /// The binding key, byte for byte.
    pub key: &'a [u8],
    /// The arguments of the bind.
    pub arguments: &'a FieldTable,
}

impl<H: Clone> Topology<H> {
    /// All exchanges but the default one, in no order.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchange.values()
    }

    /// All queues, in no order.
    pub fn queues(&self) -> impl Iterator<Item = (&Arc<QueueRecord>, &H)> {
        let entries = self.queues.values().filter_map(|id| self.queue.get(id));
        entries.map(|entry| (&entry.record, &entry.handle))
    }

    /// How many queues there are.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// The queue of that name, whoever may use it.
    pub fn queue_named(&self, name: &str) -> Option<(&Arc<QueueRecord>, &H)> {
        let entry = self.queue.get(self.queues.get(name)?)?;
        Some((&entry.record, &entry.handle))
    }

    /// Whether there is a queue of that name, whoever may use it.
    pub fn has_queue(&self, name: &str) -> bool {
        self.queues.contains_key(name)
    }

    /// All bindings but those of the default exchange, in no order.
    pub fn all_bindings(&self) -> impl Iterator<Item = Bound<'_>> {
        self.exchange.values().flat_map(|exchange| {
            exchange.bindings.iter().filter_map(|binding| {
                let target = self.target(binding.dest)?;
                let (key, arguments) = (binding.key, binding.args);
                Some(Bound { source: &exchange.name, target, key, arguments })
            })
        })
    }

    fn target(&self, destination: Destination) -> Option<Target<'_>> {
        match destination {
            Destination::Queue(id) => {
                self.queue.get(&id).map(|entry| Target::Queue(&entry.record.name))
            }
            Destination::Exchange(id) => {
                self.exchange.get(&id).map(|found| Target::Exchange(&found.name))
            }
        }
    }
}
