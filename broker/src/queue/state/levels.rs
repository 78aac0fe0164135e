//! Messages that wait for a consumer, by priority.

use std::ops::Range;

use super::Entry;
use super::Seq;
use super::entry::footprint;
use super::place::{first_of, level_of};
use super::ready::{Past, Ready};
use super::spans::Spans;
use super::turns::{LevelSet, Priorities, PriorityMode, Turns};
use crate::message::Message;

/// Messages of one priority, in the order of their positions.
#[derive(Debug)]
struct Level {
    ready: Ready,
    /// See [`Levels::handed_out_before`].
    handed_out_before: Seq,
    /// Positions before this one were handed out, and the store knows it.
    handed_out: Seq,
}

impl Level {
    fn new(level: u8, durable: bool, past: Past) -> Self {
        let base = first_of(level);
        let Past { first, next, messages, bytes, delivered } = past;
        let delivered = base + delivered;
        let past = Past { first: base + first, next: base + next, messages, bytes, delivered };
        Self {
            ready: Ready::new(durable, past),
            handed_out_before: delivered,
            handed_out: delivered,
        }
    }
}

/// All messages that wait: one level for each priority, and whose turn it is. A plain queue has one.
#[derive(Debug)]
pub struct Levels {
    lowest: Level,
    others: Vec<Level>,
    turns: Turns,
    /// Of all levels; not of a plain queue.
    sums: Sums,
}

/// What there is of messages that wait, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Messages that only the store holds.
    pub cold: usize,
    /// Octets of their bodies.
    pub cold_bytes: u64,
    /// Messages of a durable queue that are not persistent.
    pub transient: usize,
    /// Octets of their bodies.
    pub transient_bytes: u64,
}

