//! A map from ascending numbers to values, for things that are mostly finished in order:
//! unacknowledged messages by their position, or by their delivery tag.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};

/// Slots of the window that are looked at before it is worth thinning out.
const THIN_OUT_AT: usize = 1024;

/// Values under numbers that are inserted in ascending order and removed in any order.
///
/// Most live in a deque that is indexed by number; those that stay behind while thousands after
/// them go are moved to a tree, so that one old value does not hold the room of all later ones.
#[derive(Debug)]
pub struct Window<T> {
    base: u64,
    /// The first one is always full.
    slots: VecDeque<Option<T>>,
    in_slots: usize,
    old: BTreeMap<u64, T>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { base: 0, slots: VecDeque::new(), in_slots: 0, old: BTreeMap::new() }
    }
}

impl<T> Window<T> {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.in_slots + self.old.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value. A number at or above the window's end goes there; one below it (a message
    /// delivered a second time) goes to its own place.
    pub fn insert(&mut self, number: u64, value: T) {
        if self.slots.is_empty() {
            self.base = number;
        }
        let Some(at) = number.checked_sub(self.base) else {
            self.old.insert(number, value);
            return;
        };
        let at = at as usize;
        if at >= self.slots.len() + THIN_OUT_AT {
            self.thin_out();
            self.base = number;
            self.slots.push_back(None);
        }
        let at = (number - self.base) as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            self.in_slots += usize::from(slot.replace(value).is_none());
        }
        if self.slots.len() >= THIN_OUT_AT && self.slots.len() > 4 * self.in_slots {
            self.thin_out();
        }
    }

    /// Moves all that is in the slots to the tree.
    fn thin_out(&mut self) {
        let base = self.base;
        let slots = self.slots.drain(..).enumerate();
        let numbered = slots.filter_map(|(at, slot)| Some((base + at as u64, slot?)));
        self.old.extend(numbered);
        self.in_slots = 0;
    }

    /// Takes a value out.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let Some(at) = number.checked_sub(self.base) else {
            return self.old.remove(&number);
        };
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return self.old.remove(&number);
        };
        let Some(value) = slot.take() else {
            return self.old.remove(&number);
        };
        self.in_slots -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        if self.slots.is_empty() && self.slots.capacity() > THIN_OUT_AT {
            self.slots = VecDeque::new();
        }
        Some(value)
    }

    /// Whether it holds a number.
    pub fn contains(&self, number: u64) -> bool {
        let at = number.checked_sub(self.base).and_then(|at| self.slots.get(at as usize));
        matches!(at, Some(Some(_))) || self.old.contains_key(&number)
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u64> {
        let in_slots = (!self.slots.is_empty()).then_some(self.base);
        self.old.keys().next().copied().into_iter().chain(in_slots).min()
    }

    /// The value with the smallest number.
    pub fn first_value(&self) -> Option<(u64, &T)> {
        let old = self.old.first_key_value().map(|(number, value)| (*number, value));
        let in_slots = self.slots.front().and_then(|slot| Some((self.base, slot.as_ref()?)));
        old.into_iter().chain(in_slots).min_by_key(|(number, _)| *number)
    }

    /// Takes out all values in a range of numbers, ascending.
    pub fn remove_range(&mut self, range: RangeInclusive<u64>) -> Vec<(u64, T)> {
        let mut taken = Vec::new();
        while let Some((&number, _)) = self.old.range(range.clone()).next() {
            taken.extend(self.old.remove(&number).map(|value| (number, value)));
        }
        let end = self.base + self.slots.len() as u64;
        for number in self.base.max(*range.start())..end.min(range.end().saturating_add(1)) {
            taken.extend(self.remove(number).map(|value| (number, value)));
        }
        taken.sort_by_key(|(number, _)| *number);
        taken
    }

    /// All values, ascending.
    pub fn drain(&mut self) -> Vec<(u64, T)> {
        self.remove_range(0..=u64::MAX)
    }

    /// The first values whose numbers are in a range, ascending.
    pub fn range(&self, range: Range<u64>, max: usize) -> Vec<(u64, &T)> {
        if range.is_empty() {
            return Vec::new();
        }
        let old = self.old.range(range.clone()).map(|(number, value)| (*number, value));
        let slots = self.base..self.base + self.slots.len() as u64;
        let (begin, end) = (range.start.max(slots.start), range.end.min(slots.end));
        let numbered = (begin..end).filter_map(|number| {
            Some((number, self.slots.get((number - self.base) as usize)?.as_ref()?))
        });
        let mut found: Vec<_> = old.take(max).chain(numbered.take(max)).collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found.truncate(max);
        found
    }

    /// Values and their numbers, ascending within the old ones and within the rest.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let slots = self.slots.iter().enumerate();
        let in_slots = slots.filter_map(|(at, slot)| Some((self.base + at as u64, slot.as_ref()?)));
        self.old.iter().map(|(number, value)| (*number, value)).chain(in_slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert { skip: u16 },
        Reinsert(u16),
        Remove(u16),
        RemoveRange(u16, u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u16..3).prop_map(|skip| Step::Insert { skip }),
            1 => (0u16..3000).prop_map(|skip| Step::Insert { skip }),
            1 => any::<u16>().prop_map(Step::Reinsert),
            4 => any::<u16>().prop_map(Step::Remove),
            1 => (any::<u16>(), 0u16..100).prop_map(|(a, n)| Step::RemoveRange(a, n)),
        ];
        proptest::collection::vec(step, 0..3000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_a_tree(steps in steps()) {
            let (mut window, mut model) = (Window::default(), BTreeMap::new());
            let mut next = 1u64;
            for step in steps {
                match step {
                    Step::Insert { skip } => {
                        next += u64::from(skip);
                        window.insert(next, next);
                        model.insert(next, next);
                        next += 1;
                    }
                    Step::Reinsert(number) => {
                        let number = u64::from(number) % next;
                        window.remove(number);
                        window.insert(number, number);
                        model.insert(number, number);
                    }
                    Step::Remove(number) => {
                        let number = u64::from(number) % next;
                        prop_assert_eq!(window.remove(number), model.remove(&number));
                    }
                    Step::RemoveRange(start, len) => {
                        let start = u64::from(start) % next;
                        let range = start..=start + u64::from(len);
                        let expected: Vec<_> = model.extract_if(range.clone(), |_, _| true).collect();
                        prop_assert_eq!(window.remove_range(range), expected);
                    }
                }
                prop_assert_eq!(window.len(), model.len());
                prop_assert_eq!(window.first(), model.keys().next().copied());
                prop_assert_eq!(window.first_value().map(|(number, _)| number), window.first());
                prop_assert_eq!(window.contains(next / 2), model.contains_key(&(next / 2)));
                let span = next / 3..next;
                let expected: Vec<_> = model.range(span.clone()).take(5).map(|(n, v)| (*n, v)).collect();
                prop_assert_eq!(window.range(span, 5), expected);
            }
            prop_assert_eq!(window.drain(), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_old_value_does_not_hold_the_room_of_later_ones() {
        let mut window = Window::default();
        window.insert(0, 0);
        for number in 1..1_000_000 {
            window.insert(number, number);
            window.remove(number);
        }
        assert_eq!(window.len(), 1);
        assert!(window.slots.capacity() < 4 * THIN_OUT_AT);
    }
}
