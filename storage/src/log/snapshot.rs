//! Taking and writing checkpoints.
//!
//! A checkpoint says what the log adds up to at one place of it, so that recovery has to read only
//! what came after. There are two, written alternately. A file goes only when neither needs it: a
//! segment in which nothing is live is retired by one checkpoint and removed after the next.

use std::io;

use super::checkpoint::{self, MetaRef, Position, SegmentRecord, Snapshot};
use super::chores::Unneeded;
use super::engine::{Engine, Step, count};
use super::index::SegmentId;
use super::meta;
use super::segment::HEADER;
use super::state::{Inner, Stage};
use crate::Meta;

/// A checkpoint that was taken and is not written.
#[derive(Debug)]
pub(super) struct Job {
    snapshot: Snapshot,
    /// The catalog, if it has changed since it was written, and how often it had.
    meta: Option<(u64, Meta)>,
    /// The file that the last checkpoint has it in: not to be touched before this one is durable.
    old_meta: Option<MetaRef>,
    /// Segments that it does not need.
    retiring: Vec<SegmentId>,
    /// It answers those that had been asked for.
    answers: u64,
}

impl Job {
    /// Whether all that it says is durable.
    pub fn is_durable(&self, lsn: u64) -> bool {
        self.snapshot.at.lsn <= lsn
    }
}

/// The catalog in its file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WrittenMeta {
    pub reference: Option<MetaRef>,
    /// How many changes there had been.
    pub changes: u64,
}

impl Inner {
    /// Whether a checkpoint can be taken: parts of a transaction that is not finished are not to
    /// be in it, and what is on its way into an index file would only be copied.
    pub fn can_take_checkpoint(&self) -> bool {
        self.is_checkpoint_due()
            && self.chores.job.is_none()
            && self.chores.rolled.is_empty()
            && self.transactions.is_empty()
    }

    /// On a full disk the least that a checkpoint gives back is worth one.
    fn is_checkpoint_due(&self) -> bool {
        self.chores.checkpoint_due || (self.trouble.full && self.has_something_to_give_back())
    }

    /// Takes a checkpoint of what has been appended so far.
    pub fn take_checkpoint(&mut self) {
        self.groups.close();
        let (mut kept, mut retiring) = (Vec::new(), Vec::new());
        for (id, segment) in &self.segments {
            let active = segment.stage == Stage::Active;
            let used = match self.groups.cursor {
                Some(cursor) if active => cursor.offset,
                _ => segment.used,
            };
            if !active && self.index.usage(*id).live == 0 {
                retiring.push(*id);
            } else if used > HEADER as u32 {
                kept.push(SegmentRecord {
                    id: *id,
                    kind: segment.header.kind,
                    generation: segment.header.generation,
                    len: segment.header.len,
                    used,
                    recyclable: segment.recyclable,
                    max_lsn: if active { self.lsn } else { segment.max_lsn },
                });
            }
        }
        let cursor = self.groups.cursor.map(|cursor| (cursor.segment, cursor.offset));
        let (segment, offset) = cursor.unwrap_or((SegmentId(self.next_segment), HEADER as u32));
        let index = self.index.image();
        let changed = self.meta_changes != self.chores.written_meta.changes;
        let snapshot = Snapshot {
            number: self.chores.checkpoint + 1,
            at: Position { segment, offset, group: self.groups.next_number(), lsn: self.lsn },
            next_segment: self.next_segment,
            next_big: self.next_big,
            segments: kept,
            index,
            meta: self.chores.written_meta.reference,
        };
        let meta = changed.then(|| (self.meta_changes, self.meta.clone()));
        let (old_meta, answers) = (snapshot.meta, self.chores.asked);
        let job = Job { snapshot, meta, old_meta, retiring, answers };
        self.chores.job = Some(Box::new(job));
        self.chores.checkpoint_due = false;
        self.chores.emptied = 0;
    }
}

impl Engine {
    /// Writes the checkpoint that was taken, once all that it says is durable.
    pub(super) fn write_checkpoint(&self) -> Step {
        let mut job = {
            let mut inner = self.inner.lock();
            let durable = inner.durable;
            match inner.chores.job.take_if(|job| job.is_durable(durable)) {
                Some(job) => job,
                None => return Step::Idle,
            }
        };
        match self.write_job(&mut job) {
            Ok(bytes) => {
                self.note_checkpoint(*job, bytes);
                Step::Did
            }
            Err(error) => {
                // It is taken anew: what has been settled since makes it smaller.
                let mut inner = self.inner.lock();
                inner.chores.checkpoint_due = true;
                drop(inner);
                self.failed("writing a checkpoint", &error)
            }
        }
    }

    /// Returns the octets of the file.
    fn write_job(&self, job: &mut Job) -> io::Result<usize> {
        if let Some((_, catalog)) = &job.meta {
            let file = job.old_meta.map_or(0, |meta| 1 - meta.file.min(1));
            let bytes = meta::encode(catalog);
            self.files.replace(&self.files.path(&meta_name(file)), &bytes)?;
            count(&self.counters.meta, bytes.len());
            let crc = bytes.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc));
            let written = MetaRef { file, version: catalog.version, crc };
            job.snapshot.meta = Some(written);
        }
        let bytes = checkpoint::encode(&job.snapshot);
        self.files.replace(&self.files.path(&name(job.snapshot.number)), &bytes)?;
        count(&self.counters.checkpoint, bytes.len());
        Ok(bytes.len())
    }

    /// A checkpoint is durable: what the one before it needed, and this one does not, is free after
    /// the next one; what that one did not need is free now.
    fn note_checkpoint(&self, job: Job, bytes: usize) {
        let number = job.snapshot.number;
        let mut inner = self.inner.lock();
        let Inner { segments, chores, .. } = &mut *inner;
        chores.checkpoint = number;
        chores.checkpoint_lsn = job.snapshot.at.lsn;
        chores.checkpoint_bytes = 2 * bytes as u64;
        chores.answered = chores.answered.max(job.answers);
        if let Some((changes, _)) = job.meta {
            chores.written_meta = WrittenMeta { reference: job.snapshot.meta, changes };
        }
        for (id, segment) in segments.iter() {
            if let Stage::Retired(by) = segment.stage
                && by < number
            {
                chores.unneeded.push_back(Unneeded::Segment(*id));
            }
        }
        let mut retired = 0;
        for id in job.retiring {
            if let Some(segment) = segments.get_mut(&id)
                && !matches!(segment.stage, Stage::Retired(_))
            {
                segment.stage = Stage::Retired(number);
                retired += 1;
            }
        }
        // So many do not wait until the log has grown by a segment.
        chores.checkpoint_due |= retired >= self.tuning.emptied;
        drop(inner);
        self.progress.notify_all();
    }
}

/// The file of a checkpoint.
pub(super) fn name(number: u64) -> String {
    format!("checkpoint.{}", number % 2)
}

/// A file with the catalog.
pub(super) fn meta_name(file: u8) -> String {
    format!("meta.{file}")
}
