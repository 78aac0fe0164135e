//! What a queue is asked, and what comes of it.

use std::sync::Arc;

use lepus_protocol::method::Verdict;
use lepus_storage::Op;

use super::{ConsumerSpec, Entry, Known, Reason, Rules, schedule};
use crate::message::Message;

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
    /// How often these messages had come back when they were handed out. What was handed out again since
    /// then is not meant.
    pub returns: u32,
}

/// What [`SeqRange::returns`] does not tell apart from others: all that is held at these positions.
pub const ANY_DELIVERY: u32 = u32::MAX;

/// A delivery whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateDelivery {
    /// The message's position.
    pub seq: Seq,
    /// How often it had come back before.
    pub returns: u32,
}

/// What is asked of a queue.
#[derive(Debug)]
pub enum Command {
    /// Appends messages.
    Publish(Vec<Message>),
    /// Appends dead letters, however many messages there are already.
    PublishDead(Vec<Message>),
    /// Somebody has declared the queue, or looked at it: it is in use.
    Touch,
    /// Time has passed.
    Tick,
    /// Other rules hold from now on, unless they are older (by their number) than those that do.
    SetRules(Arc<Rules>, u64),
    /// Until then (ms since 1970) dead letters can't be sent: nothing is to become one by itself. So many
    /// octets more of them wait for that outside.
    Hold(u64, usize),
    /// So many octets of what waited have been sent.
    Buried(usize),
    /// Messages that were handed out are done, or return to their positions.
    Settle(Vec<SeqRange>, Verdict),
    /// Messages that were handed out but never sent return as if nothing had happened.
    Undo(Vec<Delivery>),
    /// Takes one message.
    Get {
        /// It counts as acknowledged.
        no_ack: bool,
        /// The connection to tell ([`Notice::Loaded`]) if the message must be read first.
        connection: u64,
    },
    /// The answer to [`Notice::Load`]: messages that were read from the store.
    Loaded {
        /// Where the reading began.
        from: Seq,
        /// Where it ended; the same if the store has nothing from there on.
        next: Seq,
        /// What was found.
        found: Vec<Entry>,
    },
    /// The answer to [`Notice::Load`]: the first message, before `next`, cannot be read.
    Unreadable {
        /// Where the reading began.
        from: Seq,
        /// The position after the message's.
        next: Seq,
    },
    /// The keys that were known before a restart.
    Recall(Known),
    /// The store has refused to keep the keys at these positions.
    Forget(Vec<u64>),
    /// The store has refused messages: position, octets of the body, by position.
    Refused(Vec<(Seq, u64)>),
    /// From now on so many octets of ready messages may be held in memory, as far as the store has
    /// them too.
    Trim(usize),
    /// Adds a consumer.
    Consume(ConsumerSpec),
    /// Removes a consumer; what it holds stays with its channel.
    Cancel(ConsumerKey),
    /// Removes a consumer whose channel ends: all that it holds comes back now.
    Leave(ConsumerKey),
    /// Removes a consumer as an operator does: what it holds stays with its channel, which is told
    /// ([`Notice::Cancelled`]).
    Dismiss(ConsumerKey),
    /// Octets of deliveries (with [`DELIVERY_COST`] each) have left for the consumer.
    Credit(ConsumerKey, u64),
    /// A pulling consumer takes up to so many messages now.
    Grant(ConsumerKey, u32),
    /// Whether a consumer gets only what it is granted.
    SetPull(ConsumerKey, bool),
    /// Something of messages that wait for a time.
    Schedule(schedule::Note),
    /// Takes messages that are ready, wherever they stand; those that are not any more stay where they are.
    /// What only the store had was read there.
    Take(Vec<Entry>, Purpose),
    /// Messages that were taken to go elsewhere could not: they are where they were.
    UndoTake(Vec<Entry>),
    /// Drops all messages that are ready or wait for a time.
    Purge,
    /// Deletes the queue.
    Delete {
        /// Only without consumers.
        if_unused: bool,
        /// Only without ready messages.
        if_empty: bool,
    },
}

/// What messages are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be dropped.
    Drop,
    /// To go where the order of this number says.
    Move(u64),
}

