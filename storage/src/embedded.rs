//! The embedded key-value store, opened and used so that what it has confirmed is on the disk.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::StoreError;
use crate::disk::embedded::{DataFile, make_directory};

pub(crate) mod pieces;

/// What it may use of the memory for what it has read.
const CACHE_BYTES: u64 = 16 << 20;

/// How often to try to get at files that are in use, and how long to wait in between.
const OPEN_TRIES: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// An open store in a directory of its own.
#[derive(Debug)]
pub(crate) struct Embedded {
    db: sled::Db,
    file: DataFile,
}

impl Embedded {
    /// Opens the store in a directory, which is made if need be.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Corrupt`], [`StoreError::Io`].
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        make_directory(directory)?;
        let mut tries = OPEN_TRIES;
        let db = loop {
            match Self::open_once(directory) {
                // Threads of one that was closed a moment ago may still hold its files.
                Err(StoreError::InUse(_)) if tries > 1 => {
                    tries -= 1;
                    thread::sleep(OPEN_PAUSE);
                }
                opened => break opened?,
            }
        };
        Ok(Self { db, file: DataFile::open(directory)? })
    }

    fn open_once(directory: &Path) -> Result<sled::Db, StoreError> {
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE_BYTES)
            // Whoever wants something on the disk says so.
            .flush_every_ms(None);
        checked(directory, || config.open())
    }

    /// Nothing becomes durable any more.
    #[cfg(test)]
    pub(crate) fn fail(&mut self, fault: io::ErrorKind) {
        self.file.fault = Some(fault);
    }

    /// The store itself.
    pub(crate) fn db(&self) -> &sled::Db {
        &self.db
    }

    /// Makes everything durable that was applied before. Flushing hands it to the operating system
    /// only: it is synced after that.
    ///
    /// # Errors
    /// [`StoreError::Io`] and what else the store reports. Not to be tried again: what failed once
    /// to become durable may be reported as written the next time.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| failed(Path::new("the embedded store"), error))?;
        self.file.sync()?;
        Ok(())
    }
}

/// Why something cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is not what was written.
    Damaged(&'static str),
    /// The store reports this.
    Store(sled::Error),
}

impl From<sled::Error> for ReadError {
    fn from(error: sled::Error) -> Self {
        Self::Store(error)
    }
}

impl ReadError {
    /// What it is to those outside.
    pub(crate) fn at(self, place: &Path) -> StoreError {
        match self {
            Self::Damaged(detail) => corrupt(place, detail),
            Self::Store(error) => failed(place, error),
        }
    }
}

/// Does something with a store whose files may be damaged: some damage it reports by a panic.
///
/// # Errors
/// [`StoreError::Corrupt`] and what else the store reports.
pub(crate) fn checked<T, E: Into<ReadError>>(
    place: &Path,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.into().at(place)),
        Err(_) => Err(corrupt(place, "the embedded store gave up reading it")),
    }
}

/// Stored data that cannot be.
pub(crate) fn corrupt(place: &Path, detail: &str) -> StoreError {
    StoreError::Corrupt { place: place.display().to_string(), detail: detail.to_owned() }
}

/// What the store reports, by who is to blame.
pub(crate) fn failed(place: &Path, error: sled::Error) -> StoreError {
    match error {
        // It has no error of its own for this.
        sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
            StoreError::InUse(place.display().to_string())
        }
        sled::Error::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                corrupt(place, &error.to_string())
            }
            _ => StoreError::Io(error),
        },
        other => corrupt(place, &other.to_string()),
    }
}
