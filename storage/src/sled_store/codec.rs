//! Batches as octets: a kind, then numbers as u64, big-endian, and octets after their length.

use bytes::{Buf, BufMut, Bytes};

use crate::{Batch, Op, QueueId, Seq, SeqRange, TxPart};

const PART: u8 = 0;
const PUBLISH: u8 = 1;
const SETTLE: u8 = 2;
const DELIVER: u8 = 3;
const RETURN: u8 = 4;
const DROP: u8 = 5;
const META: u8 = 6;

pub(super) fn encode(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(part) = batch.part() {
        out.put_u8(PART);
        out.put_u64(part.tx);
        out.put_u64(part.last.into());
    }
    for op in batch.ops() {
        encode_op(op, &mut out);
    }
    out
}

fn encode_op(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Publish { queue, seq, payload, weight, shared } => {
            out.put_u8(PUBLISH);
            for number in [queue.0, seq.0, (*weight).into(), (*shared).into()] {
                out.put_u64(number);
            }
            put_octets(payload, out);
        }
        Op::Settle { queue, ranges, weight } => {
            out.put_u8(SETTLE);
            out.put_u64(queue.0);
            out.put_u64(*weight);
            put_ranges(ranges, out);
        }
        Op::Deliver { queue, up_to } => {
            out.put_u8(DELIVER);
            out.put_u64(queue.0);
            out.put_u64(up_to.0);
        }
        Op::Return { queue, ranges } => {
            out.put_u8(RETURN);
            out.put_u64(queue.0);
            put_ranges(ranges, out);
        }
        Op::DropQueue { queue } => {
            out.put_u8(DROP);
            out.put_u64(queue.0);
        }
        Op::Meta { version, changes } => {
            out.put_u8(META);
            out.put_u64(*version);
            out.put_u64(changes.len() as u64);
            for (key, value) in changes {
                put_octets(key, out);
                out.put_u64(value.is_some().into());
                put_octets(value.as_deref().unwrap_or_default(), out);
            }
        }
    }
}

fn put_octets(octets: &[u8], out: &mut Vec<u8>) {
    out.put_u64(octets.len() as u64);
    out.put_slice(octets);
}

fn put_ranges(ranges: &[SeqRange], out: &mut Vec<u8>) {
    out.put_u64(ranges.len() as u64);
    for range in ranges {
        out.put_u64(range.first.0);
        out.put_u64(range.last.0);
    }
}

/// `None` if they are not those of a batch.
pub(super) fn decode(mut octets: Bytes) -> Option<Batch> {
    let mut batch = Batch::new();
    while octets.has_remaining() {
        let kind = octets.try_get_u8().ok()?;
        if kind == PART {
            let (tx, last) = (number(&mut octets)?, number(&mut octets)? != 0);
            batch.set_part(TxPart { tx, last });
        } else {
            batch.push(decode_op(kind, &mut octets)?);
        }
    }
    Some(batch)
}

fn decode_op(kind: u8, from: &mut Bytes) -> Option<Op> {
    Some(match kind {
        PUBLISH => {
            let (queue, seq) = (QueueId(number(from)?), Seq(number(from)?));
            let (weight, shared) = (u32::try_from(number(from)?).ok()?, number(from)? != 0);
            Op::Publish { queue, seq, payload: octets(from)?, weight, shared }
        }
        SETTLE => {
            let (queue, weight) = (QueueId(number(from)?), number(from)?);
            Op::Settle { queue, ranges: ranges(from)?, weight }
        }
        DELIVER => Op::Deliver { queue: QueueId(number(from)?), up_to: Seq(number(from)?) },
        RETURN => Op::Return { queue: QueueId(number(from)?), ranges: ranges(from)? },
        DROP => Op::DropQueue { queue: QueueId(number(from)?) },
        META => {
            let (version, count) = (number(from)?, number(from)?);
            let mut changes = Vec::new();
            for _ in 0..count {
                let (key, there, value) = (octets(from)?, number(from)? != 0, octets(from)?);
                changes.push((key, there.then_some(value)));
            }
            Op::Meta { version, changes }
        }
        _ => return None,
    })
}

fn number(from: &mut Bytes) -> Option<u64> {
    from.try_get_u64().ok()
}

fn octets(from: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(number(from)?).ok()?;
    (len <= from.len()).then(|| from.split_to(len))
}

fn ranges(from: &mut Bytes) -> Option<Vec<SeqRange>> {
    let count = number(from)?;
    let mut ranges = Vec::new();
    for _ in 0..count {
        ranges.push(SeqRange { first: Seq(number(from)?), last: Seq(number(from)?) });
    }
    Some(ranges)
}
