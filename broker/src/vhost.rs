//! A virtual host: its topology behind a lock, and a version that tells when routes change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::error::Refusal;
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::{Command, Outcome};
use crate::routing::QueueId;
use crate::topology::{QueueSpec, Topology};

/// A virtual host.
pub struct Vhost {
    /// Its name.
    pub name: Arc<str>,
    topology: RwLock<Topology<Arc<Queue>>>,
    version: AtomicU64,
}

impl Vhost {
    /// A virtual host with the predeclared exchanges.
    pub fn new(name: &str) -> Self {
        let topology = RwLock::new(Topology::new(name));
        Self { name: name.into(), topology, version: AtomicU64::new(0) }
    }

    /// Grows with each change of the topology: what was read under an older version may be stale.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Looks something up.
    pub fn read<R>(&self, look: impl FnOnce(&Topology<Arc<Queue>>) -> R) -> R {
        look(&self.topology.read())
    }

    /// Changes something.
    pub fn change<R>(&self, change: impl FnOnce(&mut Topology<Arc<Queue>>) -> R) -> R {
        let mut topology = self.topology.write();
        let result = change(&mut topology);
        self.version.fetch_add(1, Ordering::Release);
        result
    }

    /// Declares a queue, or finds the one that there is. The flag tells if it is new.
    pub fn declare_queue(
        &self,
        node: &Arc<Node>,
        spec: QueueSpec,
    ) -> Result<(Arc<Queue>, bool), Refusal> {
        loop {
            // Most declarations are of queues that exist: they must not disturb anybody's routes.
            if let Some(declared) = self.read(|topology| topology.declared_queue(&spec)) {
                let queue = declared?;
                if !queue.is_deleted() {
                    return Ok((queue, false));
                }
            }
            let make = |record| Queue::new(node.clone(), self.name.clone(), record);
            let (queue, new) =
                self.change(|topology| topology.declare_queue(spec.clone(), make))?;
            if new || !queue.is_deleted() {
                return Ok((queue, new));
            }
            // Another thread is between deleting the queue and forgetting it.
            self.forget_queue(queue.record.id);
        }
    }

    /// Deletes a queue if the conditions hold.
    pub fn delete_queue(&self, queue: &Arc<Queue>, if_unused: bool, if_empty: bool) -> Outcome {
        let outcome = queue.apply(Command::Delete { if_unused, if_empty });
        if matches!(outcome, Outcome::Dropped(_)) {
            self.forget_queue(queue.record.id);
        }
        outcome
    }

    /// Removes a queue that deleted itself from the topology.
    pub fn forget_queue(&self, id: QueueId) {
        self.change(|topology| topology.remove_queue(id));
    }
}
