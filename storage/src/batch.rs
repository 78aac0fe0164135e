//! What is written in one piece.

use bytes::Bytes;

use crate::{Payload, QueueId, Seq};

/// Operations that take effect together or not at all, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
    part: Option<TxPart>,
    to_come: u64,
    moves: bool,
    followed: bool,
}

/// What makes several batches one transaction: after a crash all of them are there, or none.
/// While the process lives each takes effect at once, and what has taken effect stays. Only the first
/// one can be refused for want of room. It goes on until there is a last part, which may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxPart {
    /// Names the transaction; not used again while the store is open.
    pub tx: u64,
    /// The transaction is complete with this batch.
    pub last: bool,
}

/// One operation of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Stores a message at a position of a queue, which comes into being with its first operation.
    Publish {
        /// The queue.
        queue: QueueId,
        /// The position: above all that the queue has used so far.
        seq: Seq,
        /// The message.
        payload: Payload,
        /// What the caller wants summed up in [`crate::QueueStats::weight`].
        weight: u32,
        /// The same octets (the same memory) may be published to other queues within moments: an
        /// engine may then write them once.
        shared: bool,
    },
    /// Forgets messages for good: acknowledged, rejected, expired or purged. Positions that hold
    /// no message (any more) are passed over.
    Settle {
        /// The queue that holds them.
        queue: QueueId,
        /// Their positions, in any order; they may overlap.
        ranges: Vec<SeqRange>,
        /// The sum of the weights of the messages that are there.
        weight: u64,
    },
    /// Messages up to this position have been handed out at least once. Never goes back.
    Deliver {
        /// The queue.
        queue: QueueId,
        /// The highest position handed out.
        up_to: Seq,
    },
    /// Messages that were handed out have come back: [`crate::Stored::returns`] grows by one.
    Return {
        /// The queue.
        queue: QueueId,
        /// Their positions.
        ranges: Vec<SeqRange>,
    },
    /// Forgets a queue with all its messages and the positions that it has used.
    DropQueue {
        /// The queue; it need not exist.
        queue: QueueId,
    },
    /// Changes what is declared: a copy of the catalog that goes with the messages.
    Meta {
        /// Grows with each change.
        version: u64,
        /// Keys with their new values; without one the key is forgotten.
        changes: Vec<(Bytes, Option<Bytes>)>,
    },
}

/// Positions from `first` to `last`, both included. Empty if `first` is the greater one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeqRange {
    /// The lowest position.
    pub first: Seq,
    /// The highest position.
    pub last: Seq,
}

impl SeqRange {
    /// All positions of a queue.
    pub const ALL: Self = Self { first: Seq(0), last: Seq(u64::MAX) };

    /// Whether there is no position between the two.
    pub fn is_empty(self) -> bool {
        self.first > self.last
    }
}

impl From<Seq> for SeqRange {
    /// One position.
    fn from(seq: Seq) -> Self {
        Self { first: seq, last: seq }
    }
}

impl Batch {
    /// A batch without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it a part of a transaction.
    pub fn set_part(&mut self, part: TxPart) {
        self.part = Some(part);
    }

    /// Says how many octets the parts of its transaction that come after it publish, at most: with the
    /// first one an engine can look for the room of all, and keep it.
    pub fn set_to_come(&mut self, octets: u64) {
        self.to_come = octets;
    }

    /// Says that what it and the later parts of its transaction publish comes from where the same are settled, so that room
    /// comes back: it may take what is kept when messages are refused
    /// ([`MessageStore::keeps_room_for_moves`](crate::MessageStore::keeps_room_for_moves)). Also what is small is
    /// to be counted in [`Self::set_to_come`] then.
    pub fn set_moves(&mut self) {
        self.moves = true;
    }

    /// Whether messages only change their place.
    pub fn moves(&self) -> bool {
        self.moves
    }

    /// Says that a call of [`MessageStore::write`](crate::MessageStore::write) will follow: until then
    /// the store need not begin to write.
    pub fn set_followed(&mut self) {
        self.followed = true;
    }

    /// Whether a call of [`MessageStore::write`](crate::MessageStore::write) will follow.
    pub fn followed(&self) -> bool {
        self.followed
    }

    /// What later parts of its transaction publish, in octets; 0 if it was not said.
    pub fn to_come(&self) -> u64 {
        self.to_come
    }

    /// The transaction that it is a part of.
    pub fn part(&self) -> Option<TxPart> {
        self.part
    }

    /// Adds an operation.
    pub fn push(&mut self, op: Op) -> &mut Self {
        self.ops.push(op);
        self
    }

    /// The operations, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The operations, in order.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    /// Whether there is no operation. The last part of a transaction may be empty, and counts.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Whether a message is stored by it.
    pub fn has_publishes(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Publish { .. }))
    }
}

impl From<Vec<Op>> for Batch {
    fn from(ops: Vec<Op>) -> Self {
        Self { ops, ..Self::default() }
    }
}
