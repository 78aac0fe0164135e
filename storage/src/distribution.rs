//! How values are distributed.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many values there are up to each of some bounds, as of some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Ascending.
    pub bounds: &'static [u64],
    /// How many up to each bound and above the one before; at last those above all.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// 0 if there is none.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count().max(1) as f64
    }

    /// Which of the counts a value belongs to.
    #[inline]
    pub fn place(bounds: &[u64], value: u64) -> usize {
        bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
    }
}

/// A distribution that any thread adds to. `N` is one more than there are bounds.
#[derive(Debug)]
pub struct Spread<const N: usize> {
    bounds: &'static [u64],
    counts: [AtomicU64; N],
    sum: AtomicU64,
}

impl<const N: usize> Spread<N> {
    /// Without any value.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: [const { AtomicU64::new(0) }; N], sum: AtomicU64::new(0) }
    }

    /// One more value.
    pub fn note(&self, value: u64) {
        if let Some(count) = self.counts.get(Distribution::place(self.bounds, value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Values that were counted elsewhere.
    pub fn add(&self, counts: &[u64; N], sum: u64) {
        for (count, more) in self.counts.iter().zip(counts).filter(|(_, more)| **more > 0) {
            count.fetch_add(*more, Ordering::Relaxed);
        }
        self.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// As of now.
    pub fn get(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_within() {
        let spread = Spread::<3>::new(&[10, 20]);
        [0, 10, 11, 20, 21].iter().for_each(|value| spread.note(*value));
        spread.add(&[1, 0, 0], 5);
        let expected = Distribution { bounds: &[10, 20], counts: vec![3, 2, 1], sum: 67 };
        assert_eq!(spread.get(), expected);
        assert_eq!((expected.count(), expected.mean()), (6, 67.0 / 6.0));
    }
}
