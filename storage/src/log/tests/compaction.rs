//! What is left in old segments is gathered, and nobody notices but the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{small, tuning};
use crate::conformance::{batch, drop_queue, publish, settle};
use crate::disk::sim::SimDisk;
use crate::log::{LogStore, Tuning};
use crate::{
    Health, MessageStore, Op, QueueId, ReadMax, Recovered, Seq, SeqRange, StoreConfig, StoreError,
    Stored,
};

const A: QueueId = QueueId(1);
const B: QueueId = QueueId(2);
const EVERYTHING: ReadMax = ReadMax { messages: usize::MAX, bytes: usize::MAX };
/// About as many messages of 1000 octets fill a segment.
const SEGMENT: u64 = 120;

fn sizes() -> Tuning {
    Tuning { group_bytes: 8 << 10, ..tuning() }
}

fn cfg() -> StoreConfig {
    small(Path::new("/store"))
}

fn open(disk: &SimDisk) -> (LogStore, Recovered) {
    LogStore::open_stepped(&cfg(), Arc::new(disk.clone()), sizes()).unwrap()
}

fn run(store: &LogStore) {
    let steps = (0..10_000).take_while(|_| store.step()).count();
    assert!(steps < 10_000, "it never rests: {:?}", store.status());
}

fn read(store: &LogStore, queue: QueueId) -> Vec<Stored> {
    let mut out = Vec::new();
    store.read(queue, Seq(0), EVERYTHING, &mut out).unwrap();
    out
}

fn fill(store: &LogStore, from: u64, segments: u64) {
    for seq in from..from + segments * SEGMENT {
        store.append(batch([publish(A, seq, 1000)])).unwrap();
        run(store);
    }
}

/// Settles all but the first message of each segment, about.
fn settle_most(store: &LogStore, segments: u64) -> Vec<u64> {
    let kept: Vec<u64> = (0..segments).map(|segment| segment * SEGMENT).collect();
    for first in &kept {
        let range = SeqRange { first: Seq(first + 1), last: Seq(first + SEGMENT - 1) };
        store.append(batch([settle(A, [range], (SEGMENT - 1) * 1000)])).unwrap();
    }
    kept
}

fn seqs(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(|stored| stored.seq.0).collect()
}

#[test]
fn an_old_message_keeps_no_segment() {
    let disk = SimDisk::new(1);
    let (store, _) = open(&disk);
    fill(&store, 0, 20);
    let before = store.status().file_bytes;
    let kept = settle_most(&store, 20);
    let ranges = kept.iter().step_by(2).map(|seq| Seq(*seq).into()).collect();
    store.append(batch([Op::Return { queue: A, ranges }])).unwrap();
    let expected = read(&store, A);
    run(&store);
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
    run(&store);
    let status = store.status();
    assert!(status.compactions > 0, "{status:?}");
    assert!(status.file_bytes < before / 3, "{before} before: {status:?}");
    assert_eq!(seqs(&expected), kept);
    assert_eq!(read(&store, A), expected);
    let stats = store.stats(A);
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&disk);
    assert_eq!((read(&store, A), store.stats(A)), (expected, stats));
    store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
    run(&store);
    assert!(store.status().live_bytes == 0 && store.status().file_bytes < before / 3);
}

#[test]
fn shared_and_big_payloads_are_found_after_their_owners_are_gone() {
    let disk = SimDisk::new(2);
    let (store, _) = open(&disk);
    let (queues, big) = ([A, B, QueueId(3)], Bytes::from(vec![9; 40_000]));
    for seq in 0..10 {
        fill(&store, seq * (SEGMENT + 2), 1);
        for payload in [Bytes::from(vec![seq as u8; 5000]), big.clone()] {
            let to = |queue| {
                let (seq, payload) = (Seq(store.stats(queue).next.0), payload.clone());
                Op::Publish { queue, seq, payload, weight: 1, shared: true }
            };
            store.append(batch(queues.map(to))).unwrap();
        }
        run(&store);
    }
    // The records that have the payloads belong to the first queue.
    store.append(batch([settle(A, [SeqRange::ALL], 0)])).unwrap();
    let expected = [B, QueueId(3)].map(|queue| read(&store, queue));
    assert!(expected.iter().all(|stored| stored.len() == 20));
    run(&store);
    assert!(store.status().compactions > 0, "{:?}", store.status());
    assert_eq!([B, QueueId(3)].map(|queue| read(&store, queue)), expected);
    store.append(batch([drop_queue(B)])).unwrap();
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&disk);
    assert_eq!(read(&store, QueueId(3)), expected[1]);
}

