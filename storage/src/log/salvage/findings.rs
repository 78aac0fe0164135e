//! What is wrong with a store, and what has to be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::index::SegmentId;
use super::super::segment::SegmentHeader;
use crate::{QueueId, Seq};

/// Something in a store that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Where in it, if that can be said.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// The queues concerned, as far as they are known.
    pub queues: Vec<QueueId>,
}

/// Messages that are lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Their queue.
    pub queue: QueueId,
    /// The first position.
    pub first: Seq,
    /// The last position.
    pub last: Seq,
    /// They were there. Otherwise it is only known that these positions may have held messages.
    pub certain: bool,
    /// The file that they were in.
    pub file: PathBuf,
    /// Where in it, if that can be said.
    pub offset: Option<u64>,
    /// Why they cannot be read.
    pub why: String,
}

impl Lost {
    /// How many messages, at most.
    pub fn messages(&self) -> u64 {
        (self.last.0 - self.first.0).saturating_add(1)
    }
}

/// What was found, and what a repair has to do before the store is written to.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub faults: Vec<Fault>,
    pub lost: Vec<Lost>,
    /// A torn tail and the like, which the broker takes care of when it starts.
    pub notes: Vec<String>,
    /// Headers to be written again.
    pub(in crate::log) headers: Vec<SegmentHeader>,
    /// Where hot segments end.
    pub ends: Vec<(SegmentId, u64)>,
    /// Entries of sealed segments whose index file is of no use.
    pub tables: BTreeMap<SegmentId, Vec<u32>>,
    /// Damaged files that stay, to be copied first.
    pub copied: BTreeSet<PathBuf>,
    /// Files and folders that nothing can be made of, to be moved away.
    pub moved: BTreeSet<PathBuf>,
}

impl Findings {
    /// Adds a fault.
    pub fn fault(
        &mut self,
        file: PathBuf,
        offset: Option<u64>,
        what: impl Into<String>,
        queues: impl IntoIterator<Item = QueueId>,
    ) {
        let queues: BTreeSet<QueueId> = queues.into_iter().collect();
        let queues = queues.into_iter().collect();
        self.faults.push(Fault { file, offset, what: what.into(), queues });
    }

    /// Adds a message that is lost, to its neighbour if there is one.
    pub fn lose(&mut self, lost: Lost) {
        if let Some(last) = self.lost.last_mut()
            && (last.queue, last.certain, &last.file) == (lost.queue, lost.certain, &lost.file)
            && last.last.0.checked_add(1) == Some(lost.first.0)
        {
            last.last = lost.last;
        } else {
            self.lost.push(lost);
        }
    }
}
