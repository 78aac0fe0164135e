//! What a queue is: a deterministic state machine.
//!
//! Commands go in with the time, outcomes and effects come out. There is no clock, no lock, no
//! socket and no hash order in here, so that the same commands lead every replica to the same state.

mod cold;
mod command;
mod consumers;
mod delay;
mod entry;
mod hand_out;
mod lapse;
mod ready;
mod rules;
pub mod schedule;
mod spans;
#[cfg(test)]
mod tests;

pub use command::{
    Command, ConsumerKey, DELIVERY_COST, Dead, Delivery, Effects, Notice, Outcome, Seq, SeqRange,
};
pub use consumers::ConsumerSpec;
pub use entry::Entry;
pub use ready::Past;
pub use rules::{DeadLetterTo, Overflow, Reason, Rules};

use std::sync::Arc;

use lepus_protocol::method::Verdict;
use lepus_storage::{Op, QueueId};

use crate::message::Message;
use crate::window::Window;
use consumers::{Consumers, Slot};
use delay::publish;
use ready::Ready;
use schedule::{Postponed, Schedule};
pub use spans::Spans;

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
}

struct Unacked {
    message: Message,
    /// `None`: taken by basic.get.
    consumer: Option<Slot>,
    returns: u32,
    stored: bool,
}

impl Unacked {
    fn of(entry: &Entry, consumer: Option<Slot>) -> Self {
        let Entry { message, returns, stored, .. } = entry;
        Self { message: message.clone(), consumer, returns: *returns, stored: *stored }
    }
}

/// What verdicts on messages lead to.
#[derive(Default)]
struct Settled {
    now: u64,
    spans: Spans,
    dead: Vec<Entry>,
    postponed: Vec<Postponed>,
}

/// A queue.
pub struct State {
    config: Config,
    rules: Arc<Rules>,
    ready: Ready,
    unacked: Window<Unacked>,
    consumers: Consumers,
    /// Messages that wait for a time.
    schedule: Option<Box<Schedule>>,
    deleted: bool,
    /// Messages before this position, read from the store, may have been handed out in a former life.
    handed_out_before: Seq,
    /// Positions before this one were handed out, and the store knows it.
    handed_out: Seq,
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
}

impl State {
    /// A queue with what it had before a restart.
    pub fn new(config: Config, rules: Arc<Rules>, past: Past, now: u64) -> Self {
        Self {
            config,
            rules,
            some_expire: past.messages > 0,
            held_until: 0,
            head_octets: 1,
            last_used: now,
            ready: Ready::new(config.durable.is_some(), past),
            unacked: Window::default(),
            consumers: Consumers::default(),
            schedule: None,
            deleted: false,
            handed_out_before: past.delivered,
            handed_out: past.delivered,
            getters: Vec::new(),
        }
    }

    /// Carries out a command at a time in ms since 1970.
    pub fn apply(&mut self, now: u64, command: Command, effects: &mut Effects) -> Outcome {
        if self.deleted {
            return Outcome::Gone;
        }
        self.drop_expired(now, effects);
        let outcome = self.answer(now, command, effects);
        self.run_schedule(now, effects);
        self.dispatch(now, effects);
        self.drop_expired(now, effects);
        self.drop_excess(now, effects);
        self.load(effects);
        outcome
    }

