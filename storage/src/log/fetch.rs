//! From the place of a message to its payload.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::engine::Engine;
use super::files::Part;
use super::group::Group;
use super::index::SegmentId;
use super::record::{self, Record};
use super::segment::Kind;
use crate::disk::DiskFile;
use crate::{QueueId, Seq};

/// Smaller payloads share blocks of memory, so that none of them keeps a large one.
const SMALL: usize = 4096;
const BLOCK: usize = 16 << 10;
/// The most that is read from a segment at once, and the widest gap between records read together.
const AT_ONCE: u64 = 1 << 20;
const GAP: u32 = 16 << 10;
/// What is read for one record whose length is not known yet.
const ONE: u64 = 4096;
/// A record in a file is not longer.
const LONGEST: u64 = (16 << 20) + record::PUBLISH as u64;
/// How many entries of an index are read at once.
const ENTRIES: usize = 4096;

/// A message that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub seq: Seq,
    pub returns: u32,
    pub segment: SegmentId,
    pub kind: Kind,
    pub mix: u32,
    pub source: Source,
}

/// Where its record is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// In the segment's file.
    Offset(u32),
    /// There too, where the segment's index says.
    Entry(u32),
    /// In a group that is not written.
    Group(Arc<Group>, u32),
    /// It was in a group to which more is added.
    Copied(Bytes, u32),
}

impl Source {
    /// The first record of `bytes`, copied.
    pub fn copied(bytes: &[u8], offset: u32) -> Self {
        let record = record::length(bytes).and_then(|len| bytes.get(..len)).unwrap_or_default();
        Self::Copied(Bytes::copy_from_slice(record), offset)
    }
}

impl Found {
    /// Whether it is the same message in the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |found: &Self| match found.source {
            Source::Entry(entry) => (true, entry),
            Source::Offset(offset) | Source::Group(_, offset) | Source::Copied(_, offset) => {
                (false, offset)
            }
        };
        (self.seq, self.segment, place(self)) == (other.seq, other.segment, place(other))
    }
}

/// Pieces of files that were read, and the block that small payloads are copied to.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    records: Piece,
    index: Piece,
    block: BytesMut,
}

/// A part of the file of a segment.
#[derive(Debug, Default)]
struct Piece {
    of: Option<(SegmentId, Arc<dyn DiskFile>)>,
    begin: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn get(&self, segment: SegmentId, offset: u64) -> Option<&[u8]> {
        let (of, _) = self.of.as_ref()?;
        let at = offset.checked_sub(self.begin).filter(|_| *of == segment)?;
        self.bytes.get(at as usize..).filter(|rest| !rest.is_empty())
    }

    /// The length that a record says that it has: it may be damaged, and is looked at before memory is taken
    /// for it.
    fn believable(&self, offset: u64, len: usize) -> Result<u64, String> {
        let Some((_, file)) = &self.of else { return Err("no file".to_owned()) };
        let rest = file.len().map_err(|error| error.to_string())?.saturating_sub(offset);
        match len as u64 {
            len if len <= rest.min(LONGEST) => Ok(len),
            _ => Err("a record there is longer than any".to_owned()),
        }
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<(), String> {
        let Some((_, file)) = &self.of else { return Err("no file".to_owned()) };
        self.bytes.resize(len, 0);
        let read = file.read_at(&mut self.bytes, offset).map_err(|error| error.to_string());
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.begin = offset;
        read.map(|_| ())
    }
}

impl Engine {
    /// The payload of a message. What is likely to be read next is read along with it.
    pub(super) fn payload(
        &self,
        pieces: &mut Pieces,
        queue: QueueId,
        found: &Found,
        behind: &[Found],
        most: usize,
    ) -> Result<Bytes, String> {
        let Pieces { records, index, block } = pieces;
        match self.message(records, index, queue, found, (behind, most))?.1 {
            Record::Publish { payload, .. } => Ok(copy(block, payload, behind.len())),
            Record::Big { file, .. } => self.read_big(file),
            Record::Shared { target, .. } => self.target(pieces, found, target),
            _ => Err("it is not a message".to_owned()),
        }
    }

