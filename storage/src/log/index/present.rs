//! Which positions of a run hold a message, when not all of them do.

use super::bits::{Bits, words};

/// Bits per entry of the directory of ranks.
const BLOCK: u32 = 512;

/// A bitmap that grows at its end, with a directory that makes counting quick.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Present {
    bits: Bits,
    /// How many bits are set before each block.
    ranks: Vec<u32>,
    count: u32,
}

impl Present {
    /// All of the first positions.
    pub(super) fn full(span: u32) -> Self {
        let mut present = Self::default();
        for (index, mask) in words(0, span) {
            present.set(index, mask);
        }
        present
    }

    /// What an earlier [`bits`](Self::bits) gave.
    pub(crate) fn from_bits(bits: Bits) -> Self {
        let mut present = Self::default();
        for (index, &word) in bits.words().iter().enumerate() {
            present.set(index, word);
        }
        present
    }

    pub(crate) fn bits(&self) -> &Bits {
        &self.bits
    }

    /// Adds a position above all others.
    pub(super) fn push(&mut self, position: u32) {
        self.set(position as usize / 64, 1 << (position % 64));
    }

    /// How many positions hold a message.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How many positions before this one do.
    pub(super) fn rank(&self, position: u32) -> u32 {
        let block = position / BLOCK;
        match self.ranks.get(block as usize) {
            Some(rank) => rank + self.bits.count(block * BLOCK, position),
            None => self.count,
        }
    }

    fn set(&mut self, index: usize, bits: u64) {
        while self.ranks.len() <= index / (BLOCK as usize / 64) {
            self.ranks.push(self.count);
        }
        self.bits.set(index, bits);
        self.count += bits.count_ones();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counts() {
        let mut present = Present::full(700);
        let more = [700, 702, 1023, 1024, 2047, 5000];
        more.iter().for_each(|&position| present.push(position));
        for position in 0..6000_u32 {
            let before = more.iter().filter(|&&other| other < position).count() as u32;
            assert_eq!(present.rank(position), position.min(700) + before, "{position}");
        }
        assert_eq!(present.count(), 706);
        assert_eq!(Present::from_bits(present.bits().clone()), present);
    }
}
