//! One queue of the memory engine.

use std::collections::BTreeMap;

use super::queues::cost;
use crate::{Payload, QueueStats, ReadMax, Seq, SeqRange, Stored};

/// Its messages, and what is known of those that are gone.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: BTreeMap<Seq, Message>,
    weight: u64,
    next: Seq,
    delivered: Seq,
}

#[derive(Debug)]
struct Message {
    payload: Payload,
    returns: u32,
}

impl Queue {
    /// The lowest position that a new message may take.
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    pub(super) fn publish(&mut self, seq: Seq, payload: Payload, weight: u32) {
        self.next = after(seq);
        self.weight = self.weight.saturating_add(weight.into());
        self.messages.insert(seq, Message { payload, returns: 0 });
    }

    /// Takes the messages of a range, and returns what they have cost.
    pub(super) fn settle(&mut self, range: SeqRange, settled: &mut Vec<Payload>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let SeqRange { first, last } = range;
        if first == last {
            // The most frequent case: one acknowledgement.
            let Some(message) = self.messages.remove(&first) else { return 0 };
            let freed = cost(message.payload.len());
            settled.push(message.payload);
            return freed;
        }
        let gone = self.messages.extract_if(first..=last, |_, _| true);
        let mut freed: u64 = 0;
        for (_, message) in gone {
            freed = freed.saturating_add(cost(message.payload.len()));
            settled.push(message.payload);
        }
        freed
    }

    /// What was settled weighed so much.
    pub(super) fn lighten(&mut self, weight: u64) {
        let left = self.weight.saturating_sub(weight);
        self.weight = if self.messages.is_empty() { 0 } else { left };
    }

    pub(super) fn deliver(&mut self, up_to: Seq) {
        self.delivered = self.delivered.max(after(up_to));
        self.next = self.next.max(after(up_to));
    }

    pub(super) fn give_back(&mut self, range: SeqRange) {
        if !range.is_empty() {
            for (_, message) in self.messages.range_mut(range.first..=range.last) {
                message.returns = message.returns.saturating_add(1);
            }
        }
    }

    pub(super) fn read(&self, from: Seq, max: ReadMax, out: &mut Vec<Stored>) -> Seq {
        let mut next = from;
        let mut bytes: usize = 0;
        for (&seq, message) in self.messages.range(from..).take(max.messages) {
            bytes = bytes.saturating_add(message.payload.len());
            if bytes > max.bytes && next != from {
                break;
            }
            let (payload, returns) = (message.payload.clone(), message.returns);
            out.push(Stored { seq, payload, returns });
            next = after(seq);
        }
        next
    }

    pub(super) fn stats(&self) -> QueueStats {
        let first = self.messages.keys().next().copied();
        QueueStats {
            messages: self.messages.len() as u64,
            weight: self.weight,
            first: first.unwrap_or(self.next),
            next: self.next,
            delivered: self.delivered,
        }
    }
}

pub(super) fn after(seq: Seq) -> Seq {
    Seq(seq.0.saturating_add(1))
}
