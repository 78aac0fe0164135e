//! Copying messages, sorted by queue and position.

use std::collections::HashMap;

use super::super::engine::Engine;
use super::super::fetch::{Found, Pieces, Source as Where};
use super::super::frame::{self, FrameHeader};
use super::super::index::{Located, Moved, Place, SealPart, SealTable, SegmentId, Source};
use super::super::record::{self, Encoder, Position, Record};
use super::super::segment::{HEADER, SegmentHeader, mix};
use super::super::shared::WORTHWHILE;
use super::Stop;
use crate::{QueueId, Seq};

/// How many messages are looked for at once.
const AT_ONCE: usize = 1024;

/// What has been copied, and what comes next.
#[derive(Debug)]
pub(super) struct Copied {
    /// Queues that are left, the next one last.
    queues: Vec<QueueId>,
    from: Seq,
    /// The records that are to be written next.
    frame: Vec<u8>,
    records: u32,
    /// Where in the new segment that frame begins, and its number.
    at: u32,
    group: u64,
    table: SealTable,
    entries: u32,
    /// The runs that messages were copied of, the current one last.
    runs: Vec<Moved>,
    /// Where payloads are that other messages may share, by where they were.
    shared: HashMap<(SegmentId, u32), u32>,
}

impl Copied {
    /// Nothing yet; messages of these queues come, in ascending order.
    pub fn new(header: &SegmentHeader, mut queues: Vec<QueueId>) -> Self {
        queues.reverse();
        Self {
            queues,
            from: Seq(0),
            frame: vec![0; frame::HEADER],
            records: 0,
            at: HEADER as u32,
            group: 1,
            table: SealTable { segment: SegmentId(header.id), parts: Vec::new() },
            entries: 0,
            runs: Vec::new(),
            shared: HashMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Octets of the segment so far.
    pub fn len(&self) -> u32 {
        self.at
    }

    /// Where each message is in the new segment.
    pub fn table(&self) -> &SealTable {
        &self.table
    }

    /// What was copied of which run.
    pub fn runs(&self) -> &[Moved] {
        &self.runs
    }

    /// The frame that is to be written, and where.
    pub fn take_frame(&mut self, header: &SegmentHeader) -> Option<(Vec<u8>, u64)> {
        if self.records == 0 {
            return None;
        }
        let mut bytes = std::mem::replace(&mut self.frame, vec![0; frame::HEADER]);
        let (generation, group) = (header.generation, self.group);
        let (records, len) = (self.records, (bytes.len() - frame::HEADER) as u32);
        let head = FrameHeader { generation, group, last_lsn: 0, len, records };
        bytes.resize(head.size() as usize, 0);
        if let Some(place) = bytes.first_chunk_mut() {
            *place = head.encode();
        }
        let at = u64::from(self.at);
        self.at += bytes.len() as u32;
        self.group += 1;
        self.records = 0;
        Some((bytes, at))
    }

    /// Notes a record that was just put into the frame.
    fn added(&mut self, source: Source, seq: Seq, begin: usize) -> u32 {
        let offset = self.at + begin as u32;
        let bytes = (self.frame.len() - begin) as u32;
        if self.runs.last().is_none_or(|last| last.source() != source) {
            self.runs.push(Moved::new(source));
        }
        let begins = match self.runs.last_mut() {
            Some(moved) => moved.push(seq, self.entries, bytes),
            None => false,
        };
        if begins {
            let (queue, entry) = (source.queue, self.entries);
            self.table.parts.push(SealPart { queue, first: seq, entry, offsets: Vec::new() });
        }
        if let Some(part) = self.table.parts.last_mut() {
            part.offsets.push(offset);
        }
        self.entries += 1;
        self.records += 1;
        offset
    }
}

impl Engine {
    /// Fills a frame with the next messages; false if there are no more.
    pub(super) fn gather(
        &self,
        copied: &mut Copied,
        header: &SegmentHeader,
        from: &[SegmentId],
    ) -> Result<bool, Stop> {
        let mut pieces = Pieces::default();
        while copied.frame.len() < self.tuning.group_bytes {
            let Some((source, found)) = self.next_messages(copied, from) else { return Ok(false) };
            if found.is_empty() {
                return Err(Stop::Unreadable(source.segment));
            }
            for at in 0..found.len() {
                let Some((this, behind)) = found.get(at..).and_then(<[Found]>::split_first) else {
                    break;
                };
                let done = self.copy(copied, header, &mut pieces, source, (this, behind));
                // What was settled meanwhile may be gone.
                if done.is_err() && self.inner.lock().index.is_within(source, this.seq) {
                    return Err(Stop::Unreadable(source.segment));
                }
                copied.from = Seq(this.seq.0 + 1);
                if copied.frame.len() >= self.tuning.group_bytes {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Messages of the next run, or more of the same.
    fn next_messages(
        &self,
        copied: &mut Copied,
        from: &[SegmentId],
    ) -> Option<(Source, Vec<Found>)> {
        let mut located: Vec<Located> = Vec::new();
        loop {
            let inner = self.inner.lock();
            let at = (*copied.queues.last()?, copied.from);
            let Some(source) = inner.index.locate_within(from, at, AT_ONCE, &mut located) else {
                copied.queues.pop();
                copied.from = Seq(0);
                continue;
            };
            let segment = inner.segments.get(&source.segment)?;
            let (kind, mix) = (segment.header.kind, mix(segment.header.generation));
            let found = located.into_iter().map(|Located { seq, segment, place, returns }| {
                let source = match place {
                    Place::Entry(entry) => Where::Entry(entry),
                    Place::Offset(offset) => Where::Offset(offset),
                };
                Found { seq, returns, segment, kind, mix, source }
            });
            return Some((source, found.collect()));
        }
    }

    /// Copies one message. A payload that several share is written once.
    fn copy(
        &self,
        copied: &mut Copied,
        header: &SegmentHeader,
        pieces: &mut Pieces,
        source: Source,
        (found, behind): (&Found, &[Found]),
    ) -> Result<(), String> {
        let (offset, record) = self.sealed_message(pieces, source.queue, found, behind)?;
        let begin = copied.frame.len();
        let mut encoder = Encoder { to: &mut copied.frame, mix: mix(header.generation) };
        let publish = |encoder: &mut Encoder<'_>, at: Position, payload: &[u8]| {
            let (head, crc) = record::publish_head(at, payload);
            encoder.publish(&head, crc, payload);
        };
        // The record that others may point to.
        let origin = match record {
            Record::Publish { at, payload } => {
                publish(&mut encoder, at, payload);
                (payload.len() >= WORTHWHILE).then_some(offset)
            }
            Record::Shared { at, target } => match copied.shared.get(&(found.segment, target)) {
                Some(&there) => {
                    encoder.shared(at, there);
                    None
                }
                None => {
                    publish(&mut encoder, at, &self.target(pieces, found, target)?);
                    Some(target)
                }
            },
            Record::Big { at, file } => {
                encoder.big(at, file);
                None
            }
            _ => return Err("it is not a message".to_owned()),
        };
        let there = copied.added(source, found.seq, begin);
        if let Some(origin) = origin {
            copied.shared.insert((found.segment, origin), there);
        }
        Ok(())
    }
}
