//! The seam between queues and engines.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::{Batch, Lsn, Payload, QueueId, Seq, StoreError};

/// Where messages are kept. Shared between threads; no method waits for the disk, except `open`,
/// `checkpoint` and a `read` of messages that are not in memory.
pub trait MessageStore: Send + Sync {
    /// Opens the store, recovering what an earlier one has left.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Corrupt`].
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError>
    where
        Self: Sized;

    /// Applies a batch as a whole: readers see all of it or nothing. It survives a crash once
    /// [`durable`](Self::durable) has reached the position returned. An empty batch changes nothing
    /// and returns the position of the latest one.
    ///
    /// Only publishes are refused for want of room; a batch of settles, moves and drops never is.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::OutOfOrder`], [`StoreError::Poisoned`]; nothing changed.
    fn append(&self, batch: Batch) -> Result<Lsn, StoreError>;

    /// The latest batch that would survive a crash now, with all before it. Never goes back. When
    /// the channel closes, no further batch will become durable: the store is poisoned or gone.
    fn durable(&self) -> watch::Receiver<Lsn>;

    /// Appends to `out` the messages of `queue` at `from` and after, in order of position, within
    /// `max`. Returns where to read on: one past the last message given, or `from` if none was.
    /// A queue that does not exist has no messages.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Corrupt`]; `out` may then hold some of the messages.
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
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where the files are. Not used by [`MemoryStore`](crate::MemoryStore).
    pub directory: PathBuf,
    /// The most that is kept, in bytes: bodies (one that several queues share counts once) and
    /// what an engine needs to find them.
    pub max_bytes: u64,
}

/// What was found on opening.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// The latest batch recovered.
    pub lsn: Lsn,
    /// The queues, by ascending id, also those without messages: their `next` still counts.
    pub queues: Vec<(QueueId, QueueStats)>,
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
}

/// What a queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    /// How many messages.
    pub messages: u64,
    /// The bytes of their payloads; what several queues share counts in each of them.
    pub bytes: u64,
    /// The position of the first message; `next` if there is none.
    pub first: Seq,
    /// The lowest position that a new message may take: one above the highest ever used.
    pub next: Seq,
}
