//! What the topologies of all virtual hosts have in common.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::Refusal;

/// Ids up to here are those of predeclared exchanges, the same ones in each virtual host: they never
/// have messages in the store, and bindings of a former life name them.
pub(super) const LAST_PREDECLARED: u64 = 1000;

/// The ids of queues and exchanges, which name their messages in the store, and how many queues there
/// are.
#[derive(Debug)]
pub struct Census {
    last_id: AtomicU64,
    queues: AtomicUsize,
    queues_deleted: AtomicU64,
    /// More than there can be: any number.
    queues_max: AtomicUsize,
}

impl Default for Census {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Census {
    /// Of a broker that may have so many queues.
    pub fn new(queues_max: Option<u32>) -> Self {
        let (last_id, queues) = (AtomicU64::new(LAST_PREDECLARED), AtomicUsize::new(0));
        let queues_max = AtomicUsize::new(queues_max.map_or(usize::MAX, |max| max as usize));
        Self { last_id, queues, queues_deleted: AtomicU64::new(0), queues_max }
    }

    /// From now on there may be so many queues; those that there are stay.
    pub fn set_queues_max(&self, max: Option<u32>) {
        self.queues_max.store(max.map_or(usize::MAX, |max| max as usize), Ordering::Relaxed);
    }

    /// An id that nothing has.
    pub(super) fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Something has, or had, an id.
    pub fn id_is_known(&self, id: u64) {
        self.last_id.fetch_max(id, Ordering::Relaxed);
    }

    /// The last id that anything has got.
    #[cfg(test)]
    pub(super) fn last_id(&self) -> u64 {
        self.last_id.load(Ordering::Relaxed)
    }

    /// How many queues there are.
    pub fn queues(&self) -> usize {
        self.queues.load(Ordering::Relaxed)
    }

    /// How many queues were deleted.
    pub fn queues_deleted(&self) -> u64 {
        self.queues_deleted.load(Ordering::Relaxed)
    }

    /// Refuses one more queue than there may be.
    pub(super) fn check_queues(&self, name: &str) -> Result<(), Refusal> {
        let max = self.queues_max.load(Ordering::Relaxed);
        if self.queues() < max {
            return Ok(());
        }
        Err(Refusal::precondition(format_args!(
            "cannot declare queue '{name}': queue limit in cluster ({max}) is reached"
        )))
    }

    pub(super) fn queue_came(&self) {
        self.queues.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn queue_went(&self) {
        self.queues.fetch_sub(1, Ordering::Relaxed);
        self.queues_deleted.fetch_add(1, Ordering::Relaxed);
    }
}
