//! Carrying out again what the log says.

use std::collections::HashSet;

use super::frame;
use super::index::{At, BigId, Queues, SegmentId};
use super::record::{self, Position, Record};
use crate::{Meta, SeqRange};

/// What the records of the log add up to.
#[derive(Debug)]
pub(super) struct Replay {
    pub index: Queues,
    pub meta: Meta,
    /// Above the number of every big payload met.
    pub next_big: u64,
    /// Transactions that were finished, with the opening of the store that they are of.
    pub finished: HashSet<(u64, u64)>,
    ranges: Vec<SeqRange>,
}

impl Replay {
    pub fn new(index: Queues, meta: Meta, next_big: u64) -> Self {
        Self { index, meta, next_big, finished: HashSet::new(), ranges: Vec::new() }
    }

    /// Notes the transactions that end in a frame.
    pub fn note_finished(&mut self, body: &[u8]) {
        for (_, record) in frame::records_checked(body) {
            if let Record::Part(part) = record
                && part.part.last
            {
                self.finished.insert((part.epoch, part.part.tx));
            }
        }
    }

    /// Applies a frame whose records begin at `base` of the segment.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub fn apply(&mut self, segment: SegmentId, base: u32, body: &[u8]) -> Result<(), String> {
        let mut skip = 0;
        for (offset, record) in frame::records_checked(body) {
            if skip > 0 {
                skip -= 1;
            } else if let Record::Part(part) = record {
                if !self.finished.contains(&(part.epoch, part.part.tx)) {
                    skip = part.records;
                }
            } else {
                self.apply_record(segment, base + offset, record)?;
            }
        }
        Ok(())
    }

    /// Applies a record, whatever transaction it is a part of.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub fn apply_record(
        &mut self,
        segment: SegmentId,
        offset: u32,
        record: Record<'_>,
    ) -> Result<(), String> {
        let place = |len: usize| At { segment, offset, bytes: len as u32 };
        match record {
            Record::Publish { at, payload } => {
                self.publish(at, place(record::PUBLISH + payload.len()))?;
            }
            Record::Shared { at, .. } => self.publish(at, place(record::SHARED))?,
            Record::Big { at, file } => {
                self.publish(at, place(record::BIG))?;
                self.index.attach_big(at.queue, at.seq, BigId(file.id), file.len);
                self.next_big = self.next_big.max(file.id.saturating_add(1));
            }
            Record::Settle { queue, weight, ranges } => {
                self.ranges.clear();
                self.ranges.extend(ranges.iter());
                self.index.settle(queue, &self.ranges, weight);
            }
            Record::Deliver { queue, up_to } => self.index.deliver(queue, up_to),
            Record::Return { queue, ranges } => {
                self.ranges.clear();
                self.ranges.extend(ranges.iter());
                self.index.give_back(queue, &self.ranges);
            }
            Record::Drop { queue } => {
                self.index.drop_queue(queue);
            }
            Record::Meta { version, changes } => {
                let owned = changes.iter().map(|(key, value)| {
                    (key.to_vec().into(), value.map(|value| value.to_vec().into()))
                });
                self.meta.apply(version, owned.collect());
            }
            Record::Part(_) => {}
        }
        Ok(())
    }

    fn publish(&mut self, at: Position, place: At) -> Result<(), String> {
        if self.index.publish(at.queue, at.seq, place, at.weight) {
            return Ok(());
        }
        let (queue, seq) = (at.queue.0, at.seq.0);
        Err(format!("position {seq} of queue {queue} was used before"))
    }
}
