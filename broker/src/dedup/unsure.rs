//! Keys of messages of which nobody knows yet whether the store takes them.

use std::collections::{HashMap, VecDeque};

use super::Key;

/// Such keys. What a queue tells the store goes in rounds, one after another.
#[derive(Debug, Default)]
pub struct Unsure {
    round: u64,
    latest: HashMap<Key, u64>,
    order: VecDeque<(u64, Key)>,
}

impl Unsure {
    /// What comes now goes with this round. The store has taken, or refused, all of those before `sure`.
    pub fn go_on(&mut self, round: u64, sure: u64) {
        self.round = round;
        while let Some((round, key)) = self.order.pop_front_if(|(round, _)| *round < sure) {
            if self.latest.get(&key) == Some(&round) {
                self.latest.remove(&key);
            }
        }
    }

    /// A message with this key goes to the store.
    pub fn add(&mut self, key: Key) {
        if self.latest.insert(key, self.round) != Some(self.round) {
            self.order.push_back((self.round, key));
        }
    }

    /// Whether the message of a key is one of these.
    pub fn has(&self, key: Key) -> bool {
        self.latest.contains_key(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unsure_until_their_round_is_over() {
        let mut unsure = Unsure::default();
        unsure.go_on(1, 1);
        [7, 8, 7].into_iter().for_each(|key| unsure.add(key));
        unsure.go_on(2, 1);
        unsure.add(8);
        let has = |unsure: &Unsure| [7, 8].map(|key| unsure.has(key));
        assert_eq!(has(&unsure), [true, true]);
        unsure.go_on(3, 2);
        assert_eq!(has(&unsure), [false, true], "one of them has come again");
        unsure.go_on(3, 3);
        assert_eq!(has(&unsure), [false, false]);
        assert!(unsure.order.is_empty() && unsure.latest.is_empty());
    }
}
