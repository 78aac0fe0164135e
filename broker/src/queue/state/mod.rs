//! What a queue is: a deterministic state machine.
//!
//! Commands go in with the time, outcomes and effects come out. There is no clock, no lock, no
//! socket and no hash order in here, so that the same commands lead every replica to the same state.

mod accept;
mod browse;
mod cold;
mod command;
mod consumers;
mod deadlines;
mod delay;
mod entry;
mod flow;
mod hand_out;
mod held;
mod lapse;
mod levels;
pub mod place;
mod priorities;
mod ready;
mod rules;
pub mod schedule;
mod settle;
mod single;
mod spans;
mod status;
mod strays;
mod sums;
mod tally;
#[cfg(test)]
mod tests;
mod turns;
mod unique;

pub use browse::{Glance, Spot};
pub use command::{
    ANY_DELIVERY, Command, ConsumerKey, DELIVERY_COST, Dead, Delivery, Dropped, Effects,
    LateDelivery, Notice, Ordered, Outcome, Purpose, Seq, SeqRange,
};
pub use consumers::{Activity, ConsumerSpec, ConsumerStatus};
pub use entry::Entry;
pub use ready::Past;
pub use rules::{DeadLetterTo, Overflow, Reason, Rules, Unique};

use std::sync::Arc;

use lepus_storage::{Op, QueueId};

use crate::message::Message;
use crate::stats::Messages;
use consumers::{Consumers, Slot};
use deadlines::Deadlines;
use flow::Flow;
use held::Held;
use levels::Levels;
use place::{keys_in_store, level_in_store};
use schedule::Schedule;
pub use spans::Spans;
use status::Served;
pub use status::{HeldSince, Status};
use tally::Tally;
pub use turns::{Priorities, PriorityMode};
use unique::Keys;
pub use unique::{Home, Known};

/// Counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that wait.
    pub ready: usize,
    /// Messages that consumers hold.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
    /// Octets of the bodies that wait.
    pub ready_bytes: u64,
    /// Messages that are not ready before their time.
    pub scheduled: usize,
    /// Octets of the bodies that consumers hold.
    pub unacked_bytes: u64,
}

/// What a queue is declared to be, as far as its messages are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Deleted when its last consumer leaves.
    pub auto_delete: bool,
    /// The name of a durable queue in the store, which has its persistent messages.
    pub durable: Option<QueueId>,
    /// Octets of ready messages that may be held in memory, as far as the store has them too.
    pub hot_max: usize,
    /// What is done with priorities.
    pub priorities: Priorities,
}

struct Unacked {
    message: Message,
    /// `None`: taken by basic.get.
    consumer: Option<Slot>,
    returns: u32,
    stored: bool,
    /// When it was handed out, ms since 1970.
    since: u64,
}

impl Unacked {
    fn of(entry: &Entry, consumer: Option<Slot>, since: u64) -> Self {
        let Entry { message, returns, stored, .. } = entry;
        Self { message: message.clone(), consumer, returns: *returns, stored: *stored, since }
    }
}

/// A queue.
pub struct State {
    config: Config,
    rules: Arc<Rules>,
    /// The number of the change that the rules came with.
    rules_version: u64,
    flow: Flow,
    ready: Levels,
    unacked: Held<Unacked>,
    deadlines: Deadlines,
    consumers: Consumers,
    /// Keys of messages that must not come again.
    keys: Option<Box<Keys>>,
    /// Messages that wait for a time.
    schedule: Option<Box<Schedule>>,
    deleted: bool,
    /// Connections that wait for a message to be read.
    getters: Vec<u64>,
    /// There may be messages with an expiration of their own.
    some_expire: bool,
    /// Until then no message is to become a dead letter by itself, ms since 1970.
    held_until: u64,
    /// Octets to be read of a backlog that nobody consumes, to see whether its head is over.
    head_octets: usize,
    /// When the queue was last used other than by publishing, in ms since 1970.
    last_used: u64,
    tally: Tally,
    served: Served,
}

impl State {
    /// A queue with what each level had before a restart, the lowest first.
    pub fn new(config: Config, rules: Arc<Rules>, past: &[Past], now: u64) -> Self {
        Self {
            config,
            consumers: Consumers::new(rules.single_active),
            keys: Keys::new(rules.unique.as_ref()),
            flow: Flow::new(&rules, now),
            rules,
            rules_version: 0,
            some_expire: past.iter().any(|past| past.messages > 0),
            held_until: 0,
            head_octets: 1,
            last_used: now,
            tally: Tally::default(),
            served: Served::default(),
            ready: Levels::new(config.durable.is_some(), config.priorities, past),
            unacked: Held::default(),
            deadlines: Deadlines::default(),
            schedule: None,
            deleted: false,
            getters: Vec::new(),
        }
    }

