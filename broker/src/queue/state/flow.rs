//! How fast messages may be delivered: not at all, so many a second, or as they can.

use std::sync::Arc;

use super::{Rules, State};

/// What a delivery takes from the bucket: a rate in messages a second is one in these a millisecond.
const MESSAGE: u64 = 1000;

/// Milliseconds of a queue's rate that may be saved up for a burst.
const BURST_MS: u64 = 100;

/// With more octets of dead letters that wait for room a queue delivers nothing.
const HELD_MAX: usize = 1 << 20;

/// A bucket that fills at a queue's rate, and that each delivery takes from.
#[derive(Debug)]
pub(super) struct Flow {
    /// What is in it, in thousandths of a message.
    level: u64,
    /// When that was, in ms since 1970.
    at: u64,
    /// Octets of dead letters that wait outside for room in the store. Whoever makes them is not to get
    /// at ever more messages meanwhile.
    held: usize,
}

impl Flow {
    /// A full bucket.
    pub fn new(rules: &Rules, now: u64) -> Self {
        Self { level: rules.max_rate.map_or(0, capacity), at: now, held: 0 }
    }

    /// The most messages that may be delivered now.
    #[inline]
    pub fn allowance(&mut self, rules: &Rules, now: u64) -> u64 {
        match rules.max_rate {
            _ if self.is_stopped(rules) => 0,
            None => u64::MAX,
            Some(rate) => self.fill(rate, now),
        }
    }

    fn fill(&mut self, rate: u64, now: u64) -> u64 {
        let come = now.saturating_sub(self.at).saturating_mul(rate);
        self.level = self.level.saturating_add(come).min(capacity(rate));
        // A clock that was set back starts a new count.
        self.at = now;
        self.level / MESSAGE
    }

    /// So much of the allowance was not used.
    #[inline]
    pub fn leave(&mut self, rules: &Rules, allowance: u64) {
        if rules.max_rate.is_some() && !self.is_stopped(rules) {
            self.level = allowance * MESSAGE + self.level % MESSAGE;
        }
    }

    /// Whether a message more could be delivered at the time of the last look.
    #[inline]
    pub fn lets_through(&self, rules: &Rules) -> bool {
        !self.is_stopped(rules) && (rules.max_rate.is_none() || self.level >= MESSAGE)
    }

    /// Whether nothing may be delivered or taken, however long it is waited.
    #[inline]
    pub fn is_stopped(&self, rules: &Rules) -> bool {
        rules.paused || self.held > HELD_MAX
    }

    /// Dead letters of so many octets wait.
    pub fn hold(&mut self, octets: usize) {
        self.held += octets;
    }

    /// They do not any more.
    pub fn let_go(&mut self, octets: usize) {
        self.held = self.held.saturating_sub(octets);
    }

    /// When the next message may be delivered, if only the rate stands against that.
    fn next(&self, rules: &Rules) -> Option<u64> {
        let rate = rules.max_rate.filter(|_| !self.is_stopped(rules))?;
        let missing = MESSAGE.checked_sub(self.level).filter(|missing| *missing > 0)?;
        Some(self.at.saturating_add(missing.div_ceil(rate)))
    }
}

/// At least one message.
fn capacity(rate: u64) -> u64 {
    rate.saturating_mul(BURST_MS).max(MESSAGE)
}

impl State {
    /// From now on other rules hold, for what is in the queue as well.
    pub(super) fn set_rules(&mut self, now: u64, rules: Arc<Rules>, version: u64) {
        if version < self.rules_version {
            return;
        }
        self.rules_version = version;
        if rules.expires != self.rules.expires {
            self.last_used = now;
        }
        if rules.max_rate != self.rules.max_rate {
            self.flow = Flow { held: self.flow.held, ..Flow::new(&rules, now) };
        }
        if rules.priority_mode != self.rules.priority_mode {
            self.ready.set_mode(rules.priority_mode);
        }
        self.rules = rules;
    }

    /// When messages that wait for the rate alone can be delivered.
    pub(super) fn next_delivery(&self) -> Option<u64> {
        let wanted = !self.ready.has_none_at_hand() && !self.consumers.is_empty();
        self.flow.next(&self.rules).filter(|_| wanted)
    }
}
