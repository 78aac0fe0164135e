//! Messages that are dropped because the same one is there, or was lately: see [`crate::dedup`].

use std::collections::{HashMap, HashSet};

use lepus_storage::{Op, QueueId, Seq as At, SeqRange as Span};

use super::place::keys_in_store;
use super::rules::{Rules, Unique};
use super::schedule::is_scheduled;
use super::{Effects, Entry, Outcome, Seq, State};
use crate::dedup::{self, Key, Recent, Remembered, Unsure};
use crate::message::Message;

/// Stands for the position of a message that is about to wait for a time.
const ABOUT_TO_WAIT: Seq = Seq::MAX;

/// Keys are looked through for those that are over once so many are.
const SWEEP: usize = 1024;

/// Keys of messages that must not come again.
#[derive(Debug)]
pub struct Keys {
    kind: Kind,
    unsure: Unsure,
    /// What comes now is a part of something, and cannot be refused alone.
    is_part: bool,
}

#[derive(Debug)]
enum Kind {
    /// The message of a key, as long as it is here: also while it waits for a time, so that this is
    /// forgotten with the message.
    Here(HashMap<Key, Home>),
    /// The latest ones, whether or not their messages are still here.
    Recent(Recent),
}

impl Keys {
    /// None yet, if there is a rule that asks for them.
    pub(super) fn new(rule: Option<&Unique>) -> Option<Box<Self>> {
        let kind = match rule? {
            Unique::UntilAcked => Kind::Here(HashMap::new()),
            Unique::Window { size, ttl } => {
                let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
                Kind::Recent(Recent::new(size, *ttl))
            }
        };
        Some(Box::new(Self { kind, unsure: Unsure::default(), is_part: false }))
    }
}

/// Where a message with a key is, and what of it decides whether another one may be dropped for it.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    seq: Seq,
    persistent: bool,
    /// Whether the store has it, where it has any of the queue.
    stored: bool,
    arrived: u64,
    expiration: Option<u64>,
}

impl Home {
    /// Of a message at a position, which the store has or not.
    pub fn new(message: &Message, seq: Seq, stored: bool) -> Self {
        let (persistent, arrived) = (message.persistent(), message.arrived());
        Self { seq, persistent, stored, arrived, expiration: message.expiration() }
    }

    /// When its time is over, unless somebody takes it before; it has none while it waits.
    fn until(&self, rules: &Rules) -> u64 {
        let ttl = rules.shorter(self.expiration).filter(|_| !is_scheduled(self.seq));
        ttl.map_or(u64::MAX, |ttl| self.arrived.saturating_add(ttl))
    }
}

/// What was known before a restart.
#[derive(Debug)]
pub enum Known {
    /// Keys of messages that are here or wait for a time.
    Here(Vec<(Key, Home)>),
    /// The latest keys, in order, and the position that the next one gets.
    Recent(Vec<Remembered>, u64),
}

impl State {
    /// Which messages count that others may be the same as.
    pub fn unique(&self) -> Option<Unique> {
        self.rules.unique
    }

    /// How many keys are in memory.
    #[cfg(test)]
    pub(super) fn keys_known(&self) -> usize {
        match self.keys.as_deref() {
            Some(Keys { kind: Kind::Here(known), .. }) => known.len(),
            _ => 0,
        }
    }

    /// Whether it drops messages that are the same as others.
    pub fn is_unique(&self) -> bool {
        self.keys.is_some()
    }

    /// What comes now goes to the store with this round of writes, as a part of something or not. All before
    /// `sure` are carried out.
    pub fn go_on(&mut self, round: u64, sure: u64, is_part: bool) {
        if let Some(keys) = self.keys.as_deref_mut() {
            keys.is_part = is_part;
            keys.unsure.go_on(round, sure);
        }
    }

