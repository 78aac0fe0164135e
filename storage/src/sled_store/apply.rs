//! Operations as changes of keys and values.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::SledStore;
use super::counts::{self, Counts};
use super::message::{self, MESSAGE};
use super::view::View;
use crate::embedded::ReadError;
use crate::embedded::pieces::Kind;
use crate::{Op, Payload, QueueId, Seq, SeqRange, StoreError};

/// What [`Op::Meta`] has left.
pub(super) const META: Kind = Kind { head: 4, piece: 5 };

/// Why a batch is not applied. Nothing has changed.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(StoreError),
    Read(ReadError),
}

impl<E: Into<ReadError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Read(error.into())
    }
}

impl Failure {
    pub(super) fn at(self, place: &Path) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Read(error) => error.at(place),
        }
    }
}

/// A batch on its way into a view.
pub(super) struct Applying<'a> {
    view: View<'a>,
    /// The queues that are concerned; `None` for those that are gone.
    queues: BTreeMap<QueueId, Option<Counts>>,
    /// The version of the latest [`Op::Meta`].
    pub meta_version: Option<u64>,
}

/// The queues that a batch has changed.
pub(super) type Changed = BTreeMap<QueueId, Option<Counts>>;

impl<'a> Applying<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        Self { view, queues: BTreeMap::new(), meta_version: None }
    }

    /// The view with all changes in it.
    pub(super) fn finish(mut self) -> (View<'a>, Changed) {
        for (id, counts) in &self.queues {
            match counts {
                Some(counts) => self.view.insert(counts::key(*id), counts.encode()),
                None => self.view.remove(counts::key(*id)),
            }
        }
        (self.view, self.queues)
    }

    pub(super) fn apply(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Publish { queue, seq, payload, weight, .. } => {
                self.publish(*queue, *seq, payload, *weight)?;
            }
            Op::Settle { queue, ranges, weight } => {
                let Some(mut counts) = self.counts(*queue)? else { return Ok(()) };
                for range in ranges {
                    self.settle(*queue, *range, &mut counts)?;
                }
                counts.lighten(*weight);
                self.queues.insert(*queue, Some(counts));
            }
            Op::Deliver { queue, up_to } => {
                let mut counts = self.counts(*queue)?.unwrap_or_default();
                counts.deliver(*up_to);
                self.queues.insert(*queue, Some(counts));
            }
            Op::Return { queue, ranges } => {
                for range in ranges {
                    self.give_back(*queue, *range)?;
                }
            }
            Op::DropQueue { queue } => {
                let Some(mut counts) = self.counts(*queue)? else { return Ok(()) };
                self.settle(*queue, SeqRange::ALL, &mut counts)?;
                self.queues.insert(*queue, None);
            }
            Op::Meta { version, changes } => {
                self.meta_version = Some(*version);
                for (key, value) in changes {
                    self.declare(key, value.as_ref())?;
                }
            }
        }
        Ok(())
    }

    /// What is known of a queue, if it exists.
    fn counts(&mut self, queue: QueueId) -> Result<Option<Counts>, Failure> {
        if let Some(counts) = self.queues.get(&queue) {
            return Ok(*counts);
        }
        let stored = self.view.get(&counts::key(queue))?;
        Ok(stored.map(|stored| Counts::decode(&stored)).transpose()?)
    }

    fn publish(
        &mut self,
        queue: QueueId,
        seq: Seq,
        payload: &Payload,
        weight: u32,
    ) -> Result<(), Failure> {
        let mut counts = self.counts(queue)?.unwrap_or_default();
        let next = Seq(counts.next);
        if seq < next || seq == Seq(u64::MAX) {
            return Err(Failure::Refused(StoreError::OutOfOrder { queue, seq, next }));
        }
        counts.add(seq, weight, cost(payload.len()));
        self.queues.insert(queue, Some(counts));
        let key = message::key(queue, seq);
        let view = &mut self.view;
        MESSAGE.insert(&key, &message::encode(payload), |key, value| view.insert(key, value));
        Ok(())
    }

    fn settle(
        &mut self,
        queue: QueueId,
        range: SeqRange,
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        for (seq, head) in self.messages(queue, range)? {
            counts.take(cost(message::payload_len(&head)));
            let view = &mut self.view;
            MESSAGE.remove(&message::key(queue, seq), &head, |key| view.remove(key));
        }
        Ok(())
    }

    fn give_back(&mut self, queue: QueueId, range: SeqRange) -> Result<(), Failure> {
        for (seq, head) in self.messages(queue, range)? {
            let head = message::returned(&head).ok_or(ReadError::Damaged("not a message"))?;
            self.view.insert(MESSAGE.key(&message::key(queue, seq)), head);
        }
        Ok(())
    }

    /// The positions of a range that hold a message, and the heads of those.
    fn messages(&self, queue: QueueId, range: SeqRange) -> Result<Vec<(Seq, sled::IVec)>, Failure> {
        let SeqRange { first, last } = range;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if first == last {
            let head = self.view.get(&MESSAGE.key(&message::key(queue, first)))?;
            return Ok(head.map(|head| (first, head)).into_iter().collect());
        }
        let mut found = Vec::new();
        for key in self.view.keys(message::keys(queue, first, last))? {
            if let (Some(seq), Some(head)) = (message::seq_of(&key), self.view.get(&key)?) {
                found.push((seq, head));
            }
        }
        Ok(found)
    }

    fn declare(&mut self, key: &Bytes, value: Option<&Bytes>) -> Result<(), Failure> {
        let before = self.view.get(&META.key(key))?;
        let view = &mut self.view;
        if let Some(head) = before {
            META.remove(key, &head, |key| view.remove(key));
        }
        if let Some(value) = value {
            META.insert(key, value, |key, value| view.insert(key, value));
        }
        Ok(())
    }
}

/// What a payload takes of the bound.
pub(super) fn cost(payload: usize) -> u64 {
    SledStore::ENTRY_BYTES.saturating_add(payload as u64)
}
