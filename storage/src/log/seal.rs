//! The `.idx` file of a segment: where its messages are, once nothing is added any more.
//!
//! ```text
//! magic | format u32 | entries u32 | segment u64 | generation u64 | parts u32 | crc u32 of all before |
//! zeros up to 64 | entries: offset u32 | parts: queue u64, first position u64, first entry u32, entries u32 |
//! crc u32 of entries and parts
//! ```
//! The checkpoint says which entries are whose; the parts are for people who look into the file.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::BufMut;

use super::bytes_le::Reader;
use super::engine::{Engine, Step, count};
use super::files::{Files, Part};
use super::frame;
use super::index::{Place, Queues, SealTable, SegmentId};
use super::record::Record;
use super::scan::Frames;
use super::segment::SegmentHeader;
use crate::disk::DiskFile;
use crate::{Seq, StoreError};

const MAGIC: &[u8; 8] = b"LepusIdx";
const FORMAT: u32 = 1;
const HEADER: usize = 64;
/// Of a segment, so much has to be used that its file is as good as one that was fully written.
const MOSTLY: u64 = 15;

/// Where the file has an entry.
pub(super) fn entry_at(entry: u32) -> u64 {
    HEADER as u64 + 4 * u64::from(entry)
}

fn encode(table: &SealTable, generation: u64) -> Vec<u8> {
    let mut bytes = header(table.segment, generation, table.entries(), table.parts.len() as u32);
    for part in &table.parts {
        part.offsets.iter().for_each(|&offset| bytes.put_u32_le(offset));
    }
    for part in &table.parts {
        bytes.put_u64_le(part.queue.0);
        bytes.put_u64_le(part.first.0);
        bytes.put_u32_le(part.entry);
        bytes.put_u32_le(part.offsets.len() as u32);
    }
    finish(bytes)
}

fn header(segment: SegmentId, generation: u64, entries: u32, parts: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 4 * entries as usize + 24 * parts as usize + 4);
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(FORMAT);
    bytes.put_u32_le(entries);
    bytes.put_u64_le(segment.0);
    bytes.put_u64_le(generation);
    bytes.put_u32_le(parts);
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    bytes.resize(HEADER, 0);
    bytes
}

fn finish(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(bytes.get(HEADER..).unwrap_or_default());
    bytes.put_u32_le(crc);
    bytes
}

/// Whether the first bytes of a file are those of the segment's index, and its length fits.
pub(super) fn fits(bytes: &[u8], len: u64, segment: &SegmentHeader) -> Option<bool> {
    let mut reader = Reader(bytes);
    let right = reader.bytes(MAGIC.len())? == MAGIC && reader.u32()? == FORMAT;
    let entries = reader.u32()?;
    let same = (reader.u64()?, reader.u64()?) == (segment.id, segment.generation);
    let parts = reader.u32()?;
    let covered = bytes.get(..bytes.len() - reader.0.len())?;
    let whole = reader.u32()? == crc32c::crc32c(covered);
    let wanted = entry_at(entries) + 24 * u64::from(parts) + 4;
    Some(right && same && whole && len == wanted)
}

impl Engine {
    /// Writes the index of a segment that is full and written, and gives back what it does not use.
    pub(super) fn seal_segment(&self, id: SegmentId) -> Step {
        let (segment, table) = {
            let mut inner = self.inner.lock();
            let Some(segment) = inner.segments.get(&id).cloned() else {
                inner.chores.rolled.pop_front();
                return Step::Did;
            };
            let again = inner.chores.sealing.take().filter(|table| table.segment == id);
            let needed = again.is_some() || inner.index.usage(id).live > 0;
            let table = match again {
                Some(table) => Some(table),
                None if needed => Some(inner.index.seal(id)),
                None => None,
            };
            inner.chores.sealing.clone_from(&table);
            (segment, table)
        };
        let mut index_bytes = 0;
        if let Some(table) = table {
            let bytes = encode(&table, segment.header.generation);
            index_bytes = bytes.len() as u64;
            let path = self.files.index(id, segment.header.kind);
            if let Err(error) = self.files.replace(&path, &bytes) {
                return self.failed("writing the index of a segment", &error);
            }
            count(&self.counters.index, bytes.len());
        }
        let (used, len) = (u64::from(segment.used), u64::from(segment.header.len));
        let mostly = 16 * used >= MOSTLY * len;
        let recyclable =
            segment.recyclable || (mostly && segment.header.len == self.cfg.segment_bytes);
        if !recyclable && let Err(error) = self.cut(&segment.header, used) {
            return self.failed("cutting a segment", &error);
        }
        let mut inner = self.inner.lock();
        inner.index.sealed(id);
        inner.sealed(id, index_bytes);
        inner.chores.rolled.pop_front();
        inner.chores.sealing = None;
        if let Some(segment) = inner.segments.get_mut(&id) {
            segment.recyclable = recyclable;
        }
        Step::Did
    }

