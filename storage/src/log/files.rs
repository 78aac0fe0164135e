//! The files of a store: their names, and those that are open.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::index::{BigId, SegmentId};
use super::segment::{self, Kind};
use crate::disk::{self, Disk, DiskFile, NO_DESCRIPTOR};

/// How many files are kept open.
const OPEN: usize = 512;

/// The directory of the log.
#[derive(Debug)]
pub(super) struct Files {
    pub disk: Arc<dyn Disk>,
    log: PathBuf,
    big: PathBuf,
    open: Mutex<OpenFiles>,
}

/// Which file of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Part {
    Records,
    Index,
}

#[derive(Debug, Default)]
struct OpenFiles {
    files: HashMap<(SegmentId, Part), (Arc<dyn DiskFile>, u64)>,
    uses: u64,
}

impl Files {
    pub fn new(disk: Arc<dyn Disk>, directory: &Path) -> Self {
        let log = directory.join("log");
        Self { disk, big: log.join("big"), log, open: Mutex::default() }
    }

    /// Makes the directories.
    pub fn make_directories(&self) -> io::Result<()> {
        self.disk.create_dir(&self.big)?;
        self.sync()?;
        match self.log.parent() {
            Some(directory) => self.disk.sync_dir(directory),
            None => Ok(()),
        }
    }

    /// The names in the log's directory, and in that of big payloads.
    pub fn list(&self) -> io::Result<(Vec<String>, Vec<String>)> {
        let list = |folder: &Path| match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        };
        Ok((list(&self.log)?, list(&self.big)?))
    }

    /// A file of the log.
    pub fn path(&self, name: &str) -> PathBuf {
        self.log.join(name)
    }

    /// The file of a segment.
    pub fn segment(&self, id: SegmentId, kind: Kind) -> PathBuf {
        self.log.join(segment::file_name(id.0, kind))
    }

    /// The index of a segment.
    pub fn index(&self, id: SegmentId, kind: Kind) -> PathBuf {
        self.log.join(segment::index_name(id.0, kind))
    }

    /// The file of a big payload.
    pub fn big(&self, id: BigId) -> PathBuf {
        self.big.join(big_name(id))
    }

    /// Octets that the disk has left.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.log)
    }

    /// Makes what was done to the log's directory survive a crash.
    pub fn sync(&self) -> io::Result<()> {
        self.sync_dir(&self.log)
    }

    /// The same for the directory of big payloads.
    pub fn sync_big(&self) -> io::Result<()> {
        self.sync_dir(&self.big)
    }

    /// Makes an empty file.
    pub fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.opening(|| self.disk.create(path))
    }

    /// Opens a file by its path.
    pub fn open_path(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.opening(|| self.disk.open(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.opening(|| self.disk.sync_dir(path))
    }

    /// Does what opens a file. If too many are open, those go that are only kept.
    fn opening<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match open() {
            Err(error) if error.kind() == NO_DESCRIPTOR => {
                let kept = std::mem::take(&mut *self.open.lock());
                drop(kept);
                open()
            }
            done => done,
        }
    }

    /// Removes a file; it may be gone already.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        disk::remove(&*self.disk, path)
    }

    /// Puts a file in place as a whole: after a crash it is the new one or the old one.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.opening(|| disk::put(&*self.disk, path, bytes))?;
        self.sync()
    }

    /// All of a file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open_path(path)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// A file of a segment, opened if it is not yet.
    pub fn open(&self, id: SegmentId, kind: Kind, part: Part) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.lock().get(id, part) {
            return Ok(file);
        }
        let path = match part {
            Part::Records => self.segment(id, kind),
            Part::Index => self.index(id, kind),
        };
        let file = self.open_path(&path)?;
        self.keep(id, part, file.clone());
        Ok(file)
    }

    /// Keeps a file open.
    pub fn keep(&self, id: SegmentId, part: Part, file: Arc<dyn DiskFile>) {
        let displaced = self.open.lock().insert(id, part, file);
        drop(displaced);
    }

    /// Does not keep the files of a segment open any longer.
    pub fn forget(&self, id: SegmentId) {
        let mut open = self.open.lock();
        let gone = [Part::Records, Part::Index].map(|part| open.files.remove(&(id, part)));
        drop(open);
        drop(gone);
    }
}

impl OpenFiles {
    fn get(&mut self, id: SegmentId, part: Part) -> Option<Arc<dyn DiskFile>> {
        self.uses += 1;
        let (file, used) = self.files.get_mut(&(id, part))?;
        *used = self.uses;
        Some(file.clone())
    }

    /// Returns those that have to be closed instead: the half that was not used for longest.
    fn insert(
        &mut self,
        id: SegmentId,
        part: Part,
        file: Arc<dyn DiskFile>,
    ) -> Vec<(Arc<dyn DiskFile>, u64)> {
        let mut displaced = Vec::new();
        if self.files.len() >= OPEN {
            let mut uses: Vec<u64> = self.files.values().map(|(_, used)| *used).collect();
            uses.sort_unstable();
            let keep = uses.get(OPEN / 2).copied().unwrap_or(0);
            let old = self.files.extract_if(|_, (_, used)| *used < keep);
            displaced.extend(old.map(|(_, file)| file));
        }
        self.uses += 1;
        self.files.insert((id, part), (file, self.uses));
        displaced
    }
}

/// The name of the file of a big payload.
pub(super) fn big_name(id: BigId) -> String {
    format!("{:016x}.big", id.0)
}

/// What number a name has, if it ends with the extension.
pub(super) fn parse_number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    if digits.len() != 16 { None } else { u64::from_str_radix(digits, 16).ok() }
}

/// Whether the directory of a log has things of this name.
pub(crate) fn has_file_named(name: &str) -> bool {
    let others = ["big", "checkpoint.0", "checkpoint.1", "meta.0", "meta.1"];
    let is_segment = |extension| segment::parse_name(name, extension).is_some();
    let is_free = parse_number(name, "free").is_some();
    others.contains(&name) || is_segment("seg") || is_segment("idx") || is_free
}

/// Whether an error says that there is no room, on the disk or for another open file, which may
/// change.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
