//! What is known of a queue besides its messages, so that opening the store need not read them.

use sled::{IVec, Tree};

use super::message;
use crate::embedded::ReadError;
use crate::{QueueId, QueueStats, Seq};

const PREFIX: u8 = 3;

/// Under the prefix and the queue, a u64: five numbers, u64, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub messages: u64,
    pub weight: u64,
    pub next: u64,
    pub delivered: u64,
    /// What they take of the bound, in bytes.
    pub cost: u64,
}

pub(super) fn key(queue: QueueId) -> Vec<u8> {
    [&[PREFIX], &queue.0.to_be_bytes()[..]].concat()
}

impl Counts {
    pub(super) fn encode(self) -> IVec {
        let Self { messages, weight, next, delivered, cost } = self;
        let numbers = [messages, weight, next, delivered, cost];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, ReadError> {
        let (numbers, []) = value.as_chunks::<8>() else { return Err(WRONG) };
        let [messages, weight, next, delivered, cost] = *numbers else { return Err(WRONG) };
        let number = u64::from_be_bytes;
        Ok(Self {
            messages: number(messages),
            weight: number(weight),
            next: number(next),
            delivered: number(delivered),
            cost: number(cost),
        })
    }

    /// A message has come.
    pub(super) fn add(&mut self, seq: Seq, weight: u32, cost: u64) {
        self.messages += 1;
        self.weight = self.weight.saturating_add(weight.into());
        self.cost = self.cost.saturating_add(cost);
        self.next = seq.0.saturating_add(1);
    }

    /// A message has gone.
    pub(super) fn take(&mut self, cost: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.cost = self.cost.saturating_sub(cost);
    }

    /// What has gone weighed so much.
    pub(super) fn lighten(&mut self, weight: u64) {
        let left = self.weight.saturating_sub(weight);
        self.weight = if self.messages == 0 { 0 } else { left };
    }

    /// Positions up to this one were handed out.
    pub(super) fn deliver(&mut self, up_to: Seq) {
        let used = up_to.0.saturating_add(1);
        self.delivered = self.delivered.max(used);
        self.next = self.next.max(used);
    }

    /// With the first message looked up.
    pub(super) fn stats(self, tree: &Tree, queue: QueueId) -> sled::Result<QueueStats> {
        let Self { messages, weight, next, delivered, .. } = self;
        let mut first = None;
        if messages > 0 {
            let head = tree.range(message::keys(queue, Seq(0), Seq(u64::MAX))).keys().next();
            first = head.transpose()?.and_then(|key| message::seq_of(&key));
        }
        let (next, delivered) = (Seq(next), Seq(delivered));
        Ok(QueueStats { messages, weight, first: first.unwrap_or(next), next, delivered })
    }
}

const WRONG: ReadError = ReadError::Damaged("the counts of a queue have the wrong length");

/// All queues, by ascending id.
pub(super) fn all(tree: &Tree) -> Result<Vec<(QueueId, Counts)>, ReadError> {
    let mut all = Vec::new();
    for entry in tree.scan_prefix([PREFIX]) {
        let (key, value) = entry?;
        let (_, id) = key.split_last_chunk::<8>().ok_or(WRONG)?;
        all.push((QueueId(u64::from_be_bytes(*id)), Counts::decode(&value)?));
    }
    Ok(all)
}
