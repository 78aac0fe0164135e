//! Appending: batches into the open group.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;

use super::engine::Engine;
use super::frame;
use super::group::Group;
use super::index::{At, BigId};
use super::pool::{Free, Kept};
use super::record::{self, BigFile, Encoder, Part, Position};
use super::segment::HEADER;
use super::shared::{WORTHWHILE, Written};
use super::state::Inner;
use crate::{Batch, Lsn, Op, StoreError};

/// What of a publish can be computed before its place is known.
struct Prepared {
    head: [u8; record::PUBLISH],
    crc: u32,
    big: bool,
}

lepus_sync::thread_local! {
    /// Kept from batch to batch for its memory.
    static PREPARED: RefCell<Vec<Prepared>> = const { RefCell::new(Vec::new()) };
}

/// What a batch takes.
#[derive(Clone, Copy, Default)]
struct Size {
    /// Octets of its records at most.
    records: usize,
    /// Octets of payloads in files of their own at most.
    big: u64,
    publishes: bool,
    urgent: bool,
}

impl Engine {
    pub(super) fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        if batch.is_empty() && batch.part().is_none() {
            return Ok(Lsn(self.inner.lock().lsn));
        }
        PREPARED.with(|prepared| {
            let prepared = &mut *prepared.borrow_mut();
            prepared.clear();
            let size = prepare(&batch, self.tuning.big_from, prepared);
            // Looked at before the lock is taken: the system may take its time.
            let looks = size.big > 0 || batch.to_come() > 0 || batch.moves();
            let free = looks.then(|| self.look());
            self.append_prepared(&batch, size, free, prepared)
        })
    }

    fn append_prepared(
        &self,
        batch: &Batch,
        size: Size,
        free: Option<io::Result<Free>>,
        prepared: &[Prepared],
    ) -> Result<Lsn, StoreError> {
        let mut inner = self.inner.lock();
        inner.writable()?;
        inner.index.check(batch.ops())?;
        if (size.publishes || batch.to_come() > 0)
            && !inner.continues(batch)
            && let Err(refusal) = self.check_room(&mut inner, batch, size, free)
        {
            drop(inner);
            self.chores.notify_one();
            return Err(refusal);
        }
        let began = inner.groups.is_empty();
        let octets = self.place(&mut inner, batch, size, prepared)?;
        let busy = inner.chores.note_appended(octets, self.tuning.traffic);
        inner.note_freed();
        let whole = inner.transactions.is_empty();
        inner.groups.added(octets, whole);
        let (lsn, chores) = (Lsn(inner.lsn), inner.note_emptied() || busy);
        drop(inner);
        if (began || size.urgent) && !batch.followed() {
            self.work.notify_one();
        }
        if chores {
            self.chores.notify_one();
        }
        Ok(lsn)
    }

    /// Puts a batch into a group, and applies it. Returns what it takes of memory until it is
    /// written.
    fn place(
        &self,
        inner: &mut Inner,
        batch: &Batch,
        size: Size,
        prepared: &[Prepared],
    ) -> Result<u64, StoreError> {
        let part = batch.part().map(|part| Part {
            epoch: self.epoch,
            part,
            records: batch.ops().len() as u32,
        });
        self.make_room(inner, size)?;
        let lsn = inner.lsn + 1;
        let Inner { index, groups, shared, unwritten_big, next_big, transactions, .. } = inner;
        let Some(group) = groups.room(size.records) else {
            // A segment was just made for it.
            return Err(StoreError::Full { needed: size.records as u64, free: 0 });
        };
        let before = group.bytes.len();
        if let Some(part) = part {
            encoder(group).part(part);
            group.records += 1;
            if part.part.last {
                transactions.remove(&part.part.tx);
            } else {
                transactions.insert(part.part.tx, batch.to_come());
            }
        }
        let mut big = Unwritten { next: next_big, payloads: unwritten_big, octets: 0 };
        let mut prepared = prepared.iter();
        for op in batch.ops() {
            match op {
                Op::Publish { queue, seq, weight, payload, shared: may_recur } => {
                    let at = Position { queue: *queue, seq: *seq, weight: *weight };
                    let Some(prepared) = prepared.next() else { continue };
                    let memory = may_recur.then_some(&mut *shared);
                    let (begin, file) = publish(group, at, payload, prepared, memory, &mut big);
                    let bytes = group.next_offset() - begin;
                    index.publish(
                        at.queue,
                        at.seq,
                        At { segment: group.segment, offset: begin, bytes },
                        at.weight,
                    );
                    if let Some(file) = file {
                        index.attach_big(at.queue, at.seq, BigId(file.id), file.len);
                    }
                }
                Op::Settle { queue, ranges, weight } => {
                    encoder(group).settle(*queue, *weight, ranges);
                    index.settle(*queue, ranges, *weight);
                }
                Op::Deliver { queue, up_to } => {
                    encoder(group).deliver(*queue, *up_to);
                    index.deliver(*queue, *up_to);
                }
                Op::Return { queue, ranges } => {
                    encoder(group).returned(*queue, ranges);
                    index.give_back(*queue, ranges);
                }
                Op::DropQueue { queue } => {
                    encoder(group).drop_queue(*queue);
                    index.drop_queue(*queue);
                }
                Op::Meta { version, changes } => {
                    encoder(group).meta(*version, changes);
                    inner.meta.apply(*version, changes.clone());
                    inner.meta_changes += 1;
                }
            }
            group.records += 1;
        }
        group.last_lsn = lsn;
        group.urgent |= size.urgent;
        inner.lsn = lsn;
        Ok((group.bytes.len() - before) as u64 + big.octets)
    }

    /// Makes sure that a group takes so many octets, in the next segment if need be.
    fn make_room(&self, inner: &mut Inner, size: Size) -> Result<(), StoreError> {
        if inner.groups.room(size.records).is_none() {
            let least = (HEADER + frame::size(size.records)).max(self.cfg.segment_bytes as usize);
            let Ok(len) = u32::try_from(least) else {
                return Err(StoreError::Full { needed: size.records as u64, free: 0 });
            };
            inner.roll(len);
            drop(inner.shared.take());
        }
        Ok(())
    }

    /// Whether messages are taken now.
    fn check_room(
        &self,
        inner: &mut Inner,
        batch: &Batch,
        size: Size,
        free: Option<io::Result<Free>>,
    ) -> Result<(), StoreError> {
        let needed = size.records as u64 + size.big;
        let kept = if batch.moves() { Kept::ForSettlements } else { Kept::ForMoves };
        if inner.trouble.full && (inner.trouble.stalled || kept == Kept::ForMoves) {
            return Err(StoreError::Full { needed, free: 0 });
        }
        let unwritten = self.tuning.most_pending.saturating_sub(inner.groups.pending());
        if needed > unwritten && inner.groups.pending() > 0 {
            return Err(StoreError::Full { needed, free: unwritten });
        }
        if let Some(free) = free {
            // A big payload that the disk has no room for would keep all that is behind it from
            // being written, also the settlements that make room.
            let (needed, free) = (size.big + batch.to_come(), self.room(inner, free?, kept));
            if needed > free {
                inner.wants_room();
                return Err(StoreError::Full { needed, free });
            }
        }
        if self.cfg.max_bytes == u64::MAX {
            return Ok(());
        }
        let more = if batch.moves() { u64::from(self.cfg.segment_bytes) } else { 0 };
        let free = self.cfg.max_bytes.saturating_add(more).saturating_sub(inner.used());
        if needed > free {
            inner.wants_room();
            return Err(StoreError::Full { needed, free });
        }
        Ok(())
    }
}

