//! A store that is full refuses messages, and nothing else.

use lepus_storage::disk::sim::SimDisk;
use lepus_storage::log::Tuning;
use lepus_storage::{Batch, Health, LogStore, Op, Seq as At, SeqRange as Span, StoreConfig};

use super::super::state::{Dead, Dropped, Reason};
use super::super::writes::Writes;
use super::*;
use crate::durability::Durability;

const QUEUE: QueueId = QueueId(1);

fn stored(seq: u64) -> Op {
    let payload = vec![7; 100].into();
    Op::Publish { queue: QUEUE, seq: At(seq), payload, weight: 100, shared: false }
}

fn settled(last: u64, weight: u64) -> Op {
    let ranges = vec![Span { first: At(0), last: At(last) }];
    Op::Settle { queue: QUEUE, ranges, weight }
}

/// A store with one message, and no room for another.
fn full_one() -> LogStore {
    let disk = SimDisk::new(1);
    let config = StoreConfig { segment_bytes: 16_384, ..StoreConfig::new("/store") };
    let tuning = Tuning { seed: Some(1), ..Tuning::default() };
    let (store, _) =
        LogStore::open_stepped(&config, Arc::new(disk.clone()), tuning).expect("a new store");
    store.append(Batch::from(vec![stored(0)])).expect("room for one message");
    disk.set_capacity(Some(disk.used_bytes()));
    while store.step() {}
    assert_eq!(store.status().health, Health::Full);
    store
}

#[test]
fn what_was_told_together_with_a_refused_message_is_told_without_it() {
    let (store, durability) = (full_one(), Durability::default());
    let mut writes = Writes::default();
    writes.add(&mut vec![stored(1), settled(1, 200)], None, None, Dropped::default());
    let refused = writes.take().remove(0).carry_out(&store, &durability);
    assert_eq!(refused.map_err(|refused| refused.messages), Err(vec![(1, 100)]));
    let stats = store.stats(QUEUE);
    assert_eq!((stats.messages, stats.weight), (0, 0));
}

#[test]
fn what_does_not_know_of_a_refusal_yet_counts_without_the_message() {
    let (store, durability) = (full_one(), Durability::default());
    let mut writes = Writes::default();
    writes.add(&mut vec![stored(1)], None, None, Dropped::default());
    let refused = writes.take().remove(0).carry_out(&store, &durability).unwrap_err();
    let ranges = vec![Span { first: At(1), last: At(1) }];
    writes.add(
        &mut vec![Op::Settle { queue: QUEUE, ranges, weight: 100 }],
        None,
        None,
        Dropped::default(),
    );
    writes.count_without(&refused.messages);
    writes.take().remove(0).carry_out(&store, &durability).unwrap();
    let stats = store.stats(QUEUE);
    assert_eq!((stats.messages, stats.weight), (1, 100));
}

#[test]
fn a_transaction_whose_message_is_refused_settles_nothing() {
    let (store, durability) = (full_one(), Durability::default());
    let (_, mailbox) = node().connect();
    let (receipt, tx) = (Receipt::new(&mailbox), Transaction::new(1, 2, 100));
    let mut writes = Writes::default();
    for op in [stored(1), settled(0, 100)] {
        receipt.await_one();
        writes.add(&mut vec![op], Some(&receipt), Some((&tx, true)), Dropped::default());
    }
    receipt.complete();
    let refused = writes.take().into_iter().map(|write| write.carry_out(&store, &durability));
    let refused = refused.map(|refused| refused.map_err(|refused| refused.messages));
    assert_eq!(refused.collect::<Vec<_>>(), [Err(vec![(1, 100)]), Err(vec![])]);
    assert_eq!(receipt.fate(&durability), Fate::Refused);
    assert_eq!(store.stats(QUEUE).messages, 1);
}

