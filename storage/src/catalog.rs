//! What is declared, in the embedded store: keys and values that survive crashes, small and quick
//! to read. The message store holds a full copy of them ([`crate::Op::Meta`]), so that a damaged
//! catalog can be written anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::watch;

use crate::disk::embedded::copy_of;
use crate::log::is_full;
use crate::{Health, Meta, StoreError};

mod digest;
#[cfg(all(test, feature = "models"))]
mod models;
mod pending;
mod records;
mod reserve;
#[cfg(any(test, feature = "sim"))]
mod stepped;
#[cfg(test)]
mod tests;
mod writer;

use pending::{Pending, Work};
use records::Records;
#[cfg(any(test, feature = "sim"))]
pub use stepped::CatalogSteps;

/// The folder of the catalog in the data directory.
const FOLDER: &str = "meta";

/// Called after each advance of [`Catalog::durable`] with the new version, and with `None` when a
/// failure of the disk has ended them. Must be quick and never wait.
pub type OnVersion = Arc<dyn Fn(Option<u64>) + Send + Sync>;

/// What a catalog that nobody has open looks like.
#[derive(Debug)]
pub(crate) enum Looked {
    /// There is none.
    Missing,
    /// It can be read.
    Sound(Meta),
    /// It cannot, for this reason.
    Damaged(String),
}

impl Looked {
    /// What it has, if it can be read.
    pub(crate) fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Sound(meta) => Some(meta),
            Self::Missing | Self::Damaged(_) => None,
        }
    }
}

/// Reads the catalog in a data directory from a copy, since opening it may write to it.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::InUse`], [`StoreError::Format`].
pub(crate) fn look(directory: &Path) -> Result<Looked, StoreError> {
    let Some(copy) = copy_of(&directory.join(FOLDER))? else { return Ok(Looked::Missing) };
    match Records::read_only(copy.path()) {
        Ok(meta) => Ok(Looked::Sound(meta)),
        Err(StoreError::Corrupt { detail, .. }) => Ok(Looked::Damaged(detail)),
        Err(error) => Err(error),
    }
}

/// Writes a catalog where there is none, and returns when it would survive a crash.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::InUse`], [`StoreError::Format`], [`StoreError::Corrupt`].
pub(crate) fn write_anew(directory: &Path, meta: &Meta) -> Result<(), StoreError> {
    let (mut records, _) = Records::open_or_replace(&directory.join(FOLDER))?;
    let entries = meta.entries.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    records.write(&Work { version: meta.version, replace: true, changes: entries.collect() })
}

/// Where the catalog in a data directory is.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join(FOLDER)
}

/// Keys and values with a version.
pub struct Catalog {
    durable: watch::Receiver<u64>,
    kind: Kind,
}

enum Kind {
    /// Changes are handed to a thread, which ends with the value.
    Disk {
        pending: Arc<Pending>,
        writer: Option<JoinHandle<()>>,
    },
    Memory {
        durable: watch::Sender<u64>,
        on_version: Option<OnVersion>,
    },
}

/// What was found on opening a catalog.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FoundCatalog {
    /// All keys and values; version 0 if there is none.
    pub meta: Meta,
    /// What an operator should know.
    pub notes: Vec<String>,
}

impl Catalog {
    /// Opens the catalog in a data directory. One that is damaged is moved aside and begun anew,
    /// which is noted.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::InUse`], [`StoreError::Format`].
    pub fn open(
        directory: &Path,
        on_version: Option<OnVersion>,
    ) -> Result<(Self, FoundCatalog), StoreError> {
        let folder = directory.join(FOLDER);
        let opened = match Records::open_or_replace(&folder) {
            Err(StoreError::Io(error)) if is_full(&error) && reserve::give_up(directory)? => {
                Records::open_or_replace(&folder)
            }
            opened => opened,
        };
        let (records, found) = opened?;
        reserve::keep(directory);
        Self::start(folder, records, found, on_version)
    }

    fn start(
        folder: PathBuf,
        records: Records,
        found: FoundCatalog,
        on_version: Option<OnVersion>,
    ) -> Result<(Self, FoundCatalog), StoreError> {
        let (sender, durable) = watch::channel(found.meta.version);
        let pending = Arc::new(Pending::default());
        let writer = writer::start(folder, records, pending.clone(), sender, on_version)?;
        let kind = Kind::Disk { pending, writer: Some(writer) };
        Ok((Self { durable, kind }, found))
    }

    /// A catalog without a disk, for tests: it forgets everything, at once and durably.
    pub fn in_memory(on_version: Option<OnVersion>) -> Self {
        let (sender, durable) = watch::channel(0);
        Self { durable, kind: Kind::Memory { durable: sender, on_version } }
    }

    /// Changes keys: to a new value, or away. Does not wait; the changes, which take effect
    /// together, survive a crash once [`durable`](Self::durable) has reached `version`, which grows
    /// with each change.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub fn apply(
        &self,
        version: u64,
        changes: Vec<(Bytes, Option<Bytes>)>,
    ) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Disk { pending, .. } => pending.add(version, changes),
            Kind::Memory { .. } => self.publish_in_memory(version),
        }
    }

    /// Makes this the whole content, in place of whatever was there. Does not wait either.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub fn replace(&self, meta: Meta) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Disk { pending, .. } => pending.replace(meta),
            Kind::Memory { .. } => self.publish_in_memory(meta.version),
        }
    }

    /// The version that would survive a crash now. When the channel closes, no further one will:
    /// the catalog is poisoned or gone.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Whether what it takes becomes durable: on a full disk that waits for room.
    pub fn health(&self) -> Health {
        match &self.kind {
            Kind::Disk { pending, .. } => pending.health(),
            Kind::Memory { .. } => Health::Ready,
        }
    }

    /// Takes nothing more, as after a failed write: somebody has seen that its files are gone.
    pub fn fail(&self, why: &str) {
        if let Kind::Disk { pending, .. } = &self.kind {
            pending.poison(why.to_owned());
        }
    }

    fn publish_in_memory(&self, version: u64) -> Result<(), StoreError> {
        if let Kind::Memory { durable, on_version } = &self.kind {
            durable.send_replace(version);
            if let Some(on_version) = on_version {
                on_version(Some(version));
            }
        }
        Ok(())
    }
}

impl Drop for Catalog {
    /// Writes what has gathered, then lets go of the files.
    fn drop(&mut self) {
        if let Kind::Disk { pending, writer } = &mut self.kind {
            pending.stop();
            if let Some(writer) = writer.take() {
                // If it has panicked, there is nothing left to wait for.
                let _ = writer.join();
            }
        }
    }
}
