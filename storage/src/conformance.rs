//! What every engine has to do, whatever is below it: the tests of the trait's promises, and random
//! histories compared with a model. Engines that survive a crash pass [`reopening`] too.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{Batch, Lsn, MessageStore, Op, QueueId, ReadMax, Seq, SeqRange};

pub(crate) mod model;
mod plan;
mod random;
mod reopening;
mod rules;

pub(crate) use reopening::reopening;

/// Room for everything that these tests do, but for those that fill the store.
const AMPLE: u64 = 64 << 20;

const A: QueueId = QueueId(1);
const B: QueueId = QueueId(2);

const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };

/// Runs all; `open` gives an empty store that keeps at most so many bytes.
pub(crate) fn conformance<S: MessageStore>(open: impl Fn(u64) -> S) {
    rules::reads_in_order_within_bounds(&open(AMPLE));
    rules::settles_what_is_there(&open(AMPLE));
    rules::sums_weights(&open(AMPLE));
    rules::remembers_what_was_delivered(&open(AMPLE));
    rules::counts_returns(&open(AMPLE));
    rules::keeps_what_is_shared_in_each_queue(&open(AMPLE));
    rules::drops_a_queue_and_its_positions(&open(AMPLE));
    rules::refuses_positions_out_of_order(&open(AMPLE));
    rules::numbers_batches_and_makes_them_durable(&open(AMPLE));
    rules::applies_the_parts_of_a_transaction_at_once(&open(AMPLE));
    rules::refuses_publishes_and_only_those_when_full(&open(1 << 20));
    rules::reports_that_it_is_well(&open(AMPLE));
    rules::serves_threads(&open(AMPLE));
    random::random_histories_equal_the_model(open);
}

/// Waits until so much is durable.
pub(crate) fn until_durable(store: &impl MessageStore, lsn: Lsn) {
    let (durable, begin) = (store.durable(), Instant::now());
    while *durable.borrow() < lsn {
        assert!(begin.elapsed() < Duration::from_secs(20), "{lsn:?} does not become durable");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An engine with threads of its own need not be asked: for those that run without being stepped.
pub(crate) fn becomes_durable_by_itself(store: &impl MessageStore) {
    let mut latest = store.append(batch([publish(A, 0, 9)])).unwrap();
    until_durable(store, latest);
    // Not only publishes.
    for op in [deliver(A, 0), give_back(A, [one(0)]), settle(A, [one(0)], 9), drop_queue(A)] {
        latest = store.append(batch([op])).unwrap();
        until_durable(store, latest);
    }
}

pub(crate) fn batch(ops: impl IntoIterator<Item = Op>) -> Batch {
    let mut batch = Batch::new();
    for op in ops {
        batch.push(op);
    }
    batch
}

/// A message that weighs as much as it is long.
pub(crate) fn publish(queue: QueueId, seq: u64, len: usize) -> Op {
    Op::Publish { queue, seq: Seq(seq), payload: body(len), weight: len as u32, shared: false }
}

pub(crate) fn settle(
    queue: QueueId,
    ranges: impl IntoIterator<Item = SeqRange>,
    weight: u64,
) -> Op {
    Op::Settle { queue, ranges: ranges.into_iter().collect(), weight }
}

pub(crate) fn drop_queue(queue: QueueId) -> Op {
    Op::DropQueue { queue }
}

fn deliver(queue: QueueId, up_to: u64) -> Op {
    Op::Deliver { queue, up_to: Seq(up_to) }
}

fn give_back(queue: QueueId, ranges: impl IntoIterator<Item = SeqRange>) -> Op {
    Op::Return { queue, ranges: ranges.into_iter().collect() }
}

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange { first: Seq(first), last: Seq(last) }
}

fn one(seq: u64) -> SeqRange {
    Seq(seq).into()
}

fn body(len: usize) -> Bytes {
    (0..len).map(|i| i as u8).collect()
}

/// Publishes in one batch.
fn put(store: &impl MessageStore, queue: QueueId, seqs: &[u64], len: usize) {
    let ops = seqs.iter().map(|&seq| publish(queue, seq, len));
    store.append(batch(ops)).unwrap();
}

fn read(store: &impl MessageStore, queue: QueueId, from: u64, max: ReadMax) -> (Vec<u64>, u64) {
    let mut out = Vec::new();
    let next = store.read(queue, Seq(from), max, &mut out).unwrap();
    (out.iter().map(|stored| stored.seq.0).collect(), next.0)
}

fn seqs(store: &impl MessageStore, queue: QueueId) -> Vec<u64> {
    read(store, queue, 0, EVERYTHING).0
}
