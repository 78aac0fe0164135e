//! What all engines have in common: a batch of messages that must be safe when the call returns.

use anyhow::Result;
use bytes::Bytes;

/// One engine, with one queue.
pub trait Engine {
    /// Adds messages of this body and returns when they would survive a crash.
    fn commit(&mut self, body: &Bytes, count: usize) -> Result<()>;

    /// Forgets all messages, so that their room can be used again. Not measured.
    fn forget(&mut self) -> Result<()>;
}
