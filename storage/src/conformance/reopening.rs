//! What engines with a disk have to do besides: what was durable comes back.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::model::Model;
use super::plan::{Plan, Transactions, any_batch};
use super::random::holds_the_same;
use super::{
    A, B, EVERYTHING, batch, body, deliver, drop_queue, give_back, one, publish, read, seqs, settle,
};
use crate::{Batch, Lsn, MessageStore, Op, QueueId, QueueStats, Recovered, Seq, SeqRange, TxPart};

/// Runs all; `open` opens a store in a directory, which need not exist, with room enough.
pub(crate) fn reopening<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    an_empty_store_stays_empty(&open);
    all_that_was_closed_comes_back(&open);
    what_is_gone_stays_gone(&open);
    a_checkpoint_is_enough(&open);
    large_payloads_come_back(&open);
    transactions_come_back_whole_or_not_at_all(&open);
    a_refused_last_part_is_made_up_for_by_an_empty_one(&open);
    a_number_of_a_transaction_serves_again(&open);
    random_lives_equal_the_model(&open);
}

/// A directory of its own, gone with the value. Only its name, for those that simulate a disk.
struct Directory {
    path: PathBuf,
    _held: tempfile::TempDir,
}

impl Directory {
    fn new() -> Self {
        let held = tempfile::tempdir().unwrap();
        Self { path: held.path().join("store"), _held: held }
    }
}

fn an_empty_store_stays_empty<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let directory = Directory::new();
    for _ in 0..3 {
        let (store, recovered) = open(&directory.path);
        assert_eq!(recovered, Recovered::default());
        assert_eq!(*store.durable().borrow(), Lsn(0));
        assert_eq!(store.stats(A), QueueStats::default());
        assert_eq!(read(&store, A, 3, EVERYTHING), (vec![], 3));
        store.close().unwrap();
    }
}

fn all_that_was_closed_comes_back<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    let key = body(3);
    let meta = |version, value| Op::Meta { version, changes: vec![(key.clone(), value)] };
    store.append(batch([publish(A, 1, 10), publish(A, 2, 20), publish(A, 4, 40)])).unwrap();
    store
        .append(batch([meta(5, Some(body(9))), deliver(A, 3), give_back(A, [range_2()])]))
        .unwrap();
    store.append(batch([settle(A, [one(1)], 10), deliver(B, 7)])).unwrap();
    store.close().unwrap();
    drop(store);
    for _ in 0..2 {
        let (store, recovered) = open(&directory.path);
        assert_eq!(recovered.lsn, Lsn(3));
        let a =
            QueueStats { messages: 2, weight: 60, first: Seq(2), next: Seq(5), delivered: Seq(4) };
        let (first, next, delivered) = (Seq(8), Seq(8), Seq(8));
        let b = QueueStats { first, next, delivered, ..QueueStats::default() };
        assert_eq!(recovered.queues, [(A, a), (B, b)]);
        assert_eq!((store.stats(A), store.stats(B)), (a, b));
        assert_eq!(recovered.meta.version, 5);
        assert_eq!(recovered.meta.entries.into_iter().collect::<Vec<_>>(), [(body(3), body(9))]);
        assert_eq!(store.stats(QueueId(3)), QueueStats::default());
        assert_eq!(read(&store, QueueId(3), 0, EVERYTHING), (vec![], 0));
        let mut out = Vec::new();
        store.read(A, Seq(0), EVERYTHING, &mut out).unwrap();
        let got: Vec<_> = out.iter().map(|s| (s.seq.0, s.payload.clone(), s.returns)).collect();
        assert_eq!(got, [(2, body(20), 1), (4, body(40), 0)]);
        store.close().unwrap();
    }
    // Life goes on where it ended.
    let (store, _) = open(&directory.path);
    assert!(store.append(batch([publish(A, 4, 1)])).is_err());
    assert!(store.append(batch([publish(B, 7, 1)])).is_err());
    assert_eq!(store.append(batch([publish(A, 5, 1), meta(6, None)])).unwrap(), Lsn(4));
    store.append(batch([give_back(A, [SeqRange::ALL])])).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert_eq!((recovered.meta.version, recovered.meta.entries.len()), (6, 0));
    let mut out = Vec::new();
    store.read(A, Seq(0), EVERYTHING, &mut out).unwrap();
    assert_eq!(
        out.iter().map(|s| (s.seq.0, s.returns)).collect::<Vec<_>>(),
        [(2, 2), (4, 1), (5, 1)]
    );
}

