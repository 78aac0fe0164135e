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

/// A bounded list of them.
#[derive(Debug, Default)]
pub struct Listed(BinaryHeap<Reverse<Pair>>);

/// What was taken off a list that was too long.
#[derive(Debug)]
pub struct Cut {
    /// Everything in a bucket that is due from then on is not listed any more.
    pub from: u64,
    /// Buckets of which something was taken off.
    pub buckets: BTreeSet<Bucket>,
}

impl Listed {
    /// The first one.
    pub fn first(&self) -> Option<Pair> {
        self.0.peek().map(|Reverse(pair)| *pair)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Pair> {
        self.0.iter().map(|Reverse(pair)| *pair)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the first one if it is due before `time`.
    pub fn pop_before(&mut self, time: u64) -> Option<Pair> {
        let due = self.first().is_some_and(|pair| pair.due() < time);
        if !due {
            return None;
        }
        let pair = self.0.pop().map(|Reverse(pair)| pair);
        if self.0.is_empty() && self.0.capacity() > 4096 {
            self.0 = BinaryHeap::new();
        }
        pair
    }

    /// Adds one; with more than `max` the later half of what is in buckets is taken off.
    pub fn push(&mut self, pair: Pair, max: usize) -> Option<Cut> {
        self.0.push(Reverse(pair));
        if self.0.len() <= max { None } else { self.cut(max / 2) }
    }

    fn cut(&mut self, keep: usize) -> Option<Cut> {
        // Reversed: the last come first.
        let mut all = std::mem::take(&mut self.0).into_sorted_vec();
        let first = all.last().map_or(0, |Reverse(pair)| pair.due());
        let from = all.get(all.len() - 1 - keep).map_or(0, |Reverse(pair)| pair.due());
        // What is due at one time stays together, and something stays.
        let later = all.partition_point(|Reverse(pair)| pair.due() > first);
        let from = match from > first {
            true => from,
            false => later.checked_sub(1).and_then(|at| all.get(at)).map_or(0, |next| next.0.due()),
        };
        if from == 0 {
            self.0 = all.into();
            return None;
        }
        let mut buckets = BTreeSet::new();
        all.retain(|Reverse(pair)| match pair.bucket() {
            Some(bucket) if pair.due() >= from => {
                buckets.insert(bucket);
                false
            }
            _ => true,
        });
        all.shrink_to_fit();
        self.0 = all.into();
        (!buckets.is_empty()).then_some(Cut { from, buckets })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = BinaryHeap::new();
    }
}
