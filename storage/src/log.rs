//! The engine for production: one segmented log, shared by all queues.
//!
//! ```text
//! append → group (memory) → writer: one write, one sync → durable
//!            ↓                                ↓
//!          index (where each message is)    segment → its .idx → checkpoint → recycled
//! ```
//! A batch goes into the open group, and its messages into the index, under one short lock. One
//! thread writes groups as frames, one at a time; while it waits for the disk the next group
//! gathers. A second thread does the rest: indexes of full segments, checkpoints, files for later.

mod announce;
mod append;
mod big;
mod bytes_le;
mod carve;
mod checkpoint;
mod chores;
mod compact;
mod engine;
mod fetch;
mod files;
mod frame;
mod group;
mod index;
pub(crate) mod inspect;
mod leftovers;
mod maintain;
mod meta;
mod missing;
#[cfg(all(test, feature = "models"))]
mod models;
mod opening;
mod pool;
mod prepare;
mod read;
mod record;
mod recover;
mod reindex;
pub(crate) mod repair;
mod replay;
pub(crate) mod salvage;
mod scan;
mod seal;
mod segment;
mod shared;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod tuning;
mod window;
mod writer;

use lepus_sync::thread::{self, JoinHandle};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lepus_sync::Mutex;
use tokio::sync::watch;

use crate::disk::{Disk, RealDisk};
use crate::{
    Batch, Health, Lsn, MessageStore, QueueId, QueueStats, ReadMax, Recovered, Seq, StoreConfig,
    StoreError, StoreStatus, Stored,
};
use engine::{Engine, Step};

pub(crate) use files::{has_file_named, is_full};
pub use tuning::Tuning;

/// Keeps messages in a segmented log. What is appended becomes durable within milliseconds, in
/// groups; reading never waits for that.
pub struct LogStore {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: Box<dyn fmt::Debug + Send + Sync>,
}

impl LogStore {
    /// Opens a store on any disk.
    ///
    /// # Errors
    /// As [`MessageStore::open`].
    pub fn open_on(
        cfg: &StoreConfig,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
    ) -> Result<(Self, Recovered), StoreError> {
        let (store, recovered) = Self::prepared(cfg, disk, tuning, true)?;
        store.start()?;
        Ok((store, recovered))
    }

    /// Opens a store that does nothing by itself: all work is done by [`step`](Self::step), and by
    /// `checkpoint` and `close` on the way.
    ///
    /// # Errors
    /// As [`MessageStore::open`].
    pub fn open_stepped(
        cfg: &StoreConfig,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
    ) -> Result<(Self, Recovered), StoreError> {
        Self::prepared(cfg, disk, tuning, false)
    }

    /// Does the next piece of work of a store without threads: a group commit before all else.
    /// False if there was nothing to do, or it could not be done for now.
    pub fn step(&self) -> bool {
        self.engine.step() == Step::Did
    }

    fn prepared(
        cfg: &StoreConfig,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
        threads: bool,
    ) -> Result<(Self, Recovered), StoreError> {
        disk.create_dir(&cfg.directory)?;
        let lock = lock(&*disk, &cfg.directory)?;
        let (engine, recovered) = Engine::open(cfg, disk, tuning, threads)?;
        let (engine, threads) = (Arc::new(engine), Mutex::new(Vec::new()));
        Ok((Self { engine, threads, _lock: lock }, recovered))
    }

    fn start(&self) -> Result<(), StoreError> {
        let spawn = |name: &str, run: fn(&Engine)| {
            let engine = self.engine.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || run(&engine))
        };
        let mut threads = self.threads.lock();
        threads.push(spawn("log writer", Engine::run_writer)?);
        threads.push(spawn("log upkeep", Engine::run_maintenance)?);
        Ok(())
    }

    /// Ends the threads.
    fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Takes the directory for this process alone.
fn lock(
    disk: &dyn Disk,
    directory: &Path,
) -> Result<Box<dyn fmt::Debug + Send + Sync>, StoreError> {
    disk.lock(&directory.join("lock")).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            StoreError::InUse(directory.display().to_string())
        } else {
            StoreError::Io(error)
        }
    })
}

impl MessageStore for LogStore {
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        Self::open_on(cfg, Arc::new(RealDisk), Tuning::default())
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        self.engine.append(batch)
    }

    fn write(&self, quickest: bool) {
        self.engine.write(quickest);
    }

    fn durable(&self) -> watch::Receiver<Lsn> {
        self.engine.announcer.subscribe()
    }

    fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        self.engine.read(queue, from, max, out)
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.engine.inner.lock().index.stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        self.engine.inner.lock().writable()?;
        self.engine.settle()
    }

    fn keeps_room_for_moves(&self) -> bool {
        true
    }

    fn give_back_room(&self) {
        self.engine.give_back_room();
    }

    fn missing(&self) -> Option<PathBuf> {
        self.engine.missing()
    }

    fn fail(&self, why: &str) {
        self.engine.fail(why.to_owned());
    }

    fn status(&self) -> StoreStatus {
        let engine = &self.engine;
        let file_bytes = engine.file_bytes();
        let inner = engine.inner.lock();
        let health = match (&inner.trouble.poisoned, inner.trouble.full) {
            (Some(why), _) => Health::Poisoned(why.clone()),
            (None, true) => Health::Full,
            (None, false) => Health::Ready,
        };
        let segments = inner.segments.keys();
        let live: u64 = segments.map(|id| inner.index.usage(*id).bytes).sum();
        StoreStatus {
            health,
            pending_bytes: inner.groups.pending(),
            file_bytes,
            live_bytes: live + inner.index.big_bytes(),
            commits: engine.counters.commits(),
            compactions: engine.counters.compactions.load(Ordering::Relaxed),
            appended: inner.lsn,
            checkpoint: inner.chores.checkpoint_lsn,
            commit_time: engine.counters.commit_time.get(),
            commit_bytes: engine.counters.commit_bytes.get(),
            written: engine.counters.written(),
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        let done = self.engine.close();
        self.join();
        done
    }
}

impl Drop for LogStore {
    /// Leaves all as it is, as a crash would.
    fn drop(&mut self) {
        self.engine.abandon();
        self.join();
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore").field("directory", &self.engine.cfg.directory).finish()
    }
}
