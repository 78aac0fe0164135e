//! Making a damaged log one that opens, without the messages that cannot be read.
//!
//! First whatever is damaged is copied or moved to a folder of its own. Then what recovery would
//! refuse is mended in place, so far as that takes nothing away. At last the messages that are lost
//! are settled like any others, and two checkpoints are taken, behind all damage. A crash on the way
//! leaves a store that has to be repaired again, and can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::index::{BigId, SegmentId};
use super::inspect::Examined;
use super::salvage::{Fault, Findings, Lost};
use super::seal;
use super::segment::{Kind, SegmentHeader};
use crate::{Batch, MessageStore, Op, QueueId, SeqRange, StoreError};

/// How much of a file is copied at once.
const PIECE: usize = 1 << 20;

impl Examined {
    /// Makes it a store that opens. Returns the folder that has what was damaged.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Poisoned`]. It can be tried again.
    pub fn repair(&mut self, directory: &Path) -> Result<Option<PathBuf>, StoreError> {
        if self.findings.faults.is_empty() && self.findings.lost.is_empty() {
            return Ok(None);
        }
        let engine = self.store.engine.clone();
        let aside = Aside::new(&engine.files, directory)?;
        let damaged: BTreeSet<PathBuf> =
            self.findings.lost.iter().map(|lost| lost.file.clone()).collect();
        for path in self.findings.copied.union(&damaged) {
            aside.copy(path)?;
        }
        aside.write_report(&self.findings)?;
        self.mend(&engine.files)?;
        for path in &self.findings.moved {
            aside.take(path)?;
        }
        let before = self.big_files();
        self.settle_lost()?;
        let after = self.big_files();
        for id in before.difference(&after) {
            aside.take(&engine.files.big(*id))?;
        }
        // The second one is so that neither of the two files needs anything damaged.
        self.store.checkpoint()?;
        self.store.checkpoint()?;
        self.store.close()?;
        Ok(Some(aside.folder))
    }

    fn big_files(&self) -> BTreeSet<BigId> {
        let inner = self.store.engine.inner.lock();
        inner.index.big_files().into_iter().map(|(id, _)| id).collect()
    }

    /// Mends what can be mended in place.
    fn mend(&self, files: &Files) -> Result<(), StoreError> {
        files.make_directories()?;
        files.sync_big()?;
        for header in &self.findings.headers {
            let file = files.disk.open(&files.segment(SegmentId(header.id), header.kind))?;
            file.write_at(&header.encode(), 0)?;
            file.sync_data()?;
        }
        for (id, end) in &self.findings.ends {
            let file = files.disk.open(&files.segment(*id, Kind::Hot))?;
            if file.len()? > *end {
                file.set_len(*end)?;
            }
            file.sync_data()?;
        }
        for (id, offsets) in &self.findings.tables {
            let Some(header) = self.header(*id) else { continue };
            let bytes = seal::encode_offsets(&header, offsets);
            files.replace(&files.index(*id, header.kind), &bytes)?;
        }
        Ok(())
    }

    fn header(&self, id: SegmentId) -> Option<SegmentHeader> {
        let inner = self.store.engine.inner.lock();
        inner.segments.get(&id).map(|segment| segment.header)
    }

    fn settle_lost(&self) -> Result<(), StoreError> {
        let mut by_queue: BTreeMap<QueueId, Vec<SeqRange>> = BTreeMap::new();
        for Lost { queue, first, last, .. } in self.findings.lost.iter().filter(|lost| lost.certain)
        {
            let range = SeqRange { first: *first, last: *last };
            by_queue.entry(*queue).or_default().push(range);
        }
        for (queue, ranges) in by_queue {
            let weight = self.lost_weight(queue, &ranges);
            self.store.append(Batch::from(vec![Op::Settle { queue, ranges, weight }]))?;
        }
        Ok(())
    }
}

/// A place in a file, for people.
struct Place<'a>(&'a Path, Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())?;
        self.1.map_or(Ok(()), |offset| write!(f, " at {offset}"))
    }
}

/// A folder for what is damaged.
struct Aside<'a> {
    files: &'a Files,
    folder: PathBuf,
}

impl<'a> Aside<'a> {
    /// `damaged-<n>` with the first number that is free.
    fn new(files: &'a Files, directory: &Path) -> io::Result<Self> {
        let taken = files.disk.list(directory)?;
        let free = |number: &u64| !taken.contains(&format!("damaged-{number}"));
        let number = (1..).find(free).unwrap_or_default();
        let folder = directory.join(format!("damaged-{number}"));
        files.disk.create_dir(&folder)?;
        Ok(Self { files, folder })
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.folder.join(path.file_name().unwrap_or_default())
    }

    /// Copies a file; sectors that cannot be read become zeros. One that is missing is passed over.
    fn copy(&self, path: &Path) -> io::Result<()> {
        let from = match self.files.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let to = self.files.disk.create(&self.place(path))?;
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        loop {
            let read = from.read_at(&mut piece, at)?;
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            to.write_at(bytes, at)?;
            at += read as u64;
        }
        to.sync_data()?;
        self.files.disk.sync_dir(&self.folder)
    }

    /// Once messages are settled nobody could say any more that they were lost.
    fn write_report(&self, findings: &Findings) -> io::Result<()> {
        let file = self.files.disk.create(&self.folder.join("report.txt"))?;
        let mut text = String::new();
        for Fault { file, offset, what, .. } in &findings.faults {
            text += &format!("damaged: {}: {what}\n", Place(file, *offset));
        }
        for lost in &findings.lost {
            let Lost { queue, first, last, file, offset, why, .. } = lost;
            let how = if lost.certain { "lost" } else { "may be lost" };
            let (queue, first, last, place) = (queue.0, first.0, last.0, Place(file, *offset));
            text += &format!("{how}: queue {queue}, positions {first} to {last}: {place}: {why}\n");
        }
        file.write_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        self.files.disk.sync_dir(&self.folder)
    }

    /// Moves a file or a folder.
    fn take(&self, path: &Path) -> io::Result<()> {
        match self.files.disk.rename(path, &self.place(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        self.files.disk.sync_dir(&self.folder)?;
        match path.parent() {
            Some(parent) => self.files.disk.sync_dir(parent),
            None => Ok(()),
        }
    }
}
