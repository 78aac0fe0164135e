//! What a queue is: a deterministic state machine.
//!
//! Commands go in with the time, outcomes and effects come out. There is no clock, no lock, no
//! socket and no hash order in here, so that the same commands lead every replica to the same state.

mod consumers;
mod ready;
#[cfg(test)]
mod tests;

pub use consumers::ConsumerSpec;
pub use ready::Entry;

use lepus_protocol::method::Verdict;

use crate::message::Message;
use crate::window::Window;
use consumers::{Consumers, Slot};
use ready::Ready;

/// Octets that a delivery costs a consumer's window besides the message's own: frames, bookkeeping.
pub const DELIVERY_COST: u32 = 64;

/// A message's position in its queue: ascending, never given twice.
pub type Seq = u64;

/// A consumer as all nodes know it: its connection, and its number within that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerKey {
    /// The connection's id; never reused.
    pub connection: u64,
    /// Counts consumers within the connection; never reused.
    pub number: u32,
}

/// A run of positions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

/// What is asked of a queue.
#[derive(Debug)]
pub enum Command {
    /// Appends messages.
    Publish(Vec<Message>),
    /// Messages that were handed out are done, or return to their positions.
    Settle(Vec<SeqRange>, Verdict),
    /// Messages that were handed out but never sent return as if nothing had happened.
    Undo(Vec<Entry>),
    /// Takes one message.
    Get {
        /// It counts as acknowledged.
        no_ack: bool,
    },
    /// Adds a consumer.
    Consume(ConsumerSpec),
    /// Removes a consumer; what it holds stays with its channel.
    Cancel(ConsumerKey),
    /// Octets of deliveries (with [`DELIVERY_COST`] each) have left for the consumer.
    Credit(ConsumerKey, u64),
    /// A pulling consumer takes up to so many messages now.
    Grant(ConsumerKey, u32),
    /// Whether a consumer gets only what it is granted.
    SetPull(ConsumerKey, bool),
    /// Drops all messages that are ready.
    Purge,
    /// Deletes the queue.
    Delete {
        /// Only without consumers.
        if_unused: bool,
        /// Only without ready messages.
        if_empty: bool,
    },
}

/// What a command led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// The queue had been deleted before.
    Gone,
    /// The answer to [`Command::Get`], with the number of messages that are still ready.
    Got(Option<Entry>, usize),
    /// An exclusive consumer, one's own or another's, stands against [`Command::Consume`].
    ExclusiveUse,
    /// The answer to [`Command::Grant`].
    Granted {
        /// Messages handed to the consumer.
        used: u32,
        /// More are ready: ask again when there is room.
        more: bool,
    },
    /// The answer to [`Command::SetPull`] and [`Command::Cancel`]: messages that the consumer holds.
    Unacked(u32),
    /// The answer to [`Command::Purge`] and [`Command::Delete`]: messages dropped.
    Dropped(usize),
    /// The queue has consumers.
    InUse,
    /// The queue has messages.
    NotEmpty,
}

/// A message on its way to a consumer.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub to: ConsumerKey,
    /// What.
    pub entry: Entry,
}

/// Something that others must hear of.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// The queue went away under this consumer.
    Cancelled(ConsumerKey),
    /// Messages are ready for this pulling consumer.
    Wanted(ConsumerKey),
    /// The queue deleted itself, as its last consumer left.
    Deleted,
}

/// What commands lead to outside of the queue, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages for consumers.
    pub deliveries: Vec<Delivery>,
    /// All else.
    pub notices: Vec<Notice>,
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.notices.is_empty()
    }
}

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
}

/// What a queue is declared to be, as far as its messages are concerned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Deleted when its last consumer leaves.
    pub auto_delete: bool,
}

struct Unacked {
    message: Message,
    /// `None`: taken by basic.get.
    consumer: Option<Slot>,
}

/// A queue.
pub struct State {
    config: Config,
    ready: Ready,
    unacked: Window<Unacked>,
    consumers: Consumers,
    deleted: bool,
}

