//! Looking into the data directory of a broker that does not run, and repairing it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::{self, Looked};
use crate::disk::RealDisk;
use crate::identity;
use crate::log::inspect::Examined;
use crate::log::salvage::{Fault, Findings, Lost};
use crate::{
    MessageStore, Meta, QueueId, QueueStats, ReadMax, Recovered, Seq, SledStore, StoreConfig,
    StoreError, Stored,
};

#[cfg(test)]
mod tests;

/// How much of a queue is read at once.
const AT_ONCE: ReadMax = ReadMax { messages: 1024, bytes: 4 << 20 };

/// The engine that has written a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreKind {
    /// [`LogStore`](crate::LogStore).
    Log,
    /// [`SledStore`].
    Sled,
}

impl StoreKind {
    /// What a directory belongs to; the log if it holds both and does not say.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it holds neither.
    pub fn of(directory: &Path) -> Result<Self, StoreError> {
        identity::engine_of(directory)?.ok_or_else(|| {
            let what = format!("{} is not the data directory of a broker", directory.display());
            std::io::Error::new(std::io::ErrorKind::NotFound, what).into()
        })
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Log, Self::Sled].into_iter().find(|kind| kind.to_string() == name)
    }

    /// Its folder in the data directory.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Sled => "messages",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Log => Self::Sled,
            Self::Sled => Self::Log,
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Sled => "sled",
        })
    }
}

/// What a directory holds, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The queues, by ascending id.
    pub queues: Vec<(QueueId, QueueStats)>,
    /// The segments of a log, by number.
    pub segments: Vec<SegmentReport>,
    /// What is declared: the newer one of the catalog and its copy.
    pub meta: Meta,
    /// What is not as it was written. Not all of it costs messages.
    pub faults: Vec<Fault>,
    /// Messages that cannot be read.
    pub lost: Vec<Lost>,
    /// What is in order, but worth knowing: a torn tail that will be cut.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether all is as it was written.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.lost.is_empty()
    }
}

/// A segment of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentReport {
    /// Its file.
    pub file: PathBuf,
    /// Octets of it that are used.
    pub bytes: u64,
    /// Nothing is added any more, and it has an index.
    pub sealed: bool,
    /// Messages in it that are not settled.
    pub messages: u64,
    /// About what these take of it.
    pub live_bytes: u64,
}

/// A directory that is looked into. No broker can start on it meanwhile.
pub struct Inspection {
    store: Store,
    report: Report,
}

enum Store {
    Log(Box<Examined>),
    Sled(Box<SledStore>, Recovered),
}

impl Inspection {
    /// Opens what is in a directory, however damaged it is, and changes nothing in it; the embedded
    /// store may rewrite files of its own.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], [`StoreError::Io`], [`StoreError::Misplaced`];
    /// [`StoreError::Corrupt`] if the messages are in an embedded store that cannot be opened.
    pub fn open(directory: &Path, kind: StoreKind) -> Result<Self, StoreError> {
        Self::open_as(directory, kind, true)
    }

    fn open_as(directory: &Path, kind: StoreKind, read_only: bool) -> Result<Self, StoreError> {
        let identity = identity::check(directory, kind).map(drop);
        match kind {
            StoreKind::Log => {
                let unknown = match identity {
                    Err(StoreError::Corrupt { place, detail }) => Some((place, detail)),
                    known => known.map(|()| None)?,
                };
                let mut looked = Looked::Missing;
                let declared = || {
                    looked = catalog::look(directory)?;
                    Ok(looked.meta().cloned())
                };
                let disk = Arc::new(RealDisk);
                let mut log = Examined::open(directory, disk, declared, read_only)?;
                if let Some((place, detail)) = unknown {
                    log.findings.fault(place.into(), None, detail, []);
                }
                Ok(Self::of_log(log, directory, looked))
            }
            StoreKind::Sled => {
                identity?;
                let (store, recovered) = SledStore::open(&StoreConfig::new(directory))?;
                let looked = catalog::look(directory)?;
                let mut findings = Findings::default();
                let meta = newer(&mut findings, directory, &recovered.meta, looked);
                let Findings { faults, .. } = findings;
                let (queues, notes) = (recovered.queues.clone(), recovered.notes.clone());
                let report = Report { queues, meta, faults, notes, ..Report::default() };
                Ok(Self { store: Store::Sled(Box::new(store), recovered), report })
            }
        }
    }

