//! The only way to files, so that a simulated disk can crash at every step.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) mod embedded;
mod real;
#[cfg(any(test, feature = "sim"))]
pub mod sim;

pub use real::RealDisk;

/// How opening says that there is no descriptor, or no memory, for another open file: nothing was
/// done, and there may be one in a moment.
pub(crate) const NO_DESCRIPTOR: io::ErrorKind = io::ErrorKind::QuotaExceeded;

/// A file system. Nothing that is done to a directory survives a crash for sure before
/// [`sync_dir`](Self::sync_dir), nothing that is done to a file before [`DiskFile::sync_data`].
pub trait Disk: Send + Sync + Debug {
    /// Makes a directory and those above it, so that they survive a crash; one that exists is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file; `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file to read and write; `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Whether there is such a file. The error: it cannot be told.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Gives a file another name, in place of a file that may have it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Those who have it open can still use it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes what was done to a directory survive a crash.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes a lock that ends with the value returned, or with the process; `WouldBlock` if
    /// another holds it. Makes the file if need be.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;
    /// Bytes free to this process.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// Puts a file in place as a whole: after a crash it is the new one or the old one.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(disk, path, bytes)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// The same, but that a crash may undo it until the directory is synced.
pub(crate) fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    remove(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    if let Err(error) = file.write_at(bytes, 0) {
        // The next one does it if not now.
        let _ = remove(disk, &temporary);
        return Err(error);
    }
    file.sync_data()?;
    disk.rename(&temporary, path)
}

/// Removes a file; it may be gone already.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// An open file. Positions beyond its end read as nothing; writing there makes it longer.
#[expect(clippy::len_without_is_empty, reason = "a file system call, which may fail")]
pub trait DiskFile: Send + Sync + Debug {
    /// Its length.
    fn len(&self) -> io::Result<u64>;
    /// Reads what is at `offset`; fewer bytes than `buffer` has only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reserves room for that many bytes, so that writes within them do not lack it, and makes the
    /// file at least that long.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts the file, or makes it longer.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until what was written, and the length, would survive a crash: fdatasync.
    fn sync_data(&self) -> io::Result<()>;
}
