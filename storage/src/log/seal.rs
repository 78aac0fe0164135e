//! The `.idx` file of a segment: where its messages are, once nothing is added any more.
//!
//! ```text
//! magic | format u32 | entries u32 | segment u64 | generation u64 | parts u32 | crc u32 of all before |
//! zeros up to 64 | entries: offset u32 | parts: queue u64, first position u64, first entry u32, entries u32 |
//! crc u32 of entries and parts
//! ```
//! The checkpoint says which entries are whose; the parts are for people who look into the file.

use std::io;

use bytes::BufMut;

use super::bytes_le::Reader;
use super::engine::{Engine, Step, count};
use super::files::Part;
use super::index::{SealTable, SegmentId};
use super::segment::SegmentHeader;

const MAGIC: &[u8; 8] = b"LepusIdx";
const FORMAT: u32 = 1;
pub(super) const HEADER: usize = 64;
/// Of a segment, so much has to be used that its file is as good as one that was fully written.
const MOSTLY: u64 = 15;

/// Where the file has an entry.
pub(super) fn entry_at(entry: u32) -> u64 {
    HEADER as u64 + 4 * u64::from(entry)
}

pub(super) fn encode(table: &SealTable, generation: u64) -> Vec<u8> {
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

/// The file with such entries, without parts.
pub(super) fn encode_offsets(segment: &SegmentHeader, offsets: &[u32]) -> Vec<u8> {
    let entries = offsets.len() as u32;
    let mut bytes = header(SegmentId(segment.id), segment.generation, entries, 0);
    offsets.iter().for_each(|&offset| bytes.put_u32_le(offset));
    finish(bytes)
}

/// Whether a file is the segment's index, as it was written.
pub(super) fn is_whole(bytes: &[u8], segment: &SegmentHeader) -> bool {
    let Some((covered, crc)) = bytes.split_last_chunk() else { return false };
    let body = covered.get(HEADER..).unwrap_or_default();
    fits(bytes, bytes.len() as u64, segment) == Some(true)
        && u32::from_le_bytes(*crc) == crc32c::crc32c(body)
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
