//! The broker as a whole: virtual hosts, who is connected, alarms.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use parking_lot::RwLock;

use crate::config::Config;
use crate::error::Refusal;
use crate::mailbox::{Mail, Mailbox};
use crate::routing::QueueId;
use crate::vhost::Vhost;
use lepus_protocol::reply::ReplyCode;

/// The broker.
pub struct Node {
    /// Its settings.
    pub config: Config,
    vhosts: RwLock<HashMap<String, Arc<Vhost>>>,
    mailboxes: DashMap<u64, Arc<Mailbox>>,
    /// Connection and channel that await direct replies under a routing key.
    reply_consumers: DashMap<String, (u64, u16)>,
    connections: AtomicU64,
    memory_alarm: AtomicBool,
}

impl Node {
    /// A broker with the virtual host `/`.
    pub fn new(config: Config) -> Arc<Self> {
        let vhosts = HashMap::from([("/".to_owned(), Arc::new(Vhost::new("/")))]);
        Arc::new(Self {
            config,
            vhosts: RwLock::new(vhosts),
            mailboxes: DashMap::new(),
            reply_consumers: DashMap::new(),
            connections: AtomicU64::new(0),
            memory_alarm: AtomicBool::new(false),
        })
    }

    /// Finds a virtual host.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.read().get(name).cloned()
    }

    /// Registers a connection: its id, never reused, and its mailbox.
    pub fn connect(&self) -> (u64, Arc<Mailbox>) {
        let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mailbox = Arc::new(Mailbox::default());
        self.mailboxes.insert(id, mailbox.clone());
        (id, mailbox)
    }

    /// Forgets a connection.
    pub fn disconnect(&self, connection: u64) {
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

    /// Whether publishers are held back because memory is short.
    pub fn memory_alarm(&self) -> bool {
        self.memory_alarm.load(Ordering::Relaxed)
    }

    /// Sets or clears the alarm and tells all connections.
    pub fn set_memory_alarm(&self, on: bool) {
        if self.memory_alarm.swap(on, Ordering::Relaxed) != on {
            self.tell_all(|| Mail::Alarm);
        }
    }

    /// Closes all connections, as an operator does.
    pub fn close_all(&self, text: &str) {
        let forced = Refusal::new(ReplyCode::ConnectionForced, text).without_method();
        self.tell_all(|| Mail::Close(forced.clone()));
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.mailboxes.len()
    }

    fn tell_all(&self, mail: impl Fn() -> Mail) {
        let all: Vec<_> = self.mailboxes.iter().map(|entry| entry.value().clone()).collect();
        for mailbox in all {
            // A connection that closes at this moment needs to hear nothing any more.
            let _ = mailbox.post(mail());
        }
    }
}
