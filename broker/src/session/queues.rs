//! The queues a connection deals with, under small numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::queue::Queue;
use crate::routing::QueueId;

/// Entries from which on it is worth looking for unused ones.
const PRUNE_FROM: usize = 256;

/// Queues by slot. A slot stays valid until [`QueueTable::prune`] finds it unused.
#[derive(Default)]
pub struct QueueTable {
    slots: Vec<Option<Arc<Queue>>>,
    free: Vec<u32>,
    by_id: HashMap<QueueId, u32>,
    prune_at: usize,
}

impl QueueTable {
    /// The slot of a queue.
    pub fn slot(&mut self, queue: &Arc<Queue>) -> u32 {
        let id = queue.record.id;
        if let Some(slot) = self.by_id.get(&id) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(queue.clone());
        }
        self.by_id.insert(id, slot);
        slot
    }

    /// The queue in a slot.
    pub fn get(&self, slot: u32) -> Option<&Arc<Queue>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Whether so many queues have come that [`Self::prune`] is due.
    pub fn is_crowded(&self) -> bool {
        self.by_id.len() >= self.prune_at.max(PRUNE_FROM)
    }

    /// Forgets all queues whose slots are not in use.
    pub fn prune(&mut self, in_use: &HashSet<u32>) {
        let unused = |slot: &u32| !in_use.contains(slot);
        for slot in self.by_id.extract_if(|_, slot| unused(slot)).map(|(_, slot)| slot) {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = None;
            }
            self.free.push(slot);
        }
        self.prune_at = 2 * self.by_id.len();
    }
}
