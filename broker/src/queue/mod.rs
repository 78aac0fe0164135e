//! A queue as the rest of the broker holds it: a handle that owns concurrency.
//!
//! Any thread applies commands under a short lock. What a command leads to outside is carried out
//! after the lock is given back, by one thread at a time ([`Queue::carry_out`]), so that
//! deliveries to a consumer stay in order without two locks ever being held at once.

pub mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::clock::now_ms;
use crate::mailbox::Mail;
use crate::node::Node;
use crate::topology::QueueRecord;
use state::{
    Command, Config, ConsumerKey, Counts, DELIVERY_COST, Delivery, Effects, Notice, Outcome, State,
};

/// A queue.
pub struct Queue {
    /// What was declared.
    pub record: Arc<QueueRecord>,
    /// The virtual host that it belongs to.
    vhost: Arc<str>,
    node: Arc<Node>,
    inner: Mutex<Inner>,
    /// Octets of the ready messages, bookkeeping included, for whoever needs no more than a hint.
    backlog: AtomicUsize,
    has_consumers: AtomicBool,
}

struct Inner {
    state: State,
    effects: Effects,
    /// A thread is carrying out effects and will carry out those that come meanwhile.
    busy: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(node: Arc<Node>, vhost: Arc<str>, record: Arc<QueueRecord>) -> Arc<Self> {
        let config = Config { auto_delete: record.spec.auto_delete };
        let inner = Inner { state: State::new(config), effects: Effects::default(), busy: false };
        let (backlog, has_consumers) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { record, vhost, node, inner: Mutex::new(inner), backlog, has_consumers })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Carries out a command and what it leads to.
    pub fn apply(self: &Arc<Self>, command: Command) -> Outcome {
        let mut inner = self.inner.lock();
        let Inner { state, effects, .. } = &mut *inner;
        let outcome = state.apply(now_ms(), command, effects);
        let counts = state.counts();
        let octets = counts.ready * DELIVERY_COST as usize + counts.ready_bytes as usize;
        self.backlog.store(octets, Ordering::Relaxed);
        self.has_consumers.store(counts.consumers > 0, Ordering::Relaxed);
        if inner.effects.is_empty() || inner.busy {
            return outcome;
        }
        inner.busy = true;
        while !inner.effects.is_empty() {
            let effects = std::mem::take(&mut inner.effects);
            drop(inner);
            self.carry_out(effects);
            inner = self.inner.lock();
        }
        inner.busy = false;
        outcome
    }

    /// Counts as of now.
    pub fn counts(&self) -> Counts {
        self.inner.lock().state.counts()
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.inner.lock().state.is_deleted()
    }

    /// Octets of the ready messages if there are consumers that will take them some time, else 0.
    pub fn backlog_of_consumers(&self) -> usize {
        if self.has_consumers.load(Ordering::Relaxed) {
            self.backlog.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    fn carry_out(self: &Arc<Self>, effects: Effects) {
        for (connection, deliveries) in by_connection(effects.deliveries) {
            self.deliver(connection, deliveries);
        }
        for notice in effects.notices {
            match notice {
                Notice::Cancelled(key) => self.tell(key, Mail::Cancelled(key)),
                Notice::Wanted(key) => self.tell(key, Mail::Wanted(key)),
                Notice::Deleted => self.node.forget_queue(&self.vhost, self.record.id),
            }
        }
    }

    /// A consumer whose connection is gone needs no notice.
    fn tell(&self, key: ConsumerKey, mail: Mail) {
        let _ = self.node.post(key.connection, mail);
    }

    fn deliver(self: &Arc<Self>, connection: u64, deliveries: Vec<Delivery>) {
        let Some(mailbox) = self.node.mailbox(connection) else {
            return self.undo(deliveries);
        };
        if let Err(Mail::Deliveries(_, deliveries)) =
            mailbox.post(Mail::Deliveries(self.clone(), deliveries))
        {
            self.undo(deliveries);
        }
    }

    /// The connection is gone: its messages return. Called with `busy` set, so this only queues
    /// further effects for the loop in [`Self::apply`].
    fn undo(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        self.apply(undo_command(deliveries));
    }
}

/// The command that takes deliveries back which no peer has seen.
pub fn undo_command(deliveries: Vec<Delivery>) -> Command {
    Command::Undo(deliveries.into_iter().map(|delivery| delivery.entry).collect())
}

/// Sorts deliveries by connection, each connection's in order.
fn by_connection(deliveries: Vec<Delivery>) -> Vec<(u64, Vec<Delivery>)> {
    let connection_of = |delivery: &Delivery| delivery.to.connection;
    let Some(first) = deliveries.first().map(connection_of) else { return Vec::new() };
    if deliveries.iter().all(|delivery| connection_of(delivery) == first) {
        return vec![(first, deliveries)];
    }
    let mut groups: Vec<(u64, Vec<Delivery>)> = Vec::new();
    for delivery in deliveries {
        let ConsumerKey { connection, .. } = delivery.to;
        match groups.iter_mut().find(|(of, _)| *of == connection) {
            Some((_, group)) => group.push(delivery),
            None => groups.push((connection, vec![delivery])),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
