//! A store as plainly as it can be written: a list of all that is stored, and of all batches.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::{Batch, Lsn, Meta, Op, QueueId, QueueStats, Recovered, Seq, SeqRange, Stored};

pub(crate) const QUEUES: u64 = 3;

/// What is there now, and the history that led to it.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub now: State,
    history: Vec<Batch>,
}

/// What is there.
#[derive(Clone, Default)]
pub(crate) struct State {
    stored: Vec<Message>,
    queues: BTreeMap<QueueId, Counts>,
    meta: Meta,
}

#[derive(Clone)]
struct Message {
    queue: QueueId,
    seq: Seq,
    payload: Bytes,
    weight: u32,
    returns: u32,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    weight: u64,
    next: u64,
    delivered: u64,
}

impl Model {
    pub fn queues() -> impl Iterator<Item = QueueId> {
        (0..QUEUES).map(QueueId)
    }

    /// The position of the latest batch.
    pub fn latest(&self) -> Lsn {
        Lsn(self.history.len() as u64)
    }

    /// Whether the batch is a valid one, which is then applied.
    pub fn append(&mut self, batch: &Batch) -> bool {
        let mut after = self.now.clone();
        let valid = batch.ops().iter().all(|op| after.apply(op));
        if valid && !(batch.is_empty() && batch.part().is_none()) {
            self.now = after;
            self.history.push(batch.clone());
        }
        valid
    }

    /// What is left by a crash, if the latest batch to survive is this one.
    pub fn crash(&mut self, survived: Lsn) {
        self.history.truncate(survived.0 as usize);
        let parts = self.history.iter().filter_map(Batch::part);
        let whole: BTreeSet<u64> = parts.filter(|part| part.last).map(|part| part.tx).collect();
        self.now = State::default();
        for batch in &mut self.history {
            if batch.part().is_some_and(|part| !whole.contains(&part.tx)) {
                *batch = Batch::new();
            }
            // Its number may serve again.
            let ops = std::mem::take(batch).into_ops();
            for op in ops {
                assert!(self.now.apply(&op), "a position taken by a transaction that was not");
                batch.push(op);
            }
        }
    }

    pub fn recovered(&self) -> Recovered {
        let used = Self::queues().filter(|queue| self.now.stats(*queue).next > Seq(0));
        Recovered {
            lsn: self.latest(),
            queues: used.map(|queue| (queue, self.now.stats(queue))).collect(),
            meta: self.now.meta.clone(),
            notes: Vec::new(),
        }
    }
}

impl State {
    pub fn stored(&self, queue: QueueId) -> Vec<Stored> {
        let of_queue = self.stored.iter().filter(|message| message.queue == queue);
        let mut stored: Vec<_> = of_queue
            .map(|Message { seq, payload, returns, .. }| {
                let (seq, payload, returns) = (*seq, payload.clone(), *returns);
                Stored { seq, payload, returns }
            })
            .collect();
        stored.sort_by_key(|entry| entry.seq);
        stored
    }

    pub fn stats(&self, queue: QueueId) -> QueueStats {
        let stored = self.stored(queue);
        let counts = self.queues.get(&queue).copied().unwrap_or_default();
        let next = Seq(counts.next);
        QueueStats {
            messages: stored.len() as u64,
            weight: counts.weight,
            first: stored.first().map_or(next, |entry| entry.seq),
            next,
            delivered: Seq(counts.delivered),
        }
    }

    pub fn next(&self, queue: QueueId) -> u64 {
        self.queues.get(&queue).map_or(0, |counts| counts.next)
    }

    pub fn meta_version(&self) -> u64 {
        self.meta.version
    }

    /// What the messages there weigh.
    pub fn weight(&self, queue: QueueId, ranges: &[SeqRange]) -> u64 {
        let there = self.stored.iter().filter(|message| message.is_at(queue, ranges));
        there.map(|message| u64::from(message.weight)).sum()
    }

    /// Whether it is valid; if not, what is there makes no sense any more.
    pub fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Publish { queue, seq, payload, weight, .. } => {
                let counts = self.queues.entry(*queue).or_default();
                let valid = seq.0 >= counts.next;
                counts.next = seq.0 + 1;
                counts.weight += u64::from(*weight);
                let (payload, weight, returns) = (payload.clone(), *weight, 0);
                self.stored.push(Message { queue: *queue, seq: *seq, payload, weight, returns });
                return valid;
            }
            Op::Settle { queue, ranges, weight } => {
                self.stored.retain(|message| !message.is_at(*queue, ranges));
                let empty = self.stored(*queue).is_empty();
                if let Some(counts) = self.queues.get_mut(queue) {
                    let left = counts.weight.saturating_sub(*weight);
                    counts.weight = if empty { 0 } else { left };
                }
            }
            Op::Deliver { queue, up_to } => {
                let counts = self.queues.entry(*queue).or_default();
                counts.delivered = counts.delivered.max(up_to.0 + 1);
                counts.next = counts.next.max(up_to.0 + 1);
            }
            Op::Return { queue, ranges } => {
                let back = self.stored.iter_mut().filter(|message| message.is_at(*queue, ranges));
                back.for_each(|message| message.returns += 1);
            }
            Op::DropQueue { queue } => {
                self.stored.retain(|message| message.queue != *queue);
                self.queues.remove(queue);
            }
            Op::Meta { version, changes } => self.meta.apply(*version, changes.clone()),
        }
        true
    }
}

impl Message {
    fn is_at(&self, queue: QueueId, ranges: &[SeqRange]) -> bool {
        let within = |range: &SeqRange| range.first <= self.seq && self.seq <= range.last;
        self.queue == queue && ranges.iter().any(within)
    }
}
