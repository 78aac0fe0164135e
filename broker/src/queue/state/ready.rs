//! Messages that wait for a consumer, in the order of their positions.

mod look;
mod take;

use std::collections::{BTreeMap, VecDeque};

use super::cold::Cold;
use super::entry::footprint;
use super::spans::Spans;
use super::strays::Strays;
use super::sums::Sums;
use super::{Entry, Seq};
use crate::message::Message;

/// First those that came back, then those read from the store, then those that nobody has seen, at
/// last those that only the store has: positions are handed out in ascending order, so whatever
/// came back stands before whatever did not yet leave. Behind a cold part nothing new is kept in
/// memory, so that a long backlog is not.
#[derive(Debug)]
pub struct Ready {
    returned: BTreeMap<Seq, Entry>,
    loaded: VecDeque<Entry>,
    fresh: VecDeque<Message>,
    first_fresh: Seq,
    cold: Option<Box<Cold>>,
    /// See [`Self::push_returned`] and [`Self::take`]: not among what is cold, though they may stand behind
    /// its first.
    strays: Strays,
    /// The position of the next message.
    next: Seq,
    /// Octets of all bodies.
    bytes: u64,
    /// Octets that `loaded` and `fresh` hold in memory.
    hot: usize,
    /// Sums over the messages of a durable queue that are not persistent.
    transient: Sums,
    /// Persistent messages are in the store.
    durable: bool,
}

/// What a queue had before a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The position of the first message.
    pub first: Seq,
    /// The position of the next message.
    pub next: Seq,
    /// Messages.
    pub messages: u64,
    /// Octets of their bodies.
    pub bytes: u64,
    /// Messages before this position may have been handed out.
    pub delivered: Seq,
}

