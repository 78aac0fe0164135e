//! Bitmaps over the positions of a run.

/// Bits that are zero until they are set, however far away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Those words, the lowest bits first.
    pub(crate) fn from_words(words: Vec<u64>) -> Self {
        Self { words }
    }

    /// Its words without the zeros at the end.
    pub(crate) fn words(&self) -> &[u64] {
        let used = self.words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        self.words.get(..used).unwrap_or_default()
    }

    /// How many are set.
    pub(super) fn ones(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Clears the lowest bits of the first word.
    pub(super) fn clear_below(&mut self, bit: u32) {
        if let Some(word) = self.words.first_mut() {
            *word &= u64::MAX << bit;
        }
    }

    /// The 64 bits from `64 * index` on.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// Zeros, with memory for so many bits.
    pub(super) fn with_room(bits: u32) -> Self {
        Self { words: Vec::with_capacity(bits.div_ceil(64) as usize) }
    }

    /// Sets those bits of a word.
    pub(super) fn set(&mut self, index: usize, bits: u64) {
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        if let Some(word) = self.words.get_mut(index) {
            *word |= bits;
        }
    }

    /// Whether the highest bit set is the one before `end`.
    pub(super) fn ends_at(&self, end: u32) -> bool {
        self.words().last().is_some_and(|word| {
            let last = self.words().len() as u64 * 64 - u64::from(word.leading_zeros());
            last == u64::from(end)
        })
    }

    /// The bits set from `from` to before `end`.
    pub(super) fn count(&self, from: u32, end: u32) -> u32 {
        words(from, end).map(|(index, mask)| (self.word(index) & mask).count_ones()).sum()
    }

    /// How many bits there is memory for.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }
}

/// The words that hold the bits from `from` to before `end`, with masks of those.
pub(super) fn words(from: u32, end: u32) -> impl Iterator<Item = (usize, u64)> {
    let range = if from < end { from / 64..end.div_ceil(64) } else { 0..0 };
    range.map(move |index| {
        let mut mask = u64::MAX;
        if index == from / 64 {
            mask <<= from % 64;
        }
        if index == end / 64 {
            mask &= (1 << (end % 64)) - 1;
        }
        (index as usize, mask)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cover_exactly_the_bits() {
        for from in 0..200 {
            for end in 0..200 {
                let mut bits = Bits::default();
                words(from, end).for_each(|(index, mask)| bits.set(index, mask));
                for bit in 0..260_u32 {
                    let set = bits.word(bit as usize / 64) >> (bit % 64) & 1 == 1;
                    assert_eq!(set, (from..end).contains(&bit), "{from}..{end}: {bit}");
                }
                assert_eq!(bits.count(0, 300), end.saturating_sub(from));
            }
        }
    }
}
