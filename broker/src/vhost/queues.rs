//! All queues at a time, for operators and samples: there may be very many, and they are asked for often.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Vhost;
use crate::queue::Queue;

/// Queues in no order.
pub type Queues = Arc<[Arc<Queue>]>;

/// The queues under some version of the topology. What is deleted meanwhile is kept until somebody asks
/// again: the sampler does, every few seconds.
pub(super) type Listed = Mutex<Option<(u64, Queues)>>;

impl Vhost {
    /// All queues, in no order.
    pub fn queues(&self) -> Queues {
        if let Some((version, queues)) = &*self.listed.lock()
            && *version == self.version()
        {
            return queues.clone();
        }
        let (version, queues) = self.read(|topology| {
            let queues = topology.queues().map(|(_, queue)| queue.clone());
            (self.version(), queues.collect::<Queues>())
        });
        // What was listed before, and perhaps the last of some queues, goes when the lock is given back.
        let _before = self.listed.lock().replace((version, queues.clone()));
        queues
    }
}
