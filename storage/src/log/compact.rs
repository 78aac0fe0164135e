//! Compaction: messages that are left in old segments are gathered in a new one.
//!
//! ```text
//! plan → copy, a frame at a time, into a temporary file → header → its name → its .idx →
//! the index points to it → checkpoint → the old segments are retired as others are
//! ```
//! Nothing of it counts before that checkpoint: after a crash the old segments are there, and the
//! new one is garbage that is removed on opening. The lock is held to look for places and to swap
//! runs, never while something is copied. What was settled while it was copied is settled in the new
//! run, too.

mod copy;
mod plan;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::{Engine, Step, count};
use super::files::is_full;
use super::index::SegmentId;
use super::prepare::PAUSE;
use super::seal;
use super::segment::{Kind, SegmentHeader};
use super::state::{Inner, Segment, Stage};
use crate::disk::DiskFile;
use copy::Copied;
use plan::{Bounds, Candidate};

/// Of the new segment until all of it is there. What is left of it goes when the store is opened.
const TEMPORARY: &str = "compaction.tmp";
/// So much longer it waits between two pieces while there are commits.
const BUSY: u32 = 5;
/// Runs that are swapped while the lock is held.
const SWAPPED: usize = 64;

/// A compaction that goes on.
#[derive(Debug)]
pub(super) struct Compaction {
    /// The next piece may be copied.
    pub is_due: bool,
    /// How long it should wait.
    pub pause: Duration,
    /// Commits when the latest piece was copied.
    commits: u64,
    /// Segments that are gathered from.
    from: Vec<SegmentId>,
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    copied: Copied,
}

/// What was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Failed {
    /// There was no room when this was the latest batch.
    at: Option<u64>,
    /// Segments that could not be emptied: a message cannot be read.
    left: HashSet<SegmentId>,
}

/// Why a compaction does not go on.
enum Stop {
    Io(io::Error),
    Unreadable(SegmentId),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Inner {
    /// Segments whose messages could be gathered.
    fn candidates(&self) -> Vec<Candidate> {
        let left = &self.chores.compaction_failed.left;
        let sealed = self
            .segments
            .iter()
            .filter(|(id, segment)| segment.stage == Stage::Sealed && !left.contains(*id));
        let candidates = sealed.map(|(id, segment)| {
            let usage = self.index.usage(*id);
            let used = u64::from(segment.used);
            Candidate { id: *id, used, live: usage.bytes, messages: usage.live }
        });
        candidates.collect()
    }
}

impl Engine {
    /// Begins a compaction if it is worth it, or takes the next step of the one that goes on.
    pub(super) fn compact(&self) -> Step {
        let current = {
            let mut inner = self.inner.lock();
            if inner.trouble.closed {
                return Step::Idle;
            }
            match &inner.chores.compaction {
                Some(waiting) if !waiting.is_due => return Step::Idle,
                _ => inner.chores.compaction.take(),
            }
        };
        let Some(mut compaction) = current else { return self.begin_compaction() };
        match self.go_on(&mut compaction) {
            Ok(true) => {
                compaction.is_due = self.steps.is_some();
                let commits = self.counters.commits();
                let busy = commits != compaction.commits;
                (compaction.pause, compaction.commits) =
                    (if busy { BUSY * PAUSE } else { PAUSE }, commits);
                self.inner.lock().chores.compaction = Some(compaction);
                Step::Did
            }
            Ok(false) => {
                let mut inner = self.inner.lock();
                let Inner { index, chores, .. } = &mut *inner;
                // Nothing should be left; if there is, it must not be tried for ever.
                let left = compaction.from.iter().filter(|id| index.usage(**id).live > 0);
                chores.compaction_failed.left.extend(left);
                Step::Did
            }
            Err(stop) => self.give_up(&compaction.header, stop),
        }
    }

    fn begin_compaction(&self) -> Step {
        let Some(from) = self.planned() else { return Step::Idle };
        let path = self.files.path(TEMPORARY);
        let file = self.files.remove(&path).and_then(|()| self.files.create(&path));
        let file = match file {
            Ok(file) => file,
            Err(error) => return self.failed("compacting", &error),
        };
        let mut inner = self.inner.lock();
        let id = inner.next_segment;
        inner.next_segment += 1;
        let generation = inner.random.next();
        let header = SegmentHeader { id, kind: Kind::Cold, generation, len: 0 };
        let queues = inner.index.members_of(&from);
        let copied = Copied::new(&header, queues);
        let (pause, commits) = (PAUSE, self.counters.commits());
        let compaction = Compaction { is_due: true, pause, commits, from, header, file, copied };
        inner.chores.compaction = Some(Box::new(compaction));
        Step::Did
    }

