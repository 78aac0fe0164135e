//! Random batches.

use bytes::Bytes;
use proptest::prelude::*;

use super::model::{Model, QUEUES, State};
use crate::{Batch, Op, QueueId, Seq, SeqRange, TxPart};

/// A batch before its positions are known.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    ops: Vec<PlannedOp>,
    part: Option<PlannedPart>,
}

/// A part of one of the transactions that go on at a time, and whether it is the last.
#[derive(Clone, Copy, Debug)]
struct PlannedPart {
    slot: usize,
    last: bool,
}

/// Where a message goes: a queue, and how far from the next position (seldom too low).
type Place = (u64, i64);

#[derive(Clone, Debug)]
enum PlannedOp {
    Publish(usize, u32, Vec<Place>),
    Settle(u64, Vec<(u64, u64)>),
    Deliver(u64, i64),
    Return(u64, Vec<(u64, u64)>),
    Drop(u64),
    Meta(Vec<(u8, Option<usize>)>),
}

/// The transactions that go on, by number.
#[derive(Default)]
pub(super) struct Transactions {
    slots: [Option<u64>; 2],
    begun: u64,
}

/// Up to `large` octets are in a message, now and then.
pub(super) fn any_batch(large: usize) -> impl Strategy<Value = Plan> {
    let queue = || 0..QUEUES;
    let place = (queue(), prop_oneof![40 => Just(0), 6 => 1..4i64, 1 => -2..0i64]);
    let places = prop::collection::vec(place, 1..4);
    let ranges = || prop::collection::vec((0..30u64, 0..30u64), 0..3);
    let len = prop_oneof![20 => 0..50usize, 1 => 0..=large];
    let change = (0..5u8, prop::option::of(0..100usize));
    let op = prop_oneof![
        8 => (len, 0..100u32, places).prop_map(|(len, weight, to)| PlannedOp::Publish(len, weight, to)),
        4 => (queue(), ranges()).prop_map(|(queue, ranges)| PlannedOp::Settle(queue, ranges)),
        2 => (queue(), -6..3i64).prop_map(|(queue, offset)| PlannedOp::Deliver(queue, offset)),
        2 => (queue(), ranges()).prop_map(|(queue, ranges)| PlannedOp::Return(queue, ranges)),
        1 => queue().prop_map(PlannedOp::Drop),
        1 => prop::collection::vec(change, 0..3).prop_map(PlannedOp::Meta),
    ];
    let part =
        (0..2usize, prop::bool::weighted(0.3)).prop_map(|(slot, last)| PlannedPart { slot, last });
    let part = prop_oneof![4 => Just(None), 1 => part.prop_map(Some)];
    (prop::collection::vec(op, 0..5), part).prop_map(|(ops, part)| Plan { ops, part })
}

impl Transactions {
    /// The number of a transaction that goes on, or begins now.
    fn number(&mut self, part: PlannedPart) -> u64 {
        let Some(slot) = self.slots.get_mut(part.slot) else { return 0 };
        let number = *slot.get_or_insert_with(|| {
            self.begun += 1;
            self.begun
        });
        if part.last {
            *slot = None;
        }
        number
    }
}

impl Plan {
    /// The batch, with positions that follow those of the model.
    pub fn batch(&self, model: &Model, transactions: &mut Transactions) -> Batch {
        let mut state = model.now.clone();
        let mut batch = Batch::new();
        for planned in &self.ops {
            // A transaction holds messages only.
            let apart = matches!(planned, PlannedOp::Drop(_) | PlannedOp::Meta(_));
            if self.part.is_some() && apart {
                continue;
            }
            planned.push(&mut state, &mut batch);
        }
        if let Some(part) = self.part {
            let last = part.last;
            batch.set_part(TxPart { tx: transactions.number(part), last });
        }
        batch
    }
}

impl PlannedOp {
    fn push(&self, state: &mut State, batch: &mut Batch) {
        let mut push = |state: &mut State, op: Op| {
            state.apply(&op);
            batch.push(op);
        };
        match self {
            Self::Publish(len, weight, to) => {
                let payload = Bytes::from(vec![*len as u8; *len]);
                for &(queue, offset) in to {
                    let queue = QueueId(queue);
                    let seq = Seq(state.next(queue).saturating_add_signed(offset));
                    let (payload, weight) = (payload.clone(), *weight);
                    let shared = to.len() > 1;
                    push(state, Op::Publish { queue, seq, payload, weight, shared });
                }
            }
            Self::Settle(queue, places) => {
                let queue = QueueId(*queue);
                let ranges: Vec<SeqRange> = places.iter().map(range).collect();
                let weight = state.weight(queue, &ranges);
                push(state, Op::Settle { queue, ranges, weight });
            }
            Self::Deliver(queue, offset) => {
                let queue = QueueId(*queue);
                let up_to = Seq(state.next(queue).saturating_add_signed(*offset));
                push(state, Op::Deliver { queue, up_to });
            }
            Self::Return(queue, places) => {
                let ranges = apart(places.iter().map(range).collect());
                push(state, Op::Return { queue: QueueId(*queue), ranges });
            }
            Self::Drop(queue) => push(state, Op::DropQueue { queue: QueueId(*queue) }),
            Self::Meta(changes) => {
                let value = |len: usize| Bytes::from(vec![b'v'; len]);
                let changes = changes
                    .iter()
                    .map(|(key, len)| (Bytes::copy_from_slice(&[*key]), len.map(value)));
                let version = state.meta_version() + 1;
                push(state, Op::Meta { version, changes: changes.collect() });
            }
        }
    }
}

fn range(&(first, last): &(u64, u64)) -> SeqRange {
    SeqRange { first: Seq(first), last: Seq(last) }
}

/// Without those that overlap with an earlier one.
fn apart(ranges: Vec<SeqRange>) -> Vec<SeqRange> {
    let mut kept: Vec<SeqRange> = Vec::new();
    for range in ranges {
        let overlaps = |other: &SeqRange| range.first <= other.last && other.first <= range.last;
        if !kept.iter().any(overlaps) {
            kept.push(range);
        }
    }
    kept
}