    /// The record of a message in a sealed segment, and where it begins.
    pub(super) fn sealed_message<'a>(
        &self,
        pieces: &'a mut Pieces,
        queue: QueueId,
        found: &'a Found,
        behind: &[Found],
    ) -> Result<(u32, Record<'a>), String> {
        let Pieces { records, index, .. } = pieces;
        self.message(records, index, queue, found, (behind, usize::MAX))
    }

    fn message<'a>(
        &self,
        records: &'a mut Piece,
        index: &mut Piece,
        queue: QueueId,
        found: &'a Found,
        (behind, most): (&[Found], usize),
    ) -> Result<(u32, Record<'a>), String> {
        let (offset, bytes) = match &found.source {
            Source::Copied(bytes, offset) => (*offset, bytes.as_ref()),
            Source::Group(group, offset) => {
                (*offset, group.find(found.segment, *offset).unwrap_or_default())
            }
            Source::Offset(offset) => {
                (*offset, self.record(records, found, *offset, || ahead(found, behind, most))?)
            }
            Source::Entry(entry) => {
                let offset = self.entry(index, found, *entry)?;
                let ahead = || ahead_by_entries(index, found, offset, behind, most);
                (offset, self.record(records, found, offset, ahead)?)
            }
        };
        match record::decode(bytes, found.mix) {
            Some((
                record @ (Record::Publish { at, .. }
                | Record::Big { at, .. }
                | Record::Shared { at, .. }),
                _,
            )) if (at.queue, at.seq) == (queue, found.seq) => Ok((offset, record)),
            _ => Err("the record there is not that of the message".to_owned()),
        }
    }

    /// The payload that another record of the segment has.
    pub(super) fn target(
        &self,
        pieces: &mut Pieces,
        found: &Found,
        target: u32,
    ) -> Result<Bytes, String> {
        let Found { segment, mix, .. } = *found;
        let payload = |bytes: &[u8], block: &mut BytesMut| match record::decode(bytes, mix) {
            Some((Record::Publish { payload, .. }, _)) => Ok(copy(block, payload, 0)),
            _ => Err(format!("there is no payload at {target}")),
        };
        let Pieces { records, block, .. } = pieces;
        // It came before, but may be in memory all the same.
        let group = {
            let inner = self.inner.lock();
            if let Some(bytes) = inner.groups.open().and_then(|open| open.find(segment, target)) {
                return payload(bytes, block);
            }
            inner.groups.find_closed(segment, target).cloned()
        };
        match group {
            Some(group) => payload(group.find(segment, target).unwrap_or_default(), block),
            None => payload(self.record(records, found, target, || ONE)?, block),
        }
    }

    /// The bytes of a segment that begin with the record at `offset` and have all of it. `ahead`
    /// says how much to read if it has to be read.
    fn record<'a>(
        &self,
        piece: &'a mut Piece,
        found: &Found,
        offset: u32,
        ahead: impl FnOnce() -> u64,
    ) -> Result<&'a [u8], String> {
        let at = u64::from(offset);
        let here = |piece: &Piece| {
            let bytes = piece.get(found.segment, at)?;
            let len = record::message_length(bytes)?;
            Some((len, len <= bytes.len()))
        };
        let len = match here(piece) {
            Some((_, true)) => None,
            // Its beginning is there, and says how long it is.
            Some((len, false)) => Some(piece.believable(at, len)?.max(ahead())),
            None => Some(ahead()),
        };
        if let Some(len) = len {
            self.open_part(piece, found, Part::Records)?;
            // What would be read along with it may be in a bad sector.
            piece.fill(at, len as usize).or_else(|_| piece.fill(at, record::PREFIX))?;
            if let Some((len, false)) = here(piece) {
                piece.fill(at, piece.believable(at, len)? as usize)?;
            }
        }
        Ok(piece.get(found.segment, at).unwrap_or_default())
    }

    /// What the messages of a queue weigh together, without those that are lost; only as far as their
    /// records can be read.
    pub(super) fn weight(&self, queue: QueueId, is_lost: impl Fn(Seq) -> bool) -> u64 {
        let (mut pieces, mut from, mut sum) = (Pieces::default(), Seq(0), 0);
        let mut weigh = |found: &Found| {
            let offset = match &found.source {
                Source::Entry(entry) => self.entry(&mut pieces.index, found, *entry),
                _ => self.offset_of(found),
            };
            let bytes = self.record(&mut pieces.records, found, offset.ok()?, || AT_ONCE).ok()?;
            record::weight(bytes).map(u64::from)
        };
        loop {
            let found = self.locate(queue, from, ENTRIES, usize::MAX);
            let Some(last) = found.last() else { return sum };
            from = Seq(last.seq.0 + 1);
            let there = found.iter().filter(|found| !is_lost(found.seq));
            sum += there.filter_map(&mut weigh).sum::<u64>();
        }
    }

    /// Where the record of a message is in its segment.
    pub(super) fn offset_of(&self, found: &Found) -> Result<u32, String> {
        match &found.source {
            Source::Offset(offset) | Source::Group(_, offset) | Source::Copied(_, offset) => {
                Ok(*offset)
            }
            Source::Entry(entry) => self.entry(&mut Piece::default(), found, *entry),
        }
    }

    /// What an entry of the segment's index says.
    fn entry(&self, piece: &mut Piece, found: &Found, entry: u32) -> Result<u32, String> {
        if let Some(offset) = entry_in(piece, found.segment, entry) {
            return Ok(offset);
        }
        self.open_part(piece, found, Part::Index)?;
        let at = super::seal::entry_at(entry);
        piece.fill(at, 4 * ENTRIES).or_else(|_| piece.fill(at, 4))?;
        entry_in(piece, found.segment, entry).ok_or_else(|| "its index ends before it".to_owned())
    }

    fn open_part(&self, piece: &mut Piece, found: &Found, part: Part) -> Result<(), String> {
        if piece.of.as_ref().is_none_or(|(of, _)| *of != found.segment) {
            let file = self.files.open(found.segment, found.kind, part);
            let file = file.map_err(|error| error.to_string())?;
            piece.bytes.clear();
            piece.of = Some((found.segment, file));
        }
        Ok(())
    }
}