impl Ready {
    /// What there is at the start.
    pub fn new(durable: bool, past: Past) -> Self {
        let cold = Cold::of_past(past.first, past.messages, past.bytes);
        Self {
            returned: BTreeMap::new(),
            loaded: VecDeque::new(),
            fresh: VecDeque::new(),
            first_fresh: past.next,
            cold: (past.messages > 0).then(|| Box::new(cold)),
            strays: Strays::default(),
            next: past.next,
            bytes: past.bytes,
            hot: 0,
            transient: Sums::default(),
            durable,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.in_memory() + self.cold.as_ref().map_or(0, |cold| cold.len())
    }

    fn in_memory(&self) -> usize {
        self.returned.len() + self.loaded.len() + self.fresh.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.has_none_at_hand() && self.cold.is_none()
    }

    /// Whether there is none that [`Self::pop`] could give now.
    pub fn has_none_at_hand(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty() && self.loaded.is_empty()
    }

    /// Octets of their bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sums over the messages that only the store holds.
    pub fn cold(&self) -> (usize, u64) {
        self.cold.as_ref().map_or((0, 0), |cold| (cold.stored as usize, cold.bytes))
    }

    /// Sums over the messages of a durable queue that are not persistent.
    pub fn transient(&self) -> Sums {
        self.transient
    }

    fn count_transient(&mut self, message: &Message) {
        if self.durable && !message.persistent() {
            self.transient.add(message);
        }
    }

    /// Octets in memory that the store has too, or could have.
    pub fn hot(&self) -> usize {
        self.hot
    }

    /// Whether some are only in the store.
    pub fn has_cold(&self) -> bool {
        self.cold.is_some()
    }

    /// The position that the next message will get.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Appends new messages; the first gets the position after the last one ever given. With more
    /// than `hot_max` octets in memory, a durable queue leaves those that follow to the store.
    pub fn push(&mut self, messages: Vec<Message>, hot_max: usize) {
        for message in &messages {
            self.bytes += message.body_len() as u64;
            self.count_transient(message);
        }
        if let Some(cold) = &mut self.cold {
            for message in messages {
                let stored = self.durable && message.persistent();
                cold.push_back(self.next, message, stored);
                self.next += 1;
            }
            return;
        }
        self.next += messages.len() as u64;
        if self.durable {
            self.hot += messages.iter().map(footprint).sum::<usize>();
        }
        if self.fresh.is_empty() && self.fresh.capacity() < messages.len() {
            self.fresh = messages.into();
        } else {
            self.fresh.extend(messages);
        }
        if self.hot > hot_max {
            self.cold = Some(Box::new(Cold::new(self.next)));
        }
    }

    /// As [`Self::push`], for one message.
    pub fn push_one(&mut self, message: Message, hot_max: usize) {
        self.bytes += message.body_len() as u64;
        self.count_transient(&message);
        let seq = self.next;
        self.next += 1;
        if let Some(cold) = &mut self.cold {
            let stored = self.durable && message.persistent();
            cold.push_back(seq, message, stored);
            return;
        }
        if self.durable {
            self.hot += footprint(&message);
        }
        self.fresh.push_back(message);
        if self.hot > hot_max {
            self.cold = Some(Box::new(Cold::new(self.next)));
        }
    }

    /// Adds a message that came back and takes the next position. It stands before those that nobody
    /// has seen, unless they are in the store only.
    pub fn push_returned(&mut self, entry: Entry, hot_max: usize) {
        if self.cold.is_some() {
            return self.push(vec![entry.message], hot_max);
        }
        self.age_fresh();
        self.forget_strays();
        self.strays.add(self.next);
        self.next += 1;
        self.first_fresh = self.next;
        self.put_back(entry);
    }

    /// The first position of those that have not come back.
    fn first_in_line(&self) -> Seq {
        let cold = self.cold.as_ref().map_or(self.next, |cold| cold.from);
        let fresh = if self.fresh.is_empty() { cold } else { self.first_fresh };
        self.loaded.front().map_or(fresh, |first| first.seq)
    }

    /// Only what stands behind the first of those that are cold, or can still become so, matters.
    fn forget_strays(&mut self) {
        self.strays.forget_before(self.first_in_line());
    }

    /// Whether the message of a position is here.
    pub fn contains(&self, seq: Seq) -> bool {
        let fresh = self.first_fresh..self.first_fresh + self.fresh.len() as u64;
        let cold = self.cold.as_ref().map_or(self.next, |cold| cold.from);
        fresh.contains(&seq)
            || (cold..self.next).contains(&seq) && !self.strays.has(seq)
            || self.returned.contains_key(&seq)
            || self.loaded.binary_search_by_key(&seq, |entry| entry.seq).is_ok()
    }

    /// Puts a message back to its own position.
    pub fn put_back(&mut self, entry: Entry) {
        self.bytes += entry.message.body_len() as u64;
        self.count_transient(&entry.message);
        self.returned.insert(entry.seq, entry);
    }

    /// The message with the lowest position, if it is at hand, and whether it was handed out before.
    pub fn head(&self) -> Option<(&Message, bool)> {
        let entry = self.returned.first_key_value().map(|(_, entry)| entry);
        match entry.or_else(|| self.loaded.front()) {
            Some(entry) => Some((&entry.message, entry.redelivered)),
            None => self.fresh.front().map(|message| (message, false)),
        }
    }

    /// Takes the message with the lowest position, if it is at hand.
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = match self.returned.pop_first() {
            Some((_, entry)) => entry,
            None => match self.loaded.pop_front() {
                Some(entry) => {
                    if self.durable {
                        self.hot -= entry.footprint();
                    }
                    entry
                }
                None => self.pop_fresh()?,
            },
        };
        self.bytes = self.bytes.saturating_sub(entry.message.body_len() as u64);
        if self.durable && !entry.message.persistent() {
            self.transient.take(&entry.message);
        }
        Some(entry)
    }

    fn pop_fresh(&mut self) -> Option<Entry> {
        let message = self.fresh.pop_front()?;
        let seq = self.first_fresh;
        self.first_fresh += 1;
        if self.durable {
            self.hot -= footprint(&message);
        }
        if self.fresh.is_empty() {
            self.give_back_room();
        }
        let stored = self.durable && message.persistent();
        Some(Entry { seq, message, redelivered: false, returns: 0, stored })
    }

    /// When the first message arrived, ms since 1970; none if it is only in the store.
    pub fn first_arrived(&self) -> Option<u64> {
        let returned = self.returned.first_key_value().map(|(_, entry)| &entry.message);
        let loaded = || self.loaded.front().map(|entry| &entry.message);
        let first = returned.or_else(loaded).or_else(|| self.fresh.front());
        first.map(Message::arrived)
    }

    /// An empty queue holds little memory, whatever it held before.
    fn give_back_room(&mut self) {
        if self.fresh.capacity() > 16 * 1024 {
            self.fresh = VecDeque::new();
        }
    }

