//! The seam between queues and engines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::{Batch, Distribution, Lsn, Payload, QueueId, Seq, StoreError};

/// Where messages are kept. Shared between threads; no method waits for the disk, except `open`,
/// `checkpoint`, `close` and a `read` of messages that are not in memory.
pub trait MessageStore: Send + Sync {
    /// Opens the store, recovering what an earlier one has left.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Corrupt`], [`StoreError::InUse`], [`StoreError::Format`].
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError>
    where
        Self: Sized;

    /// Applies a batch as a whole: readers see all of it or nothing. It survives a crash once
    /// [`durable`](Self::durable) has reached the position returned. An empty batch that is no part
    /// of a transaction changes nothing and returns the position of the latest one.
    ///
    /// Only publishes are refused for want of room; a batch of all else never is, nor one that
    /// continues a transaction.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::OutOfOrder`], [`StoreError::Poisoned`]; nothing changed.
    fn append(&self, batch: Batch) -> Result<Lsn, StoreError>;

    /// Begins to write what was appended with [`Batch::set_followed`]; on the calling thread, which may
    /// then wait for the disk, if that is what is `quickest` now and was asked for. A store may ignore
    /// this and begin by itself.
    fn write(&self, quickest: bool) {
        let _ = quickest;
    }

    /// The latest batch that would survive a crash now, with all before it. Never goes back. When
    /// the channel closes, no further batch will become durable: the store is poisoned or gone.
    fn durable(&self) -> watch::Receiver<Lsn>;

    /// Appends to `out` the messages of `queue` at `from` and after, in order of position, within
    /// `max`. Returns where to read on: one past the last message given, or `from` if none was.
    /// A queue that does not exist has no messages.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if the first message cannot be read; one behind others ends the
    /// reading without an error. [`StoreError::Io`].
    fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError>;

    /// What a queue holds; all zero for one that does not exist.
    fn stats(&self, queue: QueueId) -> QueueStats;

    /// Makes everything appended so far durable and quick to recover, and returns its position.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Poisoned`].
    fn checkpoint(&self) -> Result<Lsn, StoreError>;

    /// Gives back what it has of the disk without need: less is free than there should be.
    fn give_back_room(&self) {}

    /// Whether some room is kept for messages that leave where they are ([`Batch::set_moves`]), so that they may be taken
    /// when others are refused.
    fn keeps_room_for_moves(&self) -> bool {
        false
    }

    /// Looks whether files that it needs are still there, some of them at a time: the first that is not.
    fn missing(&self) -> Option<PathBuf> {
        None
    }

    /// Takes nothing more, as after a failed write: somebody has seen that its files are gone.
    fn fail(&self, _why: &str) {}

    /// How it is, and what it takes.
    fn status(&self) -> StoreStatus;

    /// Checkpoints and stops all work of its own; nothing may be appended afterwards.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    fn close(&self) -> Result<(), StoreError>;
}

/// Called by the store's own thread after each advance of [`MessageStore::durable`] with the new
/// value, and with `None` when there will be no more. Must be quick and never wait.
pub type OnDurable = Arc<dyn Fn(Option<Lsn>) + Send + Sync>;

/// How to open a store.
#[derive(Clone)]
pub struct StoreConfig {
    /// Where the files are. Not used by [`MemoryStore`](crate::MemoryStore).
    pub directory: PathBuf,
    /// The most that is kept, in bytes: payloads and what an engine needs to find them. The log
    /// compares it with the size of its files.
    pub max_bytes: u64,
    /// Octets of a segment of the log.
    pub segment_bytes: u32,
    /// Whom to tell of batches that have become durable.
    pub on_durable: Option<OnDurable>,
}

impl StoreConfig {
    /// The usual settings.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: u64::MAX,
            segment_bytes: 64 << 20,
            on_durable: None,
        }
    }
}

/// What was found on opening.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// The latest batch recovered.
    pub lsn: Lsn,
    /// The queues that have used a position, by ascending id, also those without messages: their
    /// `next` still counts.
    pub queues: Vec<(QueueId, QueueStats)>,
    /// What [`crate::Op::Meta`] has left; version 0 if there is none.
    pub meta: Meta,
    /// What an operator should know: a torn tail that was cut, leftovers that were removed.
    pub notes: Vec<String>,
}

/// The copy of the catalog in a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// The version of its last change.
    pub version: u64,
    /// All keys and values.
    pub entries: BTreeMap<Bytes, Bytes>,
}

impl Meta {
    /// Carries out a change, as [`crate::Op::Meta`] has it.
    pub fn apply(&mut self, version: u64, changes: Vec<(Bytes, Option<Bytes>)>) {
        self.version = version;
        for (key, value) in changes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }
}

/// How much to read at once. At least one message is given if there is one and `messages` is not
/// zero, even if it is larger than `bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadMax {
    /// The most messages.
    pub messages: usize,
    /// The most bytes of payload.
    pub bytes: usize,
}

/// A message read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Its position in the queue.
    pub seq: Seq,
    /// The message.
    pub payload: Payload,
    /// How often it has come back ([`crate::Op::Return`]).
    pub returns: u32,
}

/// What a queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    /// How many messages.
    pub messages: u64,
    /// The sum of their weights.
    pub weight: u64,
    /// The position of the first message; `next` if there is none.
    pub first: Seq,
    /// The lowest position that a new message may take: one above the highest that was ever
    /// published or handed out.
    pub next: Seq,
    /// One above the highest position handed out ([`crate::Op::Deliver`]); 0 if none was.
    pub delivered: Seq,
}

/// How a store is, and what it takes of the disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreStatus {
    /// Whether it takes messages.
    pub health: Health,
    /// Bytes appended that the disk has not confirmed.
    pub pending_bytes: u64,
    /// Bytes of all files.
    pub file_bytes: u64,
    /// Bytes of those that hold messages which are not settled.
    pub live_bytes: u64,
    /// Group commits since it was opened.
    pub commits: u64,
    /// How often messages that are left in old files were gathered in new ones.
    pub compactions: u64,
    /// The last batch that was appended.
    pub appended: u64,
    /// The last batch that is in a checkpoint, since it was opened.
    pub checkpoint: u64,
    /// How long group commits have taken, in µs.
    pub commit_time: Distribution,
    /// How large group commits were, in bytes.
    pub commit_bytes: Distribution,
    /// Bytes written since it was opened, by purpose: `log`, `index`, `checkpoint`, `compaction`, …
    pub written: Vec<(&'static str, u64)>,
}

/// Whether a store takes messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Health {
    /// It does.
    #[default]
    Ready,
    /// The disk is full: no publishes until there is room again.
    Full,
    /// The disk has failed: nothing becomes durable any more.
    Poisoned(String),
}
