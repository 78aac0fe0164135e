//! `x-single-active-consumer`: one consumer gets messages, the others wait for it to go.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::consumers::Slot;

/// Who is active, and who comes next.
///
/// As in RabbitMQ's classic queues the active consumer stays until it goes; then the one with the highest
/// priority follows, and of several who came first.
#[derive(Debug, Default)]
pub struct SingleActive {
    active: Option<Slot>,
    /// It was active, and what it holds is coming back: before that nobody follows it, so that messages
    /// stay in order.
    leaving: Option<Slot>,
    /// By priority and arrival.
    waiting: BTreeMap<(Reverse<i32>, u64), Slot>,
    arrivals: u64,
}

impl SingleActive {
    /// Whether this one is the active consumer.
    pub fn is(&self, slot: Slot) -> bool {
        self.active == Some(slot)
    }

    /// A consumer has come.
    pub fn came(&mut self, slot: Slot, priority: i32) {
        if self.active.is_none() && self.leaving.is_none() {
            self.active = Some(slot);
            return;
        }
        self.arrivals += 1;
        self.waiting.insert((Reverse(priority), self.arrivals), slot);
    }

    /// A consumer goes; returns who is active now if that changes. If it `gives_back` what it holds,
    /// [`Self::has_left`] tells.
    pub fn went(&mut self, slot: Slot, gives_back: bool) -> Option<Slot> {
        if self.active != Some(slot) {
            self.waiting.retain(|_, waiting| *waiting != slot);
            return None;
        }
        self.active = None;
        if gives_back {
            self.leaving = Some(slot);
            return None;
        }
        self.promote()
    }

    /// A consumer that went holds nothing any more; returns who is active now if that changes.
    pub fn has_left(&mut self, slot: Slot) -> Option<Slot> {
        self.leaving.take_if(|leaving| *leaving == slot)?;
        self.promote()
    }

    fn promote(&mut self) -> Option<Slot> {
        self.active = self.waiting.pop_first().map(|(_, slot)| slot);
        self.active
    }
}