/// What a command led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// The answer to [`Command::Publish`]: these of the messages (by their number in the command, from 0)
    /// were refused, as the queue is full.
    Rejected(Vec<usize>),
    /// The queue had been deleted before.
    Gone,
    /// The answer to [`Command::Get`], with the number of messages that are still ready.
    Got(Option<Entry>, usize),
    /// The answer to [`Command::Get`]: ask again after [`Notice::Loaded`].
    Wait,
    /// An exclusive consumer, one's own or another's, stands against [`Command::Consume`].
    ExclusiveUse,
    /// The answer to [`Command::Grant`].
    Granted {
        /// Messages handed to the consumer.
        used: u32,
        /// More are ready: ask again when there is room.
        more: bool,
    },
    /// The answer to [`Command::SetPull`], [`Command::Cancel`], [`Command::Leave`] and [`Command::Dismiss`]:
    /// messages that the consumer holds.
    Unacked(u32),
    /// The answer to [`Command::Purge`], [`Command::Delete`] and [`Command::Take`]: messages dropped, or taken.
    Dropped(usize),
    /// The queue has consumers.
    InUse,
    /// The queue has messages.
    NotEmpty,
}

/// A message on its way to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub to: ConsumerKey,
    /// What.
    pub entry: Entry,
    /// It counts as acknowledged.
    pub no_ack: bool,
}

/// Something that others must hear of.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// The queue went away under this consumer, or an operator removed it.
    Cancelled(ConsumerKey),
    /// Messages are ready for this pulling consumer.
    Wanted(ConsumerKey),
    /// This consumer, or one that was, has held messages for too long: they have come back.
    TimedOut(ConsumerKey, Vec<LateDelivery>),
    /// The queue deleted itself, as its last consumer left.
    Deleted,
    /// The store must be read from this position on, so many octets; then [`Command::Loaded`].
    Load(Seq, usize),
    /// Messages that this connection has asked for may be there now.
    Loaded(u64),
}

impl Command {
    /// Whether the store has refused messages.
    pub fn tells_of_refused(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Schedule(schedule::Note::Refused(_)))
    }

    /// Whether it settles messages for good.
    pub fn settles(&self) -> bool {
        matches!(self, Self::Settle(ranges, verdict) if !ranges.is_empty() && !verdict.returns())
    }
}

/// What commands lead to outside of the queue, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages for consumers.
    pub deliveries: Vec<Delivery>,
    /// What the store must be told, before anybody is told anything else.
    pub store: Vec<Op>,
    /// What is to be done for messages that wait for a time.
    pub schedule: Vec<schedule::Job>,
    /// Messages to be dead-lettered. Only then does the store hear that they are gone.
    pub dead: Vec<Dead>,
    /// The same of messages that somebody wants to be elsewhere.
    pub ordered: Vec<Ordered>,
    /// All else.
    pub notices: Vec<Notice>,
    /// What became of messages that others were the same as.
    pub dropped: Dropped,
}

/// Whether stored messages were dropped for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// There were some.
    pub drops: bool,
    /// For one that the store may not have taken yet.
    pub relies: bool,
}

/// Messages that go to a dead letter exchange.
#[derive(Debug)]
pub struct Dead {
    /// Why.
    pub reason: Reason,
    /// What; in order of their positions.
    pub entries: Vec<Entry>,
    /// Where to.
    pub rules: Arc<Rules>,
    /// The queue knows that they wait ([`Command::Hold`]).
    pub held: bool,
}

/// Messages that go where an order says.
#[derive(Debug)]
pub struct Ordered {
    /// The order's number.
    pub order: u64,
    /// What; in order of their positions.
    pub entries: Vec<Entry>,
}

impl Dead {
    /// Octets that they hold in memory.
    pub fn footprint(&self) -> usize {
        self.entries.iter().map(Entry::footprint).sum()
    }
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.notices.is_empty()
            && self.store.is_empty()
            && self.dead.is_empty()
            && self.ordered.is_empty()
            && self.schedule.is_empty()
    }

    /// The store has refused messages (position, octets of the body, by position): where they were
    /// to go they do not come, besides those that somebody has had and that wait.
    pub fn leave_out(&mut self, refused: &[(Seq, u64)]) {
        let stays = |entry: &Entry| {
            !entry.stored || refused.binary_search_by_key(&entry.seq, |(seq, _)| *seq).is_err()
        };
        for dead in &mut self.dead {
            dead.entries.retain(stays);
        }
        for ordered in &mut self.ordered {
            ordered.entries.retain(stays);
        }
        for job in &mut self.schedule {
            if let schedule::Job::Postpone(postponed) = job {
                let entries = postponed.iter_mut().map(|postponed| &mut postponed.entry);
                entries.filter(|entry| !stays(entry)).for_each(|entry| entry.stored = false);
            }
        }
    }
}