    /// Publishes messages one by one, without those whose keys are known. If nobody can be told that the store
    /// has refused what one was dropped for, or it belongs to others that can't be refused with it, it is not
    /// dropped while that may happen.
    pub(super) fn publish_unique(
        &mut self,
        now: u64,
        (messages, can_tell): (Vec<Message>, bool),
        effects: &mut Effects,
        mut publish: impl FnMut(&mut Self, Message, &mut Effects) -> Outcome,
    ) -> Outcome {
        let (mut rejected, mut together) = (Vec::new(), HashSet::new());
        for (number, message) in messages.into_iter().enumerate() {
            let named = dedup::named(&message);
            if let Some((key, _)) = named
                && self.knows(key, message.persistent(), now)
            {
                // What comes together is stored together.
                let stored = message.persistent() && self.config.durable.is_some();
                let relies = stored && self.is_unsure(key) && !together.contains(&key);
                if !relies || can_tell && !self.is_part() {
                    effects.dropped.drops |= stored;
                    effects.dropped.relies |= relies;
                    continue;
                }
            }
            let level = self.ready.level_for(&message);
            let home = Home::new(&message, self.ready.next_of(level), message.persistent());
            if matches!(publish(self, message, effects), Outcome::Rejected(_)) {
                rejected.push(number);
                continue;
            }
            if let Some((key, ttl)) = named {
                let is_here = self.ready.next_of(level) != home.seq;
                let seq = if is_here { home.seq } else { self.latest_scheduled() };
                self.remember(now, key, ttl, Home { seq, ..home }, effects);
                together.insert(key);
            }
        }
        if rejected.is_empty() { Outcome::Done } else { Outcome::Rejected(rejected) }
    }

    /// Whether a message is to be dropped for another one. Who published it is told that it is safe: so what is
    /// stored is not dropped for what a crash takes, and nothing for what is over.
    fn knows(&self, key: Key, persistent: bool, now: u64) -> bool {
        let stored = persistent && self.config.durable.is_some();
        match self.keys.as_deref() {
            Some(Keys { kind: Kind::Here(known), .. }) => known
                .get(&key)
                .is_some_and(|home| (home.stored || !stored) && self.serves(home, now)),
            Some(Keys { kind: Kind::Recent(recent), .. }) => recent.knows(key, stored, now),
            None => false,
        }
    }

    /// Whether somebody will still get the message, or has it.
    fn serves(&self, home: &Home, now: u64) -> bool {
        self.unacked.contains(home.seq) || self.has(home.seq) && now < home.until(&self.rules)
    }

    /// Whether the message of a position is still here.
    fn has(&self, seq: Seq) -> bool {
        is_scheduled(seq) || self.unacked.contains(seq) || self.ready.contains(seq)
    }

    fn is_unsure(&self, key: Key) -> bool {
        self.keys.as_deref().is_some_and(|keys| keys.unsure.has(key))
    }

    fn is_part(&self) -> bool {
        self.keys.as_deref().is_some_and(|keys| keys.is_part)
    }

    fn remember(
        &mut self,
        now: u64,
        key: Key,
        ttl: Option<u64>,
        home: Home,
        effects: &mut Effects,
    ) {
        self.note_unsure(key, &home);
        match self.keys.as_deref_mut() {
            Some(Keys { kind: Kind::Here(known), .. }) => {
                known.insert(key, home);
                self.sweep_keys();
            }
            Some(Keys { kind: Kind::Recent(recent), .. }) => {
                let mut gone = Vec::new();
                let entry = recent.add(key, home.persistent, ttl, now, &mut gone);
                if let Some(queue) = self.config.durable {
                    effects.store.extend(entry.persistent.then(|| record(queue, &entry)));
                    // What made room may be stored though the new one is not.
                    effects.store.extend(forget(queue, &gone));
                }
            }
            None => {}
        }
    }

    fn note_unsure(&mut self, key: Key, home: &Home) {
        if let Some(keys) = self.keys.as_deref_mut()
            && home.stored
            && self.config.durable.is_some()
        {
            keys.unsure.add(key);
        }
    }

    /// Forgets keys whose messages are gone, before they are more than those that are here.
    fn sweep_keys(&mut self) {
        let here = self.ready.len() + self.unacked.len() + self.scheduled();
        let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref_mut() else { return };
        if known.len() <= SWEEP + 2 * here {
            return;
        }
        let mut known = std::mem::take(known);
        known.retain(|_, home| self.has(home.seq));
        if let Some(keys) = self.keys.as_deref_mut() {
            keys.kind = Kind::Here(known);
        }
    }

