//! What operators are told of a queue besides its counts.

use std::collections::BTreeMap;

use super::consumers::Slot;
use super::{ConsumerKey, Entry, State, Unacked};
use crate::message::Message;

/// What operators are told of a queue besides its counts.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Messages in memory.
    pub in_memory: usize,
    /// Octets of their bodies.
    pub bytes_in_memory: u64,
    /// Messages in memory that wait.
    pub ready_in_memory: usize,
    /// Messages that survive a restart.
    pub persistent: usize,
    /// Octets of their bodies.
    pub persistent_bytes: u64,
    /// The oldest message, if it is in memory.
    pub head: Option<Message>,
    /// Some consumer could be given a message now.
    pub is_able: bool,
    /// Octets that the messages in memory hold there, bookkeeping included.
    pub footprint: usize,
}

impl State {
    /// For how long, ms, some consumer could have been given a message, and for how long there were any.
    pub fn served(&self, now: u64) -> [u64; 2] {
        self.served.until(now)
    }

    /// As of now.
    pub fn status(&self) -> Status {
        let (counts, weight) = (self.counts(), self.ready.weight());
        let (unacked, transient) = (self.unacked.sums(), self.unacked.transient());
        let ready_in_memory = counts.ready - weight.cold;
        let bytes = counts.ready_bytes + unacked.bytes;
        let (persistent, persistent_bytes) = match self.config.durable {
            None => (0, 0),
            Some(_) => (
                counts.ready + unacked.messages - weight.transient - transient.messages,
                bytes.saturating_sub(weight.transient_bytes + transient.bytes),
            ),
        };
        let bytes_in_memory = bytes.saturating_sub(weight.cold_bytes);
        // What came back stands before what was never handed out; what is held stands before both.
        let head = self.unacked.first().map(|(_, message)| message);
        Status {
            in_memory: ready_in_memory + unacked.messages,
            bytes_in_memory,
            ready_in_memory,
            persistent,
            persistent_bytes,
            head: head.or_else(|| self.ready.head()).cloned(),
            is_able: self.consumers.next().is_some(),
            footprint: bytes_in_memory as usize
                + (ready_in_memory + unacked.messages) * size_of::<Entry>(),
        }
    }
}

/// Since when messages are held, ms since 1970: the oldest of all, and of each consumer.
#[derive(Debug, Default)]
pub struct HeldSince {
    /// Of all that are held.
    pub all: Option<u64>,
    /// Of those of one consumer.
    pub by_consumer: BTreeMap<ConsumerKey, u64>,
}

impl State {
    /// Since when messages are held. Looks at each of them.
    pub fn held_since(&self) -> HeldSince {
        let mut by_slot: BTreeMap<Option<Slot>, u64> = BTreeMap::new();
        for Unacked { consumer, since, .. } in self.unacked.values() {
            let oldest = by_slot.entry(*consumer).or_insert(*since);
            *oldest = (*oldest).min(*since);
        }
        let key = |slot: Option<Slot>| self.consumers.key_of(slot?);
        let all = by_slot.values().min().copied();
        let by_consumer = by_slot.into_iter().filter_map(|(slot, since)| Some((key(slot)?, since)));
        HeldSince { all, by_consumer: by_consumer.collect() }
    }
}

/// For how long there were consumers, and how long one of them could have been given a message.
#[derive(Debug, Default)]
pub struct Served {
    since: u64,
    has_consumers: bool,
    is_able: bool,
    able: u64,
    consumed: u64,
}

impl Served {
    /// From now on there are so many consumers; one of them can take a message, or none.
    #[inline]
    pub fn note(&mut self, now: u64, consumers: usize, is_able: bool) {
        [self.able, self.consumed] = self.until(now);
        (self.since, self.has_consumers, self.is_able) = (now, consumers > 0, is_able);
    }

    /// Ms, up to a time.
    pub fn until(&self, now: u64) -> [u64; 2] {
        let passed = if self.has_consumers { now.saturating_sub(self.since) } else { 0 };
        [self.able + if self.is_able { passed } else { 0 }, self.consumed + passed]
    }
}
