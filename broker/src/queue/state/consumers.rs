//! Who consumes a queue, and whose turn it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ConsumerKey;
use super::single::SingleActive;

/// What basic.consume asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// Who it is.
    pub key: ConsumerKey,
    /// Deliveries count as acknowledged.
    pub no_ack: bool,
    /// Nobody else may consume.
    pub exclusive: bool,
    /// Unacknowledged messages it may hold; 0: any number. Without effect with `no_ack`.
    pub prefetch: u32,
    /// Consumers of a higher priority are served first, as long as they can take more.
    pub priority: i32,
    /// It only gets what it is granted ([`super::Command::Grant`]).
    pub pull: bool,
    /// Octets that may be on their way to it ([`super::Command::Credit`]).
    pub window: u32,
    /// How long it may hold a message, in ms; 0: for ever. `None`: as long as the queue says.
    pub timeout: Option<u64>,
}

/// A consumer; its slot outlives it until its last unacknowledged message is settled.
#[derive(Debug)]
pub struct Consumer {
    /// What it asked for.
    pub spec: ConsumerSpec,
    /// Messages that it holds unacknowledged.
    pub unacked: u32,
    window: i64,
    granted: u32,
    /// Its place among those that can take a message.
    turn: Option<u64>,
    gone: bool,
    last_delivery: Option<u64>,
    last_ack: Option<u64>,
}

/// Index of a consumer within its queue.
pub type Slot = u32;

/// The consumers of a queue.
#[derive(Debug, Default)]
pub struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<Slot>,
    by_key: BTreeMap<ConsumerKey, Slot>,
    /// Those that can take a message: the highest priority first, then who has waited longest.
    turns: BTreeMap<(Reverse<i32>, u64), Slot>,
    last_turn: u64,
    /// Pulling consumers that have not been told that messages are ready.
    silent_pulls: BTreeSet<Slot>,
    /// Only one of them gets messages.
    single: Option<SingleActive>,
}

/// A consumer as the management API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// What it asked for.
    pub spec: ConsumerSpec,
    /// Messages that it holds unacknowledged.
    pub unacked: u32,
    /// Whether it is served.
    pub activity: Activity,
    /// When it was last given a message, ms since 1970.
    pub last_delivery: Option<u64>,
    /// When it last acknowledged one, ms since 1970.
    pub last_ack: Option<u64>,
}

/// Whether a consumer is served: RabbitMQ's `activity_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// As all others of its queue (`up`).
    Up,
    /// It alone (`single_active`).
    SingleActive,
    /// Once those before it have gone (`waiting`).
    Waiting,
}

impl Consumer {
    fn can_take(&self) -> bool {
        let prefetch = self.spec.prefetch;
        !self.gone
            && self.window > 0
            && (self.spec.no_ack || prefetch == 0 || self.unacked < prefetch)
            && (!self.spec.pull || self.granted > 0)
    }
}

impl Consumers {
    /// None yet; of those to come only one gets messages at a time, if `single`.
    pub fn new(single: bool) -> Self {
        Self { single: single.then(SingleActive::default), ..Self::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether one of them is exclusive.
    pub fn any_exclusive(&self) -> bool {
        self.by_key.len() == 1 && self.iter().any(|consumer| consumer.spec.exclusive)
    }

    fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.by_key.values().filter_map(|slot| self.get(*slot))
    }

    /// All of them, by key.
    pub fn list(&self) -> Vec<ConsumerStatus> {
        let status = |slot: &Slot| {
            let Consumer { spec, unacked, last_delivery, last_ack, .. } = *self.get(*slot)?;
            let activity = match &self.single {
                None => Activity::Up,
                Some(single) if single.is(*slot) => Activity::SingleActive,
                Some(_) => Activity::Waiting,
            };
            Some(ConsumerStatus { spec, unacked, activity, last_delivery, last_ack })
        };
        self.by_key.values().filter_map(status).collect()
    }

    /// Whether only one of them gets messages.
    pub fn is_single(&self) -> bool {
        self.single.is_some()
    }

    /// Whether a consumer may be given messages at all.
    fn is_served(&self, slot: Slot) -> bool {
        self.single.as_ref().is_none_or(|single| single.is(slot))
    }

    /// A consumer became the one that gets messages.
    fn begin_to_serve(&mut self, slot: Option<Slot>) {
        let Some(slot) = slot else { return };
        if self.get(slot).is_some_and(|consumer| consumer.spec.pull) {
            self.silent_pulls.insert(slot);
        }
        self.review(slot);
    }

    fn get(&self, slot: Slot) -> Option<&Consumer> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Consumer> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Finds a consumer.
    pub fn slot_of(&self, key: ConsumerKey) -> Option<Slot> {
        self.by_key.get(&key).copied()
    }

    /// Adds a consumer. Its key must be new.
    pub fn add(&mut self, spec: ConsumerSpec) {
        let window = i64::from(spec.window);
        let consumer = Consumer {
            spec,
            unacked: 0,
            window,
            granted: 0,
            turn: None,
            gone: false,
            last_delivery: None,
            last_ack: None,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as Slot
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(consumer);
        }
        self.by_key.insert(spec.key, slot);
        if let Some(single) = &mut self.single {
            single.came(slot, spec.priority);
        }
        if self.is_served(slot) {
            self.begin_to_serve(Some(slot));
        }
    }

    /// Removes a consumer; returns the messages that it holds, `None` if it does not exist. With
    /// `gives_back` all of these will come back soon.
    pub fn remove(&mut self, key: ConsumerKey, gives_back: bool) -> Option<u32> {
        let slot = self.by_key.remove(&key)?;
        self.silent_pulls.remove(&slot);
        self.leave_turn(slot);
        let consumer = self.get_mut(slot)?;
        consumer.gone = true;
        let unacked = consumer.unacked;
        if let Some(single) = &mut self.single {
            let next = single.went(slot, gives_back && unacked > 0);
            self.begin_to_serve(next);
        }
        self.reuse(slot);
        Some(unacked)
    }

    fn leave_turn(&mut self, slot: Slot) {
        let Some(consumer) = self.get_mut(slot) else { return };
        let priority = consumer.spec.priority;
        if let Some(turn) = consumer.turn.take() {
            self.turns.remove(&(Reverse(priority), turn));
        }
    }

    fn reuse(&mut self, slot: Slot) {
        if self.get(slot).is_some_and(|consumer| consumer.gone && consumer.unacked == 0) {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = None;
            }
            self.free.push(slot);
            if let Some(single) = &mut self.single {
                let next = single.has_left(slot);
                self.begin_to_serve(next);
            }
        }
    }