    /// A message has another position now, where the store has it or not.
    pub(super) fn moved(&mut self, message: &Message, to: Seq, stored: bool) {
        self.rehome(message, Home::new(message, to, stored), |was| is_scheduled(was) || was == to);
    }

    /// A key follows its message, unless it stands for another one that came later.
    fn rehome(&mut self, message: &Message, home: Home, is_own: impl Fn(Seq) -> bool) {
        let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref() else { return };
        let Some((key, _)) = dedup::named(message) else { return };
        let to_store = home.seq != ABOUT_TO_WAIT;
        let own = |was: &Home| is_own(was.seq) && was.persistent == home.persistent;
        if known.get(&key).is_some_and(|was| !own(was) && self.has(was.seq)) {
            return;
        }
        if to_store {
            self.note_unsure(key, &home);
        }
        if let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref_mut() {
            known.insert(key, home);
        }
    }

    /// A message is taken from where it is: it may come again.
    pub(super) fn forget_key(&mut self, message: &Message, is_there: impl Fn(Seq) -> bool) {
        if let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref_mut()
            && let Some((key, _)) = dedup::named(message)
            && known.get(&key).is_some_and(|home| is_there(home.seq))
        {
            known.remove(&key);
        }
    }

    /// A message leaves its position, and is to get one where it waits.
    pub(super) fn leaves_to_wait(&mut self, entry: &Entry) {
        let home = Home::new(&entry.message, ABOUT_TO_WAIT, entry.stored);
        self.rehome(&entry.message, home, |was| was == entry.seq);
    }

    /// Messages that waited at these positions are gone.
    pub(super) fn forget_waiting(&mut self, is_gone: impl Fn(Seq) -> bool) {
        if let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref_mut() {
            known.retain(|_, Home { seq, .. }| !(is_scheduled(*seq) && is_gone(*seq)));
        }
    }

    /// Takes up what was known before a restart.
    pub(super) fn recall(&mut self, known: Known) {
        match (self.keys.as_deref_mut(), known) {
            (Some(Keys { kind: Kind::Here(known), .. }), Known::Here(found)) => {
                let rules = &self.rules;
                for (key, home) in found {
                    let until = home.until(rules);
                    if known.get(&key).is_none_or(|other| other.until(rules) <= until) {
                        known.insert(key, home);
                    }
                }
            }
            (Some(Keys { kind: Kind::Recent(recent), .. }), Known::Recent(found, next)) => {
                found.into_iter().for_each(|entry| recent.restore(entry));
                recent.go_on_at(next);
            }
            _ => {}
        }
    }

    /// The store has refused messages at these positions: they may come again.
    pub(super) fn forget_refused(&mut self, refused: &[(Seq, u64)]) {
        if let Some(Keys { kind: Kind::Here(known), .. }) = self.keys.as_deref_mut() {
            let is_refused = |seq: &Seq| refused.binary_search_by_key(seq, |(seq, _)| *seq).is_ok();
            known.retain(|_, home| !is_refused(&home.seq));
            // It may be one of these; where it comes to wait it will be known.
            let about = known.values_mut().filter(|home| home.seq == ABOUT_TO_WAIT);
            about.for_each(|home| home.stored = false);
        }
    }

    /// The same of keys that the store was to keep with their messages.
    pub(super) fn forget_keys(&mut self, at: &[u64]) {
        if let Some(Keys { kind: Kind::Recent(recent), .. }) = self.keys.as_deref_mut() {
            at.iter().for_each(|at| recent.forget(*at));
        }
    }
}

fn record(queue: QueueId, entry: &Remembered) -> Op {
    let payload = entry.encode().to_vec().into();
    let (queue, seq) = (keys_in_store(queue), At(entry.at));
    Op::Publish { queue, seq, payload, weight: 0, shared: false }
}

fn forget(queue: QueueId, gone: &[u64]) -> Option<Op> {
    let ranges = gone.iter().map(|at| Span { first: At(*at), last: At(*at) }).collect();
    let queue = keys_in_store(queue);
    (!gone.is_empty()).then_some(Op::Settle { queue, ranges, weight: 0 })
}
