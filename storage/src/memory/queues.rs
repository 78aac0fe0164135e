//! The queues of the memory engine, and the account of what they take.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::MemoryStore;
use crate::{Op, QueueId, QueueStats, ReadMax, Seq, SeqRange, StoreError, Stored};

/// All queues of a store.
#[derive(Debug)]
pub(super) struct Queues {
    by_id: HashMap<QueueId, Queue>,
    used: u64,
    max: u64,
}

#[derive(Debug, Default)]
struct Queue {
    messages: BTreeMap<Seq, Body>,
    bytes: u64,
    next: Seq,
}

/// A payload, and whether other positions hold it too: its bytes are given back with the last.
#[derive(Clone, Debug)]
enum Body {
    Sole(Bytes),
    Shared(Arc<Bytes>),
}

impl Queues {
    pub(super) fn new(max: u64) -> Self {
        Self { by_id: HashMap::new(), used: 0, max }
    }

    /// Whether all of a batch can be applied.
    pub(super) fn check(&self, ops: &[Op]) -> Result<(), StoreError> {
        let mut order = Order::new(self);
        let mut needed: u64 = 0;
        for op in ops {
            match op {
                Op::Publish { payload, refs } if !refs.is_empty() => {
                    needed = needed.saturating_add(cost(payload.len(), refs.len()));
                    order.check(refs)?;
                }
                Op::Move { to, .. } => order.check(to)?,
                Op::DropQueue { queue } => order.forget(*queue),
                Op::Publish { .. } | Op::Settle { .. } => {}
            }
        }
        let free = self.max.saturating_sub(self.used);
        if needed > free {
            let max = self.max;
            return Err(StoreError::Full { needed, free, max });
        }
        Ok(())
    }

    /// Applies one operation of a batch that was checked. Bodies that are gone are left in
    /// `settled`, so that they need not be freed under a lock.
    pub(super) fn apply(&mut self, op: Op, settled: &mut Vec<Bytes>) {
        match op {
            Op::Publish { payload, refs } => {
                if !refs.is_empty() {
                    self.used += payload.len() as u64;
                    self.store(Body::new(payload, refs.len()), &refs);
                }
            }
            Op::Settle { queue, ranges } => {
                for range in ranges {
                    self.settle(queue, range, settled);
                }
            }
            Op::Move { from, to } => match self.take(from) {
                // The account of the body moves with it, or ends with it.
                Some(body) if to.is_empty() => self.release(body, settled),
                Some(body) => self.store(body.spread(to.len()), &to),
                None => self.skip(&to),
            },
            Op::DropQueue { queue } => {
                self.settle(queue, SeqRange::ALL, settled);
                self.by_id.remove(&queue);
            }
        }
    }

    pub(super) fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Seq {
        let Some(queue) = self.by_id.get(&queue) else {
            return from;
        };
        let mut next = from;
        let mut bytes: usize = 0;
        for (&seq, body) in queue.messages.range(from..).take(max.messages) {
            let payload = body.bytes();
            bytes = bytes.saturating_add(payload.len());
            if bytes > max.bytes && next != from {
                break;
            }
            out.push(Stored { seq, payload: payload.clone() });
            next = after(seq);
        }
        next
    }

    pub(super) fn stats(&self, queue: QueueId) -> QueueStats {
        let Some(queue) = self.by_id.get(&queue) else {
            return QueueStats::default();
        };
        let first = queue.messages.keys().next().copied();
        QueueStats {
            messages: queue.messages.len() as u64,
            bytes: queue.bytes,
            first: first.unwrap_or(queue.next),
            next: queue.next,
        }
    }

    /// What is taken of the bound, in bytes.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Puts a body, whose bytes are on the account, at each of the positions.
    fn store(&mut self, body: Body, refs: &[(QueueId, Seq)]) {
        self.used += cost(0, refs.len());
        for &(queue, seq) in refs {
            let queue = self.by_id.entry(queue).or_default();
            queue.bytes += body.bytes().len() as u64;
            queue.next = after(seq);
            queue.messages.insert(seq, body.clone());
        }
    }

    /// Uses up positions without putting anything there.
    fn skip(&mut self, refs: &[(QueueId, Seq)]) {
        for &(queue, seq) in refs {
            self.by_id.entry(queue).or_default().next = after(seq);
        }
    }

    /// Takes a body from a position; its bytes stay on the account.
    fn take(&mut self, (queue, seq): (QueueId, Seq)) -> Option<Body> {
        let queue = self.by_id.get_mut(&queue)?;
        let body = queue.messages.remove(&seq)?;
        queue.bytes -= body.bytes().len() as u64;
        self.used -= cost(0, 1);
        Some(body)
    }

    /// Gives back a body's bytes, if this was the last position that held it.
    fn release(&mut self, body: Body, settled: &mut Vec<Bytes>) {
        if let Some(bytes) = body.last() {
            self.used -= bytes.len() as u64;
            settled.push(bytes);
        }
    }

    fn settle(&mut self, queue: QueueId, range: SeqRange, settled: &mut Vec<Bytes>) {
        let SeqRange { first, last } = range;
        if first == last {
            // The most frequent case: one acknowledgement.
            if let Some(body) = self.take((queue, first)) {
                self.release(body, settled);
            }
        } else if !range.is_empty()
            && let Some(queue) = self.by_id.get_mut(&queue)
        {
            let gone: Vec<_> = queue
                .messages
                .extract_if(first..=last, |_, _| true)
                .map(|(_, body)| body)
                .collect();
            let bytes: u64 = gone.iter().map(|body| body.bytes().len() as u64).sum();
            queue.bytes -= bytes;
            self.used -= cost(0, gone.len());
            for body in gone {
                self.release(body, settled);
            }
        }
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

    fn check(&mut self, refs: &[(QueueId, Seq)]) -> Result<(), StoreError> {
        for &(queue, seq) in refs {
            let next = self.next_of(queue);
            if seq < next || seq == Seq(u64::MAX) {
                return Err(StoreError::OutOfOrder { queue, seq, next });
            }
            self.latest = Some((queue, after(seq)));
        }
        Ok(())
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
        known.unwrap_or_else(|| self.queues.by_id.get(&queue).map_or(Seq(0), |q| q.next))
    }
}

impl Body {
    fn new(bytes: Bytes, refs: usize) -> Self {
        Self::Sole(bytes).spread(refs)
    }

    /// Makes it fit to be held by so many positions.
    fn spread(self, refs: usize) -> Self {
        match self {
            Self::Sole(bytes) if refs > 1 => Self::Shared(Arc::new(bytes)),
            body => body,
        }
    }

    fn bytes(&self) -> &Bytes {
        match self {
            Self::Sole(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The bytes, if no other position holds them.
    fn last(self) -> Option<Bytes> {
        match self {
            Self::Sole(bytes) => Some(bytes),
            Self::Shared(bytes) => Arc::into_inner(bytes),
        }
    }
}

fn after(seq: Seq) -> Seq {
    Seq(seq.0.saturating_add(1))
}

/// What a payload at so many positions takes of the bound.
fn cost(payload: usize, refs: usize) -> u64 {
    let refs = (refs as u64).saturating_mul(MemoryStore::ENTRY_BYTES);
    refs.saturating_add(payload as u64)
}
