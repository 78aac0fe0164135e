//! Big payloads and open files, on a disk that is short of room for them.

use std::path::Path;
use std::sync::Arc;

use super::{small, tuning};
use crate::conformance::{batch, publish, settle};
use crate::disk::sim::SimDisk;
use crate::log::LogStore;
use crate::{
    Batch, Health, Lsn, MessageStore, Op, QueueId, ReadMax, Seq, SeqRange, StoreError, TxPart,
};

const A: QueueId = QueueId(1);
const BIG: usize = 100 << 10;
const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };

fn open(disk: &SimDisk) -> LogStore {
    let disk = Arc::new(disk.clone());
    LogStore::open_stepped(&small(Path::new("/store")), disk, tuning()).unwrap().0
}

fn run(store: &LogStore) {
    let steps = (0..10_000).take_while(|_| store.step()).count();
    assert!(steps < 10_000, "it never rests: {:?}", store.status());
}

fn durable(store: &LogStore) -> Lsn {
    *store.durable().borrow()
}

fn count(store: &LogStore) -> usize {
    let mut out = Vec::new();
    store.read(A, Seq(0), EVERYTHING, &mut out).unwrap();
    out.len()
}

/// Files of big payloads.
fn files(disk: &SimDisk) -> usize {
    disk.paths().iter().filter(|path| path.extension().is_some_and(|end| end == "big")).count()
}

fn part(ops: Vec<Op>, tx: u64, last: bool, to_come: usize) -> Batch {
    let mut part = batch(ops);
    part.set_part(TxPart { tx, last });
    part.set_to_come(to_come as u64);
    part
}

/// Publishes big payloads until one is refused; how many were taken.
fn fill(store: &LogStore, from: u64) -> u64 {
    for taken in 0..1000 {
        match store.append(batch([publish(A, from + taken, BIG)])) {
            Ok(_) => {}
            Err(StoreError::Full { .. }) => return taken,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("no bound");
}

#[test]
fn the_file_of_a_settled_payload_goes_when_that_is_durable() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.append(batch([publish(A, 0, BIG), publish(A, 1, BIG)])).unwrap();
    run(&store);
    assert_eq!(files(&disk), 2);
    store.append(part(vec![settle(A, [Seq(0).into()], 0)], 1, false, 0)).unwrap();
    run(&store);
    assert_eq!(files(&disk), 2, "after a crash nothing of the transaction counts");
    store.append(part(vec![], 1, true, 0)).unwrap();
    run(&store);
    assert_eq!(files(&disk), 1);
    drop(store);
    let store = open(&disk.image_after_crash(1));
    assert_eq!(count(&store), 1);
}

#[test]
fn big_payloads_that_do_not_fit_are_refused_before_they_wait() {
    let disk = SimDisk::new(2);
    let store = open(&disk);
    disk.set_capacity(Some(4 << 20));
    let mut next = 0;
    for _ in 0..3 {
        // None of them is written yet.
        let taken = fill(&store, next);
        assert!(taken > 10, "{taken}");
        next += taken;
        run(&store);
        assert_eq!((durable(&store).0, files(&disk) as u64), (next, taken));
        store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
        next += 1;
        run(&store);
        assert_eq!((durable(&store).0, files(&disk)), (next, 0));
    }
    store.close().unwrap();
}

#[test]
fn a_transaction_keeps_the_room_for_its_other_parts() {
    let disk = SimDisk::new(3);
    let store = open(&disk);
    disk.set_capacity(Some(2 << 20));
    let refusal = store.append(part(vec![publish(A, 0, BIG)], 1, false, 2 << 20)).unwrap_err();
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    store.append(part(vec![publish(A, 0, BIG)], 2, false, 8 * BIG)).unwrap();
    let taken = fill(&store, 1);
    let rest = (1..=8).map(|seq| publish(A, taken + seq, BIG));
    let latest = store.append(part(rest.collect(), 2, true, 0)).unwrap();
    run(&store);
    assert_eq!(durable(&store), latest);
    assert_eq!(count(&store) as u64, taken + 9);
}

#[test]
fn spares_make_way_for_a_payload_that_was_taken() {
    let disk = SimDisk::new(4);
    let store = open(&disk);
    store.append(batch([publish(A, 0, BIG)])).unwrap();
    run(&store);
    let latest = store.append(batch([publish(A, 1, BIG)])).unwrap();
    // Somebody else fills the disk.
    disk.set_capacity(Some(disk.used_bytes()));
    run(&store);
    assert_eq!(durable(&store), latest);
}

#[test]
fn a_store_closes_although_the_disk_takes_nothing() {
    let disk = SimDisk::new(5);
    let cfg = small(Path::new("/store"));
    let (store, _) = LogStore::open_on(&cfg, Arc::new(disk.clone()), tuning()).unwrap();
    store.append(part(vec![publish(A, 0, 1)], 1, false, 0)).unwrap();
    store.checkpoint().unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    store.append(part(vec![publish(A, 1, 1 << 20)], 1, true, 0)).unwrap();
    let refusal = store.close().unwrap_err();
    assert!(matches!(refusal, StoreError::Io(_)), "{refusal}");
}

#[test]
fn without_descriptors_it_waits_for_some() {
    // What is opened and synced needs one for a moment: at each place it may be the last.
    (0..12).for_each(waits_for_descriptors);
}

fn waits_for_descriptors(left: u64) {
    let disk = SimDisk::new(6);
    let store = open(&disk);
    store.append(batch([publish(A, 0, 1)])).unwrap();
    run(&store);
    disk.set_openings(Some(left));
    let mut next = 1;
    while store.append(batch([publish(A, next, 9000), publish(A, next + 1, BIG)])).is_ok() {
        next += 2;
        run(&store);
        assert!(next < 1000, "no bound");
    }
    assert_eq!(store.status().health, Health::Full);
    disk.set_openings(None);
    run(&store);
    assert_eq!(store.status().health, Health::Ready, "after {left}");
    store.append(batch([publish(A, next, 1)])).unwrap();
    run(&store);
    assert_eq!(count(&store) as u64, next + 1);
}

#[test]
fn files_that_wait_go_when_others_need_the_room() {
    let disk = SimDisk::new(7);
    let store = open(&disk);
    let waiting = || {
        let is_free = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "free");
        disk.paths().iter().filter(|path| is_free(path)).count()
    };
    for seq in 0..60 {
        store.append(batch([publish(A, seq, 16 << 10)])).unwrap();
        run(&store);
    }
    store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
    store.checkpoint().unwrap();
    run(&store);
    assert!(waiting() > 2, "{}", waiting());
    store.give_back_room();
    assert_eq!(waiting(), 1, "the one for a full disk");
    store.append(batch([publish(A, 60, 16 << 10)])).unwrap();
    run(&store);
    assert_eq!(count(&store), 1);
}

