//! Which positions of a run were settled before others that stand in front of them.

use super::bits::{Bits, words};

/// The holes of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settled {
    /// The word of the run that the bits begin with: all positions below were settled already when
    /// the first hole was made.
    base: usize,
    bits: Bits,
    /// How many there are: the bits set at and above the run's `low`.
    holes: u32,
}

impl Settled {
    /// No holes yet, in a run in which all is settled below `low`.
    pub(super) fn new(low: u32, span: u32) -> Self {
        let base = low / 64;
        Self { base: base as usize, bits: Bits::with_room(span - base * 64), holes: 0 }
    }

    /// Those words, from the one that holds `low` on. Bits below `low` are none.
    pub(crate) fn from_words(low: u32, words: Vec<u64>) -> Self {
        let (base, mut bits) = (low as usize / 64, Bits::from_words(words));
        bits.clear_below(low % 64);
        let holes = bits.ones();
        Self { base, bits, holes }
    }

    /// The bits from `64 * index` on.
    pub(crate) fn word(&self, index: usize) -> u64 {
        index.checked_sub(self.base).map_or(0, |index| self.bits.word(index))
    }

    pub(super) fn holes(&self) -> u32 {
        self.holes
    }

    /// Adds holes where there were none, above `low`.
    pub(super) fn add(&mut self, index: usize, bits: u64) {
        if let Some(index) = index.checked_sub(self.base) {
            self.bits.set(index, bits);
            self.holes += bits.count_ones();
        }
    }

    /// Forgets the holes from the former `low` to the new one.
    pub(super) fn pass(&mut self, from: u32, low: u32) {
        let passed = words(from, low).map(|(index, mask)| (self.word(index) & mask).count_ones());
        self.holes = self.holes.saturating_sub(passed.sum());
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.bits.memory_bytes()
    }
}
