//! A queue as the rest of the broker holds it: a handle that owns concurrency.
//!
//! Any thread applies commands under a short lock. What a command leads to outside is carried out
//! after the lock is given back, by one thread at a time ([`Queue::carry_out`]), so that what the
//! store is told and what consumers are given stays in order without two locks ever being held.

mod bury;
mod complaints;
mod death;
pub mod load;
pub mod look;
pub mod orders;
mod postpone;
mod recall;
mod receipt;
mod rounds;
mod rules;
pub mod state;
mod targets;
pub mod timers;
pub mod waiting;
mod writes;

use lepus_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use lepus_storage::{MessageStore, QueueId};
use lepus_sync::Mutex;

use crate::mailbox::Mail;
use crate::message::Message;
use crate::node::Node;
use crate::stats::{Messages, Numbers, Tick, Totals, Track, numbers};
use crate::topology::QueueRecord;
use crate::topology::arguments::is_quorum;
use orders::Order;
use receipt::Leaving;
pub use receipt::{Fate, Receipt, Transaction};
use rounds::Rounds;
use state::schedule::Note;
use state::{
    Command, Config, ConsumerKey, ConsumerStatus, Counts, DELIVERY_COST, Delivery, Effects,
    HeldSince, Notice, Outcome, Past, Rules, State, Status,
};
use writes::{Write, Writes};

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
    /// Its ready messages, those that consumers hold, and the consumers.
    lengths: [AtomicUsize; 3],
    /// When the earliest timer that was set will come, in ms since 1970.
    timer: AtomicU64,
    /// Publishes may be refused by the queue.
    refuses: AtomicBool,
    /// Batches of dead letters that were passed on to another thread: those after them must not overtake.
    passed: AtomicUsize,
    is_quorum: bool,
    /// Of its virtual host.
    totals: Arc<Totals>,
    /// What it has done, what it has, and how long its consumers could take messages.
    pub track: Track<17>,
}

struct Inner {
    state: State,
    effects: Effects,
    writes: Writes,
    /// What moves messages that were due and is not done yet.
    moves: Vec<Arc<Transaction>>,
    rounds: Rounds,
    /// By their numbers, what somebody wants to leave.
    orders: Vec<(u64, Arc<Order>)>,
    /// A thread is carrying out effects and will carry out those that come meanwhile.
    busy: bool,
    /// What is among [`Queue::totals`].
    counted: Counts,
    /// When something was last asked of it by others than itself, in ms since 1970.
    active: u64,
}

