//! Positions of one queue in one segment.

use std::sync::Arc;

use super::bits::words;
use super::present::Present;
use super::settled::Settled;

/// The widest gap between two positions of a run: a bitmap over it takes less than another run.
pub(super) const WIDEST_GAP: u64 = 256;

/// Positions are counted from `first`.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The position in the queue of position 0.
    pub(super) first: u64,
    /// The segment, as [`super::segments::Segments`] knows it.
    pub(super) slot: u32,
    /// One above the highest position.
    pub(super) span: u32,
    /// How many messages were published into it.
    pub(super) count: u32,
    /// How many of them are not settled.
    pub(super) live: u32,
    /// The lowest of those; nothing below matters any more.
    pub(super) low: u32,
    /// About how many bytes they take in the segment.
    pub(super) live_bytes: u32,
    /// Where they are.
    pub(super) places: Places,
    /// Which positions hold a message; all do without it.
    pub(super) present: Option<Arc<Present>>,
    /// Which positions above `low` are settled; none without it. Shared with snapshots.
    pub(super) settled: Option<Arc<Settled>>,
}

/// Where the messages of a run are in its segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Places {
    /// At these offsets.
    Memory(Vec<u32>),
    /// As the segment's table says, from this entry on.
    Table(u32),
}

impl Run {
    pub(super) fn new(slot: u32, first: u64) -> Self {
        Self {
            first,
            slot,
            span: 0,
            count: 0,
            live: 0,
            low: 0,
            live_bytes: 0,
            places: Places::Memory(Vec::new()),
            present: None,
            settled: None,
        }
    }

