//! All queues of a store.

use std::sync::Arc;

use super::big::{BigFiles, BigId};
use super::hash::IdMap;
use super::queue::{Added, Queue};
use super::run::Places;
use super::seal::{SealPart, SealTable};
use super::segments::{Segments, Usage};
use super::{At, Located, SegmentId};
use crate::{QueueId, QueueStats, Seq, SeqRange};

/// The index: where the messages of all queues are, and what of each segment is needed.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_id: IdMap<QueueId, u32>,
    queues: Vec<Option<Box<Queue>>>,
    free: Vec<u32>,
    /// The queue used last: mostly the one used next.
    latest: Option<(QueueId, u32)>,
    pub(super) segments: Segments,
    pub(super) big: BigFiles,
}

impl Queues {
    /// An index without queues.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a message at the end of its queue. False if its position is taken: nothing has changed.
    /// To be called with the record's place in a segment that is not sealed.
    pub(crate) fn publish(&mut self, queue: QueueId, seq: Seq, at: At, weight: u32) -> bool {
        let slot = self.segments.slot(at.segment);
        let added = self.enter(queue).publish(seq.0, slot, (at.offset, at.bytes), weight);
        let new = match added {
            Added::Refused => return false,
            Added::Here => None,
            Added::InNewRun => Some(queue),
        };
        self.segments.add(slot, 1, at.bytes, new);
        true
    }

    /// The payload of that message is in a file of its own.
    pub(crate) fn attach_big(&mut self, queue: QueueId, seq: Seq, id: BigId, len: u64) {
        self.big.add(id, len);
        self.enter(queue).big.insert(seq.0, id);
    }

    /// Settles all that is in the ranges, and says how many messages that were. `weight` is the
    /// sum of theirs.
    pub(crate) fn settle(&mut self, queue: QueueId, ranges: &[SeqRange], weight: u64) -> u64 {
        let Some(slot) = self.slot(queue) else {
            return 0;
        };
        let Some(queue) = self.queues.get_mut(slot as usize).and_then(Option::as_mut) else {
            return 0;
        };
        let mut settled = 0;
        for &range in ranges {
            settled += queue.settle(range, &mut self.segments);
            if !queue.big.is_empty() {
                release_big(queue, range, &mut self.big);
            }
        }
        queue.lighten(weight);
        settled
    }

    /// Messages up to this position have been handed out.
    pub(crate) fn deliver(&mut self, queue: QueueId, up_to: Seq) {
        self.enter(queue).deliver(up_to.0);
    }

    /// Messages have come back.
    pub(crate) fn give_back(&mut self, queue: QueueId, ranges: &[SeqRange]) {
        if let Some(queue) = self.get_mut(queue) {
            ranges.iter().for_each(|&range| queue.give_back(range));
        }
    }

    /// Forgets a queue, and says how many messages it had.
    pub(crate) fn drop_queue(&mut self, id: QueueId) -> u64 {
        let Some(slot) = self.by_id.remove(&id) else {
            return 0;
        };
        self.latest = None;
        self.free.push(slot);
        let Some(mut queue) = self.queues.get_mut(slot as usize).and_then(Option::take) else {
            return 0;
        };
        queue.release_all(&mut self.segments);
        release_big(&mut queue, SeqRange::ALL, &mut self.big);
        queue.messages
    }

    /// What a queue holds; all zero for one that is not known.
    pub(crate) fn stats(&self, queue: QueueId) -> QueueStats {
        self.get(queue).map_or_else(QueueStats::default, Queue::stats)
    }

    /// All queues by ascending id, also those without messages.
    pub(crate) fn all_stats(&self) -> Vec<(QueueId, QueueStats)> {
        let mut all: Vec<_> = self.iter().map(|queue| (queue.id, queue.stats())).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }

    /// The lowest position that a message of the queue may take.
    pub(crate) fn next_of(&self, queue: QueueId) -> u64 {
        self.get(queue).map_or(0, |queue| queue.next)
    }

    /// Appends to `out` at most `max` messages at `from` and above, in order.
    pub(crate) fn locate(&self, queue: QueueId, from: Seq, max: usize, out: &mut Vec<Located>) {
        if let Some(queue) = self.get(queue) {
            queue.locate(from.0, max, out, &self.segments);
        }
    }

    /// Nothing will be added to the segment any more: takes the places of its messages out of the
    /// runs into a table. They are found through it until [`sealed`](Self::sealed) is called.
    pub(crate) fn seal(&mut self, segment: SegmentId) -> Arc<SealTable> {
        let slot = self.segments.slot(segment);
        let mut table = SealTable { segment, parts: Vec::new() };
        let mut entry = 0;
        for id in self.members(segment) {
            let Some(queue) = self.get_mut(id) else {
                continue;
            };
            // Its runs stand together near the end: behind them only what was written since.
            let end = queue.runs.iter().rposition(|run| run.slot == slot).map_or(0, |at| at + 1);
            let begin = queue.runs.range(..end).rposition(|run| run.slot != slot);
            for run in queue.runs.range_mut(begin.map_or(0, |at| at + 1)..end) {
                let Places::Memory(offsets) = &mut run.places else {
                    continue;
                };
                let offsets = std::mem::take(offsets);
                let count = offsets.len() as u32;
                run.places = Places::Table(entry);
                if run.live > 0 {
                    table.parts.push(SealPart { queue: id, first: Seq(run.first), entry, offsets });
                    entry += count;
                }
            }
        }
        let table = Arc::new(table);
        if let Some(account) = self.segments.by_id_mut(segment) {
            account.sealed = true;
            account.table = Some(table.clone());
        }
        table
    }

