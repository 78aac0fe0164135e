//! The places of all messages of a segment that nothing is added to any more.

use std::sync::Arc;

use super::SegmentId;
use super::queues::Queues;
use crate::{QueueId, Seq};

/// Offsets by queue and position: what the `.idx` file of the segment holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SealTable {
    /// The segment.
    pub segment: SegmentId,
    /// By ascending queue and position, so also by entry.
    pub parts: Vec<SealPart>,
}

/// The messages of a run that had something live when its segment was sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SealPart {
    /// Whose they are.
    pub queue: QueueId,
    /// The position of the first one.
    pub first: Seq,
    /// The number of the first entry.
    pub entry: u32,
    /// Where each begins in the segment.
    pub offsets: Vec<u32>,
}

impl SealTable {
    /// How many entries there are.
    pub(crate) fn entries(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.entry + part.offsets.len() as u32)
    }

    /// What an entry says.
    pub(crate) fn offset(&self, entry: u32) -> Option<u32> {
        let behind = self.parts.partition_point(|part| part.entry <= entry);
        let part = self.parts.get(behind.checked_sub(1)?)?;
        part.offsets.get((entry - part.entry) as usize).copied()
    }
}

impl Queues {
    /// Whether the table of a sealed segment is in memory.
    pub(crate) fn has_table(&self, segment: SegmentId) -> bool {
        self.segments.by_id(segment).is_some_and(|account| account.table.is_some())
    }

    /// The table of a sealed segment, from now on in memory instead of its file.
    pub(crate) fn put_table(&mut self, table: SealTable) {
        if let Some(account) = self.segments.by_id_mut(table.segment) {
            account.table = Some(Arc::new(table));
        }
    }
}
