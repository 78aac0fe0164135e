//! What every engine has to do, whatever is below it: the tests of the trait's promises, and random
//! histories compared with a model.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{
    Batch, Lsn, MessageStore, QueueId, QueueStats, ReadMax, Seq, SeqRange, StoreError, Stored,
};

mod model;

use model::{Model, any_batch};

/// Room for everything that these tests do, but for those that fill the store.
const AMPLE: u64 = 64 << 20;

const A: QueueId = QueueId(1);
const B: QueueId = QueueId(2);

const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };

/// Runs all; `open` gives an empty store that keeps at most so many bytes.
pub(crate) fn conformance<S: MessageStore>(open: impl Fn(u64) -> S) {
    reads_in_order_within_bounds(&open(AMPLE));
    settles_what_is_there(&open(AMPLE));
    moves_without_the_body(&open(AMPLE));
    drops_a_queue_and_its_positions(&open(AMPLE));
    refuses_positions_out_of_order(&open(AMPLE));
    numbers_batches_and_makes_them_durable(&open(AMPLE));
    refuses_publishes_and_only_those_when_full(&open(1 << 20));
    serves_threads(&open(AMPLE));
    random_histories_equal_the_model(open);
}

fn body(len: usize) -> Bytes {
    (0..len).map(|i| i as u8).collect()
}

fn publish(store: &impl MessageStore, queue: QueueId, seqs: &[u64], len: usize) {
    let mut batch = Batch::new();
    for &seq in seqs {
        batch.publish(body(len), vec![(queue, Seq(seq))]);
    }
    store.append(batch).unwrap();
}

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange { first: Seq(first), last: Seq(last) }
}

fn read(store: &impl MessageStore, queue: QueueId, from: u64, max: ReadMax) -> (Vec<u64>, u64) {
    let mut out = Vec::new();
    let next = store.read(queue, Seq(from), max, &mut out).unwrap();
    (out.iter().map(|stored| stored.seq.0).collect(), next.0)
}

fn seqs(store: &impl MessageStore, queue: QueueId) -> Vec<u64> {
    read(store, queue, 0, EVERYTHING).0
}

fn reads_in_order_within_bounds(store: &impl MessageStore) {
    publish(store, A, &[1, 2, 5, 9], 100);
    let at_most = |messages, bytes| ReadMax { messages, bytes };
    assert_eq!(read(store, A, 0, EVERYTHING), (vec![1, 2, 5, 9], 10));
    assert_eq!(read(store, A, 3, EVERYTHING), (vec![5, 9], 10));
    assert_eq!(read(store, A, 10, EVERYTHING), (vec![], 10));
    assert_eq!(read(store, A, 11, EVERYTHING), (vec![], 11));
    assert_eq!(read(store, A, 0, at_most(2, usize::MAX)), (vec![1, 2], 3));
    assert_eq!(read(store, A, 0, at_most(0, usize::MAX)), (vec![], 0));
    assert_eq!(read(store, A, 0, at_most(9, 200)), (vec![1, 2], 3));
    assert_eq!(read(store, A, 0, at_most(9, 299)), (vec![1, 2], 3));
    // One message at least, or a reader would never get past it.
    assert_eq!(read(store, A, 0, at_most(9, 0)), (vec![1], 2));
    assert_eq!(read(store, B, 4, EVERYTHING), (vec![], 4));
    // What is there is kept.
    let mut out = vec![Stored { seq: Seq(0), payload: Bytes::new() }];
    store.read(A, Seq(9), EVERYTHING, &mut out).unwrap();
    assert_eq!(out.len(), 2);
    assert_eq!(out[1].payload, body(100));
}