fn range_2() -> SeqRange {
    super::range(2, 3)
}

fn what_is_gone_stays_gone<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    store.append(batch((0..100).map(|seq| publish(A, seq, 10)))).unwrap();
    store.append(batch([publish(B, 0, 1), deliver(B, 0), give_back(B, [one(0)])])).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&directory.path);
    let even = (0..100).step_by(2).map(one);
    store.append(batch([settle(A, even, 500), drop_queue(B)])).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert_eq!(recovered.queues.len(), 1);
    assert!(seqs(&store, A).into_iter().eq((1..100).step_by(2)));
    assert_eq!(store.stats(A).weight, 500);
    assert_eq!(store.stats(B), QueueStats::default());
    store.append(batch([publish(B, 0, 1), settle(A, [SeqRange::ALL], 500)])).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert_eq!(recovered.queues.len(), 2);
    assert_eq!((store.stats(A).messages, store.stats(A).next), (0, Seq(100)));
    assert_eq!(store.stats(B).delivered, Seq(0));
    let mut out = Vec::new();
    store.read(B, Seq(0), EVERYTHING, &mut out).unwrap();
    assert_eq!(out.iter().map(|stored| stored.returns).collect::<Vec<_>>(), [0]);
}

fn a_checkpoint_is_enough<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    for seq in 0..50 {
        store.append(batch([publish(A, seq, 100)])).unwrap();
    }
    assert_eq!(store.checkpoint().unwrap(), Lsn(50));
    store.append(batch([publish(A, 50, 100)])).unwrap();
    store.append(batch([settle(A, [one(0)], 100)])).unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert!((50..=52).contains(&recovered.lsn.0), "{recovered:?}");
    let expected: Vec<u64> = match recovered.lsn.0 {
        50 => (0..50).collect(),
        51 => (0..51).collect(),
        _ => (1..51).collect(),
    };
    assert_eq!(seqs(&store, A), expected);
}

fn large_payloads_come_back<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    const SIZES: [usize; 8] = [0, 1, 4095, 7 << 10, 8193, 100_000, 1 << 20, (5 << 20) + 3];
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    for (seq, len) in (0..).zip(SIZES) {
        store.append(batch([publish(A, seq, len), publish(B, seq, len)])).unwrap();
    }
    let read_all = |store: &S, queue| {
        let mut out = Vec::new();
        store.read(queue, Seq(0), EVERYTHING, &mut out).unwrap();
        out.into_iter().map(|stored| stored.payload).collect::<Vec<_>>()
    };
    let expected: Vec<_> = SIZES.into_iter().map(body).collect();
    assert!(read_all(&store, A) == expected);
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&directory.path);
    assert!(read_all(&store, A) == expected);
    store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
    assert!(read_all(&store, B) == expected);
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&directory.path);
    assert!(read_all(&store, A).is_empty());
    assert!(read_all(&store, B) == expected);
}

fn part(ops: impl IntoIterator<Item = Op>, tx: u64, last: bool) -> Batch {
    let mut part = batch(ops);
    part.set_part(TxPart { tx, last });
    part
}

fn transactions_come_back_whole_or_not_at_all<S: MessageStore>(
    open: impl Fn(&Path) -> (S, Recovered),
) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    store.append(batch([publish(A, 0, 1), publish(A, 1, 1)])).unwrap();
    // The first one is never finished, the second one is, the third one by a part without anything.
    store.append(part([publish(A, 2, 1), settle(A, [one(0)], 1)], 1, false)).unwrap();
    store.append(part([publish(B, 0, 1), settle(A, [one(1)], 1)], 2, false)).unwrap();
    store.append(part([publish(A, 3, 1)], 3, false)).unwrap();
    store.append(part([publish(QueueId(3), 0, 1)], 1, false)).unwrap();
    store.append(batch([publish(A, 4, 1)])).unwrap();
    store.append(part([publish(B, 1, 1), give_back(A, [one(3)])], 2, true)).unwrap();
    let latest = store.append(part([], 3, true)).unwrap();
    assert_eq!(seqs(&store, A), [2, 3, 4]);
    store.close().unwrap();
    drop(store);
    for _ in 0..2 {
        let (store, recovered) = open(&directory.path);
        assert_eq!(recovered.lsn, latest);
        assert_eq!(seqs(&store, A), [0, 3, 4]);
        assert_eq!(seqs(&store, B), [0, 1]);
        assert_eq!(store.stats(QueueId(3)), QueueStats::default());
        assert_eq!(recovered.queues.len(), 2);
        store.close().unwrap();
    }
}