fn entry_in(piece: &Piece, segment: SegmentId, entry: u32) -> Option<u32> {
    let bytes = piece.get(segment, super::seal::entry_at(entry))?;
    bytes.first_chunk().map(|offset| u32::from_le_bytes(*offset))
}

/// How much to read for a record and those that follow close behind it.
fn ahead_by_entries(
    index: &Piece,
    found: &Found,
    offset: u32,
    behind: &[Found],
    most: usize,
) -> u64 {
    let offsets = behind.iter().map_while(|next| match next.source {
        Source::Entry(entry) if next.segment == found.segment => {
            entry_in(index, next.segment, entry)
        }
        _ => None,
    });
    span(offset, offsets, most)
}

/// The same.
fn ahead(found: &Found, behind: &[Found], most: usize) -> u64 {
    let Source::Offset(offset) = found.source else { return ONE };
    let offsets = behind.iter().map_while(|next| match next.source {
        Source::Offset(offset) if next.segment == found.segment => Some(offset),
        _ => None,
    });
    span(offset, offsets, most)
}

fn span(first: u32, behind: impl Iterator<Item = u32>, most: usize) -> u64 {
    let most = (most as u64).saturating_add(ONE).min(AT_ONCE);
    let mut last = first;
    for next in behind {
        let near = next.checked_sub(last).is_some_and(|gap| gap <= GAP);
        if !near || u64::from(next - first) > most {
            break;
        }
        last = next;
    }
    u64::from(last - first) + ONE
}

/// Copies a payload, so that it keeps no more memory than a block. `behind` others follow.
fn copy(block: &mut BytesMut, payload: &[u8], behind: usize) -> Bytes {
    if payload.len() >= SMALL {
        return Bytes::copy_from_slice(payload);
    }
    if payload.is_empty() {
        return Bytes::new();
    }
    if block.capacity() < payload.len() {
        let wanted = payload.len().saturating_mul(behind.saturating_add(1));
        *block = BytesMut::with_capacity(wanted.min(BLOCK));
    }
    block.extend_from_slice(payload);
    block.split().freeze()
}
