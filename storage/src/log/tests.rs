//! What is promised, on the real disk and on one that fails.

mod faults;

use std::path::Path;
use std::sync::Arc;

use super::{LogStore, Tuning};
use crate::conformance;
use crate::disk::RealDisk;
use crate::{Recovered, StoreConfig};

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
