//! Positions out of their order: messages that took one behind others and yet go before them.

use std::collections::VecDeque;

use super::Seq;

/// Such positions, as runs in ascending order.
#[derive(Debug, Default)]
pub struct Strays(VecDeque<(Seq, Seq)>);

impl Strays {
    /// Adds a position behind all others.
    pub fn add(&mut self, seq: Seq) {
        match self.0.back_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => self.0.push_back((seq, seq)),
        }
    }

    /// Whether a position is one of them.
    pub fn has(&self, seq: Seq) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < seq);
        self.0.get(at).is_some_and(|(first, _)| *first <= seq)
    }

    /// Forgets what stands before a position.
    pub fn forget_before(&mut self, seq: Seq) {
        while self.0.pop_front_if(|(_, last)| *last < seq).is_some() {}
    }

    /// The runs between them from one position up to before another one.
    pub fn between(&self, from: Seq, end: Seq) -> Vec<(Seq, Seq)> {
        let mut runs = Vec::new();
        let mut first = from;
        for (stray, last) in self.0.iter().filter(|(_, last)| *last >= from) {
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
}
