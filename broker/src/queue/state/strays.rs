//! Positions out of their order: messages that took one behind others and yet go before them, or that
//! were taken from between others.

use std::collections::BTreeMap;

use super::Seq;

/// Such positions, as runs: the last one of each by its first one.
#[derive(Debug, Default)]
pub struct Strays(BTreeMap<Seq, Seq>);

impl Strays {
    /// Adds a position.
    pub fn add(&mut self, seq: Seq) {
        if self.has(seq) {
            return;
        }
        let last = self.0.remove(&(seq + 1)).unwrap_or(seq);
        match self.0.range_mut(..seq).next_back() {
            Some((_, end)) if *end + 1 == seq => *end = last,
            _ => drop(self.0.insert(seq, last)),
        }
    }

    /// Takes a position out.
    pub fn remove(&mut self, seq: Seq) {
        let Some((&first, &last)) = self.0.range(..=seq).next_back() else { return };
        if last < seq {
            return;
        }
        self.0.remove(&first);
        if first < seq {
            self.0.insert(first, seq - 1);
        }
        if seq < last {
            self.0.insert(seq + 1, last);
        }
    }

    /// Whether a position is one of them.
    pub fn has(&self, seq: Seq) -> bool {
        self.0.range(..=seq).next_back().is_some_and(|(_, last)| seq <= *last)
    }

    /// Forgets what stands before a position.
    pub fn forget_before(&mut self, seq: Seq) {
        while self.0.first_key_value().is_some_and(|(_, last)| *last < seq) {
            self.0.pop_first();
        }
    }

    /// The runs between them from one position up to before another one.
    pub fn between(&self, from: Seq, end: Seq) -> Vec<(Seq, Seq)> {
        let mut runs = Vec::new();
        let mut first = from;
        for (stray, last) in self.0.iter().filter(|(_, last)| **last >= from) {
            runs.push((first, (*stray).min(end)));
            first = last + 1;
        }
        runs.push((first, end));
        runs.retain(|(first, end)| first < end);
        runs.into_iter().map(|(first, end)| (first, end - 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stand_between_them() {
        let mut strays = Strays::default();
        assert_eq!(strays.between(3, 9), [(3, 8)]);
        [4, 5, 8, 20].into_iter().for_each(|seq| strays.add(seq));
        let has: Vec<Seq> = (0..30).filter(|seq| strays.has(*seq)).collect();
        assert_eq!(has, [4, 5, 8, 20]);
        assert_eq!(strays.between(0, 22), [(0, 3), (6, 7), (9, 19), (21, 21)]);
        assert_eq!(strays.between(5, 8), [(6, 7)]);
        assert_eq!(strays.between(4, 6), []);
        strays.forget_before(8);
        let has: Vec<Seq> = (0..30).filter(|seq| strays.has(*seq)).collect();
        assert_eq!(has, [8, 20]);
    }

    #[test]
    fn runs_grow_together_and_fall_apart() {
        let mut strays = Strays::default();
        [5, 3, 9, 4, 4, 8].into_iter().for_each(|seq| strays.add(seq));
        assert_eq!(strays.between(0, 12), [(0, 2), (6, 7), (10, 11)]);
        [4, 8, 1, 6].into_iter().for_each(|seq| strays.remove(seq));
        assert_eq!(strays.between(0, 12), [(0, 2), (4, 4), (6, 8), (10, 11)]);
    }
}
