//! Messages that wait for a time.
//!
//! What the store has of them is in [`Bucket`]s, one for each window of time, in order of arrival; in
//! memory is only how many there are. A bucket whose time is near is read through, and what is in it
//! listed by due time and position; when the time comes the message itself is read. The list is
//! bounded: with too many that are due soon a bucket is listed up to some time, and read through
//! again then. What the store does not have is kept in memory whole.
//!
//! Nothing is taken off the list that is due at or after the first that may not be listed yet
//! (`barrier`): so all leave in the order of their times, after a long rest too.

mod bucket;
mod due;
mod listed;
mod note;
mod retry;
#[cfg(test)]
mod tests;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};

use lepus_storage::{Op, QueueId, Seq as At};

use super::{Entry, Seq, Spans};
use crate::message::{Message, Waiting};
pub use bucket::Bucket;
pub use due::Due;
pub use listed::Pair;
use listed::{LISTED_MAX, Listed};
pub use note::{Found, Job, Moved, Note, Postponed, Scanned, settlement};
pub use retry::{LONGEST_MS, Retry, RetryKind};

/// Positions in buckets begin here, so that none is that of a message which is ready.
const FIRST: Seq = 1 << 55;

/// Whether a position is one in a bucket.
pub fn is_scheduled(seq: Seq) -> bool {
    seq & FIRST != 0
}

/// Messages that wait, of one queue or exchange.
#[derive(Debug)]
pub struct Schedule {
    /// The owner's name in the store, if it is durable.
    owner: Option<QueueId>,
    /// The position of the next message; ascends over all buckets.
    next: Seq,
    buckets: BTreeMap<Bucket, Held>,
    listed: Listed,
    /// Messages that the store does not have in a bucket, with their due times.
    kept: BTreeMap<Seq, (u64, Kept)>,
    /// The bucket that is being read through.
    scan: Option<Scan>,
    /// Messages that are due and being read.
    fetch: Vec<Pair>,
    /// Answers to jobs of an earlier round are too late.
    round: u64,
    held_until: u64,
    /// How many messages wait in all.
    count: usize,
    /// What is due at or after it may not be listed yet.
    barrier: u64,
    /// What is to be read through next.
    ahead: Ahead,
}

/// A bucket.
#[derive(Debug)]
struct Held {
    messages: u64,
    /// No message is due before.
    start: u64,
    /// All that is due before is listed; for what came since the scan began, see [`Scan::cut`].
    listed_below: u64,
    /// Positions of messages that wait no more.
    cancelled: BTreeSet<Seq>,
    /// Positions of messages that cannot be read: they stay in the store and count no more.
    unreadable: BTreeSet<Seq>,
}

/// Buckets that are to be read through, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    /// The first of those of which nothing was listed.
    closed: Option<(u64, Bucket)>,
    /// The first of those of which only some is listed.
    partly: Option<(u64, Bucket)>,
    /// The one without which nothing goes on beyond the barrier.
    blocking: Option<(u64, Bucket)>,
}

#[derive(Debug)]
struct Scan {
    bucket: Bucket,
    /// What is due before is listed already.
    from: u64,
    /// What is due at or after it is not to be listed for now.
    cut: u64,
    /// Messages from this position on came since, and are listed as they come.
    until: Seq,
    /// What stands before this position was read through.
    read: Seq,
}

/// A message in memory.
#[derive(Debug)]
enum Kept {
    /// The only copy.
    Message(Message),
    /// It still has its place in its queue.
    InPlace(Entry),
}

impl Schedule {
    /// Nothing waits yet. `owner`: the name of a durable owner in the store.
    pub fn new(owner: Option<QueueId>) -> Self {
        Self {
            owner,
            next: FIRST,
            buckets: BTreeMap::new(),
            listed: Listed::new(LISTED_MAX),
            kept: BTreeMap::new(),
            scan: None,
            fetch: Vec::new(),
            round: 0,
            held_until: 0,
            count: 0,
            barrier: u64::MAX,
            ahead: Ahead::default(),
        }
    }