    /// The table of the segment is in its file: forgets the one in memory.
    pub(crate) fn sealed(&mut self, segment: SegmentId) {
        if let Some(account) = self.segments.by_id_mut(segment) {
            account.table = None;
        }
    }

    /// What is still needed of a segment.
    pub(crate) fn usage(&self, segment: SegmentId) -> Usage {
        self.segments.by_id(segment).map_or_else(Usage::default, |account| account.usage)
    }

    /// Segments in which the last message was settled since the last call. One that is not sealed
    /// may have got others since.
    pub(crate) fn take_emptied(&mut self) -> Vec<SegmentId> {
        self.segments.take_emptied()
    }

    /// Forgets a segment; false if something in it is needed.
    pub(crate) fn forget_segment(&mut self, segment: SegmentId) -> bool {
        if self.usage(segment).live > 0 {
            return false;
        }
        // Its slot will be another segment's: no empty run may still name it.
        if let Some(&slot) = self.segments.slot_of(segment) {
            for id in self.members(segment) {
                if let Some(queue) = self.get_mut(id) {
                    let before = queue.runs.len();
                    queue.runs.retain(|run| run.slot != slot);
                    queue.empty -= before - queue.runs.len();
                }
            }
        }
        self.segments.forget(segment)
    }

    /// The queues that have messages in a segment, by ascending id.
    pub(crate) fn queues_of(&self, segment: SegmentId) -> Vec<QueueId> {
        let Some(&slot) = self.segments.slot_of(segment) else {
            return Vec::new();
        };
        let mut queues = self.members(segment);
        queues.retain(|&id| {
            let mut runs = self.get(id).map(|queue| &queue.runs).into_iter().flatten();
            runs.any(|run| run.slot == slot && run.live > 0)
        });
        queues
    }

    /// Files of payloads that no message points to any more, since the last call.
    pub(crate) fn take_freed_big(&mut self) -> Vec<BigId> {
        self.big.take_freed()
    }

    /// Whether a message points to the file.
    pub(crate) fn needs_big(&self, id: BigId) -> bool {
        self.big.is_needed(id)
    }

    /// Files of payloads that messages point to, with their lengths.
    pub(crate) fn big_files(&self) -> Vec<(BigId, u64)> {
        self.big.all().collect()
    }

    /// Bytes of those files.
    pub(crate) fn big_bytes(&self) -> u64 {
        self.big.bytes()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter_map(Option::as_deref)
    }

    pub(super) fn get(&self, id: QueueId) -> Option<&Queue> {
        let slot = match self.latest {
            Some((latest, slot)) if latest == id => slot,
            _ => *self.by_id.get(&id)?,
        };
        self.queues.get(slot as usize)?.as_deref()
    }

    /// Queues that may have runs in a segment, each once, by ascending id.
    pub(super) fn members(&self, segment: SegmentId) -> Vec<QueueId> {
        let account = self.segments.by_id(segment);
        let mut members = account.map(|account| account.queues.clone()).unwrap_or_default();
        members.sort_unstable();
        members.dedup();
        members
    }

    fn slot(&mut self, id: QueueId) -> Option<u32> {
        if let Some((latest, slot)) = self.latest
            && latest == id
        {
            return Some(slot);
        }
        let slot = *self.by_id.get(&id)?;
        self.latest = Some((id, slot));
        Some(slot)
    }

    pub(super) fn get_mut(&mut self, id: QueueId) -> Option<&mut Queue> {
        let slot = self.slot(id)?;
        self.queues.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Adds a queue that is not known.
    pub(super) fn insert(&mut self, queue: Queue) {
        let id = queue.id;
        *self.enter(id) = queue;
    }

    /// The queue, which comes into being if it is not known.
    fn enter(&mut self, id: QueueId) -> &mut Queue {
        let slot = match self.slot(id) {
            Some(slot) => slot,
            None => {
                let slot = self.free.pop().unwrap_or(self.queues.len() as u32);
                self.by_id.insert(id, slot);
                self.latest = Some((id, slot));
                slot
            }
        };
        if self.queues.len() <= slot as usize {
            self.queues.resize_with(slot as usize + 1, || None);
        }
        // The slot is there: it was made above.
        self.queues[slot as usize].get_or_insert_with(|| Box::new(Queue::new(id)))
    }
}

/// The messages of a range are gone, and so are their pointers.
fn release_big(queue: &mut Queue, range: SeqRange, files: &mut BigFiles) {
    if range.is_empty() {
        return;
    }
    while let Some((&seq, &id)) = queue.big.range(range.first.0..=range.last.0).next() {
        queue.big.remove(&seq);
        files.release(id);
    }
}

#[cfg(test)]
impl Queues {
    /// About how much memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.iter().map(Queue::memory_bytes).sum::<usize>() + self.segments.memory_bytes()
    }
}
