//! Finding things in a list to whose end they are added, however long it gets.

use std::collections::HashMap;
use std::hash::Hash;

/// A list that is no longer is looked through one by one.
const FEW: usize = 32;

/// Where things are in a longer list, by what tells them apart.
#[derive(Debug)]
pub struct Places<K>(HashMap<K, usize>);

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Places<K> {
    /// The place of what has this key; no two in the list have the same.
    #[inline]
    pub fn find<T>(&mut self, list: &[T], key: K, key_of: impl Fn(&T) -> K) -> Option<usize> {
        if list.len() <= FEW {
            return list.iter().position(|one| key_of(one) == key);
        }
        let noted = self.0.len();
        let new = list.iter().enumerate().skip(noted);
        self.0.extend(new.map(|(at, one)| (key_of(one), at)));
        self.0.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_whether_there_are_few_or_many() {
        let (mut list, mut places) = (Vec::new(), Places::default());
        for number in 0..3 * FEW {
            assert_eq!(places.find(&list, number, |one: &usize| *one), None);
            list.push(number);
            for known in 0..=number {
                assert_eq!(places.find(&list, known, |one| *one), Some(known));
            }
        }
    }
}