    /// Carries out a command at a time in ms since 1970.
    pub fn apply(&mut self, now: u64, command: Command, effects: &mut Effects) -> Outcome {
        if self.deleted {
            return Outcome::Gone;
        }
        self.time_out(now, effects);
        self.drop_expired(now, effects);
        let outcome = self.answer(now, command, effects);
        self.run_schedule(now, effects);
        self.dispatch(now, effects);
        self.drop_expired(now, effects);
        self.drop_excess(now, effects);
        self.load(effects);
        self.served.note(now, self.consumers.len(), self.consumers.next().is_some());
        outcome
    }

    fn answer(&mut self, now: u64, command: Command, effects: &mut Effects) -> Outcome {
        match command {
            Command::Publish(messages) => {
                self.tally.publish(messages.len());
                self.publish(now, messages, effects)
            }
            Command::Get { no_ack, connection } => {
                self.last_used = now;
                self.get(now, no_ack, connection, effects)
            }
            Command::Consume(spec) => self.consume(spec),
            Command::Cancel(key) => {
                self.last_used = now;
                self.cancel(key, false, effects)
            }
            Command::Leave(key) => {
                self.last_used = now;
                self.cancel(key, true, effects)
            }
            Command::Dismiss(key) => {
                if self.consumers.slot_of(key).is_some() {
                    effects.notices.push(Notice::Cancelled(key));
                }
                self.last_used = now;
                self.cancel(key, false, effects)
            }
            Command::Grant(key, messages) => self.grant(now, key, messages, effects),
            Command::SetPull(key, pull) => {
                Outcome::Unacked(self.consumers.set_pull(key, pull).unwrap_or_default())
            }
            Command::Schedule(note) => self.note_schedule(now, note, effects),
            Command::Take(found, purpose) => self.take_out(found, purpose, effects),
            Command::Purge => self.purge(effects),
            Command::Delete { if_unused, if_empty } => self.delete(if_unused, if_empty, effects),
            note => {
                self.take_note(now, note, effects);
                Outcome::Done
            }
        }
    }

    /// Carries out a command that has no answer.
    fn take_note(&mut self, now: u64, command: Command, effects: &mut Effects) {
        match command {
            Command::PublishDead(messages) => self.publish_dead(now, messages, effects),
            Command::Recall(known) => self.recall(known),
            Command::Forget(keys) => self.forget_keys(&keys),
            Command::Settle(ranges, verdict) => self.settle(now, &ranges, verdict, effects),
            Command::Undo(deliveries) => self.undo(deliveries),
            Command::Loaded { from, next, found } => {
                self.loaded(from, next, found, effects);
                self.tell_getters(effects);
            }
            Command::Unreadable { from, next } => {
                self.ready.unreadable(from, next);
                self.tell_getters(effects);
            }
            Command::Refused(refused) => self.refused(refused),
            Command::Trim(hot_max) => {
                self.config.hot_max = hot_max;
                self.ready.trim(hot_max);
            }
            Command::Credit(key, octets) => self.consumers.credit(key, octets),
            Command::Touch => self.last_used = now,
            Command::Tick => self.leave_if_unused(now, effects),
            Command::Hold(until, octets) => {
                self.held_until = until;
                self.flow.hold(octets);
            }
            Command::Buried(octets) => self.flow.let_go(octets),
            Command::SetRules(rules, version) => self.set_rules(now, rules, version),
            Command::UndoTake(entries) => self.undo_take(entries, effects),
            // They have answers.
            Command::Publish(_)
            | Command::Get { .. }
            | Command::Consume(_)
            | Command::Cancel(_)
            | Command::Leave(_)
            | Command::Dismiss(_)
            | Command::Grant(..)
            | Command::SetPull(..)
            | Command::Schedule(_)
            | Command::Take(..)
            | Command::Purge
            | Command::Delete { .. } => {}
        }
    }