    fn of_log(mut log: Examined, directory: &Path, looked: Looked) -> Self {
        let meta = newer(&mut log.findings, directory, &log.recovered.meta, looked);
        let report = Report {
            queues: log.recovered.queues.clone(),
            segments: log.segments(),
            meta,
            faults: log.findings.faults.clone(),
            lost: log.findings.lost.clone(),
            notes: log.findings.notes.clone(),
        };
        Self { store: Store::Log(Box::new(log)), report }
    }

    /// Reads every message, and notes in the report which of them cannot be read.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn verify(&mut self) -> Result<(), StoreError> {
        match &mut self.store {
            Store::Log(log) => {
                log.verify()?;
                self.report.lost.clone_from(&log.findings.lost);
            }
            Store::Sled(store, recovered) => {
                for (queue, seq, place, why) in unreadable(&**store, recovered)? {
                    let (first, last, file) = (seq, seq, PathBuf::from(place));
                    let (certain, offset) = (true, None);
                    self.report.lost.push(Lost { queue, first, last, certain, file, offset, why });
                }
            }
        }
        Ok(())
    }

    /// What is known by now.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads messages, as [`MessageStore::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        match &self.store {
            Store::Log(log) => log.store.read(queue, from, max, out),
            Store::Sled(store, _) => store.read(queue, from, max, out),
        }
    }
}

/// Makes a log that is damaged one that opens, without the messages that cannot be read. Returns what
/// was found before, and the folder in the directory that has the damaged files now; none if there
/// was nothing to do. After an error or a crash it can be tried again.
///
/// # Errors
/// As [`Inspection::open`], and what writing may end with.
pub fn repair(directory: &Path) -> Result<(Report, Option<PathBuf>), StoreError> {
    let mut inspection = Inspection::open_as(directory, StoreKind::Log, false)?;
    inspection.verify()?;
    let Inspection { store, report } = inspection;
    let aside = match store {
        Store::Log(mut log) => {
            let aside = log.repair(directory)?;
            if aside.is_some() {
                complete(directory, &report.meta)?;
            }
            aside
        }
        Store::Sled(..) => None,
    };
    Ok((report, aside))
}

/// What belongs to a log that was repaired.
fn complete(directory: &Path, meta: &Meta) -> Result<(), StoreError> {
    if matches!(catalog::look(directory)?, Looked::Missing) {
        catalog::write_anew(directory, meta)?;
    }
    match identity::check(directory, StoreKind::Log) {
        Err(StoreError::Corrupt { .. }) => identity::renew(directory, StoreKind::Log),
        checked => checked.map(drop),
    }
}

/// The newer one of the catalog and its copy.
fn newer(findings: &mut Findings, directory: &Path, copy: &Meta, looked: Looked) -> Meta {
    let folder = catalog::folder(directory);
    match looked {
        Looked::Sound(meta) if meta.version >= copy.version => return meta,
        Looked::Sound(meta) => {
            let (version, newer) = (meta.version, copy.version);
            let what =
                format!("the catalog has version {version}, its copy {newer}, which is used");
            findings.notes.push(what);
        }
        Looked::Missing if copy.version > 0 => {
            findings.fault(folder, None, "the catalog is missing: its copy is used", []);
        }
        Looked::Missing => {}
        Looked::Damaged(why) => {
            let what = format!("the catalog cannot be read ({why}): its copy is used");
            findings.fault(folder.clone(), None, what, []);
            findings.moved.insert(folder);
        }
    }
    copy.clone()
}

/// Messages that cannot be read, with the place and the reason.
pub(crate) fn unreadable(
    store: &dyn MessageStore,
    recovered: &Recovered,
) -> Result<Vec<(QueueId, Seq, String, String)>, StoreError> {
    let (mut lost, mut read) = (Vec::new(), Vec::new());
    for (queue, _) in &recovered.queues {
        let mut from = Seq(0);
        loop {
            read.clear();
            match store.read(*queue, from, AT_ONCE, &mut read) {
                Ok(next) if next == from => break,
                Ok(next) => from = next,
                Err(StoreError::Unreadable { seq, place, detail, .. }) => {
                    lost.push((*queue, seq, place, detail));
                    from = Seq(seq.0 + 1);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(lost)
}
