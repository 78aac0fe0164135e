//! A virtual host: its topology behind a lock, and a version that tells when routes change.

mod members;
mod policies;
mod queues;
mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::declared::Change;
use crate::envelope;
use crate::error::Refusal;
use crate::events::topology::Happened;
use crate::events::{self, INTERNAL_USER};
use crate::mailbox::Mail;
use crate::message::Message;
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::{Command, Outcome, Past};
use crate::routing::{ExchangeId, QueueId, RouteInput};
use crate::stats::VhostStats;
use crate::topology::arguments;
use crate::topology::record::Record;
use crate::topology::{self, Census, QueueRecord, QueueSpec, Route, Topology};
pub use members::{Members, NoEntry};
pub use queues::Queues;
pub use spec::{VhostLimits, VhostSpec};

/// A virtual host.
pub struct Vhost {
    /// Its name.
    pub name: Arc<str>,
    /// Who is connected to it.
    pub members: Members,
    /// What happens in it.
    pub stats: VhostStats,
    spec: RwLock<Arc<VhostSpec>>,
    topology: RwLock<Topology<Arc<Queue>>>,
    version: AtomicU64,
    traced: AtomicBool,
    listed: queues::Listed,
}

impl Vhost {
    /// A virtual host with the predeclared exchanges.
    pub fn new(spec: VhostSpec, census: Arc<Census>) -> Self {
        let name = spec.name.as_str().into();
        let topology = RwLock::new(Topology::new(&spec.name, census));
        let (version, traced) = (AtomicU64::new(0), AtomicBool::new(false));
        let (members, spec) = (Members::default(), RwLock::new(Arc::new(spec)));
        let (stats, listed) = (VhostStats::default(), queues::Listed::default());
        Self { name, members, stats, spec, topology, version, traced, listed }
    }

    /// The name of the one that every broker has.
    pub const DEFAULT: &str = "/";

