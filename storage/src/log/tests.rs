//! What is promised, on the real disk and on one that fails.

mod compaction;
mod faults;
mod malice;
mod quickest;
mod room;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{LogStore, Tuning};
use crate::conformance;
use crate::disk::RealDisk;
use crate::{Batch, MessageStore, Op, QueueId, Recovered, Seq, StoreConfig};

/// Small enough that a few messages fill a segment.
fn small(directory: &Path) -> StoreConfig {
    StoreConfig { segment_bytes: 128 << 10, ..StoreConfig::new(directory) }
}

fn tuning() -> Tuning {
    Tuning { seed: Some(7), big_from: 32 << 10, traffic: 64 << 10, ..Tuning::default() }
}

fn open(directory: &Path) -> (LogStore, Recovered) {
    LogStore::open_on(&small(directory), Arc::new(RealDisk), Tuning { seed: None, ..tuning() })
        .unwrap()
}

fn open_stepped(directory: &Path) -> (LogStore, Recovered) {
    LogStore::open_stepped(&small(directory), Arc::new(RealDisk), tuning()).unwrap()
}

#[test]
fn conforms() {
    let held = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::conformance(|max_bytes| {
        count.set(count.get() + 1);
        let directory = held.path().join(count.get().to_string());
        let cfg = StoreConfig { max_bytes, ..small(&directory) };
        LogStore::open_on(&cfg, Arc::new(RealDisk), tuning()).unwrap().0
    });
    conformance::becomes_durable_by_itself(&open(&held.path().join("alone")).0);
}

#[test]
fn conforms_when_reopened() {
    conformance::reopening(open);
}

#[test]
fn conforms_without_threads() {
    let held = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::conformance(|max_bytes| {
        count.set(count.get() + 1);
        let directory = held.path().join(count.get().to_string());
        let cfg = StoreConfig { max_bytes, ..small(&directory) };
        LogStore::open_stepped(&cfg, Arc::new(RealDisk), tuning()).unwrap().0
    });
    conformance::reopening(open_stepped);
}

/// Commits to a file that was written before are quicker: a store in use must not wait for its first
/// segment to be full until it has such files.
#[test]
fn prepares_files_as_soon_as_there_is_traffic() {
    let held = tempfile::tempdir().unwrap();
    let cfg = StoreConfig { segment_bytes: 1 << 20, ..StoreConfig::new(held.path()) };
    let (store, _) = LogStore::open_on(&cfg, Arc::new(RealDisk), tuning()).unwrap();
    let prepared = || {
        let written = store.status().written;
        written.iter().any(|(purpose, octets)| *purpose == "pool" && *octets > 0)
    };
    let payload = Bytes::from(vec![7; 1024]);
    for seq in 0..100 {
        let mut batch = Batch::new();
        let (queue, seq, payload) = (QueueId(1), Seq(seq), payload.clone());
        batch.push(Op::Publish { queue, seq, payload, weight: 1, shared: false });
        store.append(batch).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !prepared() {
        assert!(Instant::now() < deadline, "no file was prepared");
        std::thread::yield_now();
    }
}
