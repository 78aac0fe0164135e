//! Messages that consumers hold, by position.

use std::ops::RangeInclusive;

use super::Seq;
use super::place::level_of;
use crate::window::Window;

/// Something that is as heavy as it says.
pub trait Weight {
    /// How heavy.
    fn weight(&self) -> u64;
}

/// Values under positions; the positions of one level ascend, mostly, as they are inserted.
#[derive(Debug)]
pub struct Held<T> {
    lowest: Window<T>,
    /// The levels above, as far as there ever was a value.
    others: Vec<Window<T>>,
    in_others: usize,
    weight: u64,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { lowest: Window::default(), others: Vec::new(), in_others: 0, weight: 0 }
    }
}

impl<T: Weight> Held<T> {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.lowest.len() + self.in_others
    }

    /// How heavy all of them are.
    pub fn weight(&self) -> u64 {
        self.weight
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

    /// Adds a value under a position that has none.
    pub fn insert(&mut self, seq: Seq, value: T) {
        self.weight += value.weight();
        self.change(level_of(seq), |window| window.insert(seq, value));
    }

    /// Takes a value out.
    pub fn remove(&mut self, seq: Seq) -> Option<T> {
        let removed = self.change(level_of(seq), |window| window.remove(seq))?;
        self.weight -= removed.weight();
        Some(removed)
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
        self.weight -= removed.iter().map(|(_, value)| value.weight()).sum::<u64>();
        removed
    }
}