    /// Counts as of now.
    pub fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.len(),
            unacked: self.unacked.len(),
            consumers: self.consumers.len(),
            ready_bytes: self.ready.bytes(),
            scheduled: self.scheduled(),
            unacked_bytes: self.unacked.sums().bytes,
        }
    }

    /// What it has done.
    pub fn stats(&self) -> Messages<u64> {
        self.tally.messages()
    }

    /// When the oldest of the messages arrived that are first in line, ms since 1970; none if they are
    /// only in the store.
    pub fn first_arrived(&self) -> Option<u64> {
        self.ready.first_arrived()
    }

    /// Its consumers, by key.
    pub fn consumers(&self) -> Vec<ConsumerStatus> {
        self.consumers.list()
    }

    /// Whether it refuses messages for having too many.
    pub fn refuses(&self) -> bool {
        self.rules.refuses()
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn loaded(&mut self, from: Seq, next: Seq, mut found: Vec<Entry>, effects: &mut Effects) {
        let handed_out_before = self.ready.handed_out_before(from);
        let mut came_back = Spans::default();
        for entry in &mut found {
            // What was taken meanwhile has its own way back.
            let is_here = self.ready.contains(entry.seq);
            if is_here && entry.was_handed_out_before(handed_out_before) {
                came_back.add(entry);
            }
            self.some_expire |= entry.message.expires();
        }
        if let Some(queue) = self.config.durable {
            came_back.give_back(queue, &mut effects.store);
        }
        self.ready.loaded(from, next, found);
    }

    /// The store did not take messages: they go, or are nobody's but their holders'.
    fn refused(&mut self, mut refused: Vec<(Seq, u64)>) {
        refused.retain(|(seq, _)| !schedule::is_scheduled(*seq));
        self.forget_refused(&refused);
        self.ready.refused(&refused);
        for (seq, _) in refused {
            if let Some(unacked) = self.unacked.remove(seq) {
                self.unacked.insert(seq, Unacked { stored: false, ..unacked });
            }
        }
    }

    fn purge(&mut self, effects: &mut Effects) -> Outcome {
        let mut stored = Spans::default();
        let dropped = self.ready.clear(&mut stored) + self.clear_schedule(effects);
        if let Some(queue) = self.config.durable {
            stored.settle(queue, &mut effects.store);
        }
        self.tell_getters(effects);
        Outcome::Dropped(dropped)
    }

    fn consume(&mut self, spec: ConsumerSpec) -> Outcome {
        let taken = spec.exclusive && (self.consumers.is_single() || !self.consumers.is_empty());
        if taken || self.consumers.any_exclusive() {
            return Outcome::ExclusiveUse;
        }
        self.consumers.add(spec);
        Outcome::Done
    }

    fn cancel(&mut self, key: ConsumerKey, gives_back: bool, effects: &mut Effects) -> Outcome {
        let Some(unacked) = self.consumers.remove(key, gives_back) else {
            return Outcome::Unacked(0);
        };
        if self.config.auto_delete && self.consumers.is_empty() {
            self.drop_all(effects);
            effects.notices.push(Notice::Deleted);
        }
        Outcome::Unacked(unacked)
    }

    fn grant(
        &mut self,
        now: u64,
        key: ConsumerKey,
        messages: u32,
        effects: &mut Effects,
    ) -> Outcome {
        self.consumers.grant(key, messages);
        self.dispatch(now, effects);
        let more = !self.ready.has_none_at_hand() && self.flow.lets_through(&self.rules);
        match self.consumers.end_grant(key, more) {
            Some(left) => Outcome::Granted { used: messages.saturating_sub(left), more },
            None => Outcome::Granted { used: 0, more: false },
        }
    }

    fn delete(&mut self, if_unused: bool, if_empty: bool, effects: &mut Effects) -> Outcome {
        if if_unused && !self.consumers.is_empty() {
            return Outcome::InUse;
        }
        if if_empty && !(self.ready.is_empty() && self.scheduled() == 0) {
            return Outcome::NotEmpty;
        }
        let dropped = self.ready.len();
        let cancelled = self.consumers.clear().into_iter().map(Notice::Cancelled);
        effects.notices.extend(cancelled);
        self.drop_all(effects);
        Outcome::Dropped(dropped)
    }

    fn drop_all(&mut self, effects: &mut Effects) {
        self.deleted = true;
        self.clear_schedule(effects);
        if let Some(queue) = self.config.durable {
            let levels = std::iter::once(0).chain(self.ready.others_used());
            let drops = levels.map(|level| Op::DropQueue { queue: level_in_store(queue, level) });
            effects.store.extend(drops);
            if self.keys.take().is_some() {
                effects.store.push(Op::DropQueue { queue: keys_in_store(queue) });
            }
        }
        self.ready = Levels::new(false, Priorities::default(), &[]);
        self.unacked = Held::default();
        self.deadlines = Deadlines::default();
        self.tell_getters(effects);
    }
}

/// What handing out a message takes from a consumer's window.
pub fn delivery_cost(message: &Message) -> u32 {
    DELIVERY_COST.saturating_add(u32::try_from(message.size()).unwrap_or(u32::MAX))
}