/// Nobody could take back what the other parts have done: it stays.
fn a_refused_last_part_is_made_up_for_by_an_empty_one<S: MessageStore>(
    open: impl Fn(&Path) -> (S, Recovered),
) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    store.append(part([publish(A, 5, 1)], 1, false)).unwrap();
    store.append(part([publish(A, 5, 1)], 1, true)).unwrap_err();
    let latest = store.append(part([], 1, true)).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert_eq!((recovered.lsn, seqs(&store, A)), (latest, vec![5]));
    store.close().unwrap();
}

fn a_number_of_a_transaction_serves_again<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let directory = Directory::new();
    let (store, _) = open(&directory.path);
    store.append(part([publish(A, 0, 1)], 1, false)).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let (store, recovered) = open(&directory.path);
    assert_eq!(recovered.queues, []);
    store.append(part([publish(A, 0, 2)], 1, false)).unwrap();
    store.append(part([publish(A, 1, 3)], 1, true)).unwrap();
    store.append(part([publish(A, 2, 4)], 2, false)).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let (store, _) = open(&directory.path);
    let mut out = Vec::new();
    store.read(A, Seq(0), EVERYTHING, &mut out).unwrap();
    assert_eq!(out.iter().map(|stored| stored.payload.len()).collect::<Vec<_>>(), [2, 3]);
}

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    Append(Plan),
    Checkpoint,
    /// Closed in order, and opened again.
    Close,
    /// Dropped as it is, and opened again.
    Crash,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => any_batch(20_000).prop_map(Step::Append),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Close),
        2 => Just(Step::Crash),
    ]
}

fn random_lives_equal_the_model<S: MessageStore>(open: impl Fn(&Path) -> (S, Recovered)) {
    let life = prop::collection::vec(any_step(), 1..100);
    let cases = Config::default().cases.div_ceil(4);
    let config = Config { failure_persistence: None, cases, ..Config::default() };
    let run = TestRunner::new(config).run(&life, |life| live(&open, life));
    run.unwrap();
}

fn live<S: MessageStore>(
    open: impl Fn(&Path) -> (S, Recovered),
    life: Vec<Step>,
) -> Result<(), TestCaseError> {
    let directory = Directory::new();
    let (mut store, _) = open(&directory.path);
    let mut model = Model::default();
    let mut transactions = Transactions::default();
    for step in life.into_iter().chain([Step::Close]) {
        match step {
            Step::Append(plan) => {
                let batch = plan.batch(&model, &mut transactions);
                let expected = model.append(&batch);
                let lsn = store.append(batch);
                prop_assert_eq!(lsn.ok(), expected.then(|| model.latest()));
                continue;
            }
            Step::Checkpoint => {
                prop_assert_eq!(store.checkpoint().ok(), Some(model.latest()));
                holds_the_same(&store, &model)?;
                continue;
            }
            Step::Close => prop_assert!(store.close().is_ok()),
            Step::Crash => {}
        }
        let durable = *store.durable().borrow();
        drop(store);
        let recovered;
        (store, recovered) = open(&directory.path);
        let survived = recovered.lsn;
        prop_assert!(durable <= survived && survived <= model.latest(), "{survived:?}");
        model.crash(survived);
        transactions = Transactions::default();
        prop_assert_eq!(Recovered { notes: Vec::new(), ..recovered }, model.recovered());
        prop_assert_eq!(*store.durable().borrow(), survived);
        holds_the_same(&store, &model)?;
    }
    Ok(())
}
