//! Records: one operation each, as it lies in a segment.
//!
//! ```text
//! crc u32 | len u32 | kind u8 | flags u8 | fields of the kind | payload
//! ```
//! `len` counts the whole record. The crc is that of all that follows it, mixed with the generation
//! of the segment ([`super::segment::mix`]): it is computed before the place of the record is known,
//! and a record can be moved to another segment without reading all of it again.

use bytes::{BufMut, Bytes};

use super::bytes_le::Reader;
use crate::{QueueId, Seq, SeqRange, TxPart};

/// Octets before the fields of the kind.
pub(super) const PREFIX: usize = 10;
/// Octets of a [`Record::Publish`] before its payload.
pub(super) const PUBLISH: usize = PREFIX + 20;
/// Octets of a [`Record::Shared`].
pub(super) const SHARED: usize = PREFIX + 24;
/// Octets of a [`Record::Big`].
pub(super) const BIG: usize = PREFIX + 40;
/// Octets of a [`Record::Deliver`].
pub(super) const DELIVER: usize = PREFIX + 16;
/// Octets of a [`Record::Drop`].
pub(super) const DROP: usize = PREFIX + 8;
/// Octets of a [`Record::Part`].
pub(super) const PART: usize = PREFIX + 20;

/// The kinds. From 16 on they are kept for the entries of replicated logs.
mod kind {
    pub const PUBLISH: u8 = 1;
    pub const SHARED: u8 = 2;
    pub const BIG: u8 = 3;
    pub const SETTLE: u8 = 4;
    pub const DELIVER: u8 = 5;
    pub const RETURN: u8 = 6;
    pub const DROP: u8 = 7;
    pub const META: u8 = 8;
    pub const PART: u8 = 9;
}

/// Marks the last part of a transaction.
const LAST: u8 = 1;

/// A record as it was found, borrowing what is long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record<'a> {
    /// A message.
    Publish { at: Position, payload: &'a [u8] },
    /// A message whose payload is that of a [`Record::Publish`] earlier in the same segment.
    Shared { at: Position, target: u32 },
    /// A message whose payload is in a file of its own.
    Big { at: Position, file: BigFile },
    /// Messages that are gone.
    Settle { queue: QueueId, weight: u64, ranges: Ranges<'a> },
    /// Positions that were handed out.
    Deliver { queue: QueueId, up_to: Seq },
    /// Positions that came back.
    Return { queue: QueueId, ranges: Ranges<'a> },
    /// A queue that is gone.
    Drop { queue: QueueId },
    /// Changes of the catalog.
    Meta { version: u64, changes: Changes<'a> },
    /// The next so many records are a part of a transaction.
    Part(Part),
}

/// Where a message belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub queue: QueueId,
    pub seq: Seq,
    pub weight: u32,
}

/// The file of a big payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BigFile {
    pub id: u64,
    pub len: u64,
    pub crc: u32,
}

/// A part of a transaction. Numbers of transactions are only unique while the store is open, which
/// is what the epoch stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub epoch: u64,
    pub part: TxPart,
    pub records: u32,
}

/// Ranges of positions, as they lie in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ranges<'a>(&'a [u8]);

impl Ranges<'_> {
    pub fn iter(&self) -> impl Iterator<Item = SeqRange> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || {
            Some(SeqRange { first: Seq(rest.u64()?), last: Seq(rest.u64()?) })
        })
    }
}

/// Keys with their new values, as they lie in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Changes<'a>(&'a [u8]);

impl<'a> Changes<'a> {
    /// Ends early where the bytes make no sense, which the crc has excluded.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || {
            let key = rest.u32()? as usize;
            let key = rest.bytes(key)?;
            let value = rest.u64()?.checked_sub(1);
            let value = match value {
                Some(len) => Some(rest.bytes(usize::try_from(len).ok()?)?),
                None => None,
            };
            Some((key, value))
        })
    }
}

/// The length in the prefix of a record, whose other bytes may not be there yet.
pub(super) fn length(prefix: &[u8]) -> Option<usize> {
    let mut reader = Reader(prefix.get(4..)?);
    let len = reader.u32()? as usize;
    (len >= PREFIX).then_some(len)
}

/// The same of a message; nothing for anything else, whose length may mean nothing.
pub(super) fn message_length(prefix: &[u8]) -> Option<usize> {
    matches!(prefix.get(8..PREFIX)?, [kind::PUBLISH..=kind::BIG, 0]).then_some(())?;
    length(prefix)
}

/// The first record of `bytes` and its length; nothing if it is not whole, or not what was written.
pub(super) fn decode(bytes: &[u8], mix: u32) -> Option<(Record<'_>, usize)> {
    let len = length(bytes)?;
    let record = bytes.get(..len)?;
    let crc = Reader(record).u32()?;
    if crc ^ mix != crc32c::crc32c(record.get(4..)?) {
        return None;
    }
    parse(record).map(|record| (record, len))
}

