//! A disk in memory that crashes and fails on demand: a tool for tests.
//!
//! It knows of each file and directory what is durable and what was done since the latest sync. A
//! power failure ([`SimDisk::image_after_crash`]) keeps what is durable, and of the rest what chance
//! leaves: writes in any order, whole, in some of their sectors, or not at all; a length without the
//! data; a name without the file, or the file without its name. The same seed gives the same image.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

mod access;
mod crash;
mod faults;
mod inode;
mod names;
mod random;
mod state;
#[cfg(test)]
mod tests;

pub use crash::Tearing;
pub use faults::Fault;
pub use random::Random;
use state::State;

/// Called in the middle of each step with its number.
pub type OnStep = Arc<dyn Fn(u64) + Send + Sync>;

/// A handle to a simulated disk; clones see the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    observer: Arc<Mutex<Option<OnStep>>>,
}

impl SimDisk {
    /// An empty disk. The seed decides how much an operation that fails has done.
    pub fn new(seed: u64) -> Self {
        Self::with(State::new(seed))
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), observer: Arc::default() }
    }

    /// How many steps were done: each write, allocation, change of length, creation, renaming,
    /// removal and sync is one.
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// How many bytes of files were read.
    pub fn read_bytes(&self) -> u64 {
        self.state.lock().read_bytes
    }

    /// Crashes at the `n`th step from now, which is left half-done and fails, as everything after it.
    pub fn crash_after(&self, n: u64) {
        let mut state = self.state.lock();
        state.crash_at = Some(state.steps + n.max(1));
    }

    /// Calls back in the middle of each step: an image taken then is one of a crash at that step.
    pub fn on_step(&self, observer: Option<OnStep>) {
        *self.observer.lock() = observer;
    }

    /// Whether sectors are written in one piece.
    pub fn set_tearing(&self, tearing: Tearing) {
        self.state.lock().tearing = tearing;
    }

    /// What a new process would find if the power failed now.
    pub fn image_after_crash(&self, seed: u64) -> Self {
        Self::with(self.state.lock().image(seed))
    }

    /// What a new process would find if only this one ended now: everything, though what was not
    /// synced is not durable yet.
    pub fn image_after_kill(&self, seed: u64) -> Self {
        Self::with(self.state.lock().after_kill(seed))
    }

    /// Limits the bytes of all files together; beyond it writes and allocations say `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Limits how often a file is opened or created, or a directory synced, which opens it; then all that
    /// say what `EMFILE` does.
    pub fn set_openings(&self, left: Option<u64>) {
        self.state.lock().openings = left;
    }

    /// Whether asking how much room it has fails.
    pub fn set_mute(&self, mute: bool) {
        self.state.lock().mute = mute;
    }

    /// Bytes that all files take, so far as a capacity would count them.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used()
    }

    /// Fails the `nth` write from now, when a part of it is done.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        self.state.lock().faults.writes.set(nth, fault);
    }

    /// Fails the `nth` sync from now, of a file or a directory. What a file had unsynced will never
    /// be durable, even if another sync succeeds, but for a part.
    pub fn fail_sync(&self, nth: u64, fault: Fault) {
        self.state.lock().faults.syncs.set(nth, fault);
    }

    /// Fails the `nth` creation, renaming or removal from now, which then does nothing.
    pub fn fail_name(&self, nth: u64, fault: Fault) {
        self.state.lock().faults.names.set(nth, fault);
    }

    /// Fails reads that touch these bytes of a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn fail_reads(&self, path: &Path, bytes: Range<u64>) -> io::Result<()> {
        let mut state = self.state.lock();
        let number = state.find(path)?;
        state.inode(number)?.unreadable.push(bytes);
        Ok(())
    }

    /// Damages a byte of a file, on the disk.
    ///
    /// # Errors
    /// There is no such file.
    pub fn flip_byte(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let number = state.find(path)?;
        state.inode(number)?.flip(state::position(offset)?);
        Ok(())
    }

    /// Cuts a file on the disk.
    ///
    /// # Errors
    /// There is no such file.
    pub fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let number = state.find(path)?;
        let inode = state.inode(number)?;
        inode.set_len(state::position(len)?);
        inode.sync();
        Ok(())
    }

    /// Takes a file from the disk.
    ///
    /// # Errors
    /// There is no such file.
    pub fn lose(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.remove(path)?;
        state.sync_dir(path.parent().unwrap_or(path))
    }

    /// What a file holds, durable or not.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let number = state.find(path).ok()?;
        Some(state.inode(number).ok()?.contents().to_vec())
    }

    /// All files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.files().keys().cloned().collect()
    }
}

impl Debug for SimDisk {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SimDisk({} steps)", self.steps())
    }
}