    /// Segments to gather from, if it is worth it and there is room.
    fn planned(&self) -> Option<Vec<SegmentId>> {
        let (candidates, urgent) = {
            let inner = self.inner.lock();
            if inner.chores.compaction_failed.at == Some(inner.lsn) {
                return None;
            }
            (inner.candidates(), inner.trouble.full || inner.chores.refused)
        };
        let segment = u64::from(self.cfg.segment_bytes);
        let least = if urgent { segment / 2 } else { self.tuning.garbage * segment };
        let bounds = Bounds { most: segment, least, urgent };
        if plan::plan(candidates.clone(), bounds).is_empty() {
            self.inner.lock().chores.refused = false;
            return None;
        }
        let most = segment.min(self.files.free_bytes().unwrap_or(0) / 2);
        let chosen = plan::plan(candidates, Bounds { most, ..bounds });
        (!chosen.is_empty()).then_some(chosen)
    }

    /// Copies a piece, or comes to the end: then it returns false.
    fn go_on(&self, compaction: &mut Compaction) -> Result<bool, Stop> {
        let Compaction { from, header, file, copied, .. } = compaction;
        let more = self.gather(copied, header, from)?;
        if let Some((frame, at)) = copied.take_frame(header) {
            file.write_at(&frame, at)?;
            file.sync_data()?;
            count(&self.counters.compaction, frame.len());
        }
        if more {
            return Ok(true);
        }
        if copied.is_empty() {
            self.files.remove(&self.files.path(TEMPORARY))?;
            return Ok(false);
        }
        header.len = copied.len();
        let index_bytes = self.finish(header, &**file, copied)?;
        self.swap(header, copied, from, index_bytes);
        Ok(false)
    }

    /// Makes the new segment and its index durable. The records come first: without them nobody looks
    /// for the index.
    fn finish(
        &self,
        header: &SegmentHeader,
        file: &dyn DiskFile,
        copied: &Copied,
    ) -> io::Result<u64> {
        let id = SegmentId(header.id);
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        self.files
            .disk
            .rename(&self.files.path(TEMPORARY), &self.files.segment(id, header.kind))?;
        self.files.sync()?;
        let index = seal::encode(copied.table(), header.generation);
        self.files.replace(&self.files.index(id, header.kind), &index)?;
        count(&self.counters.compaction, index.len());
        Ok(index.len() as u64)
    }

    /// Lets the index point to the new segment. Nothing else is maintained meanwhile, so that no
    /// checkpoint finds a segment without messages that are about to be there.
    fn swap(&self, header: &SegmentHeader, copied: &Copied, from: &[SegmentId], index_bytes: u64) {
        let id = SegmentId(header.id);
        // An index made anew now would have only some of it.
        let _misses = self.misses.lock();
        let mut inner = self.inner.lock();
        let latest = from.iter().filter_map(|id| inner.segments.get(id)).map(|old| old.max_lsn);
        let segment = Segment {
            header: *header,
            used: header.len,
            made: true,
            recyclable: false,
            stage: Stage::Sealed,
            index_bytes,
            max_lsn: latest.max().unwrap_or(0),
        };
        inner.add_ended(segment);
        for some in copied.runs().chunks(SWAPPED) {
            some.iter().for_each(|moved| inner.index.relocate(moved, id));
            drop(inner);
            inner = self.inner.lock();
        }
        inner.chores.checkpoint_due = true;
        inner.chores.compaction_failed.at = None;
        drop(inner);
        self.counters.compactions.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing of it has counted.
    fn give_up(&self, header: &SegmentHeader, stop: Stop) -> Step {
        let id = SegmentId(header.id);
        let index = self.files.index(id, header.kind);
        for path in [self.files.path(TEMPORARY), self.files.segment(id, header.kind), index] {
            // It is cleared away on opening if not now.
            let _ = self.files.remove(&path);
        }
        match stop {
            Stop::Unreadable(id) => {
                self.inner.lock().chores.compaction_failed.left.insert(id);
                Step::Did
            }
            Stop::Io(error) => {
                if is_full(&error) {
                    let mut inner = self.inner.lock();
                    inner.chores.compaction_failed.at = Some(inner.lsn);
                }
                self.failed("compacting", &error)
            }
        }
    }
}
