//! The broker as a whole: virtual hosts, who is connected, alarms.

mod connections;
mod defaults;
mod entrance;
mod parameters;
mod vhosts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::Guard;
use dashmap::DashMap;
use tokio::sync::watch;

use crate::access::limits::Usage;
use crate::access::{Access, SetError};
use crate::alarm::{Alarm, Alarms};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::live::Live;
use crate::connection::Open;
use crate::declared::Declared;
use crate::durability::Durability;
use crate::error::Refusal;
use crate::events::{Event, Events};
use crate::mailbox::{Mail, Mailbox};
use crate::parameters::Parameters;
use crate::queue::load::Loader;
use crate::queue::state::Command;
use crate::queue::timers::Timers;
use crate::routing::QueueId;
use crate::stats::NodeStats;
use crate::stores::Stores;
pub use entrance::Place;
use lepus_protocol::reply::ReplyCode;
use lepus_storage::MessageStore;
pub(crate) use parameters::{as_parameter, parameter_cleared, parameter_set};
pub use vhosts::VhostError;
use vhosts::Vhosts;

/// The broker.
pub struct Node {
    config: Live,
    /// How often the configuration was read again.
    reloads: watch::Sender<u64>,
    vhosts: Vhosts,
    usage: Arc<Usage>,
    channels: AtomicU64,
    parameters: Parameters,
    mailboxes: DashMap<u64, Arc<Mailbox>>,
    open: DashMap<u64, Arc<Open>>,
    /// Connection and channel that await direct replies under a routing key.
    reply_consumers: DashMap<String, (u64, u16)>,
    connections: AtomicU64,
    transactions: AtomicU64,
    alarms: Alarms,
    stopping: AtomicBool,
    stores: Stores,
    loader: Loader,
    timers: Timers,
    hot_max: AtomicUsize,
    events: Events,
    clock: Clock,
    access: Arc<Access>,
    stats: NodeStats,
}

impl Node {
    /// A broker with the virtual host that every one begins with.
    pub fn new(config: Config, stores: Stores) -> Arc<Self> {
        Self::with_clock(config, stores, Clock::System)
    }

    /// The same, with a clock of its own.
    pub fn with_clock(config: Config, stores: Stores, clock: Clock) -> Arc<Self> {
        let vhosts = Vhosts::new(&config);
        let hot_max = AtomicUsize::new(config.hot_max());
        let access = Arc::new(Access::new(&config.auth));
        Arc::new(Self {
            config: Live::new(config),
            reloads: watch::Sender::new(0),
            stores,
            clock,
            access,
            loader: Loader::default(),
            timers: Timers::default(),
            hot_max,
            events: Events::default(),
            transactions: AtomicU64::new(0),
            vhosts,
            usage: Arc::default(),
            channels: AtomicU64::new(0),
            parameters: Parameters::default(),
            mailboxes: DashMap::new(),
            open: DashMap::new(),
            reply_consumers: DashMap::new(),
            connections: AtomicU64::new(0),
            alarms: Alarms::default(),
            stopping: AtomicBool::new(false),
            stats: NodeStats::default(),
        })
    }

    /// A broker that forgets everything when it ends.
    pub fn in_memory(config: Config) -> Arc<Self> {
        let node = Self::new(config, Stores::in_memory());
        if let Err(error) = node.set_up() {
            tracing::error!("no default user: {error}");
        }
        node
    }

    /// Makes what there is at the first start of all, unless something else was made before.
    ///
    /// # Errors
    /// What is configured for the default user makes no sense.
    pub fn set_up(&self) -> Result<(), SetError> {
        self.access.set_up(self)
    }

    /// Users and what they may do.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// What came and went.
    pub fn stats(&self) -> &NodeStats {
        &self.stats
    }

    /// Comings and goings, as [`crate::stats::CHURN`] names them.
    pub fn churn(&self) -> [u64; 7] {
        self.stats.churn(self.census().queues_deleted())
    }

    /// Its settings as they are now; not to be kept.
    pub fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// `max_message_size`, for each message.
    #[inline]
    pub fn max_message_size(&self) -> u64 {
        self.config.max_message_size()
    }

    /// Has other settings hold, as far as they are looked at again.
    pub fn reconfigure(self: &Arc<Self>, mut config: Config) {
        let before = self.config();
        config.data_dir.clone_from(&before.data_dir);
        config.connections_max = before.connections_max;
        let rules = config.consumer_timeout != before.consumer_timeout;
        drop(before);
        self.census().set_queues_max(config.queue_max);
        self.config.replace(config);
        for vhost in self.vhosts().iter().filter(|_| rules) {
            // It cannot be refused.
            let _ = vhost.apply(self, crate::topology::Command::RemakeRules);
        }
        self.reloads.send_modify(|times| *times += 1);
    }

    /// Changes whenever the configuration was read again, if nothing is different in it, too: then
    /// files that it names may be.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// The time, in ms since 1970.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Where the messages of durable queues are kept.
    pub fn store(&self) -> &dyn MessageStore {
        &*self.stores.messages
    }

    /// How far the message store is.
    pub fn durability(&self) -> &Durability {
        &self.stores.durability
    }

