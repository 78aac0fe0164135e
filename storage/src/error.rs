//! What can go wrong, by who is to blame.

use std::io;

use crate::{QueueId, Seq};

/// Why a store did not do what it was asked. Nothing of the request has taken effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for the messages of the batch. Back-pressure: settle, then try again.
    #[error("the store is full: {needed} bytes needed, {free} free")]
    Full {
        /// What the batch would take, in bytes.
        needed: u64,
        /// What is left, in bytes.
        free: u64,
    },
    /// An earlier write to the disk failed, so that nothing can be promised any more. The store
    /// stays like this until it is opened again.
    #[error("the store takes no more writes since one has failed: {0}")]
    Poisoned(String),
    /// The operating system refused.
    #[error("the disk: {0}")]
    Io(#[from] io::Error),
    /// Another process has the directory.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// The directory was written by a newer version.
    #[error("{place} has format {found}; this version reads up to {known}")]
    Format {
        /// The file.
        place: String,
        /// Its format.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// Stored data are not what was written. The operator decides; nothing is repaired silently.
    #[error("corrupt data in {place}: {detail}")]
    Corrupt {
        /// The file, and where in it.
        place: String,
        /// What is wrong, and which queues are concerned.
        detail: String,
    },
    /// A directory that is not what the caller takes it for: another engine's, or no broker's.
    #[error("{0}")]
    Misplaced(String),
    /// One message cannot be read; those around it can.
    #[error("message {} of queue {} cannot be read from {place}: {detail}", seq.0, queue.0)]
    Unreadable {
        /// The queue.
        queue: QueueId,
        /// Its position.
        seq: Seq,
        /// The file, and where in it.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The caller's mistake: a position that is not above all that the queue has used.
    #[error("position {} of queue {} is taken: the next one is {}", seq.0, queue.0, next.0)]
    OutOfOrder {
        /// The queue.
        queue: QueueId,
        /// The position asked for.
        seq: Seq,
        /// The lowest that would do.
        next: Seq,
    },
}
