//! Messages whose time is near, by that time.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::super::Seq;
use super::bucket::Bucket;

/// The most that are listed: 16 octets each.
pub const LISTED_MAX: usize = 1 << 19;

/// A message that waits: when it is due, where it is. Ordered by time, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The due time, and in the lower three bits where the message is kept.
    time: u64,
    /// The position in its bucket, or what it is kept by in memory: ascends with arrival.
    pub seq: Seq,
}

impl Pair {
    /// A message in a bucket.
    pub fn stored(due: u64, seq: Seq, bucket: Bucket) -> Self {
        Self { time: due << 3 | u64::from(bucket.code()), seq }
    }

    /// A message in memory.
    pub fn kept(due: u64, seq: Seq) -> Self {
        Self { time: due << 3 | u64::from(Bucket::memory()), seq }
    }

    /// When it is due, ms since 1970.
    pub fn due(self) -> u64 {
        self.time >> 3
    }

    /// The bucket that it is in; `None` if it is in memory.
    pub fn bucket(self) -> Option<Bucket> {
        Bucket::decode((self.time & 7) as u8, self.due())
    }

    fn key(self) -> (u64, Seq) {
        (self.due(), self.seq)
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A list of them, bounded as far as they are in buckets.
#[derive(Debug)]
pub struct Listed {
    stored: BinaryHeap<Reverse<Pair>>,
    kept: BinaryHeap<Reverse<Pair>>,
    /// The most that are to be listed.
    max: usize,
    /// With more than so many in buckets the list is cut.
    limit: usize,
}

/// What was taken off a list that was too long.
#[derive(Debug)]
pub struct Cut {
    /// Everything in a bucket that is due from then on is not listed any more.
    pub from: u64,
    /// Buckets of which something was taken off.
    pub buckets: BTreeSet<Bucket>,
}

impl Listed {
    /// An empty one.
    pub fn new(max: usize) -> Self {
        Self { stored: BinaryHeap::new(), kept: BinaryHeap::new(), max, limit: max }
    }

    /// The first one.
    pub fn first(&self) -> Option<Pair> {
        let first = |heap: &BinaryHeap<Reverse<Pair>>| heap.peek().map(|Reverse(pair)| *pair);
        first(&self.stored).into_iter().chain(first(&self.kept)).min()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Pair> {
        self.stored.iter().chain(&self.kept).map(|Reverse(pair)| *pair)
    }

    /// Whether the part of them that is in buckets leaves room: of `parts` parts at most one is taken.
    pub fn has_room(&self, parts: usize) -> bool {
        self.stored.len() <= self.max / parts
    }

    /// Takes the first one if it is due before `time`.
    pub fn pop_before(&mut self, time: u64) -> Option<Pair> {
        let first = self.first().filter(|pair| pair.due() < time)?;
        if first.bucket().is_none() {
            self.kept.pop();
            return Some(first);
        }
        self.stored.pop();
        if self.stored.is_empty() && self.stored.capacity() > 4096 {
            self.stored = BinaryHeap::new();
        }
        if self.stored.len() < self.max {
            self.limit = self.max;
        }
        Some(first)
    }

    /// Adds one. With too many in buckets the later half of these is taken off.
    pub fn push(&mut self, pair: Pair) -> Option<Cut> {
        if pair.bucket().is_none() {
            self.kept.push(Reverse(pair));
            return None;
        }
        self.stored.push(Reverse(pair));
        if self.stored.len() <= self.limit { None } else { self.cut() }
    }

    /// What is due at one time stays together, so that more than half may stay.
    fn cut(&mut self) -> Option<Cut> {
        // Reversed: the last come first.
        let mut all = std::mem::take(&mut self.stored).into_sorted_vec();
        let last = all.get(all.len() - 1 - self.max / 2).map_or(0, |Reverse(pair)| pair.due());
        let off = all.partition_point(|Reverse(pair)| pair.due() > last);
        let mut kept = all.split_off(off);
        kept.shrink_to_fit();
        self.stored = kept.into();
        // Not again at each of them if they are many all the same.
        self.limit = self.max.max(2 * self.stored.len());
        let from = all.last()?.0.due();
        let buckets = all.iter().filter_map(|Reverse(pair)| pair.bucket()).collect();
        Some(Cut { from, buckets })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new(self.max);
    }
}