    /// Makes a segment no longer than what it uses.
    fn cut(&self, header: &SegmentHeader, used: u64) -> io::Result<()> {
        let file = self.files.open(SegmentId(header.id), header.kind, Part::Records)?;
        if file.len()? > used { file.set_len(used) } else { Ok(()) }
    }
}

/// Makes sure that a sealed segment has its index. Returns the octets of its file.
pub(super) fn ensure(
    files: &Files,
    index: &Queues,
    segment: &SegmentHeader,
    records: Arc<dyn DiskFile>,
) -> Result<u64, StoreError> {
    let path = files.index(SegmentId(segment.id), segment.kind);
    match files.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => {
            let file = opened?;
            let mut bytes = [0; HEADER];
            let read = file.read_at(&mut bytes, 0)?;
            let len = file.len()?;
            if fits(bytes.get(..read).unwrap_or_default(), len, segment) == Some(true) {
                return Ok(len);
            }
        }
    }
    let place = files.segment(SegmentId(segment.id), segment.kind).display().to_string();
    let bytes = rebuild(index, *segment, records, &place)?;
    files.replace(&path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Makes the index of a sealed segment anew, from its records and what is live in it.
///
/// # Errors
/// [`StoreError::Corrupt`] if a message is not in the segment.
pub(super) fn rebuild(
    index: &Queues,
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    place: &str,
) -> Result<Vec<u8>, StoreError> {
    let id = SegmentId(header.id);
    let mut wanted = HashMap::new();
    let mut entries = 0;
    for queue in index.queues_of(id) {
        let (mut from, mut located) = (Seq(0), Vec::new());
        loop {
            located.clear();
            index.locate(queue, from, 4096, &mut located);
            let Some(last) = located.last() else { break };
            from = Seq(last.seq.0 + 1);
            for found in located.iter().filter(|found| found.segment == id) {
                if let Place::Entry(entry) = found.place {
                    wanted.insert((queue, found.seq), entry);
                    entries = entries.max(entry + 1);
                }
            }
        }
    }
    let mut offsets = vec![0_u32; entries as usize];
    let mut frames = Frames::new(header, file, None)?;
    loop {
        let base = frames.at as u32 + frame::HEADER as u32;
        let Some((_, body)) = frames.next()? else { break };
        for (offset, record) in frame::records_checked(body) {
            let (Record::Publish { at, .. } | Record::Shared { at, .. } | Record::Big { at, .. }) =
                record
            else {
                continue;
            };
            // If a queue was dropped and began again, the last one counts.
            let entry =
                wanted.get(&(at.queue, at.seq)).and_then(|&entry| offsets.get_mut(entry as usize));
            if let Some(entry) = entry {
                *entry = base + offset;
            }
        }
    }
    let lost = wanted.iter().find(|(_, entry)| offsets.get(**entry as usize) == Some(&0));
    if let Some(((queue, seq), _)) = lost {
        return Err(StoreError::Corrupt {
            place: place.to_owned(),
            detail: format!("message {} of queue {} is not there", seq.0, queue.0),
        });
    }
    let mut bytes = self::header(id, header.generation, entries, 0);
    offsets.iter().for_each(|&offset| bytes.put_u32_le(offset));
    Ok(finish(bytes))
}
