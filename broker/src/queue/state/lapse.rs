//! Messages that go without being consumed, and queues that nobody uses.

use super::rules::{Overflow, Reason};
use super::spans::Spans;
use super::{Dead, Effects, Entry, Notice, State};
use crate::message::Message;

/// The most messages that become dead letters in one step of the store, which costs memory.
const BURIED_AT_ONCE: usize = 4096;
/// The most octets that are read at once of a backlog that nobody consumes.
const HEAD: usize = 1 << 20;

impl State {
    /// When something is due by itself, in ms since 1970.
    pub fn next_due(&self) -> Option<u64> {
        if self.deleted {
            return None;
        }
        let heads = self.may_lapse().then(|| self.ready.occupied()).into_iter().flatten();
        let heads = heads.filter_map(|level| self.rules.expiry(self.ready.head_of(level)?));
        let head = heads.min();
        let unused = self.rules.expires.filter(|_| self.consumers.is_empty());
        let unused = unused.map(|ms| self.last_used.saturating_add(ms));
        let head = head.map(|due| due.max(self.held_until));
        let held = self.deadlines.first();
        let waiting = self.waiting().and_then(|waiting| waiting.next_due());
        let own = [head, unused, held, self.next_delivery(), waiting];
        own.into_iter().flatten().min()
    }

    /// Whether some message's time may be limited.
    pub(super) fn may_lapse(&self) -> bool {
        self.rules.ttl.is_some() || self.some_expire
    }

    /// Drops what is over at the head of each level. RabbitMQ's classic queues look only at the head of
    /// the queue, so that there what is over stays behind whatever has a higher priority.
    pub(super) fn drop_expired(&mut self, now: u64, effects: &mut Effects) {
        if !self.may_lapse() || now < self.held_until {
            return;
        }
        let mut dead = Vec::new();
        for level in self.ready.occupied() {
            while let Some(message) = self.ready.head_of(level)
                && self.rules.expiry(message).is_some_and(|expiry| expiry <= now)
                && let Some(entry) = self.ready.pop_of(level)
            {
                dead.push(entry);
            }
        }
        // Where one is over, many may be; where none is, one in memory is enough to watch.
        let most = if dead.is_empty() { 1 } else { HEAD };
        if !(dead.is_empty() && self.ready.has_none_at_hand()) {
            self.head_octets = (self.head_octets * 16).clamp(1, most);
        }
        self.bury(Reason::Expired, dead, effects);
        self.some_expire &= !self.ready.is_empty();
    }

    /// Whether a message that is about to be handed out is over. One that may not wait at all can still be
    /// handed out at once.
    pub(super) fn is_over(&self, message: &Message, redelivered: bool, now: u64) -> bool {
        let Some(ttl) = self.rules.time_to_live(message) else { return false };
        message.arrived().saturating_add(ttl) <= now && (ttl > 0 || redelivered)
    }

    /// Drops what would be handed out next, while there are too many: as in RabbitMQ, the oldest of the
    /// highest priority.
    pub(super) fn drop_excess(&mut self, now: u64, effects: &mut Effects) {
        if self.rules.overflow != Overflow::DropHead || now < self.held_until {
            return;
        }
        let mut dead = Vec::new();
        while self.rules.is_exceeded(self.ready.len(), self.ready.bytes())
            && let Some(entry) = self.ready.drop_next()
        {
            dead.push(entry);
        }
        self.bury(Reason::MaxLength, dead, effects);
    }

    /// Whether the head of the queue must be read though nobody has asked for it.
    pub(super) fn wants_head(&self) -> bool {
        self.may_lapse()
            || self.rules.overflow == Overflow::DropHead
                && self.rules.is_exceeded(self.ready.len(), self.ready.bytes())
    }

    /// Has messages dead-lettered, or just settled if there is nowhere to send them.
    pub(super) fn bury(&self, reason: Reason, entries: Vec<Entry>, effects: &mut Effects) {
        if entries.is_empty() {
            return;
        }
        if self.rules.dead_letter.is_some() {
            let mut entries = entries.into_iter();
            while entries.len() > 0 {
                let entries = entries.by_ref().take(BURIED_AT_ONCE).collect();
                let rules = self.rules.clone();
                effects.dead.push(Dead { reason, entries, rules, held: false });
            }
        } else if let Some(queue) = self.config.durable {
            Spans::of(&entries).settle(queue, &mut effects.store);
        }
    }

    /// Deletes the queue if nobody has used it for too long.
    pub(super) fn leave_if_unused(&mut self, now: u64, effects: &mut Effects) {
        let unused = now.saturating_sub(self.last_used);
        if self.consumers.is_empty() && self.rules.expires.is_some_and(|max| unused >= max) {
            self.drop_all(effects);
            effects.notices.push(Notice::Deleted);
        }
    }
}
