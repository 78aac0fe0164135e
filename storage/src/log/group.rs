//! Group commits in memory: what has been appended and is not written yet.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{self, FrameHeader};
use super::index::{BigId, SegmentId};
use super::segment::mix;
use super::tuning::Tuning;

/// Buffers kept for later groups, and how large they may be.
const SPARE_BUFFERS: usize = 4;
const SPARE_BUFFER_BYTES: usize = 2 << 20;

/// Batches that are written together, as a frame.
#[derive(Debug)]
pub(super) struct Group {
    pub segment: SegmentId,
    pub generation: u64,
    /// Where in the segment the frame begins.
    pub base: u32,
    /// The frame as it will be written; while the group is open, without its header.
    pub bytes: Vec<u8>,
    /// Payloads that have to be in files of their own before the frame is written.
    pub big: Vec<(BigId, Bytes)>,
    pub last_lsn: u64,
    /// The last batch after which no transaction was unfinished; 0 if there is none.
    pub whole_lsn: u64,
    pub records: u32,
    /// Somebody waits for it.
    pub urgent: bool,
    /// What it takes of memory.
    octets: u64,
    number: u64,
}

impl Group {
    /// What the crc of its records is mixed with.
    pub fn mix(&self) -> u32 {
        mix(self.generation)
    }

    /// Where in the segment the next record goes.
    pub fn next_offset(&self) -> u32 {
        self.base + self.bytes.len() as u32
    }

    /// The bytes from that place of a segment on, if they are in this group.
    pub fn find(&self, segment: SegmentId, offset: u32) -> Option<&[u8]> {
        let at = offset.checked_sub(self.base).filter(|_| segment == self.segment)?;
        self.bytes.get(at as usize..).filter(|rest| !rest.is_empty())
    }

    /// Writes the header, and pads the frame.
    fn finish(&mut self) {
        let len = (self.bytes.len() - frame::HEADER) as u32;
        let header = FrameHeader {
            generation: self.generation,
            group: self.number,
            last_lsn: self.last_lsn,
            len,
            records: self.records,
        };
        self.bytes.resize(header.size() as usize, 0);
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = header.encode();
        }
    }
}

/// Where the next group goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    pub segment: SegmentId,
    pub generation: u64,
    pub offset: u32,
    /// Octets of the segment.
    pub len: u32,
}

/// All groups in memory, in order.
#[derive(Debug)]
pub(super) struct Groups {
    full: usize,
    largest: usize,
    /// Nothing has been appended since the store was opened if there is none.
    pub cursor: Option<Cursor>,
    open: Option<Group>,
    /// Closed ones; the first may be on its way to the disk.
    closed: VecDeque<Arc<Group>>,
    next_number: u64,
    buffers: Vec<Vec<u8>>,
    /// Octets in memory, with those of big payloads.
    pending: u64,
}

impl Groups {
    pub fn new(next_number: u64, tuning: &Tuning) -> Self {
        Self {
            full: tuning.group_bytes,
            largest: tuning.largest_group,
            cursor: None,
            open: None,
            closed: VecDeque::new(),
            next_number,
            buffers: Vec::new(),
            pending: 0,
        }
    }

    /// The group for so many more octets; none if the segment has no room for them.
    pub fn room(&mut self, size: usize) -> Option<&mut Group> {
        let cursor = self.cursor?;
        let largest = self.largest;
        let fits = |base: u32, bytes: usize| {
            let records = bytes - frame::HEADER + size;
            bytes + size <= largest.max(frame::HEADER + size)
                && base as usize + frame::size(records) <= cursor.len as usize
        };
        if self.open.as_ref().is_some_and(|open| !fits(open.base, open.bytes.len())) {
            self.close();
        }
        if self.open.is_none() {
            let cursor = self.cursor?;
            if cursor.offset as usize + frame::size(size) > cursor.len as usize {
                return None;
            }
            let mut bytes = self.buffers.pop().unwrap_or_default();
            bytes.resize(frame::HEADER, 0);
            self.open = Some(Group {
                segment: cursor.segment,
                generation: cursor.generation,
                base: cursor.offset,
                bytes,
                big: Vec::new(),
                last_lsn: 0,
                whole_lsn: 0,
                records: 0,
                urgent: false,
                octets: 0,
                number: self.next_number,
            });
        }
        self.open.as_mut()
    }

    /// Counts what was added to the open group, and closes it if it has enough. `whole`: no
    /// transaction is unfinished.
    pub fn added(&mut self, octets: u64, whole: bool) {
        self.pending += octets;
        let Some(open) = &mut self.open else { return };
        open.octets += octets;
        if whole {
            open.whole_lsn = open.last_lsn;
        }
        if open.bytes.len() >= self.full {
            self.close();
        }
    }

    /// Nothing more is added to the open group.
    pub fn close(&mut self) {
        let (Some(mut group), Some(cursor)) = (self.open.take(), &mut self.cursor) else {
            return;
        };
        group.finish();
        cursor.offset += group.bytes.len() as u32;
        self.next_number += 1;
        self.closed.push_back(Arc::new(group));
    }

    /// The group to be written next. It stays until [`written`](Self::written).
    pub fn first(&mut self) -> Option<Arc<Group>> {
        if self.closed.is_empty() {
            self.close();
        }
        self.closed.front().cloned()
    }

    /// The first group is durable.
    pub fn written(&mut self) {
        if let Some(group) = self.closed.pop_front() {
            self.pending -= group.octets;
        }
    }

    /// Takes back the memory of a group.
    pub fn recycle(&mut self, group: Arc<Group>) {
        if let Ok(Group { mut bytes, .. }) = Arc::try_unwrap(group)
            && self.buffers.len() < SPARE_BUFFERS
            && bytes.capacity() <= SPARE_BUFFER_BYTES
        {
            bytes.clear();
            self.buffers.push(bytes);
        }
    }

    pub fn open(&self) -> Option<&Group> {
        self.open.as_ref()
    }

    /// Whether nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.open.is_none() && self.closed.is_empty()
    }

    /// Whether the first group should be written at once.
    pub fn is_urgent(&self) -> bool {
        !self.closed.is_empty() || self.open.as_ref().is_some_and(|open| open.urgent)
    }

    /// The closed group that has that place.
    pub fn find_closed(&self, segment: SegmentId, offset: u32) -> Option<&Arc<Group>> {
        self.closed.iter().find(|group| group.find(segment, offset).is_some())
    }

    /// Whether something of that segment is not written.
    pub fn holds(&self, segment: SegmentId) -> bool {
        let of = |group: &Group| group.segment == segment;
        self.open.as_ref().is_some_and(of) || self.closed.iter().any(|group| of(group))
    }

    pub fn pending(&self) -> u64 {
        self.pending
    }

    pub fn next_number(&self) -> u64 {
        self.next_number
    }
}
