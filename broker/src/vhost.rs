//! A virtual host: its topology behind a lock, and a version that tells when routes change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::clock::now_ms;
use crate::envelope;
use crate::error::Refusal;
use crate::message::Message;
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::{Command, Outcome, Past};
use crate::routing::{ExchangeId, QueueId, RouteInput};
use crate::topology::record::Record;
use crate::topology::{self, QueueRecord, QueueSpec, Route, Topology};

/// What became of a change of the topology.
type Change = Result<topology::Outcome<Arc<Queue>>, Refusal>;

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

    /// The queues of a message that was published to `exchange`; histories on the way keep it.
    pub fn route(
        &self,
        exchange: &str,
        input: &RouteInput<'_>,
        message: &Message,
    ) -> Result<Route<Arc<Queue>>, Refusal> {
        self.remembered(message, |topology| topology.route(exchange, input))
    }

    /// As [`Self::route`], for the broker itself: internal exchanges are open to it.
    pub fn route_inside(
        &self,
        exchange: &str,
        input: &RouteInput<'_>,
        message: &Message,
    ) -> Result<Route<Arc<Queue>>, Refusal> {
        self.remembered(message, |topology| topology.route_inside(exchange, input))
    }

    /// Finds a message's route; histories on the way keep it before the topology may change.
    fn remembered(
        &self,
        message: &Message,
        route: impl FnOnce(&Topology<Arc<Queue>>) -> Result<Route<Arc<Queue>>, Refusal>,
    ) -> Result<Route<Arc<Queue>>, Refusal> {
        self.read(|topology| {
            let route = route(topology)?;
            topology.remember(&route.histories, message);
            Ok(route)
        })
    }

    /// Changes something, and carries out what comes of it.
    pub fn apply(
        &self,
        node: &Arc<Node>,
        command: topology::Command<'_>,
    ) -> Result<topology::Outcome<Arc<Queue>>, Refusal> {
        let (outcome, gone) = self.apply_locked(node, command);
        for schedule in gone {
            schedule.apply(Command::Delete { if_unused: false, if_empty: false });
        }
        match outcome? {
            topology::Outcome::Replay(queue, messages) => {
                queue.apply(Command::Publish(messages));
            }
            topology::Outcome::ReplayThrough(exchange, messages) => {
                messages.iter().for_each(|message| self.replay_through(exchange, message));
            }
            other => return Ok(other),
        }
        Ok(topology::Outcome::Done)
    }

    /// Publishes a message of a history once more, to an exchange newly bound to it.
    fn replay_through(&self, exchange: ExchangeId, message: &Message) {
        let headers = envelope::headers(message);
        let extra = headers.as_ref().and_then(|headers| envelope::extra_keys(headers).ok());
        let extra = extra.unwrap_or_default();
        let keys = envelope::keys(message, &extra);
        let input = envelope::route_input(message, &keys, headers.as_ref());
        let queues = self.read(|topology| {
            let route = topology.route_from(exchange, &input);
            topology.remember(&route.histories, message);
            route.queues
        });
        for queue in queues {
            queue.apply(Command::Publish(vec![message.clone()]));
        }
    }

    fn apply_locked(
        &self,
        node: &Arc<Node>,
        command: topology::Command<'_>,
    ) -> (Change, Vec<Arc<Queue>>) {
        let make = |record| Queue::new(node.clone(), self.name.clone(), record, Past::default());
        let mut topology = self.topology.write();
        let outcome = topology.apply(now_ms(), command, make);
        self.version.fetch_add(1, Ordering::Release);
        // Under the lock, so that changes are recorded in order, and a queue before its messages.
        node.declared().change(node.store(), topology.take_changes());
        (outcome, topology.take_gone())
    }

    /// Brings back what was declared in a former life. `past` tells what the store has of a queue.
    ///
    /// # Errors
    /// Which record cannot be understood, and why.
    pub fn restore(
        &self,
        node: &Arc<Node>,
        records: &[Record],
        next_id: u64,
        past: impl Fn(QueueId) -> Past,
    ) -> Result<(), String> {
        let make = |record: Arc<QueueRecord>| {
            let past = past(record.id);
            Queue::new(node.clone(), self.name.clone(), record, past)
        };
        self.topology.write().restore(records, next_id, make)
    }

    /// Declares a queue, or finds the one that there is.
    pub fn declare_queue(&self, node: &Arc<Node>, spec: &QueueSpec) -> Result<Arc<Queue>, Refusal> {
        loop {
            // Most declarations are of queues that exist: they must not disturb anybody's routes.
            let declared = self.read(|topology| topology.declared_queue(spec));
            let queue = match declared.transpose()? {
                Some(queue) => queue,
                None => match self.apply(node, topology::Command::DeclareQueue(spec.clone()))? {
                    topology::Outcome::New(queue) => return Ok(queue),
                    topology::Outcome::Found(queue) => queue,
                    _ => continue,
                },
            };
            if !queue.is_deleted() {
                return Ok(queue);
            }
            // Another thread is between deleting the queue and forgetting it.
            self.forget_queue(node, queue.record.id);
        }
    }

    /// Deletes a queue if the conditions hold.
    pub fn delete_queue(
        &self,
        node: &Arc<Node>,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
    ) -> Outcome {
        let outcome = queue.apply(Command::Delete { if_unused, if_empty });
        if matches!(outcome, Outcome::Dropped(_)) {
            self.forget_queue(node, queue.record.id);
        }
        outcome
    }

    /// Removes a queue that deleted itself from the topology.
    pub fn forget_queue(&self, node: &Arc<Node>, id: QueueId) {
        // Removing can't be refused.
        let _ = self.apply(node, topology::Command::RemoveQueue(id));
    }
}
