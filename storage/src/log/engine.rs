//! What the threads of a store share.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use lepus_sync::{Condvar, Mutex};

use super::announce::Announcer;
use super::files::{Files, is_full};
use super::index::SegmentId;
use super::state::Inner;
use super::tuning::Tuning;
use crate::{Spread, StoreConfig};

/// A store, without its threads.
pub(super) struct Engine {
    pub cfg: StoreConfig,
    pub tuning: Tuning,
    pub files: Files,
    pub inner: Mutex<Inner>,
    /// Wakes the writer.
    pub work: Condvar,
    /// Wakes maintenance.
    pub chores: Condvar,
    /// Wakes those who wait for a checkpoint.
    pub progress: Condvar,
    pub announcer: Announcer,
    pub counters: Counters,
    /// How often a message was not where the index of its segment says. Held while one is made anew.
    pub misses: Mutex<HashMap<SegmentId, u64>>,
    /// From which segment on their files are looked for next.
    pub looked_for: AtomicU64,
    /// Stands for this opening of the store.
    pub epoch: u64,
    /// Without threads, steps are taken one at a time.
    pub steps: Option<Mutex<()>>,
}

/// What a step of the writer or of maintenance came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Something was done.
    Did,
    /// There was nothing to do.
    Idle,
    /// It has to be tried again: the disk is full.
    Stalled,
    /// The store is poisoned.
    Failed,
}

/// µs.
const COMMIT_TIMES: [u64; 12] =
    [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000, 5_000_000];
/// Octets.
const COMMIT_SIZES: [u64; 7] = [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000];

/// What was written, by purpose.
#[derive(Debug)]
pub(super) struct Counters {
    pub commit_time: Spread<{ COMMIT_TIMES.len() + 1 }>,
    pub commit_bytes: Spread<{ COMMIT_SIZES.len() + 1 }>,
    pub commits: AtomicU64,
    pub compactions: AtomicU64,
    pub log: AtomicU64,
    pub big: AtomicU64,
    pub index: AtomicU64,
    pub checkpoint: AtomicU64,
    pub meta: AtomicU64,
    pub pool: AtomicU64,
    pub compaction: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let none = || AtomicU64::new(0);
        Self {
            commit_time: Spread::new(&COMMIT_TIMES),
            commit_bytes: Spread::new(&COMMIT_SIZES),
            commits: none(),
            compactions: none(),
            log: none(),
            big: none(),
            index: none(),
            checkpoint: none(),
            meta: none(),
            pool: none(),
            compaction: none(),
        }
    }
}

impl Counters {
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub fn written(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("log", &self.log),
            ("big", &self.big),
            ("index", &self.index),
            ("checkpoint", &self.checkpoint),
            ("meta", &self.meta),
            ("pool", &self.pool),
            ("compaction", &self.compaction),
        ];
        all.map(|(name, bytes)| (name, bytes.load(Ordering::Relaxed))).to_vec()
    }
}

/// Counts bytes that were written.
pub(super) fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

impl Engine {
    /// What becomes of a step that ended with an error: a full disk may have room again, anything
    /// else leaves in doubt what is on the disk, and is never tried again.
    pub(super) fn failed(&self, doing: &str, error: &io::Error) -> Step {
        if is_full(error) {
            let mut inner = self.inner.lock();
            inner.trouble.full = true;
            inner.chores.refusals += 1;
            drop(inner);
            self.progress.notify_all();
            return Step::Stalled;
        }
        self.fail(format!("{doing}: {error}"));
        Step::Failed
    }

    /// Nothing more is written.
    pub(super) fn fail(&self, why: String) {
        self.inner.lock().trouble.poisoned.get_or_insert(why);
        self.announcer.end();
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
    }

    /// Octets of all files, about.
    pub(super) fn file_bytes(&self) -> u64 {
        let inner = self.inner.lock();
        let by_id: &BTreeMap<_, _> = &inner.segments;
        let segments: u64 = by_id.values().map(|segment| segment.file_bytes()).sum();
        let pool = inner.pool.len() as u64 * u64::from(self.cfg.segment_bytes);
        segments + pool + inner.index.big_bytes() + inner.chores.checkpoint_bytes
    }
}
