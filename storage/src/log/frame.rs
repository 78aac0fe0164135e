//! Frames: one group commit each, which is there as a whole or not at all.
//!
//! A frame begins at a multiple of the unit that devices write atomically, so that a torn write
//! never touches what an earlier commit made durable. Only one frame is being written at a time:
//! a bad frame is damage if there is a later one, and a torn write if there is none.

use bytes::BufMut;

use super::bytes_le::Reader;
use super::record::{self, Record};
use super::segment::mix;

/// What a device writes atomically.
pub(super) const SECTOR: usize = 512;
/// Octets of a frame before its records.
pub(super) const HEADER: usize = 40;

const MAGIC: u32 = u32::from_le_bytes(*b"LpFr");

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    /// That of the segment.
    pub generation: u64,
    /// One more than that of the frame before, over all hot segments; in a cold one from 1.
    pub group: u64,
    /// The last batch in it.
    pub last_lsn: u64,
    /// Octets of all its records.
    pub len: u32,
    /// How many records it has.
    pub records: u32,
}

impl FrameHeader {
    pub fn encode(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let mut fields = &mut header[8..];
        fields.put_u64_le(self.generation);
        fields.put_u64_le(self.group);
        fields.put_u64_le(self.last_lsn);
        fields.put_u32_le(self.len);
        fields.put_u32_le(self.records);
        let crc = crc32c::crc32c(&header[8..]) ^ mix(self.generation);
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// The header at the beginning of `bytes`, if there is a whole one of that generation.
    pub fn decode(bytes: &[u8], generation: u64) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        let mut reader = Reader(header);
        let (magic, crc) = (reader.u32()?, reader.u32()?);
        let right = magic == MAGIC && crc ^ mix(generation) == crc32c::crc32c(reader.0);
        let found = Self {
            generation: reader.u64()?,
            group: reader.u64()?,
            last_lsn: reader.u64()?,
            len: reader.u32()?,
            records: reader.u32()?,
        };
        (right && found.generation == generation).then_some(found)
    }

    /// The header at the beginning of `bytes`, of whatever generation it says that it is.
    pub fn decode_any(bytes: &[u8]) -> Option<Self> {
        let generation = Reader(bytes.get(8..)?).u64()?;
        Self::decode(bytes, generation)
    }

    /// Octets from this frame to the next one.
    pub fn size(&self) -> u64 {
        size(self.len as usize) as u64
    }
}

/// Octets from one frame to the next for so many octets of records.
pub(super) fn size(records: usize) -> usize {
    (HEADER + records).next_multiple_of(SECTOR)
}

/// The records of a frame with their offsets within `body`, which follows its header. The iterator
/// ends early at one that is not what was written.
pub(super) fn records(body: &[u8], generation: u64) -> impl Iterator<Item = (u32, Record<'_>)> {
    let mix = mix(generation);
    walk(body, move |bytes| record::decode(bytes, mix))
}

/// The same for records whose crc has been looked at before.
pub(super) fn records_checked(body: &[u8]) -> impl Iterator<Item = (u32, Record<'_>)> {
    walk(body, record::decode_checked)
}

fn walk<'a>(
    body: &'a [u8],
    decode: impl Fn(&'a [u8]) -> Option<(Record<'a>, usize)>,
) -> impl Iterator<Item = (u32, Record<'a>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (record, len) = decode(body.get(at..)?)?;
        let offset = at as u32;
        at += len;
        Some((offset, record))
    })
}

/// Whether all records of a frame are there and are what was written.
pub(super) fn is_whole(header: &FrameHeader, body: &[u8]) -> bool {
    if body.len() != header.len as usize {
        return false;
    }
    let mix = mix(header.generation);
    let mut at = 0;
    for _ in 0..header.records {
        let Some((_, len)) = body.get(at..).and_then(|rest| record::decode(rest, mix)) else {
            return false;
        };
        at += len;
    }
    at == body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_another_generation_is_none() {
        let header = FrameHeader { generation: 5, group: 6, last_lsn: 7, len: 8, records: 9 };
        let bytes = header.encode();
        assert_eq!(FrameHeader::decode(&bytes, 5), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, 6), None);
        for at in 0..HEADER {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert_eq!(FrameHeader::decode(&bytes, 5), None, "octet {at}");
            assert_eq!(FrameHeader::decode(&bytes[..at], 5), None);
        }
    }

    #[test]
    fn frames_begin_at_sectors() {
        assert_eq!(size(1), SECTOR);
        assert_eq!(size(SECTOR - HEADER), SECTOR);
        assert_eq!(size(SECTOR - HEADER + 1), 2 * SECTOR);
    }
}
