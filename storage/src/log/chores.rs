//! What maintenance has to do.

use std::collections::VecDeque;
use std::sync::Arc;

use super::compact::{Compaction, Failed};
use super::index::{BigId, SealTable, SegmentId};
use super::snapshot::{Job, WrittenMeta};

/// Work that waits for maintenance.
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// Segments whose index has to be written.
    pub rolled: VecDeque<SegmentId>,
    /// The index that is being written.
    pub sealing: Option<Arc<SealTable>>,
    /// A checkpoint should be taken.
    pub checkpoint_due: bool,
    /// A checkpoint that waits until all before it is durable.
    pub job: Option<Box<Job>>,
    /// How many checkpoints were asked for, and which of these are done.
    pub asked: u64,
    pub answered: u64,
    /// The catalog as a checkpoint has it.
    pub written_meta: WrittenMeta,
    /// The last checkpoint that is durable.
    pub checkpoint: u64,
    /// The last batch in it.
    pub checkpoint_lsn: u64,
    /// Octets of the files of checkpoints.
    pub checkpoint_bytes: u64,
    /// Files that recovery would not need any more.
    pub unneeded: VecDeque<Unneeded>,
    /// Segments that have been emptied since the last checkpoint.
    pub emptied: usize,
    /// How often the disk was found full.
    pub refusals: u64,
    pub compaction: Option<Box<Compaction>>,
    /// What keeps from compacting.
    pub compaction_failed: Failed,
    /// Messages were refused for want of room: the least that compaction gives is worth it.
    pub refused: bool,
    /// Octets appended since the store was opened.
    pub appended: u64,
}

/// A file that can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unneeded {
    Segment(SegmentId),
    Big(BigId),
}

impl Chores {
    /// Counts what was appended. Whether it is now enough for files to be prepared.
    pub fn note_appended(&mut self, octets: u64, traffic: u64) -> bool {
        let before = self.appended;
        self.appended += octets;
        before < traffic && self.appended >= traffic
    }
}
