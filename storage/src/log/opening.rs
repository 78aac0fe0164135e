//! The beginning and the end of a store.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lepus_sync::{Condvar, Mutex};

use super::announce::Announcer;
use super::chores::Chores;
use super::engine::{Counters, Engine, Step};
use super::files::Files;
use super::group::Groups;
use super::pool::{Pool, PoolFile};
use super::recover::{self, Found};
use super::shared::SharedPayloads;
use super::snapshot::WrittenMeta;
use super::state::{Inner, Random, Stage, Trouble};
use super::tuning::Tuning;
use crate::disk::Disk;
use crate::{Lsn, Recovered, Seq, StoreConfig, StoreError};

impl Engine {
    /// Recovers what is in a directory that is locked.
    pub(super) fn open(
        cfg: &StoreConfig,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
        threads: bool,
    ) -> Result<(Self, Recovered), StoreError> {
        let files = Files::new(disk, &cfg.directory);
        files.make_directories()?;
        let found = recover::recover(&files, cfg.segment_bytes)?;
        Ok(Self::of_found(cfg, files, found, tuning, threads))
    }

    /// A store of what was found in a directory.
    pub(super) fn of_found(
        cfg: &StoreConfig,
        files: Files,
        mut found: Found,
        tuning: Tuning,
        threads: bool,
    ) -> (Self, Recovered) {
        let queues = found.index.all_stats();
        let recovered = Recovered {
            lsn: found.lsn,
            queues: queues.into_iter().filter(|(_, stats)| stats.next > Seq(0)).collect(),
            meta: found.meta.clone(),
            notes: std::mem::take(&mut found.notes),
        };
        // Each opening has numbers of its own, also with a seed.
        let seed = tuning.seed.map(|seed| {
            let state = [found.next_segment, found.next_group, found.lsn.0, found.checkpoint];
            state.iter().fold(seed, |seed, part| Random(seed ^ part).next())
        });
        let mut random = Random(seed.unwrap_or_else(rand::random));
        let engine = Self {
            cfg: cfg.clone(),
            tuning,
            files,
            work: Condvar::new(),
            chores: Condvar::new(),
            progress: Condvar::new(),
            announcer: Announcer::new(found.lsn, cfg.on_durable.clone()),
            counters: Counters::default(),
            misses: Mutex::default(),
            looked_for: AtomicU64::new(0),
            epoch: random.next(),
            steps: if threads { None } else { Some(Mutex::new(())) },
            inner: Mutex::new(inner(found, random, tuning)),
        };
        (engine, recovered)
    }

    /// Takes one step of the writer, or if it has none, of maintenance.
    pub(super) fn step(&self) -> Step {
        let _one_at_a_time = self.steps.as_ref().map(Mutex::lock);
        match self.write_group() {
            Step::Did => Step::Did,
            Step::Failed => Step::Failed,
            Step::Idle | Step::Stalled => self.maintain(),
        }
    }

    /// Waits for a checkpoint of all that was appended. While a transaction is not finished there
    /// is none: then all is durable, and the checkpoint is taken later.
    pub(super) fn settle(&self) -> Result<Lsn, StoreError> {
        let mut inner = self.inner.lock();
        let (lsn, refusals) = (inner.lsn, inner.chores.refusals);
        inner.chores.asked += 1;
        let asked = inner.chores.asked;
        inner.chores.checkpoint_due = true;
        inner.groups.close();
        self.work.notify_one();
        self.chores.notify_one();
        loop {
            if let Some(why) = &inner.trouble.poisoned {
                return Err(StoreError::Poisoned(why.clone()));
            }
            let taken = inner.chores.answered >= asked || !inner.transactions.is_empty();
            // Without threads, nobody would remove what is not needed any more.
            let left = self.steps.is_some() && !inner.chores.unneeded.is_empty();
            if taken && inner.durable >= lsn && !left {
                return Ok(Lsn(lsn));
            }
            // The first time the disk is full, room may be made.
            if inner.chores.refusals > refusals + 1 {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            if self.steps.is_none() {
                self.progress.wait(&mut inner);
                continue;
            }
            drop(inner);
            let step = self.step();
            inner = self.inner.lock();
            if step == Step::Idle {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
        }
    }

    /// Takes the last checkpoint, and tells the threads to end.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        {
            let mut inner = self.inner.lock();
            if inner.trouble.closed {
                return Ok(());
            }
            inner.trouble.closed = true;
            inner.end_active();
        }
        let done = self.settle();
        {
            let mut inner = self.inner.lock();
            inner.trouble.stopping = true;
            // What cannot be written now is not waited for: nobody was told that it is durable.
            inner.trouble.abandoned |= done.is_err();
        }
        self.end();
        done.map(|_| ())
    }

    /// Ends without writing anything.
    pub(super) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.trouble.closed = true;
        inner.trouble.abandoned = true;
        drop(inner);
        self.end();
    }

    fn end(&self) {
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
        self.announcer.end();
    }
}

fn inner(found: Found, random: Random, tuning: Tuning) -> Inner {
    let mut pool = Pool::default();
    for number in found.free {
        pool.add(PoolFile { number, written: true });
    }
    let meta_changes = u64::from(found.dirty);
    let chores = Chores {
        checkpoint_due: found.dirty,
        checkpoint: found.checkpoint,
        checkpoint_lsn: found.lsn.0,
        written_meta: WrittenMeta { reference: found.written_meta, changes: 0 },
        ..Chores::default()
    };
    let mut inner = Inner {
        index: found.index,
        groups: Groups::new(found.next_group, &tuning),
        segments: BTreeMap::new(),
        ended_bytes: 0,
        next_segment: found.next_segment,
        next_big: found.next_big,
        lsn: found.lsn.0,
        durable: found.lsn.0,
        transactions: HashMap::new(),
        meta: found.meta,
        meta_changes,
        shared: SharedPayloads::default(),
        unwritten_big: HashMap::new(),
        freed_big: BTreeMap::new(),
        pool,
        chores,
        writing: false,
        quick: true,
        trouble: Trouble::default(),
        random,
        tuning,
    };
    for (id, segment) in found.segments {
        if segment.stage == Stage::Rolled {
            inner.chores.rolled.push_back(id);
        }
        inner.add_ended(segment);
    }
    inner
}
