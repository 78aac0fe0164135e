//! Messages that are handed out for a time only.

use std::collections::{BTreeMap, BTreeSet};

use super::command::LateDelivery;
use super::consumers::Slot;
use super::{Effects, Notice, Seq, State};
use crate::envelope;
use crate::message::Message;

/// Until when messages must be settled; nothing of those that may be held for ever.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// ms since 1970.
    of: BTreeMap<Seq, u64>,
    by_time: BTreeSet<(u64, Seq)>,
}

impl Deadlines {
    fn set(&mut self, seq: Seq, due: u64) {
        self.of.insert(seq, due);
        self.by_time.insert((due, seq));
    }

    /// The message is not held any more.
    #[inline]
    pub fn lift(&mut self, seq: Seq) {
        if self.of.is_empty() {
            return;
        }
        if let Some(due) = self.of.remove(&seq) {
            self.by_time.remove(&(due, seq));
        }
    }

    /// The first of them, in ms since 1970.
    pub fn first(&self) -> Option<u64> {
        self.by_time.first().map(|(due, _)| *due)
    }

    fn pop(&mut self, now: u64) -> Option<Seq> {
        let (due, seq) = *self.by_time.first()?;
        if due > now {
            return None;
        }
        self.lift(seq);
        Some(seq)
    }
}

impl State {
    /// Notes until when a message that is handed out must be settled: as it says itself, or else its
    /// consumer, or else the queue.
    pub(super) fn limit_time(&mut self, now: u64, seq: Seq, message: &Message, of: Option<u64>) {
        let time = envelope::time_to_run(message).or(of).or(self.rules.consumer_timeout);
        if let Some(time) = time.filter(|time| *time > 0) {
            self.deadlines.set(seq, now.saturating_add(time));
        }
    }

    /// Messages that were held for too long come back; whoever held them is told.
    pub(super) fn time_out(&mut self, now: u64, effects: &mut Effects) {
        if self.deadlines.first().is_none_or(|due| due > now) {
            return;
        }
        let mut late: BTreeMap<Slot, Vec<LateDelivery>> = BTreeMap::new();
        let mut back = Vec::new();
        while let Some(seq) = self.deadlines.pop(now) {
            let Some(unacked) = self.unacked.remove(seq) else { continue };
            if let Some(slot) = unacked.consumer {
                late.entry(slot).or_default().push(LateDelivery { seq, returns: unacked.returns });
            }
            back.push((seq, unacked));
        }
        for (slot, deliveries) in late {
            let key = self.consumers.key_of(slot);
            effects.notices.extend(key.map(|key| Notice::TimedOut(key, deliveries)));
        }
        back.sort_unstable_by_key(|(seq, _)| *seq);
        self.give_back(now, back, effects);
    }
}
