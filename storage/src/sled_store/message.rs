//! Messages as keys and values: a message is a value of the kind [`MESSAGE`], made of how often it
//! has come back, a u32, and its payload. Numbers are big-endian, so that keys are in order.

use std::ops::RangeInclusive;

use bytes::Bytes;
use sled::{IVec, Tree};

use crate::embedded::ReadError;
use crate::embedded::pieces::{self, Kind};
use crate::{QueueId, Seq, Stored};

/// Under the queue and the position, both u64.
pub(super) const MESSAGE: Kind = Kind { head: 1, piece: 2 };

const RETURNS_BYTES: usize = size_of::<u32>();

/// The key of a message, without its kind.
pub(super) fn key(queue: QueueId, seq: Seq) -> [u8; 16] {
    let mut key = [0; 16];
    let (left, right) = key.split_at_mut(8);
    left.copy_from_slice(&queue.0.to_be_bytes());
    right.copy_from_slice(&seq.0.to_be_bytes());
    key
}

/// The keys of the heads of messages from `first` to `last`.
pub(super) fn keys(queue: QueueId, first: Seq, last: Seq) -> RangeInclusive<Vec<u8>> {
    MESSAGE.key(&key(queue, first))..=MESSAGE.key(&key(queue, last))
}

/// The position in the key of a head.
pub(super) fn seq_of(head_key: &[u8]) -> Option<Seq> {
    let (_, seq) = head_key.split_last_chunk::<8>()?;
    Some(Seq(u64::from_be_bytes(*seq)))
}

/// What is stored of a new message.
pub(super) fn encode(payload: &[u8]) -> Vec<u8> {
    [&[0; RETURNS_BYTES], payload].concat()
}

/// The head of a message that has come back once more.
pub(super) fn returned(head: &[u8]) -> Option<Vec<u8>> {
    let (_, first) = pieces::split(head)?;
    let (returns, payload) = first.split_first_chunk::<RETURNS_BYTES>()?;
    let returns = u32::from_be_bytes(*returns).saturating_add(1);
    let len = head.get(..head.len() - first.len())?;
    Some([len, &returns.to_be_bytes(), payload].concat())
}

/// The length of the payload of the message with this head.
pub(super) fn payload_len(head: &[u8]) -> usize {
    pieces::split(head).map_or(0, |(len, _)| len.saturating_sub(RETURNS_BYTES))
}

/// Reads the message whose head is stored under a key.
pub(super) fn read(tree: &Tree, head_key: &[u8], head: &IVec) -> Result<Stored, ReadError> {
    let damaged = || ReadError::Damaged("not a message");
    let seq = seq_of(head_key).ok_or_else(damaged)?;
    let key = head_key.get(1..).ok_or_else(damaged)?;
    let value = Bytes::from(MESSAGE.read(key, head, |key| tree.get(key))?);
    let returns = value.first_chunk::<RETURNS_BYTES>().ok_or_else(damaged)?;
    let returns = u32::from_be_bytes(*returns);
    Ok(Stored { seq, payload: value.slice(RETURNS_BYTES..), returns })
}