    /// Whether the store should be read, and from where: there is a cold part, nobody reads it yet,
    /// and no more than `below` octets are in memory. It counts as being read from now on.
    pub fn start_loading(&mut self, below: usize) -> Option<Seq> {
        let cold = self.cold.as_deref_mut()?;
        if cold.loading.is_some() || self.hot > below {
            return None;
        }
        cold.loading = Some(cold.from);
        Some(cold.from)
    }

    /// The store was read from `from` to `next`. Without effect if that is not awaited any more.
    pub fn loaded(&mut self, from: Seq, next: Seq, mut found: Vec<Entry>) {
        if self.cold.as_ref().is_none_or(|cold| cold.loading != Some(from)) {
            return;
        }
        self.age_fresh();
        found.retain(|entry| !self.strays.has(entry.seq));
        let Some(cold) = &mut self.cold else { return };
        if next == from {
            // The store has no more of them, whatever the count says.
            self.bytes = self.bytes.saturating_sub(cold.bytes);
            (cold.stored, cold.bytes) = (0, 0);
        }
        for entry in cold.take_up_to(next, found) {
            self.hot += entry.footprint();
            self.loaded.push_back(entry);
        }
        if cold.len() == 0 {
            self.cold = None;
            self.first_fresh = self.next;
        }
        self.forget_strays();
    }

    /// The message at `from` cannot be read: it stays in the store and counts no more.
    pub fn unreadable(&mut self, from: Seq, next: Seq) {
        let Some(cold) = self.cold.as_deref_mut() else { return };
        if cold.loading == Some(from) {
            let octets = if cold.stored <= 1 { cold.bytes } else { 0 };
            cold.forget(octets);
            self.bytes = self.bytes.saturating_sub(octets);
            self.loaded(from, next, Vec::new());
        }
    }

    /// What is fresh counts as loaded: it stands before all that is cold.
    fn age_fresh(&mut self) {
        let hot = self.hot;
        while let Some(entry) = self.pop_fresh() {
            self.loaded.push_back(entry);
        }
        self.hot = hot;
    }

    /// Leaves messages to the store until no more than `hot_max` octets are in memory.
    pub fn trim(&mut self, hot_max: usize) {
        if !self.durable || self.hot <= hot_max {
            return;
        }
        self.age_fresh();
        let next = self.next;
        let cold = self.cold.get_or_insert_with(|| Box::new(Cold::new(next)));
        while self.hot > hot_max
            && let Some(entry) = self.loaded.pop_back()
        {
            self.hot -= entry.footprint();
            cold.push_front(entry);
        }
        // What is being read now would no longer follow what is in memory.
        cold.loading = None;
        self.loaded.shrink_to_fit();
    }

    /// Takes out messages that the store has refused (position and octets of the body), as far as
    /// they are still here.
    pub fn refused(&mut self, refused: &[(Seq, u64)]) {
        let from = self.cold.as_ref().map_or(self.next, |cold| cold.from);
        if let Some(cold) = &mut self.cold {
            let is_cold = |seq: Seq| seq >= from && !self.strays.has(seq);
            for (_, octets) in refused.iter().filter(|(seq, _)| is_cold(*seq)) {
                cold.forget(*octets);
                self.bytes = self.bytes.saturating_sub(*octets);
            }
        }
        for (seq, _) in refused {
            // Somebody has had it: it goes on without the store.
            if let Some(entry) = self.returned.get_mut(seq) {
                entry.stored = false;
            }
        }
        self.age_fresh();
        let is_refused = |seq: Seq| refused.binary_search_by_key(&seq, |(seq, _)| *seq).is_ok();
        self.loaded.retain(|entry| {
            let stays = !(entry.stored && is_refused(entry.seq));
            if !stays {
                self.bytes = self.bytes.saturating_sub(entry.message.body_len() as u64);
                self.hot -= entry.footprint();
            }
            stays
        });
    }

    /// Drops all; how many there were. What of it the store has goes to `stored`.
    pub fn clear(&mut self, stored: &mut Spans) -> usize {
        let len = self.len();
        while let Some(entry) = self.pop() {
            stored.add(&entry);
        }
        if let Some(cold) = self.cold.take()
            && cold.stored > 0
        {
            let mut octets = cold.bytes;
            for (first, last) in self.strays.between(cold.from, self.next) {
                stored.add_range(first, last, std::mem::take(&mut octets));
            }
        }
        self.first_fresh = self.next;
        self.fresh = VecDeque::new();
        self.loaded = VecDeque::new();
        (self.bytes, self.hot, self.transient) = (0, 0, Sums::default());
        len
    }
}
