//! Going through the frames of a segment.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::frame::{self, FrameHeader, SECTOR};
use super::record::Record;
use super::segment::{HEADER, SegmentHeader};
use super::window::Window;
use crate::QueueId;
use crate::disk::DiskFile;

/// The frames of a segment, one after the other.
#[derive(Debug)]
pub(super) struct Frames {
    pub header: SegmentHeader,
    /// Where the next frame begins.
    pub at: u64,
    end: u64,
    window: Window,
}

impl Frames {
    /// From that place on, or from the first frame.
    pub fn new(
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        from: Option<u32>,
    ) -> io::Result<Self> {
        let end = file.len()?;
        let at = from.map_or(HEADER as u64, u64::from);
        Ok(Self { header, at, end, window: Window::new(file) })
    }

    /// The header at the place reached, if it is one.
    pub fn peek(&mut self) -> io::Result<Option<FrameHeader>> {
        let bytes = self.window.get(self.at, frame::HEADER)?;
        Ok(FrameHeader::decode(bytes, self.header.generation))
    }

    /// The next frame with the octets of its records, if it is whole. The place stays as it is if
    /// not.
    pub fn next(&mut self) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let Some((header, body)) = self.next_unchecked()? else { return Ok(None) };
        if !frame::is_whole(&header, self.window.get(body, header.len as usize)?) {
            self.at = body - frame::HEADER as u64;
            return Ok(None);
        }
        Ok(Some((header, self.window.get(body, header.len as usize)?)))
    }

    /// The same for frames that were gone through before.
    pub fn next_again(&mut self) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let Some((header, body)) = self.next_unchecked()? else { return Ok(None) };
        Ok(Some((header, self.window.get(body, header.len as usize)?)))
    }

    fn next_unchecked(&mut self) -> io::Result<Option<(FrameHeader, u64)>> {
        let Some(header) = self.peek()? else { return Ok(None) };
        let body = self.at + frame::HEADER as u64;
        if body + u64::from(header.len) > self.end {
            return Ok(None);
        }
        self.at += header.size();
        Ok(Some((header, body)))
    }

    /// Whether behind a place without a whole frame there is one that was begun later: then what is
    /// missing was there once. Returns its place.
    pub fn later(&mut self, group: u64) -> io::Result<Option<u64>> {
        let mut at = self.at;
        while at < self.end {
            let bytes = self.window.get(at, frame::HEADER)?;
            let found = FrameHeader::decode(bytes, self.header.generation);
            if found.is_some_and(|found| found.group > group) {
                return Ok(Some(at));
            }
            at += SECTOR as u64;
        }
        Ok(None)
    }

    /// What lies between two places.
    pub fn bytes(&mut self, at: u64, end: u64) -> io::Result<&[u8]> {
        let len = end.min(self.end).saturating_sub(at);
        self.window.get(at, usize::try_from(len).map_err(io::Error::other)?)
    }

    /// The queues that records of the segment name, as far as these can be read.
    pub fn queues(&mut self) -> io::Result<BTreeSet<QueueId>> {
        let mut queues = BTreeSet::new();
        self.at = HEADER as u64;
        while self.at < self.end {
            let generation = self.header.generation;
            if let Some((_, body)) = self.next_again()? {
                queues.extend(frame::records(body, generation).filter_map(|(_, r)| queue(&r)));
            } else {
                self.at += SECTOR as u64;
            }
        }
        Ok(queues)
    }
}

/// The queue that a record is about.
pub(super) fn queue(record: &Record<'_>) -> Option<QueueId> {
    match record {
        Record::Publish { at, .. } | Record::Shared { at, .. } | Record::Big { at, .. } => {
            Some(at.queue)
        }
        Record::Settle { queue, .. }
        | Record::Deliver { queue, .. }
        | Record::Return { queue, .. }
        | Record::Drop { queue } => Some(*queue),
        Record::Meta { .. } | Record::Part(_) => None,
    }
}
