//! Messages of a long backlog that only the store holds.

use std::collections::VecDeque;

use super::{Entry, Seq};
use crate::message::Message;

/// What stands behind all that is in memory, by count; whatever the store does not have is kept.
#[derive(Debug, Default)]
pub struct Cold {
    /// No message before it is here.
    pub from: Seq,
    /// Messages in the store.
    pub stored: u64,
    /// Octets of their bodies.
    pub bytes: u64,
    /// Messages that are not in the store, by position.
    kept: VecDeque<Entry>,
    /// The store is being read from this position on.
    pub loading: Option<Seq>,
}

impl Cold {
    /// An empty one, behind all that stands before `from`.
    pub fn new(from: Seq) -> Self {
        Self { from, ..Self::default() }
    }

    /// Messages that the store has from a former life.
    pub fn of_past(from: Seq, stored: u64, bytes: u64) -> Self {
        Self { stored, bytes, ..Self::new(from) }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.stored as usize + self.kept.len()
    }

    /// Appends a message.
    pub fn push_back(&mut self, seq: Seq, message: Message, stored: bool) {
        if stored {
            self.stored += 1;
            self.bytes += message.body_len() as u64;
        } else {
            let returns = message.returns_before();
            let redelivered = returns > 0;
            self.kept.push_back(Entry { seq, message, redelivered, returns, stored });
        }
    }

    /// Takes over the last message of those in memory.
    pub fn push_front(&mut self, entry: Entry) {
        self.from = entry.seq;
        if entry.stored {
            self.stored += 1;
            self.bytes += entry.message.body_len() as u64;
        } else {
            self.kept.push_front(entry);
        }
    }

    /// The store was read up to `next`: hands over what was found and what stands between.
    pub fn take_up_to(&mut self, next: Seq, found: Vec<Entry>) -> impl Iterator<Item = Entry> {
        self.loading = None;
        self.from = next;
        let found_bytes = found.iter().map(|entry| entry.message.body_len() as u64).sum();
        self.stored = self.stored.saturating_sub(found.len() as u64);
        self.bytes = self.bytes.saturating_sub(found_bytes);
        if self.stored == 0 {
            self.bytes = 0;
        }
        // With nothing left in the store, what was kept need not wait.
        let last = if self.stored == 0 { Seq::MAX } else { next };
        let mut kept = Vec::new();
        while let Some(entry) = self.kept.pop_front_if(|entry| entry.seq < last) {
            kept.push(entry);
        }
        let mut found = found.into_iter().peekable();
        let mut kept = kept.into_iter().peekable();
        std::iter::from_fn(move || match (found.peek(), kept.peek()) {
            (Some(one), Some(other)) if other.seq < one.seq => kept.next(),
            (Some(_), _) => found.next(),
            (None, _) => kept.next(),
        })
    }

    /// Messages that are not in the store, at a position and behind it.
    pub fn kept_from(&self, seq: Seq) -> impl Iterator<Item = &Entry> {
        self.kept.range(self.kept.partition_point(|entry| entry.seq < seq)..)
    }

    /// Takes the message of a position, if it is not in the store.
    pub fn take_kept(&mut self, seq: Seq) -> Option<Entry> {
        let at = self.kept.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.kept.remove(at)
    }

    /// A message is here again that was taken from here.
    pub fn put_back(&mut self, entry: Entry) {
        if entry.stored {
            self.stored += 1;
            self.bytes += entry.message.body_len() as u64;
        } else {
            let at = self.kept.partition_point(|other| other.seq < entry.seq);
            self.kept.insert(at, entry);
        }
    }

    /// One message of the store does not count any more.
    pub fn forget(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
