//! How often messages have come back.

use std::collections::BTreeMap;

/// Intervals of positions with the same count, by their last position: settling from the front,
/// which is the usual way, then changes only a value. Positions without a message may be covered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Returns {
    by_last: BTreeMap<u64, Interval>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Interval {
    first: u64,
    count: u32,
}

impl Returns {
    pub(super) fn is_empty(&self) -> bool {
        self.by_last.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.by_last.clear();
    }

    /// The intervals as (first, last, count), in order.
    pub(super) fn intervals(&self) -> impl Iterator<Item = (u64, u64, u32)> {
        self.by_last.iter().map(|(&last, interval)| (interval.first, last, interval.count))
    }

    /// The interval at `seq`, or the first one above, as (first, last, count).
    pub(super) fn at_or_above(&self, seq: u64) -> Option<(u64, u64, u32)> {
        let (&last, interval) = self.by_last.range(seq..).next()?;
        Some((interval.first, last, interval.count))
    }

    /// Adds an interval above all others.
    pub(super) fn push(&mut self, first: u64, last: u64, count: u32) {
        self.by_last.insert(last, Interval { first, count });
    }

    /// Counts one more for each position from `first` to `last`, which is not the last one of all.
    /// `next_live` says which message is the first that is not settled at a position or above.
    pub(super) fn add(&mut self, first: u64, last: u64, next_live: impl Fn(u64) -> Option<u64>) {
        self.split(first);
        self.split(last + 1);
        // The neighbours are joined again if they are alike now.
        let touched = self.take(first.saturating_sub(1), last + 1);
        let mut joined = Joined { returns: self, next_live, open: None };
        let mut from = first;
        for (begin, end, count) in touched {
            if from < begin && from <= last {
                joined.push(from, last.min(begin - 1), 1);
            }
            let inside = begin >= first && begin <= last;
            joined.push(begin, end, count.saturating_add(u32::from(inside)));
            from = from.max(end + 1);
        }
        if from <= last {
            joined.push(from, last, 1);
        }
        joined.finish();
    }

    /// Forgets settled positions from `first` to `last`. Those in the middle of an interval stay
    /// covered, but each interval begins with a message that is not settled, and so none outlives
    /// its messages.
    pub(super) fn settle(&mut self, first: u64, last: u64, next_live: impl Fn(u64) -> Option<u64>) {
        let mut at = first;
        while let Some((begin, end, count)) = self.at_or_above(at) {
            if begin > last {
                break;
            }
            at = end + 1;
            // Holes at the front go with what was settled there.
            let front = if first <= begin { next_live(begin) } else { Some(begin) };
            let Some(front) = front.filter(|&front| front <= end) else {
                self.by_last.remove(&end);
                continue;
            };
            if last >= end && first <= end {
                self.by_last.remove(&end);
                if front < first {
                    self.push(front, first - 1, count);
                }
            } else if let Some(interval) = self.by_last.get_mut(&end) {
                interval.first = front;
            }
        }
    }

    /// Makes an interval begin at `seq` if one is there.
    fn split(&mut self, seq: u64) {
        if let Some((first, last, count)) = self.at_or_above(seq)
            && first < seq
        {
            self.push(first, seq - 1, count);
            self.push(seq, last, count);
        }
    }

    /// Takes all intervals that have a position from `first` to `last`.
    fn take(&mut self, first: u64, last: u64) -> Vec<(u64, u64, u32)> {
        let mut taken = Vec::new();
        while let Some(interval) = self.at_or_above(first).filter(|interval| interval.0 <= last) {
            self.by_last.remove(&interval.1);
            taken.push(interval);
        }
        taken
    }
}

/// Puts intervals back in order, and joins those that are alike.
struct Joined<'a, F> {
    returns: &'a mut Returns,
    next_live: F,
    open: Option<(u64, u64, u32)>,
}

impl<F: Fn(u64) -> Option<u64>> Joined<'_, F> {
    fn push(&mut self, first: u64, last: u64, count: u32) {
        let Some(first) = (self.next_live)(first).filter(|&first| first <= last) else {
            return;
        };
        match &mut self.open {
            Some(open) if open.2 == count && (self.next_live)(open.1 + 1) == Some(first) => {
                open.1 = last;
            }
            open => {
                if let Some((first, last, count)) = open.replace((first, last, count)) {
                    self.returns.push(first, last, count);
                }
            }
        }
    }

    fn finish(self) {
        if let Some((first, last, count)) = self.open {
            self.returns.push(first, last, count);
        }
    }
}