impl Inner {
    fn numbers(&self, now: u64) -> Numbers {
        let counts = self.state.counts();
        let lengths = [counts.ready as u64, counts.unacked as u64];
        numbers(&self.state.stats(), lengths, self.state.served(now))
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Queue {
    /// A queue with what the store has of each of its levels, the lowest first. What it has counts among
    /// `totals`.
    pub fn new(
        node: Arc<Node>,
        vhost: Arc<str>,
        record: Arc<QueueRecord>,
        past: &[Past],
        totals: Arc<Totals>,
    ) -> Arc<Self> {
        let config = Config {
            auto_delete: record.spec.auto_delete,
            durable: record.spec.durable.then_some(QueueId(record.id.0)),
            hot_max: node.hot_max(),
            priorities: rules::priorities(record.arguments()),
        };
        let rules = Arc::new(rules_of(&node, &record, record.arguments()));
        let refuses = AtomicBool::new(rules.refuses());
        let inner = Inner {
            state: State::new(config, rules, past, node.now_ms()),
            effects: Effects::default(),
            writes: Writes::default(),
            moves: Vec::new(),
            rounds: Rounds::default(),
            orders: Vec::new(),
            busy: false,
            counted: Counts::default(),
            active: node.now_ms(),
        };
        let (backlog, lengths) = (AtomicUsize::new(0), Default::default());
        let timer = AtomicU64::new(u64::MAX);
        let inner = Mutex::new(inner);
        let is_quorum = is_quorum(&record.spec.arguments);
        let queue = Arc::new(Self {
            record,
            vhost,
            node,
            inner,
            backlog,
            lengths,
            timer,
            refuses,
            passed: AtomicUsize::new(0),
            is_quorum,
            totals,
            track: Track::default(),
        });
        let mut inner = queue.inner.lock();
        queue.count(&mut inner);
        let due = inner.state.next_due();
        drop(inner);
        queue.set_timer(due);
        queue
    }

    fn set_timer(self: &Arc<Self>, due: Option<u64>) {
        let Some(due) = due else { return };
        let before = self.timer.fetch_min(due, Ordering::Relaxed);
        if due < before {
            self.node.timers().set(due, self, before);
        }
    }

    /// The timer that was set has come.
    fn timer_has_come(&self) {
        self.timer.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether it may refuse messages for having too many.
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// Has other rules hold, made from these arguments; the newest ones by `version` count.
    pub fn set_rules(self: &Arc<Self>, arguments: &FieldTable, version: u64) {
        self.apply(Command::SetRules(
            Arc::new(rules_of(&self.node, &self.record, arguments)),
            version,
        ));
        // Of two changes at a time the older one may come last: as the state has it now.
        let inner = self.inner.lock();
        self.refuses.store(inner.state.refuses(), Ordering::Relaxed);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether it was declared as a quorum queue.
    pub fn is_quorum(&self) -> bool {
        self.is_quorum
    }

    /// Its name in the store, if it is durable.
    pub fn stored_as(&self) -> Option<QueueId> {
        self.record.spec.durable.then_some(QueueId(self.record.id.0))
    }

    /// Octets of these messages that the store keeps in files of their own.
    pub fn stored_apart(&self, messages: &[Message]) -> u64 {
        let stored = self.stored_as().is_some();
        let stored = messages.iter().filter(|message| stored && message.persistent());
        writes::stored_apart(stored.map(|message| message.size() as u64))
    }

    fn store(&self) -> &dyn MessageStore {
        self.node.store()
    }

    /// Carries out a command and what it leads to.
    pub fn apply(self: &Arc<Self>, command: Command) -> Outcome {
        self.apply_for(command, None, None)
    }

    /// Carries out a command and what it leads to. A receipt follows what the store is told;
    /// in a transaction this is one of its parts.
    pub fn apply_for(
        self: &Arc<Self>,
        command: Command,
        receipt: Option<&Arc<Receipt>>,
        tx: Option<&Arc<Transaction>>,
    ) -> Outcome {
        let mut inner = self.inner.lock();
        let Inner { state, effects, writes, rounds, .. } = &mut *inner;
        if state.is_unique() {
            state.go_on(rounds.gathered(), rounds.sure(), tx.is_some());
        }
        if let Command::Refused(refused) = &command {
            writes.count_without(refused);
            effects.leave_out(refused);
        }
        if command.tells_of_refused() {
            writes.doubt();
        }
        let now = self.node.now_ms();
        let is_use = !matches!(command, Command::Tick | Command::Trim(_) | Command::SetRules(..));
        let settles = command.settles();
        let outcome = state.apply(now, command, effects);
        let dropped = std::mem::take(&mut effects.dropped);
        if !effects.store.is_empty() || receipt.is_some() || tx.is_some() {
            if let Some(receipt) = receipt.filter(|_| dropped.relies) {
                rounds.open().for_each(|tx| tx.await_whole(receipt));
            }
            writes.add(&mut effects.store, receipt, tx.map(|tx| (tx, settles)), dropped);
        }
        if let Some(tx) = tx {
            rounds.bring(tx);
        }
        if is_use {
            inner.active = now;
        }
        self.count(&mut inner);
        self.set_timer(inner.state.next_due());
        if inner.busy || (inner.effects.is_empty() && inner.writes.is_empty()) {
            return outcome;
        }
        inner.busy = true;
        while !(inner.effects.is_empty() && inner.writes.is_empty()) {
            let effects = std::mem::take(&mut inner.effects);
            let writes = inner.writes.take();
            inner.rounds.begin();
            // What leaves now may have come with any of them.
            let leaves = !(effects.dead.is_empty() && effects.ordered.is_empty());
            let open = inner.rounds.open().filter(|_| leaves).cloned().collect();
            drop(inner);
            self.carry_out(writes, effects, open);
            inner = self.inner.lock();
            inner.rounds.end();
        }
        inner.busy = false;
        outcome
    }

    /// Has others know what there is, after a change.
    fn count(&self, inner: &mut Inner) {
        let counts = inner.state.counts();
        let octets = counts.ready * DELIVERY_COST as usize + counts.ready_bytes as usize;
        self.backlog.store(octets, Ordering::Relaxed);
        let lengths = [counts.ready, counts.unacked, counts.consumers];
        self.lengths
            .iter()
            .zip(lengths)
            .for_each(|(to, length)| to.store(length, Ordering::Relaxed));
        let before = std::mem::replace(&mut inner.counted, counts);
        self.totals.ready.exchange(before.ready, counts.ready);
        self.totals.unacked.exchange(before.unacked, counts.unacked);
        self.totals.consumers.exchange(before.consumers, counts.consumers);
        let (bytes, unacked) = (counts.ready_bytes as usize, counts.unacked_bytes as usize);
        self.totals.ready_bytes.exchange(before.ready_bytes as usize, bytes);
        self.totals.unacked_bytes.exchange(before.unacked_bytes as usize, unacked);
    }

    /// What it has done since it came to be, or the broker was started.
    pub fn stats(&self) -> Messages<u64> {
        self.inner.lock().state.stats()
    }

    /// Takes a sample.
    pub fn sample(&self, tick: Tick) {
        self.track.sample(tick, self.numbers());
    }

    /// What is counted, as of now.
    pub fn numbers(&self) -> Numbers {
        let now = self.node.now_ms();
        self.inner.lock().numbers(now)
    }

    /// Counts as of now, and what else operators are told.
    pub fn status(&self) -> (Counts, Status, Numbers) {
        let now = self.node.now_ms();
        let inner = self.inner.lock();
        (inner.state.counts(), inner.state.status(), inner.numbers(now))
    }

    /// Counts as of now, what else operators are told, what it has done since it came to be, and for how
    /// many ms its first message has waited, as far as that is in memory.
    pub fn figures(&self) -> (Counts, Status, Messages<u64>, Option<u64>) {
        let now = self.node.now_ms();
        let Inner { state, .. } = &*self.inner.lock();
        let waited = state.first_arrived().map(|arrived| now.saturating_sub(arrived));
        (state.counts(), state.status(), state.stats(), waited)
    }

    /// Octets that it holds in memory, about: those of its messages, and its own.
    pub fn memory(&self, status: &Status) -> usize {
        size_of::<Self>() + status.footprint
    }

    /// Since when nothing was asked of it, in ms since 1970.
    pub fn idle_since(&self) -> u64 {
        self.inner.lock().active
    }

    /// For how many ms its first message has waited, as far as it is in memory.
    pub fn oldest(&self) -> Option<u64> {
        let arrived = self.inner.lock().state.first_arrived()?;
        Some(self.node.now_ms().saturating_sub(arrived))
    }

    /// The virtual host that it is in.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// Counts as of now.
    pub fn counts(&self) -> Counts {
        self.inner.lock().state.counts()
    }

    /// Its ready messages, those that consumers hold, and the consumers, without a lock.
    pub fn lengths(&self) -> [usize; 3] {
        self.lengths.each_ref().map(|length| length.load(Ordering::Relaxed))
    }

    /// Its consumers.
    pub fn consumers(&self) -> Vec<ConsumerStatus> {
        self.inner.lock().state.consumers()
    }

    /// Since when messages are held by consumers. Looks at each of them.
    pub fn held_since(&self) -> HeldSince {
        self.inner.lock().state.held_since()
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.inner.lock().state.is_deleted()
    }

    /// Octets of the ready messages if there are consumers that will take them some time, else 0.
    pub fn backlog_of_consumers(&self) -> usize {
        if !self.is_unconsumed() { self.backlog.load(Ordering::Relaxed) } else { 0 }
    }

    /// Whether nobody takes its messages now.
    pub fn is_unconsumed(&self) -> bool {
        let [_, _, consumers] = self.lengths();
        consumers == 0
    }

    /// `open`: transactions that messages which leave may have come with.
    fn carry_out(
        self: &Arc<Self>,
        writes: Vec<Write>,
        mut effects: Effects,
        open: Vec<Arc<Transaction>>,
    ) {
        let transactions: Vec<_> = writes.iter().filter_map(Write::transaction).cloned().collect();
        let mut writes = writes.into_iter();
        while let Some(write) = writes.next() {
            if let Err(refused) = write.carry_out(self.store(), self.node.durability()) {
                if refused.has_messages() {
                    writes.as_slice().iter().for_each(Write::doubt);
                }
                if !refused.waiting.is_empty() {
                    self.apply(Command::Schedule(Note::Refused(refused.waiting)));
                }
                if !refused.keys.is_empty() {
                    self.apply(Command::Forget(refused.keys));
                }
                if !refused.messages.is_empty() {
                    for write in writes.as_mut_slice() {
                        write.count_without(&refused.messages);
                    }
                    effects.leave_out(&refused.messages);
                    self.apply(Command::Refused(refused.messages));
                }
            }
        }
        // What is read meanwhile is dead soon itself, in a backlog whose time is over.
        for notice in &effects.notices {
            if let Notice::Load(from, octets) = notice {
                self.node.loader().submit(self.clone(), *from, *octets);
            }
        }
        for dead in effects.dead {
            self.send_after(Leaving::Dead(dead), open.clone());
        }
        for ordered in effects.ordered {
            self.send_after(Leaving::Ordered(ordered), open.clone());
        }
        for held in transactions.iter().flat_map(|tx| tx.take_held()) {
            held.queue.send_after(held.leaving, held.open);
        }
        for job in effects.schedule {
            self.do_scheduled(job);
        }
        for (connection, deliveries) in by_connection(effects.deliveries) {
            self.deliver(connection, deliveries);
        }
        for notice in effects.notices {
            match notice {
                Notice::Cancelled(key) => self.tell(key, Mail::Cancelled(key)),
                Notice::Wanted(key) => self.tell(key, Mail::Wanted(key)),
                Notice::TimedOut(key, late) => {
                    self.tell(key, Mail::TimedOut(self.clone(), key, late));
                }
                Notice::Deleted => self.node.forget_queue(&self.vhost, self.record.id),
                // Submitted above.
                Notice::Load(..) => {}
                Notice::Loaded(connection) => drop(self.node.post(connection, Mail::Loaded)),
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

fn rules_of(node: &Node, record: &QueueRecord, arguments: &FieldTable) -> Rules {
    let mut rules = rules::rules(arguments);
    rules.consumer_timeout = rules.consumer_timeout.or(node.config().consumer_timeout);
    rules.delays |= record.holds_back;
    rules.passes = record.holds_back && rules.unique.is_some();
    rules
}

/// The command that takes deliveries back which no peer has seen.
pub fn undo_command(deliveries: Vec<Delivery>) -> Command {
    Command::Undo(deliveries)
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

#[cfg(all(test, feature = "models"))]
mod models;
#[cfg(test)]
mod tests;
