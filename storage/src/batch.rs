//! What is written in one piece.

use crate::{Payload, QueueId, Seq};

/// Operations that take effect together or not at all, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ops: Vec<Op>,
}

/// One operation of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Stores a message once, at a position in each of some queues. A queue comes into being with
    /// its first message. Without positions, nothing is stored.
    Publish {
        /// The message.
        payload: Payload,
        /// Where it is found. Within a queue the positions ascend, over all batches.
        refs: Vec<(QueueId, Seq)>,
    },
    /// Forgets messages for good: acknowledged, rejected, expired or purged. Positions that hold
    /// no message (any more) are passed over.
    Settle {
        /// The queue that holds them.
        queue: QueueId,
        /// Their positions, in any order; they may overlap.
        ranges: Vec<SeqRange>,
    },
    /// Settles a message in one queue and stores it in others, without its body: a dead letter.
    /// If there is no message at `from` (any more), nothing is stored, but the positions are used.
    Move {
        /// Where it is.
        from: (QueueId, Seq),
        /// Where it goes. Within a queue the positions ascend, as for [`Op::Publish`].
        to: Vec<(QueueId, Seq)>,
    },
    /// Forgets a queue with all its messages and the positions that it has used.
    DropQueue {
        /// The queue; it need not exist.
        queue: QueueId,
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

    /// Adds an [`Op::Publish`].
    pub fn publish(&mut self, payload: Payload, refs: Vec<(QueueId, Seq)>) -> &mut Self {
        self.push(Op::Publish { payload, refs })
    }

    /// Adds an [`Op::Settle`].
    pub fn settle(&mut self, queue: QueueId, ranges: Vec<SeqRange>) -> &mut Self {
        self.push(Op::Settle { queue, ranges })
    }

    /// Adds an [`Op::Move`].
    pub fn move_message(&mut self, from: (QueueId, Seq), to: Vec<(QueueId, Seq)>) -> &mut Self {
        self.push(Op::Move { from, to })
    }

    /// Adds an [`Op::Settle`] of everything that the queue holds so far.
    pub fn purge(&mut self, queue: QueueId) -> &mut Self {
        self.settle(queue, vec![SeqRange::ALL])
    }

    /// Adds an [`Op::DropQueue`].
    pub fn drop_queue(&mut self, queue: QueueId) -> &mut Self {
        self.push(Op::DropQueue { queue })
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

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }
}