    fn answer(&mut self, now: u64, command: Command, effects: &mut Effects) -> Outcome {
        match command {
            Command::Publish(messages) => self.publish(now, messages, effects),
            Command::Get { no_ack, connection } => {
                self.last_used = now;
                self.get(no_ack, connection, effects)
            }
            Command::Consume(spec) => self.consume(spec),
            Command::Cancel(key) => {
                self.last_used = now;
                self.cancel(key, effects)
            }
            Command::Grant(key, messages) => self.grant(now, key, messages, effects),
            Command::SetPull(key, pull) => {
                Outcome::Unacked(self.consumers.set_pull(key, pull).unwrap_or_default())
            }
            Command::Schedule(note) => self.note_schedule(now, note, effects),
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
            Command::PublishDead(messages) => self.accept_unless_early(now, messages, effects),
            Command::Settle(ranges, verdict) => self.settle(now, &ranges, verdict, effects),
            Command::Undo(deliveries) => self.undo(deliveries),
            Command::Loaded { from, next, found } => {
                self.loaded(from, next, found);
                self.tell_getters(effects);
            }
            Command::Unreadable { from, next } => {
                self.ready.unreadable(from, next);
                self.tell_getters(effects);
            }
            Command::Refused(refused) => self.refused(&refused),
            Command::Trim(hot_max) => {
                self.config.hot_max = hot_max;
                self.ready.trim(hot_max);
            }
            Command::Credit(key, octets) => self.consumers.credit(key, octets),
            Command::Touch => self.last_used = now,
            Command::Tick => self.leave_if_unused(now, effects),
            Command::Hold(until) => self.held_until = until,
            // They have answers.
            Command::Publish(_)
            | Command::Get { .. }
            | Command::Consume(_)
            | Command::Cancel(_)
            | Command::Grant(..)
            | Command::SetPull(..)
            | Command::Schedule(_)
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
        }
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn publish(&mut self, now: u64, messages: Vec<Message>, effects: &mut Effects) -> Outcome {
        if !self.rules.refuses() {
            self.accept_unless_early(now, messages, effects);
            return Outcome::Done;
        }
        let mut rejected = Vec::new();
        let mut dead = Vec::new();
        for (number, message) in messages.into_iter().enumerate() {
            let Some(message) = self.hold_back(now, message, effects) else { continue };
            if !self.rules.is_full(self.ready.len(), self.ready.bytes()) {
                self.accept(vec![message], effects);
                // What a consumer takes makes room for the next one.
                self.dispatch(now, effects);
                continue;
            }
            rejected.push(number);
            if self.rules.overflow == Overflow::RejectPublishDlx {
                let (seq, redelivered, returns) = (0, false, 0);
                dead.push(Entry { seq, message, redelivered, returns, stored: false });
            }
        }
        self.bury(Reason::MaxLength, dead, effects);
        if rejected.is_empty() { Outcome::Done } else { Outcome::Rejected(rejected) }
    }

    /// Takes messages, but has those wait whose time has not come.
    fn accept_unless_early(&mut self, now: u64, messages: Vec<Message>, effects: &mut Effects) {
        if !self.rules.delays {
            return self.accept(messages, effects);
        }
        let held_back = messages.into_iter().filter_map(|each| self.hold_back(now, each, effects));
        let ready = held_back.collect();
        self.accept(ready, effects);
    }

    fn accept(&mut self, messages: Vec<Message>, effects: &mut Effects) {
        self.some_expire |= messages.iter().any(Message::expires);
        if let Some(queue) = self.config.durable {
            let positions = self.ready.next()..;
            let stored = positions.zip(&messages).filter(|(_, message)| message.persistent());
            effects.store.extend(stored.map(|(seq, message)| publish(queue, seq, message)));
        }
        self.ready.push(messages, self.config.hot_max);
    }

    fn loaded(&mut self, from: Seq, next: Seq, mut found: Vec<Entry>) {
        for entry in &mut found {
            entry.redelivered |= entry.seq < self.handed_out_before;
            self.some_expire |= entry.message.expires();
        }
        self.ready.loaded(from, next, found);
    }

    fn settle(&mut self, now: u64, ranges: &[SeqRange], verdict: Verdict, effects: &mut Effects) {
        let mut settled = Settled { now, ..Settled::default() };
        for range in ranges {
            if range.first == range.last {
                if let Some(unacked) = self.unacked.remove(range.first) {
                    self.settle_one(range.first, unacked, verdict, &mut settled);
                }
                continue;
            }
            for (seq, unacked) in self.unacked.remove_range(range.first..=range.last) {
                self.settle_one(seq, unacked, verdict, &mut settled);
            }
        }
        let Settled { spans, dead, postponed, .. } = settled;
        self.bury(Reason::Rejected, dead, effects);
        Self::postpone(postponed, effects);
        let Some(queue) = self.config.durable else { return };
        match verdict {
            verdict if verdict.returns() => spans.give_back(queue, &mut effects.store),
            _ => spans.settle(queue, &mut effects.store),
        }
    }

    fn settle_one(&mut self, seq: Seq, unacked: Unacked, verdict: Verdict, settled: &mut Settled) {
        if let Some(slot) = unacked.consumer {
            self.consumers.settled(slot);
        }
        let Unacked { message, returns, stored, .. } = unacked;
        let entry = Entry { seq, message, redelivered: true, returns: returns + 1, stored };
        if verdict == Verdict::Discard && self.rules.dead_letter.is_some() {
            settled.dead.push(entry);
            return;
        }
        if let Some(due) = self.retry_at(settled.now, verdict, &entry) {
            settled.postponed.push(Postponed { entry, due, in_place: false });
            return;
        }
        settled.spans.add(&entry);
        if verdict.returns() {
            self.ready.put_back(entry);
        }
    }

    /// The store did not take messages: they go, or are nobody's but their holders'.
    fn refused(&mut self, refused: &[(Seq, u64)]) {
        self.ready.refused(refused);
        for (seq, _) in refused {
            if let Some(unacked) = self.unacked.remove(*seq) {
                self.unacked.insert(*seq, Unacked { stored: false, ..unacked });
            }
        }
    }

    fn undo(&mut self, entries: Vec<Entry>) {
        for mut entry in entries {
            if let Some(unacked) = self.unacked.remove(entry.seq) {
                unacked.consumer.into_iter().for_each(|slot| self.consumers.settled(slot));
                entry.stored = unacked.stored;
            }
            self.ready.put_back(entry);
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
        let taken = spec.exclusive && !self.consumers.is_empty();
        if taken || self.consumers.any_exclusive() {
            return Outcome::ExclusiveUse;
        }
        self.consumers.add(spec);
        Outcome::Done
    }

    fn cancel(&mut self, key: ConsumerKey, effects: &mut Effects) -> Outcome {
        let Some(unacked) = self.consumers.remove(key) else { return Outcome::Unacked(0) };
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
        let more = !self.ready.has_none_at_hand();
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
        self.ready = Ready::new(false, Past::default());
        self.unacked = Window::default();
        self.tell_getters(effects);
        if let Some(queue) = self.config.durable {
            effects.store.push(Op::DropQueue { queue });
        }
    }
}

/// What handing out a message takes from a consumer's window.
pub fn delivery_cost(message: &Message) -> u32 {
    DELIVERY_COST.saturating_add(u32::try_from(message.size()).unwrap_or(u32::MAX))
}