    /// Whether the firehose is on.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.traced.load(Ordering::Relaxed)
    }

    /// What is said of it.
    pub fn spec(&self) -> Arc<VhostSpec> {
        self.spec.read().clone()
    }

    /// Something else is said of it; who does that records it.
    pub(crate) fn set_spec(&self, spec: VhostSpec) {
        *self.spec.write() = Arc::new(spec);
    }

    /// From now on it may have so much; what is there stays.
    pub(crate) fn limit(&self, limits: VhostLimits) {
        self.members.set_max(limits.max_connections);
        let queues = limits.max_queues.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        self.topology.write().set_queues_max(queues);
    }

    /// Adds the type that a queue without one gets here, if it can be of that type.
    pub fn complete(&self, node: &Node, spec: &mut QueueSpec) {
        match (&self.spec().default_queue_type, node.config().default_queue_type.as_str()) {
            (Some(name), _) => arguments::add_type(spec, name),
            // That is what a queue without a type is.
            (None, "classic") => {}
            (None, name) => arguments::add_type(spec, name),
        }
    }

    /// Publishes a message of the broker itself.
    pub fn publish_inside(&self, message: &Message) {
        let exchange = String::from_utf8_lossy(message.exchange());
        let keys = [message.routing_key()];
        let input = envelope::route_input(message, &keys, None);
        let Ok(route) = self.route_inside(&exchange, &input, message) else { return };
        for queue in route.queues {
            queue.apply(Command::Publish(vec![message.clone()]));
        }
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

    /// Changes something for the broker itself, and carries out what comes of it.
    pub fn apply(
        &self,
        node: &Arc<Node>,
        command: topology::Command<'_>,
    ) -> Result<topology::Outcome<Arc<Queue>>, Refusal> {
        self.apply_by(INTERNAL_USER, node, command)
    }

    /// Changes something for a user.
    pub fn apply_by(
        &self,
        user: &str,
        node: &Arc<Node>,
        command: topology::Command<'_>,
    ) -> Result<topology::Outcome<Arc<Queue>>, Refusal> {
        let Applied { outcome, happened, gone } = self.apply_locked(user, node, command);
        for schedule in gone {
            schedule.apply(Command::Delete { if_unused: false, if_empty: false });
        }
        for one in happened {
            node.tell(|| one.event(&self.name, user, |owner| node.pid(owner, 0)));
        }
        match outcome? {
            topology::Outcome::Replay(queue, messages) => {
                queue.apply(Command::Publish(messages));
            }
            topology::Outcome::ReplayThrough(exchange, messages) => {
                messages.iter().for_each(|message| self.replay_through(exchange, message));
            }
            topology::Outcome::Reruled(changed) => {
                for topology::Rerule { queue, arguments, version } in changed {
                    queue.set_rules(&arguments, version);
                }
            }
            other => return Ok(other),
        }
        Ok(topology::Outcome::Done)
    }

    /// Publishes a message of a history once more, to an exchange newly bound to it.
    fn replay_through(&self, exchange: ExchangeId, message: &Message) {
        let headers = envelope::headers(message);
        let queues = envelope::addressed(message, headers.as_ref(), |input| {
            self.read(|topology| {
                let route = topology.route_from(exchange, &input);
                topology.remember(&route.histories, message);
                route.queues
            })
        });
        for queue in queues {
            queue.apply(Command::Publish(vec![message.clone()]));
        }
    }

    fn apply_locked(
        &self,
        user: &str,
        node: &Arc<Node>,
        command: topology::Command<'_>,
    ) -> Applied {
        let make = |record| self.new_queue(node, record, &[]);
        let mut topology = self.topology.write();
        topology.watch(node.events().wanted());
        topology.act_for(user);
        let outcome = topology.apply(node.now_ms(), command, make);
        self.look_at(node, &topology);
        self.version.fetch_add(1, Ordering::Release);
        // Under the lock, so that changes are recorded in order, and a queue before its messages.
        node.declared().change(node.store(), topology.take_changes());
        let (happened, gone) = (topology.take_happened(), topology.take_gone());
        Applied { outcome, happened, gone }
    }

    fn new_queue(&self, node: &Arc<Node>, record: Arc<QueueRecord>, past: &[Past]) -> Arc<Queue> {
        // What a delayed exchange holds back is in none of its queues yet.
        let totals = (!record.holds_back).then(|| self.stats.totals.clone());
        Queue::new(node.clone(), self.name.clone(), record, past, totals.unwrap_or_default())
    }

    /// Keeps at hand what must be known without a lock.
    fn look_at(&self, node: &Node, topology: &Topology<Arc<Queue>>) {
        self.traced.store(topology.is_traced(), Ordering::Relaxed);
        if *self.name == *Self::DEFAULT {
            let exchange = topology.exchange(events::EXCHANGE);
            node.events().set_bound(exchange.is_ok_and(|found| !found.bindings.is_empty()));
        }
    }

    /// Brings back what was declared in a former life. `past` tells what the store has of each level of
    /// a queue.
    ///
    /// # Errors
    /// Which record cannot be understood, and why.
    pub fn restore(
        &self,
        node: &Arc<Node>,
        records: &[&Record],
        past: impl Fn(QueueId) -> Vec<Past>,
    ) -> Result<(), String> {
        let make = |record: Arc<QueueRecord>| {
            let past = past(record.id);
            self.new_queue(node, record, &past)
        };
        let mut topology = self.topology.write();
        topology.restore(records, make)?;
        self.look_at(node, &topology);
        Ok(())
    }

    /// Tells of the exchanges that it has from the beginning.
    pub(crate) fn tell_predeclared(&self, user: &str, node: &Node) {
        for spec in topology::predeclared(&self.name) {
            node.tell(|| {
                Happened::ExchangeCreated(spec).event(&self.name, user, |_| String::new())
            });
        }
    }

    /// Takes all that it has away, for good, in one change together with others: this is what deletes a
    /// virtual host.
    pub(crate) fn close(&self, user: &str, node: &Arc<Node>, others: Vec<Change>) {
        let mut topology = self.topology.write();
        topology.watch(node.events().wanted());
        let queues = topology.close();
        self.look_at(node, &topology);
        self.version.fetch_add(1, Ordering::Release);
        let changes = topology.take_changes().into_iter().chain(others).collect();
        // Before the messages: a store that has forgotten some of them knows that all are to go.
        node.declared().change(node.store(), changes);
        let happened = topology.take_happened();
        drop(topology);
        for queue in queues {
            queue.apply(Command::Delete { if_unused: false, if_empty: false });
        }
        for one in happened {
            node.tell(|| one.event(&self.name, user, |owner| node.pid(owner, 0)));
        }
        let deleted = topology::deleted(&self.name);
        for connection in self.members.close() {
            node.post(connection, Mail::Close(deleted.clone()));
        }
    }

    /// Declares a queue for the broker itself, or finds the one that there is.
    pub fn declare_queue(&self, node: &Arc<Node>, spec: &QueueSpec) -> Result<Arc<Queue>, Refusal> {
        self.declare_queue_by(INTERNAL_USER, node, spec)
    }

    /// Declares a queue for a user, or finds the one that there is.
    pub fn declare_queue_by(
        &self,
        user: &str,
        node: &Arc<Node>,
        spec: &QueueSpec,
    ) -> Result<Arc<Queue>, Refusal> {
        node.stats().queue_declared.add(1);
        loop {
            // Most declarations are of queues that exist: they must not disturb anybody's routes.
            let declared = self.read(|topology| topology.declared_queue(spec));
            let queue = match declared.transpose()? {
                Some(queue) => queue,
                None => {
                    let declare = topology::Command::DeclareQueue(spec.clone());
                    match self.apply_by(user, node, declare)? {
                        topology::Outcome::New(queue) => {
                            node.stats().queue_created.add(1);
                            return Ok(queue);
                        }
                        topology::Outcome::Found(queue) => queue,
                        _ => continue,
                    }
                }
            };
            if !queue.is_deleted() {
                return Ok(queue);
            }
            // Another thread is between deleting the queue and forgetting it.
            self.forget_queue(node, queue.record.id);
        }
    }

    /// Deletes a queue for the broker itself if the conditions hold.
    pub fn delete_queue(
        &self,
        node: &Arc<Node>,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
    ) -> Outcome {
        self.delete_queue_by(INTERNAL_USER, node, queue, if_unused, if_empty)
    }

    /// Deletes a queue for a user if the conditions hold.
    pub fn delete_queue_by(
        &self,
        user: &str,
        node: &Arc<Node>,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
    ) -> Outcome {
        let outcome = queue.apply(Command::Delete { if_unused, if_empty });
        if matches!(outcome, Outcome::Dropped(_)) {
            // Removing can't be refused.
            let _ = self.apply_by(user, node, topology::Command::RemoveQueue(queue.record.id));
        }
        outcome
    }

    /// Removes a queue that deleted itself from the topology.
    pub fn forget_queue(&self, node: &Arc<Node>, id: QueueId) {
        // Removing can't be refused.
        let _ = self.apply(node, topology::Command::RemoveQueue(id));
    }
}

/// What a change has led to.
struct Applied {
    outcome: Result<topology::Outcome<Arc<Queue>>, Refusal>,
    happened: Vec<Happened>,
    /// What delayed exchanges held back that are gone.
    gone: Vec<Arc<Queue>>,
}