/// The first record of `bytes` and its length, without looking at its crc.
pub(super) fn decode_checked(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let len = length(bytes)?;
    parse(bytes.get(..len)?).map(|record| (record, len))
}

/// What the message weighs whose record begins here, if it is one.
pub(super) fn weight(bytes: &[u8]) -> Option<u32> {
    message_length(bytes)?;
    position(&mut Reader(bytes.get(PREFIX..)?)).map(|at| at.weight)
}

/// Whether `bytes` may begin with a record, without looking at its crc.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let known = bytes
        .get(8..PREFIX)
        .is_some_and(|rest| matches!(rest, [kind::PUBLISH..=kind::PART, 0 | LAST]));
    known && length(bytes).is_some_and(|len| len <= bytes.len())
}

fn parse(record: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader(record.get(8..)?);
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    let rest = &mut reader;
    Some(match kind {
        kind::PUBLISH => Record::Publish { at: position(rest)?, payload: rest.0 },
        kind::SHARED => Record::Shared { at: position(rest)?, target: rest.u32()? },
        kind::BIG => Record::Big {
            at: position(rest)?,
            file: BigFile { id: rest.u64()?, len: rest.u64()?, crc: rest.u32()? },
        },
        kind::SETTLE => Record::Settle {
            queue: QueueId(rest.u64()?),
            weight: rest.u64()?,
            ranges: Ranges(rest.0),
        },
        kind::DELIVER => Record::Deliver { queue: QueueId(rest.u64()?), up_to: Seq(rest.u64()?) },
        kind::RETURN => Record::Return { queue: QueueId(rest.u64()?), ranges: Ranges(rest.0) },
        kind::DROP => Record::Drop { queue: QueueId(rest.u64()?) },
        kind::META => Record::Meta { version: rest.u64()?, changes: Changes(rest.0) },
        kind::PART => Record::Part(Part {
            epoch: rest.u64()?,
            part: TxPart { tx: rest.u64()?, last: flags & LAST != 0 },
            records: rest.u32()?,
        }),
        _ => return None,
    })
}

fn position(reader: &mut Reader<'_>) -> Option<Position> {
    let queue = QueueId(reader.u64()?);
    let seq = Seq(reader.u64()?);
    Some(Position { queue, seq, weight: reader.u32()? })
}

/// The first octets of a publish, all but the crc, which is returned without the mix. Its payload
/// follows in the segment.
pub(super) fn publish_head(at: Position, payload: &[u8]) -> ([u8; PUBLISH], u32) {
    let mut head = [0; PUBLISH];
    let len = PUBLISH + payload.len();
    let mut fields = &mut head[4..];
    fields.put_u32_le(len as u32);
    fields.put_u8(kind::PUBLISH);
    fields.put_u8(0);
    put_position(&mut fields, at);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[4..]), payload);
    (head, crc)
}

fn put_position(to: &mut impl BufMut, at: Position) {
    to.put_u64_le(at.queue.0);
    to.put_u64_le(at.seq.0);
    to.put_u32_le(at.weight);
}

/// Octets of a [`Record::Settle`], which has a weight, or a [`Record::Return`].
pub(super) fn ranges_len(ranges: usize, weight: bool) -> usize {
    PREFIX + 8 + if weight { 8 } else { 0 } + 16 * ranges
}

/// Octets of a [`Record::Meta`].
pub(super) fn meta_len(changes: &[(Bytes, Option<Bytes>)]) -> usize {
    let change = |(key, value): &(Bytes, Option<Bytes>)| {
        12 + key.len() + value.as_ref().map_or(0, Bytes::len)
    };
    PREFIX + 8 + changes.iter().map(change).sum::<usize>()
}

/// Writes records.
pub(super) struct Encoder<'a> {
    pub to: &'a mut Vec<u8>,
    pub mix: u32,
}

