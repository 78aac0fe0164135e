//! Long work is done beside the threads that serve all connections.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::limits::LONG_WORK;

/// Carries out work on so many things. If these are many, others on this thread are taken over by another
/// one.
pub fn aside<R>(things: usize, work: impl FnOnce() -> R) -> R {
    if things >= LONG_WORK { blocking(work) } else { work() }
}

/// Does what may take a while: others on this thread are taken over by another one.
pub fn blocking<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}
