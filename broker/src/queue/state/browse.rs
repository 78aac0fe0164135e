//! Messages looked at without a change, and taken by whoever has looked.

use std::collections::BTreeMap;

use super::place::{first_of, level_of};
use super::{ConsumerKey, Effects, Entry, Ordered, Outcome, Purpose, Seq, Spans, State};

/// Where somebody is who looks through a queue, level by level, the highest first, in each by position up
/// to where it ended when that one came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The next position to be looked at.
    pub next: Seq,
    /// The end of what is looked at of its level.
    pub until: Seq,
}

/// Messages that stand at a spot and behind it.
#[derive(Debug)]
pub struct Glance {
    /// Those in memory, in order.
    pub entries: Vec<Entry>,
    /// Where those begin that must be read from the store, if there are such.
    pub cold: Option<Seq>,
}

impl Glance {
    /// All messages, with what was read from the store at [`Self::cold`] (`next`: where to read on; `None`: it
    /// has no more): at most so many, and where to go on.
    pub fn with(
        self,
        spot: Spot,
        (found, next): (Vec<Entry>, Option<Seq>),
        max: usize,
    ) -> (Vec<Entry>, Seq) {
        // Of those in memory that stand behind the last one only the first are known.
        let last = self.entries.last().filter(|_| self.entries.len() >= max);
        let end = last.map_or(spot.until, |last| last.seq + 1).min(next.unwrap_or(Seq::MAX));
        let keyed = |entry: Entry| (entry.seq, entry);
        // What is in memory by now is the same.
        let mut all: BTreeMap<Seq, Entry> = found.into_iter().map(keyed).collect();
        all.extend(self.entries.into_iter().map(keyed));
        let mut all: Vec<Entry> = all.into_values().filter(|entry| entry.seq < end).collect();
        if all.len() <= max {
            return (all, end);
        }
        all.truncate(max);
        let end = all.last().map_or(end, |last| last.seq + 1);
        (all, end)
    }
}

impl State {
    /// Where to begin.
    pub fn first_spot(&self) -> Option<Spot> {
        self.spot_below(1 + u16::from(u8::MAX))
    }

    /// Where to go on at the end of a level.
    pub fn spot_after(&self, spot: Spot) -> Option<Spot> {
        self.spot_below(level_of(spot.next.min(spot.until)).into())
    }

    fn spot_below(&self, level: u16) -> Option<Spot> {
        let level = self.ready.used_below(level)?;
        Some(Spot { next: first_of(level), until: self.ready.next_of(level) })
    }

    /// Messages that are ready, at most so many.
    pub fn glance(&self, spot: Spot, max: usize) -> Glance {
        let entries = self.ready.in_memory_at(spot.next..spot.until, max);
        let last = entries.last().filter(|_| entries.len() >= max);
        let end = last.map_or(spot.until, |last| last.seq);
        let cold = self.ready.cold_from(level_of(spot.next)).map(|cold| cold.max(spot.next));
        Glance { entries, cold: cold.filter(|cold| *cold < end) }
    }

    /// Leaves those that are ready of messages that were read from the store.
    pub fn only_ready(&self, mut found: Vec<Entry>) -> Vec<Entry> {
        found.retain(|entry| self.ready.contains(entry.seq));
        found
    }

    /// A message that was read from the store, as it would be handed out.
    pub fn as_handed_out(&self, entry: &mut Entry) {
        entry.was_handed_out_before(self.ready.handed_out_before(entry.seq));
    }

    /// Messages that were handed out, at most so many, and the consumers that have them (`None`: taken by
    /// basic.get).
    pub fn handed_out(&self, spot: Spot, max: usize) -> Vec<(Entry, Option<ConsumerKey>)> {
        let held = self.unacked.at(spot.next..spot.until, max).into_iter();
        let shown = held.map(|(seq, unacked)| {
            let (message, returns, stored) =
                (unacked.message.clone(), unacked.returns, unacked.stored);
            let entry = Entry { seq, message, redelivered: returns > 0, returns, stored };
            (entry, unacked.consumer.and_then(|slot| self.consumers.key_of(slot)))
        });
        shown.collect()
    }

    pub(super) fn take_out(
        &mut self,
        mut found: Vec<Entry>,
        purpose: Purpose,
        effects: &mut Effects,
    ) -> Outcome {
        found.sort_unstable_by_key(|entry| entry.seq);
        found.dedup_by_key(|entry| entry.seq);
        let entries = self.ready.take(found);
        let taken = entries.len();
        entries.iter().for_each(|entry| self.forget_key(&entry.message, |at| at == entry.seq));
        match purpose {
            _ if entries.is_empty() => {}
            Purpose::Move(order) => effects.ordered.push(Ordered { order, entries }),
            Purpose::Drop => {
                if let Some(queue) = self.config.durable {
                    Spans::of(&entries).settle(queue, &mut effects.store);
                }
            }
        }
        // Nothing may be left of what they wait for.
        self.tell_getters(effects);
        Outcome::Dropped(taken)
    }

    pub(super) fn undo_take(&mut self, entries: Vec<Entry>, effects: &mut Effects) {
        let mut came_back = Spans::default();
        for mut entry in entries {
            if entry.was_handed_out_before(self.ready.handed_out_before(entry.seq)) {
                came_back.add(&entry);
            }
            self.some_expire |= entry.message.expires();
            self.moved(&entry.message, entry.seq, entry.stored);
            self.ready.undo_take(entry);
        }
        if let Some(queue) = self.config.durable {
            came_back.give_back(queue, &mut effects.store);
        }
    }
}
