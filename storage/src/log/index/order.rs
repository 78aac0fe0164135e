//! Whether the positions of a batch ascend.

use super::hash::IdMap;
use super::queues::Queues;
use crate::{Op, QueueId, Seq, StoreError};

impl Queues {
    /// Whether the messages of a batch can be added one after the other. Changes nothing.
    pub(crate) fn check(&self, ops: &[Op]) -> Result<(), StoreError> {
        let mut order = Order { queues: self, next: IdMap::default(), latest: None };
        for op in ops {
            match op {
                Op::Publish { queue, seq, .. } => order.publish(*queue, *seq)?,
                Op::Deliver { queue, up_to } => order.raise(*queue, up_to.0.saturating_add(1)),
                Op::DropQueue { queue } => order.set(*queue, 0),
                Op::Settle { .. } | Op::Return { .. } | Op::Meta { .. } => {}
            }
        }
        Ok(())
    }
}

struct Order<'a> {
    queues: &'a Queues,
    /// The next positions of the queues met so far.
    next: IdMap<QueueId, u64>,
    /// The queue met last, which is mostly the one met next, and its next position.
    latest: Option<(QueueId, u64)>,
}

impl Order<'_> {
    fn publish(&mut self, queue: QueueId, seq: Seq) -> Result<(), StoreError> {
        let next = self.next_of(queue);
        if seq.0 < next || seq.0 == u64::MAX {
            return Err(StoreError::OutOfOrder { queue, seq, next: Seq(next) });
        }
        self.latest = Some((queue, seq.0 + 1));
        Ok(())
    }

    fn raise(&mut self, queue: QueueId, next: u64) {
        let next = self.next_of(queue).max(next);
        self.latest = Some((queue, next));
    }

    fn set(&mut self, queue: QueueId, next: u64) {
        self.next_of(queue);
        self.latest = Some((queue, next));
    }

    /// Where a queue stands. Makes room for it to become the latest one.
    fn next_of(&mut self, queue: QueueId) -> u64 {
        if let Some((latest, next)) = self.latest {
            if latest == queue {
                return next;
            }
            self.next.insert(latest, next);
        }
        let known = self.next.get(&queue).copied();
        known.unwrap_or_else(|| self.queues.next_of(queue))
    }
}
