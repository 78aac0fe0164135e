//! Positions of messages that the store has, gathered for one operation on it.

use lepus_storage::{Op, QueueId, SeqRange as Span};

use super::place::{at_in_store, level_in_store, level_of};
use super::{Entry, Seq};

/// Runs of positions, and the octets of the bodies there.
#[derive(Debug, Default)]
pub struct Spans {
    level: u8,
    ranges: Vec<Span>,
    weight: u64,
    /// Those of other levels than the first one's.
    others: Vec<Self>,
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

    /// Adds a run, all of one level.
    pub fn add_range(&mut self, first: Seq, last: Seq, weight: u64) {
        let level = level_of(first);
        if self.ranges.is_empty() {
            self.level = level;
        }
        if self.level == level {
            self.add_here(first, last, weight);
        } else if let Some(other) = self.others.iter_mut().find(|other| other.level == level) {
            other.add_here(first, last, weight);
        } else {
            let mut other = Self { level, ..Self::default() };
            other.add_here(first, last, weight);
            self.others.push(other);
        }
    }

    fn add_here(&mut self, first: Seq, last: Seq, weight: u64) {
        let (first, last) = (at_in_store(first), at_in_store(last));
        self.weight += weight;
        match self.ranges.last_mut() {
            Some(range) if range.last.0 + 1 == first.0 => range.last = last,
            _ => self.ranges.push(Span { first, last }),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Makes them settled.
    pub fn settle(self, queue: QueueId, ops: &mut Vec<Op>) {
        self.each(queue, |queue, ranges, weight| ops.push(Op::Settle { queue, ranges, weight }));
    }

    /// Makes them returned.
    pub fn give_back(self, queue: QueueId, ops: &mut Vec<Op>) {
        self.each(queue, |queue, ranges, _| ops.push(Op::Return { queue, ranges }));
    }

    /// Each level's, with its name in the store.
    fn each(self, queue: QueueId, mut put: impl FnMut(QueueId, Vec<Span>, u64)) {
        let Self { level, ranges, weight, others } = self;
        if !ranges.is_empty() {
            put(level_in_store(queue, level), ranges, weight);
        }
        for Self { level, ranges, weight, .. } in others {
            put(level_in_store(queue, level), ranges, weight);
        }
    }
}