#[test]
fn what_is_settled_meanwhile_stays_settled() {
    let disk = SimDisk::new(3);
    let (store, _) = open(&disk);
    fill(&store, 0, 20);
    let mut kept = Vec::new();
    for first in (0..20 * SEGMENT).step_by(3) {
        let range = SeqRange { first: Seq(first + 1), last: Seq(first + 2) };
        store.append(batch([settle(A, [range], 2000)])).unwrap();
        kept.push(first);
    }
    let mut at = 0;
    for _ in 0..200 {
        // The first one writes what was settled.
        let _ = (store.step(), store.step(), store.step());
        at = (at + 7) % kept.len();
        let seq = kept.remove(at);
        store.append(batch([settle(A, [Seq(seq).into()], 1000)])).unwrap();
        assert_eq!(seqs(&read(&store, A)), kept);
    }
    assert!(store.status().compactions > 0, "{:?}", store.status());
    store.close().unwrap();
    drop(store);
    let (store, _) = open(&disk);
    assert_eq!(seqs(&read(&store, A)), kept);
}

#[test]
fn a_damaged_message_stays_where_it_is() {
    let disk = SimDisk::new(4);
    let (store, _) = open(&disk);
    fill(&store, 0, 20);
    let kept = settle_most(&store, 20);
    disk.flip_byte(Path::new("/store/log/0000000000000000.seg"), 512 + 40 + 500).unwrap();
    run(&store);
    assert!(store.status().compactions > 0, "{:?}", store.status());
    let mut out = Vec::new();
    let refusal = store.read(A, Seq(0), EVERYTHING, &mut out).unwrap_err();
    assert!(matches!(refusal, StoreError::Unreadable { seq: Seq(0), .. }), "{refusal}");
    store.read(A, Seq(1), EVERYTHING, &mut out).unwrap();
    assert_eq!(seqs(&out), kept[1..]);
}

#[test]
fn a_full_disk_is_made_room_on() {
    let disk = SimDisk::new(5);
    disk.set_capacity(Some(3 << 20));
    let (store, _) = open(&disk);
    let mut next = 0;
    while store.append(batch([publish(A, next, 1000)])).is_ok() {
        next += 1;
        run(&store);
    }
    assert_eq!(store.status().health, Health::Full);
    let kept = settle_most(&store, next / SEGMENT);
    for _ in 0..10 {
        run(&store);
    }
    let status = store.status();
    assert!(status.health == Health::Ready && status.compactions > 0, "{status:?}");
    store.append(batch([publish(A, next, 1000)])).unwrap();
    assert_eq!(seqs(&read(&store, A))[..kept.len()], kept);
}

#[test]
fn a_bound_is_kept_by_compacting() {
    let disk = SimDisk::new(6);
    let cfg = StoreConfig { max_bytes: 2 << 20, ..cfg() };
    let (store, _) = LogStore::open_stepped(&cfg, Arc::new(disk), sizes()).unwrap();
    let mut next = 0;
    while store.append(batch([publish(A, next, 1000)])).is_ok() {
        next += 1;
        run(&store);
    }
    settle_most(&store, next / SEGMENT);
    let mut tries = 0;
    while store.append(batch([publish(A, next, 1000)])).is_err() {
        run(&store);
        tries += 1;
        assert!(tries < 10, "{:?}", store.status());
    }
    assert!(store.status().compactions > 0);
}

#[test]
fn readers_notice_nothing() {
    let held = tempfile::tempdir().unwrap();
    let cfg = small(held.path());
    let tuning = Tuning { seed: None, garbage: 1, ..sizes() };
    let (store, _) = LogStore::open_on(&cfg, Arc::new(crate::disk::RealDisk), tuning).unwrap();
    let done = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let stored = read(store, B);
                    let right = |(at, stored): (usize, &Stored)| {
                        stored.seq.0 == at as u64 && stored.payload.len() == 100 + at % 7
                    };
                    assert!(stored.iter().enumerate().all(right), "reader {reader}");
                }
            });
        }
        // One message in ten stays.
        let mut next = 0_u64;
        while store.status().compactions < 3 && Instant::now() < deadline {
            let kept = (next..next + 5).map(|seq| publish(B, seq, 100 + seq as usize % 7));
            let gone = (10 * next..10 * next + 50).map(|seq| publish(A, seq, 300));
            let ops = gone.chain(kept).chain([settle(A, [SeqRange::ALL], 0)]);
            if store.append(batch(ops)).is_ok() {
                next += 5;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(store.status().compactions >= 3, "{:?}", store.status());
    let expected = read(&store, B);
    store.close().unwrap();
    drop(store);
    let (store, _) = LogStore::open_on(&cfg, Arc::new(crate::disk::RealDisk), tuning).unwrap();
    assert!(read(&store, B) == expected);
}
