//! Messages whose time has come: off the list, read, and on their way.

use super::{Entry, Kept, Moved, Pair, Schedule, Seq};
use crate::message::Waiting;

/// Messages that are read and moved at once.
const AT_ONCE: usize = 1024;

/// What has come due.
#[derive(Debug, Default)]
pub struct Due {
    /// Messages that leave their buckets.
    pub moved: Vec<Moved>,
    /// Messages that have kept their place.
    pub in_place: Vec<Entry>,
}

impl Schedule {
    /// Takes messages that are due off the list; whether there is any.
    pub(super) fn take_due(&mut self, now: u64) -> bool {
        let before = self.barrier.min(now.saturating_add(1));
        while self.fetch.len() < AT_ONCE
            && let Some(pair) = self.listed.pop_before(before)
        {
            if self.is_here(pair) {
                self.fetch.push(pair);
            }
        }
        !self.fetch.is_empty()
    }

    /// Whether a message that was listed still waits.
    fn is_here(&mut self, pair: Pair) -> bool {
        match pair.bucket() {
            None => self.kept.contains_key(&pair.seq),
            Some(bucket) => {
                let held = self.buckets.get_mut(&bucket);
                held.is_some_and(|held| !held.cancelled.remove(&pair.seq))
            }
        }
    }

    /// Messages that were due were read: each with its position, in the order in which they were
    /// asked for, `None` if it cannot be read; the last ones may be missing.
    pub fn fetched(&mut self, round: u64, found: Vec<(Seq, Option<Waiting>)>) -> Due {
        let mut due = Due::default();
        if round == self.round {
            self.take_fetched(found, &mut due);
        }
        due
    }

    pub(super) fn take_fetched(&mut self, found: Vec<(Seq, Option<Waiting>)>, due: &mut Due) {
        let mut found = found.into_iter().peekable();
        let mut later = false;
        for pair in std::mem::take(&mut self.fetch) {
            let Some(bucket) = pair.bucket() else {
                match self.kept.remove(&pair.seq) {
                    Some(kept) if later => {
                        self.kept.insert(pair.seq, kept);
                        self.list(pair);
                    }
                    kept => self.give_kept(pair, kept.map(|(_, kept)| kept), due),
                }
                continue;
            };
            let read = found.next_if(|(seq, _)| *seq == pair.seq && !later);
            later |= read.is_none();
            let Some(held) = self.buckets.get_mut(&bucket) else { continue };
            if held.cancelled.remove(&pair.seq) {
                continue;
            }
            match read.map(|(_, waiting)| waiting.and_then(|waiting| waiting.message())) {
                None => self.list(pair),
                Some(message) => {
                    held.messages = held.messages.saturating_sub(1);
                    self.count = self.count.saturating_sub(1);
                    match message {
                        Some(message) => due.moved.push(Moved { pair, message }),
                        None => drop(held.unreadable.insert(pair.seq)),
                    }
                }
            }
        }
        self.look_ahead();
    }

    fn give_kept(&mut self, pair: Pair, kept: Option<Kept>, due: &mut Due) {
        let Some(kept) = kept else { return };
        self.count = self.count.saturating_sub(1);
        match kept {
            Kept::Message(message) => due.moved.push(Moved { pair, message }),
            Kept::InPlace(entry) => due.in_place.push(entry),
        }
    }
}
