//! Positions of messages that the store has, gathered for one operation on it.

use lepus_storage::{Op, QueueId, Seq as At, SeqRange as Span};

use super::{Entry, Seq};

/// Runs of positions, and the octets of the bodies there.
#[derive(Debug, Default)]
pub struct Spans {
    ranges: Vec<Span>,
    weight: u64,
}

impl Spans {
    /// Those of the messages that the store has.
    pub fn of(entries: &[Entry]) -> Self {
        let mut spans = Self::default();
        entries.iter().for_each(|entry| spans.add(entry));
        spans
    }

    /// Adds a message, if the store has it.
    pub fn add(&mut self, entry: &Entry) {
        if entry.stored {
            self.add_range(entry.seq, entry.seq, entry.message.body_len() as u64);
        }
    }

    /// Adds a run.
    pub fn add_range(&mut self, first: Seq, last: Seq, weight: u64) {
        self.weight += weight;
        match self.ranges.last_mut() {
            Some(range) if range.last.0 + 1 == first => range.last = At(last),
            _ => self.ranges.push(Span { first: At(first), last: At(last) }),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Makes them settled.
    pub fn settle(self, queue: QueueId, ops: &mut Vec<Op>) {
        if !self.is_empty() {
            ops.push(Op::Settle { queue, ranges: self.ranges, weight: self.weight });
        }
    }

    /// Makes them returned.
    pub fn give_back(self, queue: QueueId, ops: &mut Vec<Op>) {
        if !self.is_empty() {
            ops.push(Op::Return { queue, ranges: self.ranges });
        }
    }
}
