//! What a checkpoint keeps, and its octets.
//!
//! ```text
//! magic "LepusChk" | format u32 | number u64
//! segment u64, offset u32, group u64, lsn u64 | next segment u64 | next big file u64
//! catalog: there u8, file u8, version u64, crc u32
//! segments: count u64, then each id u64, cold u8, recyclable u8, generation u64, len u32, used u32, max lsn u64
//! index: see the module of that name
//! crc32c of all before u32
//! ```

mod index;

use bytes::BufMut;

use super::bytes_le::Reader;
use super::index::{Image, SegmentId};
use super::segment::Kind;
use crate::StoreError;

const MAGIC: &[u8; 8] = b"LepusChk";
const FORMAT: u32 = 1;

/// The state of a store between two groups of batches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Snapshot {
    /// Of the checkpoint: one more each time.
    pub number: u64,
    pub at: Position,
    pub next_segment: u64,
    pub next_big: u64,
    /// The copy of the catalog that goes with it, if there is one.
    pub meta: Option<MetaRef>,
    pub segments: Vec<SegmentRecord>,
    pub index: Image,
}

/// Where the log goes on behind a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Position {
    /// The first hot segment with frames that it does not include.
    pub segment: SegmentId,
    /// Where the next frame begins there.
    pub offset: u32,
    /// The number of that frame.
    pub group: u64,
    /// The latest batch included.
    pub lsn: u64,
}

/// The file with the catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MetaRef {
    /// Which of the two it is.
    pub file: u8,
    pub version: u64,
    /// The last four octets of the file.
    pub crc: u32,
}

/// A segment that is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentRecord {
    pub id: SegmentId,
    pub kind: Kind,
    pub generation: u64,
    /// Octets that may be used.
    pub len: u32,
    /// Octets that are used, as far as the checkpoint knows.
    pub used: u32,
    /// The file was written to its end.
    pub recyclable: bool,
    /// The latest batch that has a record in it.
    pub max_lsn: u64,
}

/// The octets of the file.
pub(super) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(FORMAT);
    bytes.put_u64_le(snapshot.number);
    bytes.put_u64_le(snapshot.at.segment.0);
    bytes.put_u32_le(snapshot.at.offset);
    bytes.put_u64_le(snapshot.at.group);
    bytes.put_u64_le(snapshot.at.lsn);
    bytes.put_u64_le(snapshot.next_segment);
    bytes.put_u64_le(snapshot.next_big);
    let meta = snapshot.meta.unwrap_or(MetaRef { file: 0, version: 0, crc: 0 });
    bytes.put_u8(u8::from(snapshot.meta.is_some()));
    bytes.put_u8(meta.file);
    bytes.put_u64_le(meta.version);
    bytes.put_u32_le(meta.crc);
    bytes.put_u64_le(snapshot.segments.len() as u64);
    for segment in &snapshot.segments {
        bytes.put_u64_le(segment.id.0);
        bytes.put_u8(u8::from(segment.kind == Kind::Cold));
        bytes.put_u8(u8::from(segment.recyclable));
        bytes.put_u64_le(segment.generation);
        bytes.put_u32_le(segment.len);
        bytes.put_u32_le(segment.used);
        bytes.put_u64_le(segment.max_lsn);
    }
    index::encode(&snapshot.index, &mut bytes);
    let crc = crc32c::crc32c(&bytes);
    bytes.put_u32_le(crc);
    bytes
}

/// What a file holds; `place` is for the error. The index is not looked into:
/// [`Queues::from_image`](super::index::Queues::from_image) does that.
///
/// # Errors
/// [`StoreError::Format`] if it is of a newer one, [`StoreError::Corrupt`].
pub(super) fn decode(bytes: &[u8], place: &str) -> Result<Snapshot, StoreError> {
    let mut reader = Reader(bytes);
    let magic = reader.bytes(MAGIC.len()).filter(|magic| magic == MAGIC);
    let snapshot = match magic.and_then(|_| reader.u32()) {
        Some(found) if found > FORMAT => {
            return Err(StoreError::Format { place: place.to_owned(), found, known: FORMAT });
        }
        Some(FORMAT) => covered(reader.0, bytes).and_then(fields),
        _ => None,
    };
    snapshot.ok_or_else(|| StoreError::Corrupt {
        place: place.to_owned(),
        detail: "the checkpoint is not what was written".to_owned(),
    })
}

/// What stands behind the format, if all that the crc covers is as it was written.
fn covered<'a>(rest: &'a [u8], all: &[u8]) -> Option<&'a [u8]> {
    let (covered, crc) = all.split_last_chunk()?;
    let rest = rest.split_last_chunk::<4>()?.0;
    (crc32c::crc32c(covered) == u32::from_le_bytes(*crc)).then_some(rest)
}

fn fields(bytes: &[u8]) -> Option<Snapshot> {
    let mut reader = Reader(bytes);
    let number = reader.u64()?;
    let at = Position {
        segment: SegmentId(reader.u64()?),
        offset: reader.u32()?,
        group: reader.u64()?,
        lsn: reader.u64()?,
    };
    let (next_segment, next_big) = (reader.u64()?, reader.u64()?);
    let there = flag(&mut reader)?;
    let meta = MetaRef { file: reader.u8()?, version: reader.u64()?, crc: reader.u32()? };
    let mut segments = Vec::new();
    for _ in 0..reader.u64()? {
        segments.push(segment(&mut reader)?);
    }
    let index = index::decode(&mut reader)?;
    let meta = there.then_some(meta);
    let snapshot = Snapshot { number, at, next_segment, next_big, meta, segments, index };
    reader.0.is_empty().then_some(snapshot)
}

fn segment(reader: &mut Reader<'_>) -> Option<SegmentRecord> {
    let id = SegmentId(reader.u64()?);
    let kind = if flag(reader)? { Kind::Cold } else { Kind::Hot };
    Some(SegmentRecord {
        id,
        kind,
        recyclable: flag(reader)?,
        generation: reader.u64()?,
        len: reader.u32()?,
        used: reader.u32()?,
        max_lsn: reader.u64()?,
    })
}

fn flag(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
