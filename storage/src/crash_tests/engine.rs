//! What the tests need of an engine.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::{MessageStore, Recovered, StoreError};

/// Where all files are.
pub(super) const DIRECTORY: &str = "/data/store";

/// A store whose work is done step by step on the caller's thread.
pub(super) trait Stepped: MessageStore + Sized {
    /// How to open it; the same for all lives of a run.
    type Setup: Clone + Send + Sync;

    /// A setup that follows from a seed.
    fn setup(seed: u64) -> Self::Setup;

    /// From how many octets on a payload is a big one.
    fn big(setup: &Self::Setup) -> u64;

    /// Opens what is on a disk.
    fn open_on(setup: &Self::Setup, disk: Arc<dyn Disk>) -> Result<(Self, Recovered), StoreError>;

    /// Does a piece of work; false if there is none.
    fn step(&self) -> bool;
}

pub(super) fn directory() -> PathBuf {
    PathBuf::from(DIRECTORY)
}