impl State {
    /// An empty queue.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ready: Ready::default(),
            unacked: Window::default(),
            consumers: Consumers::default(),
            deleted: false,
        }
    }

    /// Carries out a command. Nothing in a queue depends on the time yet; whatever will (expiry,
    /// delays) takes it from `_now_ms`.
    pub fn apply(&mut self, _now_ms: u64, command: Command, effects: &mut Effects) -> Outcome {
        if self.deleted {
            return Outcome::Gone;
        }
        let outcome = match command {
            Command::Publish(messages) => {
                self.ready.push(messages);
                Outcome::Done
            }
            Command::Settle(ranges, verdict) => {
                self.settle(&ranges, verdict);
                Outcome::Done
            }
            Command::Undo(deliveries) => {
                self.undo(deliveries);
                Outcome::Done
            }
            Command::Get { no_ack } => self.get(no_ack),
            Command::Consume(spec) => self.consume(spec),
            Command::Cancel(key) => self.cancel(key, effects),
            Command::Credit(key, octets) => {
                self.consumers.credit(key, octets);
                Outcome::Done
            }
            Command::Grant(key, messages) => return self.grant(key, messages, effects),
            Command::SetPull(key, pull) => {
                Outcome::Unacked(self.consumers.set_pull(key, pull).unwrap_or_default())
            }
            Command::Purge => Outcome::Dropped(self.ready.clear()),
            Command::Delete { if_unused, if_empty } => self.delete(if_unused, if_empty, effects),
        };
        self.dispatch(effects);
        outcome
    }

    /// Counts as of now.
    pub fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.len(),
            unacked: self.unacked.len(),
            consumers: self.consumers.len(),
            ready_bytes: self.ready.bytes(),
        }
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Hands out messages while there are both messages and consumers that can take one.
    fn dispatch(&mut self, effects: &mut Effects) {
        while !self.ready.is_empty()
            && let Some(slot) = self.consumers.next()
            && let Some(entry) = self.ready.pop()
        {
            self.hand_out(slot, entry, effects);
        }
        if !self.ready.is_empty() {
            let wanted = self.consumers.wake_pulls().into_iter().map(Notice::Wanted);
            effects.notices.extend(wanted);
        }
    }

    fn hand_out(&mut self, slot: Slot, entry: Entry, effects: &mut Effects) {
        let cost = delivery_cost(&entry.message);
        let Some((to, no_ack)) = self.consumers.deliver(slot, cost) else {
            self.ready.put_back(entry);
            return;
        };
        if !no_ack {
            let message = entry.message.clone();
            self.unacked.insert(entry.seq, Unacked { message, consumer: Some(slot) });
        }
        effects.deliveries.push(Delivery { to, entry });
    }

    fn settle(&mut self, ranges: &[SeqRange], verdict: Verdict) {
        for range in ranges {
            if range.first == range.last {
                if let Some(unacked) = self.unacked.remove(range.first) {
                    self.settle_one(range.first, unacked, verdict);
                }
                continue;
            }
            for (seq, unacked) in self.unacked.remove_range(range.first..=range.last) {
                self.settle_one(seq, unacked, verdict);
            }
        }
    }

    fn settle_one(&mut self, seq: Seq, unacked: Unacked, verdict: Verdict) {
        if let Some(slot) = unacked.consumer {
            self.consumers.settled(slot);
        }
        if verdict == Verdict::Requeue {
            self.ready.put_back(Entry { seq, message: unacked.message, redelivered: true });
        }
    }

    fn undo(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let unacked = self.unacked.remove(entry.seq);
            if let Some(slot) = unacked.and_then(|unacked| unacked.consumer) {
                self.consumers.settled(slot);
            }
            self.ready.put_back(entry);
        }
    }

    fn get(&mut self, no_ack: bool) -> Outcome {
        let Some(entry) = self.ready.pop() else { return Outcome::Got(None, 0) };
        if !no_ack {
            let message = entry.message.clone();
            self.unacked.insert(entry.seq, Unacked { message, consumer: None });
        }
        Outcome::Got(Some(entry), self.ready.len())
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
            self.drop_all();
            effects.notices.push(Notice::Deleted);
        }
        Outcome::Unacked(unacked)
    }

    fn grant(&mut self, key: ConsumerKey, messages: u32, effects: &mut Effects) -> Outcome {
        self.consumers.grant(key, messages);
        self.dispatch(effects);
        let more = !self.ready.is_empty();
        match self.consumers.end_grant(key, more) {
            Some(left) => Outcome::Granted { used: messages.saturating_sub(left), more },
            None => Outcome::Granted { used: 0, more: false },
        }
    }

    fn delete(&mut self, if_unused: bool, if_empty: bool, effects: &mut Effects) -> Outcome {
        if if_unused && !self.consumers.is_empty() {
            return Outcome::InUse;
        }
        if if_empty && !self.ready.is_empty() {
            return Outcome::NotEmpty;
        }
        let dropped = self.ready.len();
        let cancelled = self.consumers.clear().into_iter().map(Notice::Cancelled);
        effects.notices.extend(cancelled);
        self.drop_all();
        Outcome::Dropped(dropped)
    }

    fn drop_all(&mut self) {
        self.deleted = true;
        self.ready = Ready::default();
        self.unacked = Window::default();
    }
}

/// What handing out a message takes from a consumer's window.
pub fn delivery_cost(message: &Message) -> u32 {
    DELIVERY_COST.saturating_add(u32::try_from(message.size()).unwrap_or(u32::MAX))
}
