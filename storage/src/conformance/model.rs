//! A store as plainly as it can be written: a list of all that is stored.

use bytes::Bytes;
use proptest::prelude::*;

use crate::{Batch, Op, QueueId, QueueStats, Seq, SeqRange, Stored};

const QUEUES: u64 = 3;

/// The list, and the next position of each queue.
#[derive(Clone, Default)]
pub(super) struct Model {
    stored: Vec<(QueueId, Seq, Bytes)>,
    next: [u64; QUEUES as usize],
    /// How many batches were applied.
    pub appended: u64,
}

impl Model {
    pub fn queues() -> impl Iterator<Item = QueueId> {
        (0..QUEUES).map(QueueId)
    }

    /// Whether the batch is a valid one, which is then applied.
    pub fn append(&mut self, batch: &Batch) -> bool {
        let mut after = self.clone();
        let valid = batch.ops().iter().all(|op| after.apply(op));
        if valid && !batch.is_empty() {
            after.appended += 1;
            *self = after;
        }
        valid
    }

    pub fn stored(&self, queue: QueueId) -> Vec<Stored> {
        let mut stored: Vec<_> = self
            .stored
            .iter()
            .filter(|entry| entry.0 == queue)
            .map(|(_, seq, payload)| Stored { seq: *seq, payload: payload.clone() })
            .collect();
        stored.sort_by_key(|entry| entry.seq);
        stored
    }

    pub fn stats(&self, queue: QueueId) -> QueueStats {
        let stored = self.stored(queue);
        let next = Seq(self.next[queue.0 as usize]);
        QueueStats {
            messages: stored.len() as u64,
            bytes: stored.iter().map(|entry| entry.payload.len() as u64).sum(),
            first: stored.first().map_or(next, |entry| entry.seq),
            next,
        }
    }

    fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Publish { payload, refs } => self.store(Some(payload.clone()), refs),
            Op::Settle { queue, ranges } => {
                self.stored.retain(|(of, seq, _)| {
                    let hit = |range: &SeqRange| range.first <= *seq && *seq <= range.last;
                    of != queue || !ranges.iter().any(hit)
                });
                true
            }
            Op::Move { from, to } => {
                let found = self.stored.iter().position(|e| (e.0, e.1) == *from);
                let payload = found.map(|at| self.stored.remove(at).2);
                self.store(payload, to)
            }
            Op::DropQueue { queue } => {
                self.stored.retain(|entry| entry.0 != *queue);
                self.next[queue.0 as usize] = 0;
                true
            }
        }
    }

    /// Without a payload, the positions are used up nevertheless.
    fn store(&mut self, payload: Option<Bytes>, refs: &[(QueueId, Seq)]) -> bool {
        refs.iter().all(|&(queue, seq)| {
            let next = &mut self.next[queue.0 as usize];
            let valid = seq.0 >= *next;
            *next = seq.0 + 1;
            if let Some(payload) = &payload {
                self.stored.push((queue, seq, payload.clone()));
            }
            valid
        })
    }
}

/// A batch before its positions are known.
#[derive(Clone, Debug)]
pub(super) struct Plan(Vec<PlannedOp>);

/// Where a message goes: a queue, and how far from the next position (seldom too low).
type Place = (u64, i64);

#[derive(Clone, Debug)]
enum PlannedOp {
    Publish(usize, Vec<Place>),
    Settle(u64, Vec<(u64, u64)>),
    Move(u64, u64, Vec<Place>),
    Drop(u64),
}

pub(super) fn any_batch() -> impl Strategy<Value = Plan> {
    let queue = || 0..QUEUES;
    let place = (queue(), prop_oneof![30 => Just(0), 5 => 1..4i64, 1 => -2..0i64]);
    let places = || prop::collection::vec(place.clone(), 0..4);
    let ranges = prop::collection::vec((0..30u64, 0..30u64), 0..3);
    let op = prop_oneof![
        8 => (0..50usize, places()).prop_map(|(len, to)| PlannedOp::Publish(len, to)),
        4 => (queue(), ranges).prop_map(|(queue, ranges)| PlannedOp::Settle(queue, ranges)),
        3 => (queue(), 0..30u64, places()).prop_map(|(q, seq, to)| PlannedOp::Move(q, seq, to)),
        1 => queue().prop_map(PlannedOp::Drop),
    ];
    prop::collection::vec(op, 0..5).prop_map(Plan)
}

impl Plan {
    /// The batch, with positions that follow those of the model.
    pub fn batch(&self, model: &Model) -> Batch {
        let mut next = model.next;
        let mut batch = Batch::new();
        for op in &self.0 {
            match op {
                PlannedOp::Publish(len, to) => {
                    batch.publish(Bytes::from(vec![*len as u8; *len]), refs(to, &mut next))
                }
                PlannedOp::Settle(queue, ranges) => {
                    let range = |&(first, last): &(u64, u64)| SeqRange {
                        first: Seq(first),
                        last: Seq(last),
                    };
                    batch.settle(QueueId(*queue), ranges.iter().map(range).collect())
                }
                PlannedOp::Move(queue, seq, to) => {
                    batch.move_message((QueueId(*queue), Seq(*seq)), refs(to, &mut next))
                }
                PlannedOp::Drop(queue) => batch.drop_queue(QueueId(*queue)),
            };
        }
        batch
    }
}

fn refs(places: &[Place], next: &mut [u64; QUEUES as usize]) -> Vec<(QueueId, Seq)> {
    let mut refs = Vec::new();
    for &(queue, offset) in places {
        let next = &mut next[queue as usize];
        let seq = next.saturating_add_signed(offset);
        *next = (*next).max(seq + 1);
        refs.push((QueueId(queue), Seq(seq)));
    }
    refs
}