impl Weight {
    fn with(self, ready: &Ready) -> Self {
        let ((cold, cold_bytes), transient) = (ready.cold(), ready.transient());
        Self {
            cold: self.cold + cold,
            cold_bytes: self.cold_bytes + cold_bytes,
            transient: self.transient + transient.messages,
            transient_bytes: self.transient_bytes + transient.bytes,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    messages: usize,
    bytes: u64,
    hot: usize,
}

impl Sums {
    fn of(ready: &Ready) -> Self {
        Self { messages: ready.len(), bytes: ready.bytes(), hot: ready.hot() }
    }

    /// What was `before` in it is now `after`.
    fn exchange(&mut self, before: Self, after: Self) {
        self.messages = self.messages + after.messages - before.messages;
        self.bytes = self.bytes + after.bytes - before.bytes;
        self.hot = self.hot + after.hot - before.hot;
    }
}

impl Levels {
    /// What there is at the start: the past of each level, the lowest first, as the store has it. Those
    /// that are missing have none.
    pub fn new(durable: bool, priorities: Priorities, past: &[Past]) -> Self {
        let past_of = |level: u8| past.get(usize::from(level)).copied().unwrap_or_default();
        // Whatever the store has is there.
        let stored = u8::try_from(past.len().saturating_sub(1)).unwrap_or(u8::MAX);
        let highest = priorities.max.max(stored);
        let new = |level| Level::new(level, durable, past_of(level));
        let mut levels = Self {
            lowest: new(0),
            others: (1..=highest).map(new).collect(),
            turns: Turns::new(priorities.mode, highest),
            sums: Sums::default(),
        };
        (0..=highest).for_each(|level| levels.review(level, Sums::default()));
        levels
    }

    /// From now on the levels share their consumers otherwise.
    pub fn set_mode(&mut self, mode: PriorityMode) {
        self.turns.set_mode(mode);
    }

    /// Whether there is but one level.
    pub fn is_plain(&self) -> bool {
        self.others.is_empty()
    }

    fn at(&self, level: u8) -> &Level {
        match level.checked_sub(1) {
            None => &self.lowest,
            Some(at) => self.others.get(usize::from(at)).unwrap_or(&self.lowest),
        }
    }

    fn at_mut(&mut self, level: u8) -> &mut Level {
        match level.checked_sub(1) {
            None => &mut self.lowest,
            Some(at) => self.others.get_mut(usize::from(at)).unwrap_or(&mut self.lowest),
        }
    }

    /// When the oldest of the first messages of all levels arrived, ms since 1970, as far as they are in
    /// memory.
    pub fn first_arrived(&self) -> Option<u64> {
        let all = std::iter::once(&self.lowest).chain(&self.others);
        all.filter_map(|level| level.ready.first_arrived()).min()
    }

    fn ready(&self, level: u8) -> &Ready {
        &self.at(level).ready
    }

    /// Changes a level.
    fn change<R>(&mut self, level: u8, change: impl FnOnce(&mut Ready) -> R) -> R {
        let ready = &mut self.at_mut(level).ready;
        let before = Sums::of(ready);
        let result = change(ready);
        self.review(level, before);
        result
    }

    /// Notes what has become of a level. The only one of a plain queue always counts as occupied.
    fn review(&mut self, level: u8, before: Sums) {
        if !self.is_plain() {
            let after = Sums::of(self.ready(level));
            self.sums.exchange(before, after);
            self.turns.set_occupied(level, after.messages > 0);
        }
    }

    /// Levels that may have messages, the highest first.
    pub fn occupied(&self) -> LevelSet {
        self.turns.occupied()
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        if self.is_plain() { self.lowest.ready.len() } else { self.sums.messages }
    }

    /// Octets of their bodies.
    pub fn bytes(&self) -> u64 {
        if self.is_plain() { self.lowest.ready.bytes() } else { self.sums.bytes }
    }

    /// What there is of it.
    pub fn weight(&self) -> Weight {
        let levels = std::iter::once(&self.lowest).chain(&self.others);
        levels.fold(Weight::default(), |weight, level| weight.with(&level.ready))
    }

    /// The message that stands first, if it is at hand.
    pub fn head(&self) -> Option<&Message> {
        self.next_level().and_then(|level| self.head_of(level))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        if self.is_plain() { self.lowest.ready.is_empty() } else { self.occupied().is_empty() }
    }

    /// The level whose turn it is; it may have to be read first.
    fn next_level(&self) -> Option<u8> {
        if self.is_plain() {
            return Some(0);
        }
        self.turns.next(|level| self.head_of(level).map(Message::arrived))
    }

    /// Whether there is none that [`Self::pop`] could give now.
    pub fn has_none_at_hand(&self) -> bool {
        self.next_level().is_none_or(|level| self.ready(level).has_none_at_hand())
    }

    /// Takes the message whose turn it is, if it is at hand.
    pub fn pop(&mut self) -> Option<Entry> {
        if self.is_plain() {
            return self.lowest.ready.pop();
        }
        let level = self.next_level()?;
        let entry = self.pop_of(level)?;
        self.turns.took(level);
        Some(entry)
    }

    /// Takes the message whose turn it is, if it is at hand, for something else than to hand it out.
    pub fn drop_next(&mut self) -> Option<Entry> {
        self.next_level().and_then(|level| self.pop_of(level))
    }

    /// The first message of a level, if it is at hand.
    pub fn head_of(&self, level: u8) -> Option<&Message> {
        self.ready(level).head().map(|(message, _)| message)
    }

    /// Takes the first message of a level, if it is at hand.
    pub fn pop_of(&mut self, level: u8) -> Option<Entry> {
        self.change(level, Ready::pop)
    }

    /// The level that a message belongs to.
    pub fn level_for(&self, message: &Message) -> u8 {
        self.turns.highest().min(message.priority())
    }

    /// The position that the next message of a level will get.
    pub fn next_of(&self, level: u8) -> Seq {
        self.ready(level).next()
    }

    /// The position that the next message of a plain queue will get.
    pub fn next(&self) -> Seq {
        self.lowest.ready.next()
    }

    /// Appends messages to a plain queue.
    pub fn push(&mut self, messages: Vec<Message>, hot_max: usize) {
        self.lowest.ready.push(messages, hot_max);
    }

    /// Appends a message to a level. What stands below has to leave it the memory.
    pub fn push_to(&mut self, level: u8, message: Message, hot_max: usize) {
        let left = if self.sums.hot.saturating_add(footprint(&message)) <= hot_max {
            hot_max
        } else {
            let above = self.occupied().filter(|other| *other > level);
            hot_max.saturating_sub(above.map(|other| self.ready(other).hot()).sum())
        };
        self.change(level, |ready| ready.push_one(message, left));
    }

    /// Adds a message that came back, at the next position of its level: see [`Ready::push_returned`].
    pub fn push_returned(&mut self, entry: Entry, hot_max: usize) {
        self.change(level_of(entry.seq), |ready| ready.push_returned(entry, hot_max));
    }

    /// Puts a message back to its own position.
    pub fn put_back(&mut self, entry: Entry) {
        self.change(level_of(entry.seq), |ready| ready.put_back(entry));
    }

    /// Takes those of these messages that are here, wherever they stand; `found` is in order of position.
    /// See [`Ready::take`].
    pub fn take(&mut self, mut found: Vec<Entry>) -> Vec<Entry> {
        let mut taken = Vec::new();
        while let Some(level) = found.last().map(|entry| level_of(entry.seq)) {
            let of_level =
                found.split_off(found.partition_point(|entry| level_of(entry.seq) < level));
            taken.push(self.change(level, |ready| ready.take(of_level)));
        }
        taken.into_iter().rev().flatten().collect()
    }

    /// Has a message that was taken so be where it was.
    pub fn undo_take(&mut self, entry: Entry) {
        self.change(level_of(entry.seq), |ready| ready.undo_take(entry));
    }

    /// The first messages of a level in memory whose positions are in a range, in order.
    pub fn in_memory_at(&self, range: Range<Seq>, max: usize) -> Vec<Entry> {
        self.ready(level_of(range.start)).in_memory_at(range, max)
    }

    /// Where those messages of a level begin that only the store has.
    pub fn cold_from(&self, level: u8) -> Option<Seq> {
        self.ready(level).cold_from()
    }

    /// The highest level below this one that ever had a message.
    pub fn used_below(&self, end: u16) -> Option<u8> {
        let used = |level: &u8| self.next_of(*level) != first_of(*level);
        let levels = 0..end.min(self.others.len() as u16 + 1);
        levels.rev().filter_map(|level| u8::try_from(level).ok()).find(used)
    }

    /// Whether the message of a position is here.
    pub fn contains(&self, seq: Seq) -> bool {
        let level = level_of(seq);
        usize::from(level) <= self.others.len() && self.ready(level).contains(seq)
    }

    /// Whether a level should be read from the store, and from where: see [`Ready::start_loading`].
    pub fn start_loading(&mut self, level: u8, below: usize) -> Option<Seq> {
        self.at_mut(level).ready.start_loading(below)
    }

    /// Octets of a level in memory, if the store has no more of it.
    pub fn wholly_in_memory(&self, level: u8) -> Option<usize> {
        let ready = self.ready(level);
        (!ready.has_cold()).then(|| ready.hot())
    }

    /// Whether levels may be read at the same time.
    pub fn are_mixed(&self) -> bool {
        self.turns.are_mixed()
    }

    /// The store was read from `from` to `next`.
    pub fn loaded(&mut self, from: Seq, next: Seq, found: Vec<Entry>) {
        self.change(level_of(from), |ready| ready.loaded(from, next, found));
    }

    /// Messages of the same level as this position that stand before the one returned, read from the
    /// store, may have been handed out in a former life.
    pub fn handed_out_before(&self, seq: Seq) -> Seq {
        self.at(level_of(seq)).handed_out_before
    }

    /// The message at `from` cannot be read: it stays in the store and counts no more.
    pub fn unreadable(&mut self, from: Seq, next: Seq) {
        self.change(level_of(from), |ready| ready.unreadable(from, next));
    }

    /// Leaves messages to the store until no more than `hot_max` octets are in memory, those of the
    /// lowest priorities first.
    pub fn trim(&mut self, hot_max: usize) {
        let mut left = hot_max;
        for level in self.occupied() {
            self.change(level, |ready| ready.trim(left));
            left = left.saturating_sub(self.ready(level).hot());
        }
    }

    /// As [`Self::trim`], once it is worth the while.
    pub fn trim_at_times(&mut self, hot_max: usize) {
        if self.sums.hot > hot_max.saturating_mul(2) {
            self.trim(hot_max);
        }
    }

    /// Takes out messages that the store has refused (position and octets of the body, by position),
    /// as far as they are still here.
    pub fn refused(&mut self, refused: &[(Seq, u64)]) {
        for refused in refused.chunk_by(|(one, _), (other, _)| level_of(*one) == level_of(*other)) {
            if let Some((seq, _)) = refused.first() {
                self.change(level_of(*seq), |ready| ready.refused(refused));
            }
        }
    }

    /// Drops all; how many there were. What of it the store has goes to `stored`.
    pub fn clear(&mut self, stored: &mut Spans) -> usize {
        let levels = self.occupied();
        levels.map(|level| self.change(level, |ready| ready.clear(stored))).sum()
    }

    /// Notes that a message was handed out; whether the store has to hear of it.
    pub fn note_handed_out(&mut self, seq: Seq) -> bool {
        let level = self.at_mut(level_of(seq));
        let is_news = seq >= level.handed_out;
        if is_news {
            level.handed_out = seq + 1;
        }
        is_news
    }

    /// Levels that ever had a message, other than the lowest one.
    pub fn others_used(&self) -> impl Iterator<Item = u8> {
        (1..=u8::MAX).zip(&self.others).filter_map(|(level, of)| {
            let used = of.ready.next() != first_of(level);
            used.then_some(level)
        })
    }
}
