//! Messages looked at where they are.

use std::ops::Range;

use super::Ready;
use crate::queue::state::{Entry, Seq};

impl Ready {
    /// The first messages in memory whose positions are in a range, in order.
    pub fn in_memory_at(&self, range: Range<Seq>, max: usize) -> Vec<Entry> {
        if range.is_empty() {
            return Vec::new();
        }
        let returned = self.returned.range(range.clone()).map(|(_, entry)| entry.clone());
        let begin = self.loaded.partition_point(|entry| entry.seq < range.start);
        let loaded = self.loaded.range(begin..).cloned();
        let kept = self.cold.iter().flat_map(|cold| cold.kept_from(range.start)).cloned();
        let others = loaded.chain(self.fresh_from(range.start)).chain(kept);
        let others = others.take_while(|entry| entry.seq < range.end);
        let mut all: Vec<Entry> = returned.take(max).chain(others.take(max)).collect();
        all.sort_unstable_by_key(|entry| entry.seq);
        all.truncate(max);
        all
    }

    fn fresh_from(&self, seq: Seq) -> impl Iterator<Item = Entry> {
        let begin = seq.saturating_sub(self.first_fresh).min(self.fresh.len() as u64);
        let messages = self.fresh.range(begin as usize..);
        (self.first_fresh + begin..).zip(messages).map(|(seq, message)| Entry {
            seq,
            message: message.clone(),
            redelivered: false,
            returns: 0,
            stored: self.durable && message.persistent(),
        })
    }

    /// Where the messages begin that only the store has.
    pub fn cold_from(&self) -> Option<Seq> {
        self.cold.as_ref().filter(|cold| cold.stored > 0).map(|cold| cold.from)
    }
}