    /// Gives a consumer its place in the turn if it can take a message and has none.
    fn review(&mut self, slot: Slot) {
        let turn = self.last_turn + 1;
        let is_served = self.is_served(slot);
        let Some(consumer) = self.get_mut(slot) else { return };
        if consumer.turn.is_some() || !consumer.can_take() || !is_served {
            return;
        }
        consumer.turn = Some(turn);
        let priority = consumer.spec.priority;
        self.last_turn = turn;
        self.turns.insert((Reverse(priority), turn), slot);
    }

    /// Who gets the next message.
    pub fn next(&self) -> Option<Slot> {
        self.turns.first_key_value().map(|(_, slot)| *slot)
    }

    /// Who is, or was, the consumer in a slot.
    pub fn key_of(&self, slot: Slot) -> Option<ConsumerKey> {
        self.get(slot).map(|consumer| consumer.spec.key)
    }

    /// Books a delivery of `cost` octets to the consumer whose turn it is, and moves the turn on.
    /// Returns its key, whether the message counts as acknowledged, and how long it may be held.
    pub fn deliver(
        &mut self,
        slot: Slot,
        cost: u32,
        now: u64,
    ) -> Option<(ConsumerKey, bool, Option<u64>)> {
        let alone = self.turns.len() == 1;
        let consumer = self.get_mut(slot)?;
        consumer.window -= i64::from(cost);
        consumer.last_delivery = Some(now);
        consumer.granted = consumer.granted.saturating_sub(u32::from(consumer.spec.pull));
        if !consumer.spec.no_ack {
            consumer.unacked += 1;
        }
        let ConsumerSpec { key, no_ack, timeout, .. } = consumer.spec;
        if !(alone && consumer.can_take()) {
            self.leave_turn(slot);
            self.review(slot);
        }
        Some((key, no_ack, timeout))
    }

    /// One message of a consumer is settled; `acked`: when it was acknowledged, if it was.
    pub fn settled(&mut self, slot: Slot, acked: Option<u64>) {
        let Some(consumer) = self.get_mut(slot) else { return };
        consumer.last_ack = acked.or(consumer.last_ack);
        consumer.unacked = consumer.unacked.saturating_sub(1);
        if consumer.gone { self.reuse(slot) } else { self.review(slot) }
    }

    /// Octets have left for the consumer.
    pub fn credit(&mut self, key: ConsumerKey, octets: u64) {
        let Some(slot) = self.slot_of(key) else { return };
        if let Some(consumer) = self.get_mut(slot) {
            consumer.window = consumer.window.saturating_add_unsigned(octets);
        }
        self.review(slot);
    }

    /// Lets a pulling consumer take `messages` more.
    pub fn grant(&mut self, key: ConsumerKey, messages: u32) {
        let Some(slot) = self.slot_of(key) else { return };
        if let Some(consumer) = self.get_mut(slot) {
            consumer.granted = messages;
        }
        self.silent_pulls.remove(&slot);
        self.review(slot);
    }

    /// Ends a grant; returns what is left of it, or `None` if the consumer is gone or another one is
    /// active. With nothing `ready` it will be told when there is.
    pub fn end_grant(&mut self, key: ConsumerKey, ready: bool) -> Option<u32> {
        let slot = self.slot_of(key).filter(|slot| self.is_served(*slot))?;
        let consumer = self.get_mut(slot)?;
        let left = std::mem::take(&mut consumer.granted);
        let pull = consumer.spec.pull;
        if pull && !consumer.can_take() {
            self.leave_turn(slot);
        }
        if pull && !ready {
            self.silent_pulls.insert(slot);
        }
        Some(left)
    }

    /// From now on the consumer pulls, or no longer does; returns its unacknowledged messages.
    pub fn set_pull(&mut self, key: ConsumerKey, pull: bool) -> Option<u32> {
        let slot = self.slot_of(key)?;
        let consumer = self.get_mut(slot)?;
        let unacked = consumer.unacked;
        consumer.spec.pull = pull;
        consumer.granted = 0;
        self.leave_turn(slot);
        if pull && self.is_served(slot) {
            self.silent_pulls.insert(slot);
        } else {
            self.silent_pulls.remove(&slot);
        }
        self.review(slot);
        Some(unacked)
    }

    /// The pulling consumers to tell that messages are ready; each is told once.
    pub fn wake_pulls(&mut self) -> Vec<ConsumerKey> {
        let silent = std::mem::take(&mut self.silent_pulls);
        silent.iter().filter_map(|slot| Some(self.get(*slot)?.spec.key)).collect()
    }

    /// Removes all of them.
    pub fn clear(&mut self) -> Vec<ConsumerKey> {
        let keys: Vec<_> = self.by_key.keys().copied().collect();
        *self = Self::default();
        keys
    }
}
