//! The engine on the embedded key-value store: messages too are keys and values. Plain rather than
//! quick; the log is measured and tested against it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lepus_sync::thread::JoinHandle;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::embedded::{Embedded, ReadError};
use crate::{
    Batch, Health, Lsn, MessageStore, OnDurable, QueueId, QueueStats, ReadMax, Recovered, Seq,
    StoreConfig, StoreError, StoreStatus, Stored,
};

mod apply;
mod codec;
mod committer;
mod counts;
mod journal;
mod message;
#[cfg(all(test, feature = "models"))]
mod models;
mod recovery;
mod state;
#[cfg(test)]
mod tests;
mod view;

use committer::Committer;
use state::State;

/// The folder of the store in the data directory.
const FOLDER: &str = "messages";

/// Keeps messages in the embedded store.
///
/// The bound is [`StoreConfig::max_bytes`], of which every message takes [`Self::ENTRY_BYTES`]
/// besides its payload. A payload that several queues share is stored for each of them.
pub struct SledStore {
    place: PathBuf,
    store: Arc<Embedded>,
    /// Held to write while a batch is applied, so that readers see all of it or nothing.
    state: RwLock<State>,
    committer: Arc<Committer>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SledStore {
    /// What a message costs besides its payload, in bytes: about what its keys need.
    pub const ENTRY_BYTES: u64 = 64;

    fn start(
        place: PathBuf,
        store: Embedded,
        state: State,
        lsn: Lsn,
        on_durable: Option<OnDurable>,
    ) -> Result<Self, StoreError> {
        let store = Arc::new(store);
        let committer = Arc::new(Committer::new(lsn, on_durable));
        let embedded = store.clone();
        let commit = move || embedded.commit();
        let thread = Mutex::new(Some(committer::start(committer.clone(), commit)?));
        Ok(Self { place, store, state: RwLock::new(state), committer, thread })
    }

    fn poisoned(&self) -> Option<StoreError> {
        self.committer.failure().map(StoreError::Poisoned)
    }
}

impl MessageStore for SledStore {
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        let place = cfg.directory.join(FOLDER);
        let store = Embedded::open(&place)?;
        let (state, recovered) = recovery::recover(&store, &place, cfg.max_bytes)?;
        let started = Self::start(place, store, state, recovered.lsn, cfg.on_durable.clone())?;
        Ok((started, recovered))
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let mut state = self.state.write();
        if batch.is_empty() && batch.part().is_none() {
            return Ok(state.lsn());
        }
        if let Some(poisoned) = self.poisoned() {
            return Err(poisoned);
        }
        let octets = batch.payload_bytes();
        let db = self.store.db();
        let prepared = state.prepare(db, batch).map_err(|failure| failure.at(&self.place))?;
        if let Err(error) = state.carry_out(db, prepared) {
            // Nobody knows how much of it was done.
            let why = ReadError::from(error).at(&self.place).to_string();
            self.committer.poison(&why);
            return Err(StoreError::Poisoned(why));
        }
        let lsn = state.lsn();
        self.committer.appended(lsn, octets);
        Ok(lsn)
    }

    fn fail(&self, why: &str) {
        self.committer.poison(why);
    }

    fn durable(&self) -> watch::Receiver<Lsn> {
        self.committer.durable()
    }

    fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        let _unchanged = self.state.read();
        let mut next = from;
        let mut left = max.bytes;
        let db = self.store.db();
        for entry in db.range(message::keys(queue, from, Seq(u64::MAX))).take(max.messages) {
            let first = next == from;
            let read = entry.map_err(ReadError::from).and_then(|(key, head)| {
                let fits = message::payload_len(&head) <= left;
                if first || fits { message::read(db, &key, &head).map(Some) } else { Ok(None) }
            });
            match read {
                Ok(Some(stored)) => {
                    left = left.saturating_sub(stored.payload.len());
                    next = Seq(stored.seq.0.saturating_add(1));
                    out.push(stored);
                }
                Err(error) if first => return Err(unreadable(queue, from, &self.place, error)),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(next)
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.state.read().stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        let lsn = self.state.read().lsn();
        self.committer.wait_for(lsn)?;
        Ok(lsn)
    }

    fn status(&self) -> StoreStatus {
        let progress = self.committer.progress();
        StoreStatus {
            health: progress.failure.map_or(Health::Ready, Health::Poisoned),
            pending_bytes: progress.pending_bytes,
            file_bytes: self.store.db().size_on_disk().unwrap_or_default(),
            live_bytes: self.state.read().used(),
            commits: progress.commits,
            ..StoreStatus::default()
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        let done = self.checkpoint();
        self.committer.close();
        if let Some(thread) = self.thread.lock().take() {
            // If it has panicked, that was reported as a failure.
            let _ = thread.join();
        }
        done.map(drop)
    }
}

impl Drop for SledStore {
    /// Ends the thread, so that the files can be opened again.
    fn drop(&mut self) {
        self.committer.close();
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

fn unreadable(queue: QueueId, seq: Seq, place: &Path, error: ReadError) -> StoreError {
    let place = place.display().to_string();
    match error {
        ReadError::Store(sled::Error::Io(error)) => StoreError::Io(error),
        ReadError::Store(error) => {
            StoreError::Unreadable { queue, seq, place, detail: error.to_string() }
        }
        ReadError::Damaged(detail) => {
            StoreError::Unreadable { queue, seq, place, detail: detail.to_owned() }
        }
    }
}

impl Batch {
    fn payload_bytes(&self) -> u64 {
        let payloads = self.ops().iter().map(|op| match op {
            crate::Op::Publish { payload, .. } => payload.len() as u64,
            _ => 0,
        });
        payloads.sum()
    }
}