fn settles_what_is_there(store: &impl MessageStore) {
    publish(store, A, &[0, 1, 2, 3, 4, 5, 6, 7], 10);
    let mut batch = Batch::new();
    batch.settle(A, vec![Seq(3).into(), range(5, 6), range(6, 5), range(7, 99)]);
    batch.settle(A, vec![Seq(3).into(), range(3, 3)]);
    batch.settle(B, vec![SeqRange::ALL]);
    store.append(batch).unwrap();
    assert_eq!(seqs(store, A), [0, 1, 2, 4]);
    let stats = QueueStats { messages: 4, bytes: 40, first: Seq(0), next: Seq(8) };
    assert_eq!(store.stats(A), stats);
    assert_eq!(store.stats(B), QueueStats::default());
    let mut batch = Batch::new();
    // A purge takes what came before it in its batch, and nothing that comes after.
    batch.publish(body(1), vec![(A, Seq(8))]).purge(A);
    batch.publish(body(1), vec![(A, Seq(9))]);
    store.append(batch).unwrap();
    assert_eq!(seqs(store, A), [9]);
    let mut batch = Batch::new();
    batch.purge(A);
    store.append(batch).unwrap();
    let (first, next) = (Seq(10), Seq(10));
    let empty = QueueStats { first, next, ..QueueStats::default() };
    assert_eq!(store.stats(A), empty);
}

fn moves_without_the_body(store: &impl MessageStore) {
    publish(store, A, &[0, 1], 1000);
    let mut batch = Batch::new();
    batch.move_message((A, Seq(0)), vec![(B, Seq(4))]);
    // To the end of its own queue, and elsewhere too.
    batch.move_message((A, Seq(1)), vec![(A, Seq(2)), (B, Seq(5))]);
    // Nothing is there: nothing is stored.
    batch.move_message((A, Seq(1)), vec![(B, Seq(6))]);
    batch.move_message((QueueId(3), Seq(0)), vec![(B, Seq(7))]);
    store.append(batch).unwrap();
    assert_eq!(seqs(store, A), [2]);
    assert_eq!(seqs(store, B), [4, 5]);
    let mut out = Vec::new();
    store.read(B, Seq(0), EVERYTHING, &mut out).unwrap();
    assert!(out.iter().all(|stored| stored.payload == body(1000)));
    let mut batch = Batch::new();
    batch.move_message((A, Seq(2)), Vec::new());
    // A message of the same batch can be moved on.
    batch.publish(body(7), vec![(A, Seq(3))]);
    batch.move_message((A, Seq(3)), vec![(B, Seq(8))]);
    store.append(batch).unwrap();
    assert_eq!(store.stats(A).messages, 0);
    assert_eq!(store.stats(B).bytes, 2007);
}

fn drops_a_queue_and_its_positions(store: &impl MessageStore) {
    let mut batch = Batch::new();
    batch.publish(body(9), vec![(A, Seq(7)), (B, Seq(7))]);
    batch.publish(body(9), Vec::new());
    store.append(batch).unwrap();
    let mut batch = Batch::new();
    batch.drop_queue(A).drop_queue(QueueId(3));
    store.append(batch).unwrap();
    assert_eq!(store.stats(A), QueueStats::default());
    assert_eq!(read(store, A, 0, EVERYTHING), (vec![], 0));
    assert_eq!(seqs(store, B), [7]);
    let mut batch = Batch::new();
    batch.publish(body(1), vec![(B, Seq(8))]).drop_queue(B);
    batch.publish(body(1), vec![(B, Seq(0))]);
    store.append(batch).unwrap();
    assert_eq!(seqs(store, B), [0]);
}

fn refuses_positions_out_of_order(store: &impl MessageStore) {
    publish(store, A, &[5], 1);
    let mut batches: [Batch; 6] = Default::default();
    batches[0].publish(body(1), vec![(A, Seq(5))]);
    batches[1].publish(body(1), vec![(A, Seq(4))]);
    batches[2].publish(body(1), vec![(A, Seq(6)), (A, Seq(6))]);
    batches[3].publish(body(1), vec![(A, Seq(7)), (B, Seq(0)), (A, Seq(6))]);
    batches[4].move_message((A, Seq(5)), vec![(A, Seq(5))]);
    batches[5].publish(body(1), vec![(A, Seq(u64::MAX))]);
    for batch in batches {
        // What comes with it does not happen either.
        let mut whole = Batch::new();
        whole.publish(body(1), vec![(B, Seq(0))]).purge(A);
        for op in batch.into_ops() {
            whole.push(op);
        }
        let refusal = store.append(whole).unwrap_err();
        assert!(matches!(refusal, StoreError::OutOfOrder { .. }));
        assert_eq!(seqs(store, A), [5]);
        assert_eq!(store.stats(B), QueueStats::default());
    }
    let mut batch = Batch::new();
    batch.purge(A);
    store.append(batch).unwrap();
    // A position stays used when its message is gone.
    let mut batch = Batch::new();
    batch.publish(body(1), vec![(A, Seq(5))]);
    let refusal = store.append(batch).unwrap_err();
    let StoreError::OutOfOrder { queue, seq, next } = refusal else {
        panic!("{refusal}");
    };
    assert_eq!((queue, seq, next), (A, Seq(5), Seq(6)));
}

