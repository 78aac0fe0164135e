//! The queues of the memory engine, and the account of what they take.

use std::collections::HashMap;

use super::MemoryStore;
use super::queue::{Queue, after};
use crate::{Meta, Op, Payload, QueueId, QueueStats, ReadMax, Seq, SeqRange, StoreError, Stored};

/// All queues of a store.
#[derive(Debug)]
pub(super) struct Queues {
    by_id: HashMap<QueueId, Queue>,
    meta: Meta,
    used: u64,
    max: u64,
}

impl Queues {
    pub(super) fn new(max: u64) -> Self {
        Self { by_id: HashMap::new(), meta: Meta::default(), used: 0, max }
    }

    /// Whether all of a batch can be applied; `bounded`: only if there is room.
    pub(super) fn check(&self, ops: &[Op], bounded: bool) -> Result<(), StoreError> {
        let mut order = Order::new(self);
        let mut needed: u64 = 0;
        for op in ops {
            match op {
                Op::Publish { queue, seq, payload, .. } => {
                    needed = needed.saturating_add(cost(payload.len()));
                    order.publish(*queue, *seq)?;
                }
                Op::Deliver { queue, up_to } => order.deliver(*queue, *up_to),
                Op::DropQueue { queue } => order.forget(*queue),
                Op::Settle { .. } | Op::Return { .. } | Op::Meta { .. } => {}
            }
        }
        let free = self.max.saturating_sub(self.used);
        // A batch that publishes nothing needs nothing.
        if bounded && needed > free { Err(StoreError::Full { needed, free }) } else { Ok(()) }
    }

    /// Applies one operation of a batch that was checked. Payloads that are gone are left in
    /// `settled`, so that they need not be freed under a lock.
    pub(super) fn apply(&mut self, op: Op, settled: &mut Vec<Payload>) {
        match op {
            Op::Publish { queue, seq, payload, weight, .. } => {
                self.used = self.used.saturating_add(cost(payload.len()));
                self.by_id.entry(queue).or_default().publish(seq, payload, weight);
            }
            Op::Settle { queue, ranges, weight } => {
                let Some(queue) = self.by_id.get_mut(&queue) else { return };
                for range in ranges {
                    self.used = self.used.saturating_sub(queue.settle(range, settled));
                }
                queue.lighten(weight);
            }
            Op::Deliver { queue, up_to } => self.by_id.entry(queue).or_default().deliver(up_to),
            Op::Return { queue, ranges } => {
                let Some(queue) = self.by_id.get_mut(&queue) else { return };
                ranges.into_iter().for_each(|range| queue.give_back(range));
            }
            Op::DropQueue { queue } => {
                let Some(mut queue) = self.by_id.remove(&queue) else { return };
                self.used = self.used.saturating_sub(queue.settle(SeqRange::ALL, settled));
            }
            Op::Meta { version, changes } => self.meta.apply(version, changes),
        }
    }

    pub(super) fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Seq {
        self.by_id.get(&queue).map_or(from, |queue| queue.read(from, max, out))
    }

    pub(super) fn stats(&self, queue: QueueId) -> QueueStats {
        self.by_id.get(&queue).map_or_else(QueueStats::default, Queue::stats)
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What is taken of the bound, in bytes.
    pub(super) fn used(&self) -> u64 {
        self.used
    }
}

/// Checks that positions ascend in each queue, also within a batch.
struct Order<'a> {
    queues: &'a Queues,
    /// The next position of the queues met so far.
    next: HashMap<QueueId, Seq>,
    /// The queue met last, which is mostly the one met next.
    latest: Option<(QueueId, Seq)>,
}

impl<'a> Order<'a> {
    fn new(queues: &'a Queues) -> Self {
        Self { queues, next: HashMap::new(), latest: None }
    }

    fn publish(&mut self, queue: QueueId, seq: Seq) -> Result<(), StoreError> {
        let next = self.next_of(queue);
        if seq < next || seq == Seq(u64::MAX) {
            return Err(StoreError::OutOfOrder { queue, seq, next });
        }
        self.latest = Some((queue, after(seq)));
        Ok(())
    }

    fn deliver(&mut self, queue: QueueId, up_to: Seq) {
        let next = self.next_of(queue);
        self.latest = Some((queue, next.max(after(up_to))));
    }

    fn forget(&mut self, queue: QueueId) {
        self.next_of(queue);
        self.latest = Some((queue, Seq(0)));
    }

    /// Where a queue stands. Makes room for it to become the latest one.
    fn next_of(&mut self, queue: QueueId) -> Seq {
        if let Some((latest, next)) = self.latest {
            if latest == queue {
                return next;
            }
            self.next.insert(latest, next);
        }
        let known = self.next.get(&queue).copied();
        known.unwrap_or_else(|| self.queues.by_id.get(&queue).map_or(Seq(0), Queue::next))
    }
}

/// What a payload takes of the bound.
pub(super) fn cost(payload: usize) -> u64 {
    MemoryStore::ENTRY_BYTES.saturating_add(payload as u64)
}
