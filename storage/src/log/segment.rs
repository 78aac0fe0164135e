//! Segments: the files of the log, their header and their names.

use bytes::BufMut;

use super::bytes_le::Reader;
use super::frame::SECTOR;
use crate::StoreError;

/// Octets before the first frame.
pub(super) const HEADER: usize = SECTOR;
/// The newest format that is read, and the one that is written.
pub(super) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"LepusLog";

/// Where a segment comes from. Both kinds are numbered together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Written by commits.
    Hot,
    /// Written by compaction.
    Cold,
}

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub id: u64,
    pub kind: Kind,
    /// Random: bytes that an earlier use of the file has left do not fit it.
    pub generation: u64,
    /// Octets that may be used, this header included.
    pub len: u32,
}

/// What is mixed into each crc in a segment of that generation.
pub(super) fn mix(generation: u64) -> u32 {
    (generation ^ (generation >> 32)) as u32
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER);
        header.put_slice(MAGIC);
        header.put_u32_le(FORMAT);
        header.put_u32_le(u32::from(self.kind == Kind::Cold));
        header.put_u64_le(self.id);
        header.put_u64_le(self.generation);
        header.put_u32_le(self.len);
        header.put_u32_le(crc32c::crc32c(&header));
        header.resize(HEADER, 0);
        header
    }

    /// The header at the beginning of `bytes`; `place` is for the error.
    ///
    /// # Errors
    /// [`StoreError::Format`] if it is of a newer one, [`StoreError::Corrupt`].
    pub fn decode(bytes: &[u8], place: &str) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt {
            place: place.to_owned(),
            detail: "the header of the segment is not what was written".to_owned(),
        };
        let mut reader = Reader(bytes);
        let magic = reader.bytes(MAGIC.len()).ok_or_else(corrupt)?;
        let found = reader.u32().ok_or_else(corrupt)?;
        if magic != MAGIC {
            return Err(corrupt());
        }
        if found > FORMAT {
            return Err(StoreError::Format { place: place.to_owned(), found, known: FORMAT });
        }
        Self::fields(bytes, reader).ok_or_else(corrupt)
    }

    fn fields(bytes: &[u8], mut reader: Reader<'_>) -> Option<Self> {
        let kind = if reader.u32()? == 0 { Kind::Hot } else { Kind::Cold };
        let header =
            Self { kind, id: reader.u64()?, generation: reader.u64()?, len: reader.u32()? };
        let covered = bytes.get(..bytes.len() - reader.0.len())?;
        (reader.u32()? == crc32c::crc32c(covered)).then_some(header)
    }
}

/// The name of a segment's file, without its extension.
fn stem(id: u64, kind: Kind) -> String {
    match kind {
        Kind::Hot => format!("{id:016x}"),
        Kind::Cold => format!("c{id:016x}"),
    }
}

/// The name of a segment's file.
pub(super) fn file_name(id: u64, kind: Kind) -> String {
    stem(id, kind) + ".seg"
}

/// The name of the file with the index of a segment.
pub(super) fn index_name(id: u64, kind: Kind) -> String {
    stem(id, kind) + ".idx"
}

/// The segment that a file name stands for, if it ends with the extension.
pub(super) fn parse_name(name: &str, extension: &str) -> Option<(u64, Kind)> {
    let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
    let (digits, kind) = match stem.strip_prefix('c') {
        Some(digits) if stem.len() == 17 => (digits, Kind::Cold),
        _ => (stem, Kind::Hot),
    };
    let id = u64::from_str_radix(digits, 16).ok()?;
    (self::stem(id, kind) == stem).then_some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_or_refused() {
        let header = SegmentHeader { id: 1, kind: Kind::Cold, generation: 2, len: 3 };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(SegmentHeader::decode(&bytes, "x").unwrap(), header);
        for at in [0, 12, 20, 30, 38] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let error = SegmentHeader::decode(&bytes, "x").unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { place, .. } if place == "x"));
        }
        let mut newer = bytes;
        newer[8] = 2;
        let error = SegmentHeader::decode(&newer, "x").unwrap_err();
        assert!(matches!(error, StoreError::Format { found: 2, known: 1, .. }));
    }

    #[test]
    fn names_are_read_back() {
        for (id, kind) in [(0, Kind::Hot), (0xc0ff_ee00, Kind::Cold), (u64::MAX, Kind::Hot)] {
            assert_eq!(parse_name(&file_name(id, kind), "seg"), Some((id, kind)));
            assert_eq!(parse_name(&index_name(id, kind), "idx"), Some((id, kind)));
        }
        let id = 0xc000_0000_0000_0000;
        assert_eq!(parse_name(&file_name(id, Kind::Hot), "seg"), Some((id, Kind::Hot)));
        for name in ["1.seg", "x.seg", "c.seg", "0000000000000001.idx", "00000000000000+1.seg"] {
            assert_eq!(parse_name(name, "seg"), None);
        }
    }
}