fn numbers_batches_and_makes_them_durable(store: &impl MessageStore) {
    let durable = store.durable();
    assert_eq!(store.append(Batch::new()).unwrap(), Lsn(0));
    publish(store, A, &[0], 1);
    let mut batch = Batch::new();
    batch.purge(A);
    let second = store.append(batch).unwrap();
    assert_eq!(second, Lsn(2));
    assert_eq!(store.append(Batch::new()).unwrap(), second);
    assert_eq!(store.checkpoint().unwrap(), second);
    // A checkpoint waits for the disk: all before it is durable by now.
    assert_eq!(*durable.borrow(), second);
    assert_eq!(*store.durable().borrow(), second);
}

fn refuses_publishes_and_only_those_when_full(store: &impl MessageStore) {
    let mut filled = 0;
    let refusal = loop {
        let mut batch = Batch::new();
        batch.publish(body(10_000), vec![(A, Seq(filled))]);
        match store.append(batch) {
            Ok(_) => filled += 1,
            Err(refusal) => break refusal,
        }
        assert!(filled < 10_000, "no bound");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    assert_eq!(store.stats(A).messages, filled);
    assert_eq!(store.stats(A).next, Seq(filled));
    // A batch is all or nothing, so that even its settles do not happen.
    let mut batch = Batch::new();
    batch.settle(A, vec![Seq(0).into()]);
    batch.publish(body(1 << 20), vec![(A, Seq(filled))]);
    assert!(matches!(store.append(batch), Err(StoreError::Full { .. })));
    assert_eq!(store.stats(A).first, Seq(0));
    // What needs no room is done.
    let mut batch = Batch::new();
    batch.move_message((A, Seq(0)), vec![(B, Seq(0))]);
    batch.settle(A, vec![range(1, 3)]).drop_queue(B);
    store.append(batch).unwrap();
    assert_eq!(store.stats(A).messages, filled - 4);
    publish(store, A, &[filled, filled + 1], 10_000);
}

fn serves_threads(store: &impl MessageStore) {
    const MESSAGES: u64 = 2000;
    std::thread::scope(|scope| {
        for queue in [A, B] {
            scope.spawn(move || (0..MESSAGES).for_each(|seq| publish(store, queue, &[seq], 8)));
            scope.spawn(move || {
                let (mut from, mut taken) = (Seq(0), 0);
                while taken < MESSAGES {
                    let mut out = Vec::new();
                    from = store.read(queue, from, EVERYTHING, &mut out).unwrap();
                    taken += out.len() as u64;
                    let ranges = out.iter().map(|stored| stored.seq.into()).collect();
                    let mut batch = Batch::new();
                    batch.settle(queue, ranges);
                    store.append(batch).unwrap();
                }
            });
        }
    });
    assert_eq!(store.stats(A), store.stats(B));
    assert_eq!(store.stats(A).messages, 0);
    let latest = store.checkpoint().unwrap();
    assert_eq!(*store.durable().borrow(), latest);
}

fn random_histories_equal_the_model<S: MessageStore>(open: impl Fn(u64) -> S) {
    let history = prop::collection::vec(any_batch(), 1..40);
    let config = Config { failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&history, |history| {
        let store = open(AMPLE);
        let mut model = Model::default();
        for plan in history {
            let batch = plan.batch(&model);
            let expected = model.append(&batch);
            let lsn = store.append(batch);
            prop_assert_eq!(lsn.is_ok(), expected, "{:?}", lsn);
            for queue in Model::queues() {
                prop_assert_eq!(store.stats(queue), model.stats(queue));
            }
            prop_assert_eq!(store.checkpoint().ok(), Some(Lsn(model.appended)));
        }
        for queue in Model::queues() {
            let mut out = Vec::new();
            let read = store.read(queue, Seq(0), EVERYTHING, &mut out);
            prop_assert!(read.is_ok());
            prop_assert_eq!(out, model.stored(queue));
        }
        Ok(())
    });
    run.unwrap();
}