    /// One above the highest position in the queue.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.span))
    }

    /// The same part of the segment can hold another message; false: it needs another run.
    pub(super) fn push(&mut self, seq: u64, offset: u32, bytes: u32) -> bool {
        if self.live == 0 {
            self.reset(seq);
        }
        let gap = seq.wrapping_sub(self.end());
        let Places::Memory(offsets) = &mut self.places else {
            return false;
        };
        if gap > WIDEST_GAP || u64::from(self.span) + gap >= u64::from(u32::MAX) {
            return false;
        }
        offsets.push(offset);
        if gap != 0 || self.present.is_some() {
            let (span, position) = (self.span, self.span + gap as u32);
            let present = self.present.get_or_insert_with(|| Arc::new(Present::full(span)));
            Arc::make_mut(present).push(position);
        }
        self.span += gap as u32 + 1;
        self.count += 1;
        self.live += 1;
        self.live_bytes = self.live_bytes.saturating_add(bytes);
        true
    }

    /// Begins anew: a queue that is emptied again and again goes on in one run.
    fn reset(&mut self, first: u64) {
        self.first = first;
        (self.span, self.count, self.low, self.live_bytes) = (0, 0, 0, 0);
        (self.present, self.settled) = (None, None);
        if let Places::Memory(offsets) = &mut self.places {
            offsets.clear();
            offsets.shrink_to(1024);
        }
    }

    /// Gives up the memory of a run in which all is settled.
    pub(super) fn clear(&mut self) {
        (self.live, self.live_bytes, self.low) = (0, 0, self.span);
        (self.present, self.settled) = (None, None);
        if let Places::Memory(offsets) = &mut self.places {
            offsets.clear();
            offsets.shrink_to(1024);
        }
    }

    /// Settles the positions from `first` to `last` of the queue, and says how many of them held a
    /// message that was not settled, and how many bytes are free now.
    pub(super) fn settle(&mut self, first: u64, last: u64) -> (u32, u32) {
        if last < self.first || self.live == 0 {
            return (0, 0);
        }
        let from = first.saturating_sub(self.first).max(u64::from(self.low));
        let end = (last - self.first).saturating_add(1).min(u64::from(self.span));
        if from >= end {
            return (0, 0);
        }
        let (from, end) = (from as u32, end as u32);
        let gone = if from > self.low {
            self.punch(from, end)
        } else if self.present.is_none() && self.settled.is_none() {
            self.low = end;
            end - from
        } else {
            self.advance(end)
        };
        if gone >= self.live {
            let freed = self.live_bytes;
            self.clear();
            return (gone, freed);
        }
        // Divided by 32 bits, which is much quicker; what is lost goes with the last message.
        let freed = self.live_bytes / self.live * gone;
        self.live -= gone;
        self.live_bytes -= freed;
        (gone, freed)
    }

    /// Settles all that is left below `end`, which is above `low`.
    fn advance(&mut self, end: u32) -> u32 {
        let gone = self.count_live(self.low, end);
        let low = self.next_live(end).unwrap_or(self.span);
        if let Some(settled) = &mut self.settled {
            let holes = Arc::make_mut(settled);
            holes.pass(self.low, low);
            if holes.holes() == 0 {
                self.settled = None;
            }
        }
        self.low = low;
        gone
    }

    /// Settles positions behind others that are not settled.
    fn punch(&mut self, from: u32, end: u32) -> u32 {
        let (low, span) = (self.low, self.span);
        let settled = self.settled.get_or_insert_with(|| Arc::new(Settled::new(low, span)));
        let settled = Arc::make_mut(settled);
        let mut gone = 0;
        for (index, mask) in words(from, end) {
            let present = self.present.as_ref().map_or(u64::MAX, |bits| bits.bits().word(index));
            let bits = present & mask & !settled.word(index);
            settled.add(index, bits);
            gone += bits.count_ones();
        }
        if settled.holes() == 0 {
            self.settled = None;
        }
        gone
    }

    /// How many messages are not settled from `from`, at least `low`, to before `end`.
    fn count_live(&self, from: u32, end: u32) -> u32 {
        words(from, end).map(|(index, mask)| (self.live_word(index) & mask).count_ones()).sum()
    }

    /// The bits of messages that are not settled; those below `low` and from `span` on mean nothing.
    fn live_word(&self, index: usize) -> u64 {
        let present = self.present.as_ref().map_or(u64::MAX, |bits| bits.bits().word(index));
        let settled = self.settled.as_ref().map_or(0, |settled| settled.word(index));
        present & !settled
    }

    /// The bits of messages that are not settled.
    pub(super) fn live_bits(&self, index: usize) -> u64 {
        let first = index as u64 * 64;
        let below = |end: u32| match u64::from(end).saturating_sub(first) {
            bits @ 0..64 => (1 << bits) - 1,
            _ => u64::MAX,
        };
        self.live_word(index) & below(self.span) & !below(self.low)
    }

    /// The first message at `from` or above that is not settled.
    pub(super) fn next_live(&self, from: u32) -> Option<u32> {
        let from = from.max(self.low);
        if self.present.is_none() && self.settled.is_none() {
            return (from < self.span).then_some(from);
        }
        words(from, self.span).find_map(|(index, mask)| {
            let bits = self.live_word(index) & mask;
            (bits != 0).then(|| index as u32 * 64 + bits.trailing_zeros())
        })
    }

    /// Counts what is live, and forgets bits that say nothing.
    pub(super) fn recount(&mut self) {
        self.live = self.count_live(self.low, self.span);
        self.settled.take_if(|settled| settled.holes() == 0);
    }

    /// Which of the run's messages is at this position, counted from 0.
    pub(super) fn rank(&self, position: u32) -> u32 {
        self.present.as_ref().map_or(position, |present| present.rank(position))
    }
}

#[cfg(test)]
impl Run {
    pub(super) fn memory_bytes(&self) -> usize {
        let offsets = match &self.places {
            Places::Memory(offsets) => offsets.capacity() * 4,
            Places::Table(_) => 0,
        };
        let settled = self.settled.as_ref().map_or(0, |settled| settled.memory_bytes());
        let present = self.present.as_ref().map_or(0, |present| present.bits().memory_bytes());
        size_of::<Self>() + offsets + settled + present
    }
}