/// A store whose first message is not on the disk yet.
fn behind() -> LogStore {
    let disk = SimDisk::new(1);
    let config = StoreConfig { segment_bytes: 16_384, ..StoreConfig::new("/store") };
    let tuning = Tuning { seed: Some(1), ..Tuning::default() };
    let (store, _) = LogStore::open_stepped(&config, Arc::new(disk), tuning).expect("a new store");
    store.append(Batch::from(vec![stored(0)])).expect("room for one message");
    store
}

#[test]
fn a_transaction_of_which_all_was_dropped_waits_for_what_it_was_dropped_for() {
    let (store, durability) = (behind(), Durability::default());
    let (_, mailbox) = node().connect();
    let (receipt, tx) = (Receipt::new(&mailbox), Transaction::new(1, 2, 0));
    for _ in 0..2 {
        receipt.await_one();
        let mut writes = Writes::default();
        let dropped = Dropped { drops: true, relies: false };
        writes.add(&mut vec![], Some(&receipt), Some((&tx, true)), dropped);
        writes.take().remove(0).carry_out(&store, &durability).unwrap();
    }
    receipt.complete();
    assert_eq!(receipt.fate(&durability), Fate::Open);
}

#[test]
fn who_counts_on_a_transaction_waits_until_it_is_whole() {
    for full in [false, true] {
        let (store, durability) = (if full { full_one() } else { behind() }, Durability::default());
        let (_, mailbox) = node().connect();
        let (receipt, tx) = (Receipt::new(&mailbox), Transaction::new(1, 2, 100));
        tx.await_whole(&receipt);
        receipt.complete();
        for op in [stored(1), settled(0, 100)] {
            assert!(receipt.is_open());
            let mut writes = Writes::default();
            writes.add(&mut vec![op], None, Some((&tx, true)), Dropped::default());
            assert_eq!(writes.take().remove(0).carry_out(&store, &durability).is_err(), full);
        }
        assert_eq!((receipt.is_open(), receipt.is_refused()), (false, full));
        tx.await_whole(&receipt);
        assert!(!receipt.is_open());
    }
}

#[test]
fn only_what_counts_on_a_refused_message_is_refused_with_it() {
    let (_, mailbox) = node().connect();
    for relies in [false, true] {
        let receipt = Receipt::new(&mailbox);
        let mut writes = Writes::default();
        let dropped = Dropped { drops: true, relies };
        writes.add(&mut vec![stored(1)], Some(&receipt), None, dropped);
        writes.doubt();
        assert_eq!(receipt.is_refused(), relies);
    }
}

/// The store has a part of it, which counts for nothing.
#[test]
fn nobody_counts_on_a_transaction_that_never_will_be_whole() {
    let (store, durability) = (behind(), Durability::default());
    let tx = Transaction::new(1, 3, 0);
    let write = |op| {
        let mut writes = Writes::default();
        writes.add(&mut vec![op], None, Some((&tx, true)), Dropped::default());
        writes.take().remove(0).carry_out(&store, &durability).is_ok()
    };
    // The position is taken already.
    assert!(write(stored(1)) && !write(stored(1)) && !write(stored(2)));
    assert!(!tx.is_done());
    let (_, mailbox) = node().connect();
    let receipt = Receipt::new(&mailbox);
    tx.await_whole(&receipt);
    assert!(receipt.is_refused());
}

#[test]
fn what_was_refused_does_not_go_on_as_a_dead_letter() {
    let entry = |seq, stored| {
        let message = crate::message::Builder::whole(0, b"\0\0", &[0, 0], &[7; 10], true);
        Entry { seq, message, redelivered: false, returns: 0, stored }
    };
    let entries = vec![entry(1, true), entry(2, true), entry(3, false)];
    let dead = Dead { reason: Reason::Expired, entries, rules: Arc::default(), held: false };
    let mut effects = Effects { dead: vec![dead], ..Effects::default() };
    effects.leave_out(&[(1, 10), (3, 10)]);
    let stay = effects.dead.iter().flat_map(|dead| &dead.entries).map(|entry| entry.seq);
    assert_eq!(stay.collect::<Vec<_>>(), [2, 3]);
}