fn encoder(group: &mut Group) -> Encoder<'_> {
    let mix = group.mix();
    Encoder { to: &mut group.bytes, mix }
}

/// Measures a batch, and computes what does not depend on its place.
fn prepare(batch: &Batch, big_from: usize, prepared: &mut Vec<Prepared>) -> Size {
    let mut size = Size { urgent: batch.part().is_some(), ..Size::default() };
    if size.urgent {
        size.records += record::PART;
    }
    for op in batch.ops() {
        size.records += match op {
            Op::Publish { queue, seq, weight, payload, .. } => {
                size.publishes = true;
                if payload.len() < big_from {
                    let at = Position { queue: *queue, seq: *seq, weight: *weight };
                    let (head, crc) = record::publish_head(at, payload);
                    prepared.push(Prepared { head, crc, big: false });
                    // Instead of one that is as small, a pointer may be written.
                    record::PUBLISH + payload.len()
                } else {
                    let crc = crc32c::crc32c(payload);
                    prepared.push(Prepared { head: [0; record::PUBLISH], crc, big: true });
                    size.big += payload.len() as u64;
                    record::BIG
                }
            }
            Op::Settle { ranges, .. } => record::ranges_len(ranges.len(), true),
            Op::Return { ranges, .. } => record::ranges_len(ranges.len(), false),
            Op::Deliver { .. } => record::DELIVER,
            Op::DropQueue { .. } => record::DROP,
            Op::Meta { changes, .. } => record::meta_len(changes),
        };
    }
    size.urgent |= size.publishes;
    size
}

/// Payloads that go to files of their own.
struct Unwritten<'a> {
    next: &'a mut u64,
    payloads: &'a mut std::collections::HashMap<BigId, Bytes>,
    octets: u64,
}

/// Puts a message into a group. Returns where its record begins, and the file of its payload.
fn publish(
    group: &mut Group,
    at: Position,
    payload: &Bytes,
    prepared: &Prepared,
    memory: Option<&mut super::shared::SharedPayloads>,
    big: &mut Unwritten<'_>,
) -> (u32, Option<BigFile>) {
    let begin = group.next_offset();
    let memory = memory.filter(|_| payload.len() >= WORTHWHILE);
    let known = memory.as_ref().and_then(|memory| memory.find(payload));
    if prepared.big {
        let id = match known {
            Some(Written::Big(id)) => id,
            _ => {
                let id = BigId(*big.next);
                *big.next += 1;
                big.octets += payload.len() as u64;
                big.payloads.insert(id, payload.clone());
                group.big.push((id, payload.clone()));
                if let Some(memory) = memory {
                    memory.remember(payload, Written::Big(id));
                }
                id
            }
        };
        let file = BigFile { id: id.0, len: payload.len() as u64, crc: prepared.crc };
        encoder(group).big(at, file);
        return (begin, Some(file));
    }
    if let Some(Written::Record(target)) = known {
        encoder(group).shared(at, target);
    } else {
        encoder(group).publish(&prepared.head, prepared.crc, payload);
        if let Some(memory) = memory {
            memory.remember(payload, Written::Record(begin));
        }
    }
    (begin, None)
}