impl Encoder<'_> {
    /// What [`publish_head`] gave, with its payload.
    pub fn publish(&mut self, head: &[u8; PUBLISH], crc: u32, payload: &[u8]) {
        self.to.put_u32_le(crc ^ self.mix);
        self.to.extend_from_slice(&head[4..]);
        self.to.extend_from_slice(payload);
    }

    pub fn shared(&mut self, at: Position, target: u32) {
        self.record(kind::SHARED, 0, |to| {
            put_position(to, at);
            to.put_u32_le(target);
        });
    }

    pub fn big(&mut self, at: Position, file: BigFile) {
        self.record(kind::BIG, 0, |to| {
            put_position(to, at);
            to.put_u64_le(file.id);
            to.put_u64_le(file.len);
            to.put_u32_le(file.crc);
        });
    }

    pub fn settle(&mut self, queue: QueueId, weight: u64, ranges: &[SeqRange]) {
        self.record(kind::SETTLE, 0, |to| {
            to.put_u64_le(queue.0);
            to.put_u64_le(weight);
            put_ranges(to, ranges);
        });
    }

    pub fn deliver(&mut self, queue: QueueId, up_to: Seq) {
        self.record(kind::DELIVER, 0, |to| {
            to.put_u64_le(queue.0);
            to.put_u64_le(up_to.0);
        });
    }

    pub fn returned(&mut self, queue: QueueId, ranges: &[SeqRange]) {
        self.record(kind::RETURN, 0, |to| {
            to.put_u64_le(queue.0);
            put_ranges(to, ranges);
        });
    }

    pub fn drop_queue(&mut self, queue: QueueId) {
        self.record(kind::DROP, 0, |to| to.put_u64_le(queue.0));
    }

    pub fn meta(&mut self, version: u64, changes: &[(Bytes, Option<Bytes>)]) {
        self.record(kind::META, 0, |to| {
            to.put_u64_le(version);
            for (key, value) in changes {
                to.put_u32_le(key.len() as u32);
                to.extend_from_slice(key);
                to.put_u64_le(value.as_ref().map_or(0, |value| value.len() as u64 + 1));
                to.extend_from_slice(value.as_deref().unwrap_or_default());
            }
        });
    }

    pub fn part(&mut self, part: Part) {
        let flags = if part.part.last { LAST } else { 0 };
        self.record(kind::PART, flags, |to| {
            to.put_u64_le(part.epoch);
            to.put_u64_le(part.part.tx);
            to.put_u32_le(part.records);
        });
    }

    fn record(&mut self, kind: u8, flags: u8, fields: impl FnOnce(&mut Vec<u8>)) {
        let start = self.to.len();
        self.to.put_u64_le(0);
        self.to.put_u8(kind);
        self.to.put_u8(flags);
        fields(self.to);
        let len = (self.to.len() - start) as u32;
        // invariant: the prefix was put at `start` just above.
        let record = &mut self.to[start..];
        record[4..8].copy_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&record[4..]) ^ self.mix;
        record[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

fn put_ranges(to: &mut Vec<u8>, ranges: &[SeqRange]) {
    for range in ranges {
        to.put_u64_le(range.first.0);
        to.put_u64_le(range.last.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { queue: QueueId(7), seq: Seq(8), weight: 9 };

    fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut Encoder { to: &mut bytes, mix: 0xdead_beef });
        bytes
    }

    fn decoded(bytes: &[u8]) -> Record<'_> {
        let (record, len) = decode(bytes, 0xdead_beef).unwrap();
        assert_eq!(len, bytes.len());
        record
    }

    #[test]
    fn what_is_written_is_read() {
        let payload = b"payload";
        let (head, crc) = publish_head(AT, payload);
        let bytes = encoded(|to| to.publish(&head, crc, payload));
        assert_eq!(decoded(&bytes), Record::Publish { at: AT, payload });
        assert_eq!(bytes.len(), PUBLISH + payload.len());

        let bytes = encoded(|to| to.shared(AT, 77));
        assert_eq!(decoded(&bytes), Record::Shared { at: AT, target: 77 });
        assert_eq!(bytes.len(), SHARED);

        let file = BigFile { id: 1, len: 2, crc: 3 };
        let bytes = encoded(|to| to.big(AT, file));
        assert_eq!(decoded(&bytes), Record::Big { at: AT, file });
        assert_eq!(bytes.len(), BIG);

        let ranges = [SeqRange::ALL, Seq(3).into()];
        let bytes = encoded(|to| to.settle(QueueId(4), 5, &ranges));
        let Record::Settle { queue: QueueId(4), weight: 5, ranges: read } = decoded(&bytes) else {
            panic!("{bytes:?}");
        };
        assert_eq!(read.iter().collect::<Vec<_>>(), ranges);
        assert_eq!(bytes.len(), ranges_len(2, true));

        let part = Part { epoch: 1, part: TxPart { tx: 2, last: true }, records: 3 };
        let bytes = encoded(|to| to.part(part));
        assert_eq!(decoded(&bytes), Record::Part(part));
        assert_eq!(bytes.len(), PART);
    }

    #[test]
    fn changes_are_read_with_what_is_empty_and_what_is_gone() {
        let empty = Bytes::new();
        let key = Bytes::from_static(b"key");
        let changes = [(key.clone(), Some(key.clone())), (empty.clone(), Some(empty)), (key, None)];
        let bytes = encoded(|to| to.meta(6, &changes));
        let Record::Meta { version: 6, changes: read } = decoded(&bytes) else {
            panic!("{bytes:?}");
        };
        let read: Vec<_> = read.iter().collect();
        let wanted: Vec<_> =
            changes.iter().map(|(key, value)| (key.as_ref(), value.as_deref())).collect();
        assert_eq!(read, wanted);
        assert_eq!(bytes.len(), meta_len(&changes));
    }

    #[test]
    fn no_changed_octet_is_believed() {
        let (head, crc) = publish_head(AT, b"abc");
        let bytes = encoded(|to| to.publish(&head, crc, b"abc"));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert_eq!(decode(&bytes, 0xdead_beef), None, "octet {at}");
            assert_eq!(decode(&bytes[..at], 0xdead_beef), None);
        }
        assert_eq!(decode(&bytes, 0xdead_bee0), None, "another generation");
    }
}
