//! An index made from the log alone, when no checkpoint can be read.

use std::collections::BTreeMap;

use super::super::index::{At, BigId, Image, PlacesImage, QueueImage, RunImage, SegmentId};
use super::super::record::{self, Position, Record};
use super::Sink;
use crate::{Meta, QueueId};

/// What the records of the log add up to. Messages may come in any order of their positions: those of
/// cold segments are read first.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    queues: BTreeMap<QueueId, Queue>,
    pub meta: Meta,
    pub next_big: u64,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    delivered: u64,
    messages: BTreeMap<u64, Message>,
}

#[derive(Debug)]
struct Message {
    at: At,
    weight: u32,
    returns: u32,
    big: Option<(BigId, u64)>,
}

impl Sink for Rebuild {
    fn next_of(&self, queue: QueueId) -> u64 {
        self.queues.get(&queue).map_or(0, |queue| queue.next)
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn apply(&mut self, segment: SegmentId, offset: u32, record: Record<'_>) -> Result<(), String> {
        let place = |len: usize| At { segment, offset, bytes: len as u32 };
        match record {
            Record::Publish { at, payload } => {
                self.publish(at, place(record::PUBLISH + payload.len()), None);
            }
            Record::Shared { at, .. } => self.publish(at, place(record::SHARED), None),
            Record::Big { at, file } => {
                self.publish(at, place(record::BIG), Some((BigId(file.id), file.len)));
                self.next_big = self.next_big.max(file.id.saturating_add(1));
            }
            Record::Settle { queue, ranges, .. } => {
                let Some(queue) = self.queues.get_mut(&queue) else { return Ok(()) };
                for range in ranges.iter().filter(|range| !range.is_empty()) {
                    let positions = range.first.0..=range.last.0;
                    queue.messages.extract_if(positions, |_, _| true).for_each(drop);
                }
            }
            Record::Deliver { queue, up_to } => {
                let queue = self.queues.entry(queue).or_default();
                queue.delivered = queue.delivered.max(up_to.0.saturating_add(1));
                queue.next = queue.next.max(queue.delivered);
            }
            Record::Return { queue, ranges } => {
                let Some(queue) = self.queues.get_mut(&queue) else { return Ok(()) };
                for range in ranges.iter().filter(|range| !range.is_empty()) {
                    let back = queue.messages.range_mut(range.first.0..=range.last.0);
                    back.for_each(|(_, message)| message.returns += 1);
                }
            }
            Record::Drop { queue } => drop(self.queues.remove(&queue)),
            Record::Meta { .. } | Record::Part(_) => {}
        }
        Ok(())
    }
}

impl Rebuild {
    pub fn new(meta: Meta) -> Self {
        Self { meta, ..Self::default() }
    }

    fn publish(&mut self, position: Position, at: At, big: Option<(BigId, u64)>) {
        let queue = self.queues.entry(position.queue).or_default();
        let seq = position.seq.0;
        queue.next = queue.next.max(seq.saturating_add(1));
        queue.messages.insert(seq, Message { at, weight: position.weight, returns: 0, big });
    }

    /// The index, in which all segments are sealed, and their entries.
    pub fn finish(self) -> (Image, BTreeMap<SegmentId, Vec<u32>>) {
        let (mut image, mut tables) = (Image::default(), BTreeMap::new());
        let mut files = BTreeMap::new();
        for (id, queue) in self.queues {
            let big = queue.messages.iter().filter_map(|(seq, message)| {
                let (file, len) = message.big?;
                files.insert(file, len);
                Some((*seq, file))
            });
            let big = big.collect();
            let returned = queue.messages.iter().filter(|(_, message)| message.returns > 0);
            image.queues.push(QueueImage {
                id,
                next: queue.next,
                delivered: queue.delivered,
                weight: queue.messages.values().map(|message| u64::from(message.weight)).sum(),
                returns: returned.map(|(seq, message)| (*seq, *seq, message.returns)).collect(),
                big,
                runs: runs(&queue.messages, &mut tables),
            });
        }
        image.big = files.into_iter().collect();
        (image, tables)
    }
}

/// Messages that follow each other in a segment, as runs whose places are entries.
fn runs(
    messages: &BTreeMap<u64, Message>,
    tables: &mut BTreeMap<SegmentId, Vec<u32>>,
) -> Vec<RunImage> {
    let mut runs: Vec<RunImage> = Vec::new();
    for (&seq, message) in messages {
        let At { segment, offset, bytes } = message.at;
        let table = tables.entry(segment).or_default();
        let entry = table.len() as u32;
        table.push(offset);
        match runs.last_mut() {
            Some(run)
                if run.segment == segment
                    && run.first + u64::from(run.span) == seq
                    && run.span < u32::MAX - 1 =>
            {
                run.span += 1;
                run.live_bytes = run.live_bytes.saturating_add(bytes);
            }
            _ => runs.push(RunImage {
                segment,
                first: seq,
                span: 1,
                low: 0,
                live_bytes: bytes,
                places: PlacesImage::Entry(entry),
                present: None,
                settled: None,
            }),
        }
    }
    runs
}
