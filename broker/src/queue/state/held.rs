//! Messages that consumers hold, by position.

use std::ops::RangeInclusive;

use super::Seq;
use super::place::level_of;
use super::sums::{Carries, Sums};
use crate::message::Message;
use crate::window::Window;

/// Values under positions; the positions of one level ascend, mostly, as they are inserted.
#[derive(Debug)]
pub struct Held<T> {
    lowest: Window<T>,
    /// The levels above, as far as there ever was a value.
    others: Vec<Window<T>>,
    in_others: usize,
    sums: Sums,
    /// Sums over those that are not persistent.
    transient: Sums,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        let (lowest, others) = (Window::default(), Vec::new());
        let (sums, transient) = (Sums::default(), Sums::default());
        Self { lowest, others, in_others: 0, sums, transient }
    }
}

impl<T: Carries> Held<T> {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.lowest.len() + self.in_others
    }

    fn change<R>(&mut self, level: u8, change: impl FnOnce(&mut Window<T>) -> R) -> R {
        let Some(at) = level.checked_sub(1) else { return change(&mut self.lowest) };
        if usize::from(at) >= self.others.len() {
            self.others.resize_with(usize::from(level), Window::default);
        }
        let Some(window) = self.others.get_mut(usize::from(at)) else {
            return change(&mut self.lowest);
        };
        let before = window.len();
        let result = change(window);
        self.in_others = self.in_others + window.len() - before;
        result
    }

    /// Sums over their messages.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// Sums over the messages that are not persistent.
    pub fn transient(&self) -> Sums {
        self.transient
    }

    /// The message with the lowest position of the lowest level that has any.
    pub fn first(&self) -> Option<(Seq, &Message)> {
        let windows = std::iter::once(&self.lowest).chain(&self.others);
        windows
            .filter_map(|window| window.first_value())
            .map(|(seq, of)| (seq, of.message()))
            .next()
    }

    fn forget(&mut self, message: &Message) {
        self.sums.take(message);
        if !message.persistent() {
            self.transient.take(message);
        }
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let windows = std::iter::once(&self.lowest).chain(&self.others);
        windows.flat_map(Window::iter).map(|(_, value)| value)
    }

    /// Adds a value.
    pub fn insert(&mut self, seq: Seq, value: T) {
        self.sums.add(value.message());
        if !value.message().persistent() {
            self.transient.add(value.message());
        }
        self.change(level_of(seq), |window| window.insert(seq, value));
    }

    /// Takes a value out.
    pub fn remove(&mut self, seq: Seq) -> Option<T> {
        let removed = self.change(level_of(seq), |window| window.remove(seq));
        if let Some(removed) = &removed {
            self.forget(removed.message());
        }
        removed
    }

    /// Whether there is a value under a position.
    pub fn contains(&self, seq: Seq) -> bool {
        let window = match level_of(seq).checked_sub(1) {
            None => Some(&self.lowest),
            Some(at) => self.others.get(usize::from(at)),
        };
        window.is_some_and(|window| window.contains(seq))
    }

    /// Takes out all values in a range of positions of one level, ascending.
    pub fn remove_range(&mut self, range: RangeInclusive<Seq>) -> Vec<(Seq, T)> {
        let removed = self.change(level_of(*range.start()), |window| window.remove_range(range));
        removed.iter().for_each(|(_, value)| self.forget(value.message()));
        removed
    }
}