    /// How many messages wait.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The position of the message that came last.
    pub fn latest(&self) -> Seq {
        self.next - 1
    }

    /// The buckets that hold something, by their windows.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut held: Vec<_> = self.buckets.iter().filter(|(_, held)| held.messages > 0).collect();
        held.sort_by_key(|(bucket, held)| (held.start, **bucket));
        held.into_iter().map(|(bucket, _)| *bucket).collect()
    }

    /// What is in memory, by position from `from` on.
    pub fn kept(&self, from: Seq, max: usize) -> Vec<Moved> {
        let kept = self.kept.range(from..).take(max);
        let shown = kept.map(|(seq, (due, kept))| Moved {
            pair: Pair::kept(*due, *seq),
            message: kept.message().clone(),
        });
        shown.collect()
    }

    fn listed_pairs(&self) -> impl Iterator<Item = Pair> {
        self.listed.iter().chain(self.fetch.iter().copied())
    }

    /// Takes up what the store has from a former life.
    pub fn found(&mut self, found: Vec<Found>) {
        for Found { bucket, stats, first } in found {
            self.next = self.next.max(stats.next.0);
            self.count += stats.messages as usize;
            let start = bucket.start(first);
            let held = Held { messages: stats.messages, ..Held::new(start, 0) };
            self.buckets.insert(bucket, held);
        }
        self.look_ahead();
    }

    /// Has a message wait. A copy of it with what it will be like goes to a bucket if it is to be
    /// `stored`, or else stays here.
    pub fn add(&mut self, now: u64, waiting: &Waiting, stored: bool, ops: &mut Vec<Op>) {
        let Some(message) = waiting.message() else { return };
        let due = waiting.due();
        let Some(owner) = self.owner.filter(|_| stored) else {
            return self.keep(due, Kept::Message(message));
        };
        let (seq, bucket) = (self.next_seq(), Bucket::of(now, due));
        ops.push(Op::Publish {
            queue: bucket.stored_as(owner),
            seq: At(seq),
            payload: waiting.record(),
            weight: u32::try_from(message.body_len()).unwrap_or(u32::MAX),
            shared: false,
        });
        self.put(now, Pair::stored(due, seq, bucket), bucket);
    }

    /// Has a message wait that keeps its place in its queue.
    pub fn add_in_place(&mut self, due: u64, entry: Entry) {
        self.keep(due, Kept::InPlace(entry));
    }

    fn keep(&mut self, due: u64, kept: Kept) {
        let seq = self.next_seq();
        self.kept.insert(seq, (due, kept));
        self.count += 1;
        self.list(Pair::kept(due, seq));
    }

    fn next_seq(&mut self) -> Seq {
        self.next += 1;
        self.next - 1
    }

    /// A message is in its bucket.
    fn put(&mut self, now: u64, pair: Pair, bucket: Bucket) {
        self.count += 1;
        let due = pair.due();
        let new = || {
            let start = bucket.start(due);
            let near = start <= now.saturating_add(bucket.lead());
            Held::new(start, if near { u64::MAX } else { 0 })
        };
        let held = self.buckets.entry(bucket).or_insert_with(new);
        held.messages += 1;
        let earlier = due < held.start;
        held.start = held.start.min(due);
        let below = match &self.scan {
            Some(scan) if scan.bucket == bucket && pair.seq >= scan.until => scan.cut,
            _ => held.listed_below,
        };
        let look = earlier || held.messages == 1;
        if due < below {
            self.list(pair);
        }
        if look {
            self.look_ahead();
        }
    }

    fn list(&mut self, pair: Pair) {
        let Some(cut) = self.listed.push(pair) else { return };
        if let Some(scan) = &mut self.scan {
            scan.cut = scan.cut.min(cut.from);
        }
        for bucket in cut.buckets {
            if let Some(held) = self.buckets.get_mut(&bucket) {
                held.listed_below = held.listed_below.min(cut.from);
            }
        }
        self.look_ahead();
    }

    /// Finds out anew what bucket is to be read through next, and up to when all is listed.
    fn look_ahead(&mut self) {
        (self.barrier, self.ahead) = (u64::MAX, Ahead::default());
        let scanned = self.scan.as_ref().map(|scan| scan.bucket);
        for (bucket, held) in &self.buckets {
            if held.messages == 0 || held.listed_below == u64::MAX {
                continue;
            }
            let first = held.start.max(held.listed_below);
            let opens = (first.saturating_sub(bucket.lead()), *bucket);
            let blocks = first < self.barrier;
            self.barrier = self.barrier.min(first);
            if scanned == Some(*bucket) {
                continue;
            }
            let sooner = |known: Option<(u64, Bucket)>| known.is_none_or(|known| opens < known);
            let Ahead { closed, partly, blocking } = &mut self.ahead;
            let ahead = if held.listed_below == 0 { closed } else { partly };
            if sooner(*ahead) {
                *ahead = Some(opens);
            }
            if blocks {
                *blocking = Some(opens);
            }
        }
    }

    /// When something is to be done, ms since 1970.
    pub fn next_due(&self) -> Option<u64> {
        let first = self.listed.first().map(Pair::due);
        let first = first.filter(|due| self.fetch.is_empty() && *due < self.barrier);
        let first = first.map(|due| due.max(self.held_until));
        let scan = self.next_scan().map(|(opens, _)| opens);
        first.into_iter().chain(scan).min()
    }

    /// The bucket that is to be read through next, and when. One is at a time, and only while there is
    /// room to list what is found (more for one that was listed in part, so that it gets further each
    /// time) or nothing else can go on.
    fn next_scan(&self) -> Option<(u64, Bucket)> {
        if self.scan.is_some() {
            return None;
        }
        let Ahead { closed, partly, blocking } = self.ahead;
        let blocked = self.listed.first().is_none_or(|pair| pair.due() >= self.barrier);
        let closed = closed.filter(|_| self.listed.has_room(2));
        let partly = partly.filter(|_| self.listed.has_room(8));
        let blocking = blocking.filter(|_| blocked);
        closed.into_iter().chain(partly).chain(blocking).min()
    }

    /// Does what is due; what must be read for it goes to `jobs`.
    pub fn run(&mut self, now: u64, jobs: &mut Vec<Job>) -> Due {
        let mut due = Due::default();
        while now >= self.held_until && self.fetch.is_empty() && self.take_due(now) {
            if self.fetch.iter().any(|pair| pair.bucket().is_some()) {
                let pairs = self.fetch.iter().copied().filter(|pair| pair.bucket().is_some());
                jobs.push(Job::Fetch { round: self.round, pairs: pairs.collect() });
            } else {
                self.take_fetched(Vec::new(), &mut due);
            }
        }
        if let Some((opens, bucket)) = self.next_scan()
            && opens <= now
        {
            let from = self.buckets.get(&bucket).map_or(0, |held| held.listed_below);
            self.scan = Some(Scan { bucket, from, cut: u64::MAX, until: self.next, read: 0 });
            jobs.push(Job::Scan { round: self.round, bucket, from: 0 });
            self.look_ahead();
        }
        due
    }

    /// Messages that were due could not be moved: they wait again, and nothing is moved until then.
    pub fn put_back(&mut self, now: u64, moved: Vec<Moved>, until: u64) {
        self.held_until = until;
        for Moved { pair, message } in moved {
            match pair.bucket() {
                Some(bucket) if self.is_back(pair, bucket) => {}
                Some(bucket) => self.put(now, pair, bucket),
                None => {
                    self.count += 1;
                    self.kept.insert(pair.seq, (pair.due(), Kept::Message(message)));
                    self.list(pair);
                }
            }
        }
    }

    /// Some of a bucket was read through; without `next` that was all.
    pub fn scanned(&mut self, scanned: Scanned, jobs: &mut Vec<Job>) {
        let Scanned { round, bucket, next, found, unreadable } = scanned;
        if round != self.round || self.scan.as_ref().is_none_or(|scan| scan.bucket != bucket) {
            return;
        }
        if let Some(held) = self.buckets.get_mut(&bucket) {
            let lost = unreadable.into_iter().filter(|seq| held.unreadable.insert(*seq)).count();
            held.messages = held.messages.saturating_sub(lost as u64);
            self.count = self.count.saturating_sub(lost);
        }
        for (due, seq) in found {
            let cancelled =
                self.buckets.get(&bucket).is_some_and(|held| held.cancelled.contains(&seq));
            let wanted = self.scan.as_ref().is_some_and(|scan| {
                seq < scan.until && (scan.from..scan.cut).contains(&due) && !cancelled
            });
            if wanted {
                self.list(Pair::stored(due, seq, bucket));
            }
        }
        let until = self.scan.as_ref().map_or(0, |scan| scan.until);
        if let Some(scan) = &mut self.scan {
            scan.read = next.unwrap_or(until);
        }
        match next.filter(|next| *next < until) {
            Some(from) => jobs.push(Job::Scan { round: self.round, bucket, from }),
            None => self.end_scan(),
        }
    }

    fn end_scan(&mut self) {
        if let Some(scan) = self.scan.take()
            && let Some(held) = self.buckets.get_mut(&scan.bucket)
        {
            held.listed_below = scan.cut;
        }
        self.look_ahead();
    }

    /// The store has refused messages: they wait no more.
    pub fn refused(&mut self, refused: &[(Bucket, Seq)]) {
        for (bucket, seq) in refused {
            self.forget(*bucket, *seq);
        }
    }

    fn forget(&mut self, bucket: Bucket, seq: Seq) {
        if let Some(held) = self.buckets.get_mut(&bucket)
            && held.cancelled.insert(seq)
        {
            held.messages = held.messages.saturating_sub(1);
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Has the store forget buckets that are empty and stay so. Only while nothing is on its way out
    /// of them: what drops a bucket must stand behind that in the store.
    pub fn sweep(&mut self, now: u64, ops: &mut Vec<Op>) {
        let Some(owner) = self.owner else { return };
        let scanned = self.scan.as_ref().map(|scan| scan.bucket);
        let (listed, fetch) = (&self.listed, &self.fetch);
        self.buckets.retain(|bucket, held| {
            // What was cancelled must be known as long as it is listed.
            let mut pairs = listed.iter().chain(fetch.iter().copied());
            let is_listed =
                !held.cancelled.is_empty() && pairs.any(|pair| pair.bucket() == Some(*bucket));
            let over = held.start.saturating_add(bucket.length()) <= now;
            let empty = held.messages == 0 && held.unreadable.is_empty();
            let goes = over && empty && !is_listed && scanned != Some(*bucket);
            if goes {
                ops.push(Op::DropQueue { queue: bucket.stored_as(owner) });
            }
            !goes
        });
    }

    /// Drops all: how many. Messages that have kept their place go to `in_place`.
    pub fn clear(&mut self, ops: &mut Vec<Op>, in_place: &mut Spans) -> usize {
        if let Some(owner) = self.owner {
            let drops = self.buckets.keys().map(|bucket| bucket.stored_as(owner));
            ops.extend(drops.map(|queue| Op::DropQueue { queue }));
        }
        for (_, kept) in self.kept.values() {
            if let Kept::InPlace(entry) = kept {
                in_place.add(entry);
            }
        }
        self.round += 1;
        self.buckets.clear();
        self.kept.clear();
        self.listed.clear();
        self.fetch = Vec::new();
        self.scan = None;
        self.look_ahead();
        std::mem::take(&mut self.count)
    }
}

impl Held {
    fn new(start: u64, listed_below: u64) -> Self {
        Self {
            messages: 0,
            start,
            listed_below,
            cancelled: BTreeSet::new(),
            unreadable: BTreeSet::new(),
        }
    }
}

impl Kept {
    fn message(&self) -> &Message {
        match self {
            Self::Message(message) => message,
            Self::InPlace(entry) => &entry.message,
        }
    }
}
