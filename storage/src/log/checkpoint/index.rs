//! The octets of the index.
//!
//! ```text
//! big files: count u64, then each id u64, len u64
//! queues: count u64, then each
//!   id u64, next u64, delivered u64, weight u64
//!   returns: count u64, then each first u64, last u64, count u32
//!   big messages: count u64, then each position u64, file u64
//!   runs: count u64, then each
//!     segment u64, first u64, span u32, low u32, live octets u32, flags u8
//!     flag 1: count u32, then each offset u32; else entry u32
//!     flag 2: present, one bit for each position, in words of u64
//!     flag 4: settled, the same without the words that hold only positions below low
//! ```

use std::sync::Arc;

use bytes::BufMut;

use super::super::bytes_le::Reader;
use super::super::index::{
    BigId, Bits, Image, PlacesImage, Present, QueueImage, RunImage, SegmentId, Settled,
};
use crate::QueueId;

const OFFSETS: u8 = 1;
const PRESENT: u8 = 2;
const SETTLED: u8 = 4;

/// Appends the octets of an index.
pub(super) fn encode(image: &Image, bytes: &mut Vec<u8>) {
    bytes.put_u64_le(image.big.len() as u64);
    for &(id, len) in &image.big {
        bytes.put_u64_le(id.0);
        bytes.put_u64_le(len);
    }
    bytes.put_u64_le(image.queues.len() as u64);
    image.queues.iter().for_each(|queue| encode_queue(queue, bytes));
}

fn encode_queue(queue: &QueueImage, bytes: &mut Vec<u8>) {
    bytes.put_u64_le(queue.id.0);
    bytes.put_u64_le(queue.next);
    bytes.put_u64_le(queue.delivered);
    bytes.put_u64_le(queue.weight);
    bytes.put_u64_le(queue.returns.len() as u64);
    for &(first, last, count) in &queue.returns {
        bytes.put_u64_le(first);
        bytes.put_u64_le(last);
        bytes.put_u32_le(count);
    }
    bytes.put_u64_le(queue.big.len() as u64);
    for &(seq, id) in &queue.big {
        bytes.put_u64_le(seq);
        bytes.put_u64_le(id.0);
    }
    bytes.put_u64_le(queue.runs.len() as u64);
    queue.runs.iter().for_each(|run| encode_run(run, bytes));
}

fn encode_run(run: &RunImage, bytes: &mut Vec<u8>) {
    let flag = |there, flag| if there { flag } else { 0 };
    let flags = flag(matches!(run.places, PlacesImage::Offsets(_)), OFFSETS)
        | flag(run.present.is_some(), PRESENT)
        | flag(run.settled.is_some(), SETTLED);
    bytes.put_u64_le(run.segment.0);
    bytes.put_u64_le(run.first);
    bytes.put_u32_le(run.span);
    bytes.put_u32_le(run.low);
    bytes.put_u32_le(run.live_bytes);
    bytes.put_u8(flags);
    match &run.places {
        PlacesImage::Offsets(offsets) => {
            bytes.put_u32_le(offsets.len() as u32);
            offsets.iter().for_each(|&offset| bytes.put_u32_le(offset));
        }
        PlacesImage::Entry(entry) => bytes.put_u32_le(*entry),
    }
    let (low, end) = words(run.low, run.span);
    if let Some(present) = &run.present {
        (0..end).for_each(|index| bytes.put_u64_le(present.bits().word(index)));
    }
    if let Some(settled) = &run.settled {
        let mut mask = u64::MAX << (run.low % 64);
        for index in low..end {
            bytes.put_u64_le(settled.word(index) & mask);
            mask = u64::MAX;
        }
    }
}

/// The word that holds `low`, and how many words `span` positions take.
fn words(low: u32, span: u32) -> (usize, usize) {
    (low as usize / 64, span.div_ceil(64) as usize)
}

/// Reads what [`encode`] has appended. Nothing is made larger than what it is read from.
pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Image> {
    let big = list(reader, |reader| Some((BigId(reader.u64()?), reader.u64()?)))?;
    let queues = list(reader, decode_queue)?;
    Some(Image { queues, big })
}

fn decode_queue(reader: &mut Reader<'_>) -> Option<QueueImage> {
    Some(QueueImage {
        id: QueueId(reader.u64()?),
        next: reader.u64()?,
        delivered: reader.u64()?,
        weight: reader.u64()?,
        returns: list(reader, |reader| Some((reader.u64()?, reader.u64()?, reader.u32()?)))?,
        big: list(reader, |reader| Some((reader.u64()?, BigId(reader.u64()?))))?,
        runs: list(reader, decode_run)?,
    })
}

/// As many items as it says. Room is made only as they are read.
fn list<T>(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for _ in 0..reader.u64()? {
        items.push(item(reader)?);
    }
    Some(items)
}

fn decode_run(reader: &mut Reader<'_>) -> Option<RunImage> {
    let (segment, first) = (SegmentId(reader.u64()?), reader.u64()?);
    let (span, low, live_bytes) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let flags = reader.u8()?;
    if low >= span || flags & !(OFFSETS | PRESENT | SETTLED) != 0 {
        return None;
    }
    let places = if flags & OFFSETS == 0 {
        PlacesImage::Entry(reader.u32()?)
    } else {
        let count = reader.u32()?;
        let offsets = reader.bytes((count as usize).checked_mul(4)?)?;
        let (offsets, _) = offsets.as_chunks();
        PlacesImage::Offsets(offsets.iter().map(|&offset| u32::from_le_bytes(offset)).collect())
    };
    let (from, end) = words(low, span);
    let present = if flags & PRESENT == 0 {
        None
    } else {
        let words = decode_words(reader, end)?;
        Some(Arc::new(Present::from_bits(Bits::from_words(words))))
    };
    let settled = if flags & SETTLED == 0 {
        None
    } else {
        Some(Arc::new(Settled::from_words(low, decode_words(reader, end - from)?)))
    };
    Some(RunImage { segment, first, span, low, live_bytes, places, present, settled })
}

fn decode_words(reader: &mut Reader<'_>, count: usize) -> Option<Vec<u64>> {
    let (words, _) = reader.bytes(count.checked_mul(8)?)?.as_chunks();
    Some(words.iter().map(|&word| u64::from_le_bytes(word)).collect())
}
