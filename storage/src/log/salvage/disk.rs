//! A disk that is only read, and some of whose sectors cannot be.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::frame::SECTOR;
use crate::disk::{Disk, DiskFile};

/// What cannot be read counts as zeros, which no crc takes for data.
#[derive(Clone, Debug)]
pub(in crate::log) struct Patient {
    pub disk: Arc<dyn Disk>,
    /// Nothing is written.
    pub read_only: bool,
    unreadable: Unreadable,
}

/// Sectors that could not be read, by file and offset.
pub(in crate::log) type Unreadable = Arc<Mutex<BTreeSet<(PathBuf, u64)>>>;

#[derive(Debug)]
struct PatientFile {
    file: Arc<dyn DiskFile>,
    read_only: bool,
    path: PathBuf,
    unreadable: Unreadable,
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the store is only read")
}

impl Patient {
    pub fn new(disk: Arc<dyn Disk>, read_only: bool) -> Self {
        Self { disk, read_only, unreadable: Unreadable::default() }
    }

    /// Those met so far, and later on.
    pub fn unreadable(&self) -> Unreadable {
        self.unreadable.clone()
    }

    fn writing(&self) -> io::Result<&dyn Disk> {
        if self.read_only { Err(refused()) } else { Ok(&*self.disk) }
    }

    fn patient(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let (path, unreadable) = (path.to_owned(), self.unreadable.clone());
        Arc::new(PatientFile { file, read_only: self.read_only, path, unreadable })
    }
}

impl Disk for Patient {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.writing()?.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.writing()?.create(path).map(|file| self.patient(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path).map(|file| self.patient(path, file))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writing()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.writing()?.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.writing()?.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        self.disk.lock(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
}

impl PatientFile {
    fn writing(&self) -> io::Result<&dyn DiskFile> {
        if self.read_only { Err(refused()) } else { Ok(&*self.file) }
    }
}

impl DiskFile for PatientFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Ok(read) = self.file.read_at(buffer, offset) {
            return Ok(read);
        }
        let end = self.file.len()?.min(offset.saturating_add(buffer.len() as u64));
        let mut done = 0;
        while offset + (done as u64) < end {
            let at = offset + done as u64;
            let sector_end = (at / SECTOR as u64 + 1) * SECTOR as u64;
            let len = (sector_end.min(end) - at) as usize;
            let Some(sector) = buffer.get_mut(done..done + len) else { break };
            if self.file.read_at(sector, at).is_err() {
                sector.fill(0);
                self.unreadable.lock().insert((self.path.clone(), at));
            }
            done += len;
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writing()?.write_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.writing()?.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writing()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.writing()?.sync_data()
    }
}