#[test]
fn messages_change_their_place_on_a_full_disk() {
    const SIZE: usize = 8 << 10;
    const B: QueueId = QueueId(2);
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let store = open(&disk);
        disk.set_capacity(Some(4 << 20));
        let mut all = 0;
        while store.append(batch([publish(A, all, SIZE)])).is_ok() {
            all += 1;
            run(&store);
            assert!(all < 1000, "no bound");
        }
        assert_eq!(store.status().health, Health::Full);
        for seq in 0..all {
            let mut leaves = part(vec![settle(A, [Seq(seq).into()], 0)], seq, false, SIZE + 100);
            assert!(store.keeps_room_for_moves());
            leaves.set_moves();
            store.append(leaves).unwrap_or_else(|error| panic!("{seq} of {all}: {error}"));
            store.append(part(vec![publish(B, seq, SIZE)], seq, true, 0)).unwrap();
            run(&store);
        }
        let mut out = Vec::new();
        store.read(B, Seq(0), EVERYTHING, &mut out).unwrap();
        assert_eq!((count(&store), out.len() as u64), (0, all), "seed {seed}");
        assert_eq!(durable(&store), Lsn(3 * all));
    }
}

#[test]
fn what_moves_leaves_the_room_for_settlements() {
    let disk = SimDisk::new(8);
    let store = open(&disk);
    disk.set_capacity(Some(4 << 20));
    let mut next = 0;
    while store.append(batch([publish(A, next, 8 << 10)])).is_ok() {
        next += 1;
        run(&store);
    }
    let segment = small(Path::new("/store")).segment_bytes as usize;
    let mut leaves = part(vec![settle(A, [Seq(0).into()], 0)], 1, false, 2 * segment);
    leaves.set_moves();
    let refusal = store.append(leaves).unwrap_err();
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
}
