//! The index as it would be if memory and time did not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::log::index::segments::Usage;
use crate::log::index::{BigId, SegmentId};
use crate::{QueueStats, Seq, SeqRange};

/// A message: where it is, and how often it has come back.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) segment: SegmentId,
    pub(super) offset: u32,
    pub(super) returns: u32,
    pub(super) big: Option<BigId>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) next: u64,
    pub(super) delivered: u64,
    pub(super) weight: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) queues: BTreeMap<u64, Queue>,
}

impl Model {
    pub(super) fn publish(&mut self, queue: u64, seq: u64, message: Message, weight: u32) {
        let queue = self.queues.entry(queue).or_default();
        assert!(seq >= queue.next);
        queue.next = seq + 1;
        queue.weight += u64::from(weight);
        queue.messages.insert(seq, message);
    }

    pub(super) fn settle(&mut self, queue: u64, ranges: &[SeqRange], weight: u64) -> u64 {
        let Some(queue) = self.queues.get_mut(&queue) else {
            return 0;
        };
        let before = queue.messages.len();
        for range in ranges {
            queue.messages.retain(|seq, _| *seq < range.first.0 || *seq > range.last.0);
        }
        let settled = before - queue.messages.len();
        queue.weight = queue.weight.saturating_sub(weight);
        if queue.messages.is_empty() {
            queue.weight = 0;
        }
        settled as u64
    }

    pub(super) fn deliver(&mut self, queue: u64, up_to: u64) {
        let queue = self.queues.entry(queue).or_default();
        queue.delivered = queue.delivered.max(up_to + 1);
        queue.next = queue.next.max(queue.delivered);
    }

    pub(super) fn give_back(&mut self, queue: u64, range: SeqRange) {
        if let Some(queue) = self.queues.get_mut(&queue)
            && !range.is_empty()
        {
            let there = queue.messages.range_mut(range.first.0..=range.last.0);
            there.for_each(|(_, message)| message.returns += 1);
        }
    }

    pub(super) fn stats(&self, queue: u64) -> QueueStats {
        let Some(queue) = self.queues.get(&queue) else {
            return QueueStats::default();
        };
        let first = queue.messages.keys().next().copied();
        QueueStats {
            messages: queue.messages.len() as u64,
            weight: queue.weight,
            first: Seq(first.unwrap_or(queue.next)),
            next: Seq(queue.next),
            delivered: Seq(queue.delivered),
        }
    }

    pub(super) fn live(&self, segment: SegmentId) -> u64 {
        let messages = self.queues.values().flat_map(|queue| queue.messages.values());
        messages.filter(|message| message.segment == segment).count() as u64
    }

    pub(super) fn check_usage(&self, segment: SegmentId, usage: Usage) {
        assert_eq!(usage.live, self.live(segment), "{segment:?}");
        assert_eq!(usage.bytes == 0, usage.live == 0, "{segment:?}: {usage:?}");
    }

    pub(super) fn big(&self) -> BTreeSet<BigId> {
        let messages = self.queues.values().flat_map(|queue| queue.messages.values());
        messages.filter_map(|message| message.big).collect()
    }
}