    /// What is declared, as it survives a restart.
    pub fn declared(&self) -> &Declared {
        &self.stores.declared
    }

    /// Who reads long backlogs.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Who tells queues that a time has come.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Who wants to be told what happens.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The name that events and traces give the broker.
    pub const NAME: &str = "rabbit@localhost";

    /// What events call a connection, or one of its channels: an identifier of Erlang's form.
    pub fn pid(&self, connection: u64, channel: u16) -> String {
        format!("<{}.{connection}.{channel}.0>", Self::NAME)
    }

    /// Whether messages are taken that must be stored.
    pub fn stores(&self) -> bool {
        !self.alarms.is_set(Alarm::Store)
    }

    /// Whether messages may leave where they are for others.
    pub fn takes_moves(&self) -> bool {
        self.stores() || self.store().keeps_room_for_moves()
    }

    /// A number for a transaction; not used again.
    pub fn new_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Octets of ready messages that a durable queue may hold in memory, as far as the store has
    /// them too.
    pub fn hot_max(&self) -> usize {
        self.hot_max.load(Ordering::Relaxed)
    }

    /// Changes [`Self::hot_max`] for all queues.
    pub fn set_hot_max(&self, octets: usize) {
        if self.hot_max.swap(octets, Ordering::Relaxed) == octets {
            return;
        }
        for vhost in self.vhosts() {
            for queue in vhost.read(|topology| topology.durable_queues()) {
                queue.apply(Command::Trim(octets));
            }
        }
    }

    /// What users have open.
    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Registers a connection: its id, never reused, and its mailbox.
    pub fn connect(&self) -> (u64, Arc<Mailbox>) {
        let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mailbox = Arc::new(Mailbox::default());
        self.mailboxes.insert(id, mailbox.clone());
        if self.is_stopping() {
            // It came when the others had been told.
            let _ = mailbox.post(Mail::Close(shutdown()));
        }
        (id, mailbox)
    }

    /// Forgets a connection.
    pub fn disconnect(&self, connection: u64) {
        self.closed(connection);
        self.mailboxes.remove(&connection);
    }

    /// A connection's mailbox.
    pub fn mailbox(&self, connection: u64) -> Option<Arc<Mailbox>> {
        self.mailboxes.get(&connection).map(|entry| entry.value().clone())
    }

    /// Leaves mail for a connection, if it still exists.
    pub fn post(&self, connection: u64, mail: Mail) -> bool {
        self.mailbox(connection).is_some_and(|mailbox| mailbox.post(mail).is_ok())
    }

    /// Direct replies with this routing key go to a channel.
    pub fn await_replies(&self, key: String, connection: u64, channel: u16) {
        self.reply_consumers.insert(key, (connection, channel));
    }

    /// Nobody awaits direct replies with this routing key any more.
    pub fn stop_replies(&self, key: &str) {
        self.reply_consumers.remove(key);
    }

    /// The connection and channel that await direct replies with a routing key.
    pub fn reply_consumer(&self, key: &str) -> Option<(u64, u16)> {
        self.reply_consumers.get(key).map(|entry| *entry.value())
    }

    /// Removes a queue that deleted itself.
    pub fn forget_queue(self: &Arc<Self>, vhost: &str, id: QueueId) {
        if let Some(vhost) = self.vhost(vhost) {
            vhost.forget_queue(self, id);
        }
    }

    /// Why publishers are held back, if they are.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Sets or clears an alarm and tells all connections. `true` if that is a change.
    pub fn set_alarm(&self, alarm: Alarm, on: bool) -> bool {
        let changed = self.alarms.set(alarm, on);
        if changed {
            self.tell_all(|| Mail::Alarm);
            let key = if on { "alarm.set" } else { "alarm.cleared" };
            self.tell(|| Event::new(key).text("source", alarm.name()).text("node", Self::NAME));
        }
        changed
    }

    /// Whether it takes leave of its clients for good.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// It does from now on.
    pub fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Closes all connections.
    pub fn close_all(&self) {
        self.tell_all(|| Mail::Close(shutdown()));
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.mailboxes.len()
    }

    /// Lets go of the queues, which hold on to the broker: what is left is freed with its users.
    pub fn dismantle(&self) {
        self.vhosts.dismantle();
    }

    /// Leaves mail for all connections.
    pub fn tell_all(&self, mail: impl Fn() -> Mail) {
        let all: Vec<_> = self.mailboxes.iter().map(|entry| entry.value().clone()).collect();
        for mailbox in all {
            // A connection that closes at this moment needs to hear nothing any more.
            let _ = mailbox.post(mail());
        }
    }
}

fn shutdown() -> Refusal {
    let text = "broker forced connection closure with reason 'shutdown'";
    Refusal::new(ReplyCode::ConnectionForced, text).without_method()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handshake may take longer than it takes to tell all others.
    #[test]
    fn who_comes_when_it_stops_is_told() {
        let node = Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() });
        node.begin_to_stop();
        let (_, mailbox) = node.connect();
        let mail = mailbox.collect(Vec::new());
        assert!(
            matches!(&mail[..], [Mail::Close(refusal)] if refusal.code == ReplyCode::ConnectionForced)
        );
    }
}
