//! What a schedule is told, and what it wants done.

use lepus_storage::{Op, QueueId, QueueStats};

use super::super::{Entry, Seq, Spans};
use super::{Bucket, Pair};
use crate::message::{Message, Waiting};

/// What a schedule is told.
#[derive(Debug)]
pub enum Note {
    /// What the store has from a former life.
    Found(Vec<Found>),
    /// The answer to [`Job::Scan`].
    Scanned(Scanned),
    /// The answer to [`Job::Fetch`].
    Fetched {
        /// The round of the job.
        round: u64,
        /// Positions with what is there, in the order of the job; the last ones may be missing.
        found: Vec<(Seq, Option<Waiting>)>,
    },
    /// The answer to [`Job::Move`] when there is no room: nothing is moved before that time.
    PutBack(Vec<Moved>, u64),
    /// Nothing is on its way any more.
    AllMoved,
    /// Messages that wait from now on.
    Postpone(Vec<Postponed>),
    /// Messages whose time has come.
    Arrive(Vec<Message>),
    /// The store has refused messages.
    Refused(Vec<(Bucket, Seq)>),
    /// Messages are to wait no more, but go.
    Cancel(Vec<Moved>),
    /// Messages are due now, by the order of this number.
    Run(Vec<Moved>, u64),
}

/// A bucket that the store has from a former life.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The bucket.
    pub bucket: Bucket,
    /// What is in it.
    pub stats: QueueStats,
    /// When its first message is due; 0 if that is not known. Of two windows with one slot the
    /// earlier one was filled first.
    pub first: u64,
}

/// Some of a bucket, read through.
#[derive(Debug)]
pub struct Scanned {
    /// The round of the job.
    pub round: u64,
    /// The bucket.
    pub bucket: Bucket,
    /// Where to read on; `None` at its end.
    pub next: Option<Seq>,
    /// Due times and positions.
    pub found: Vec<(u64, Seq)>,
    /// Positions of messages that cannot be read.
    pub unreadable: Vec<Seq>,
}

/// A message that is due.
#[derive(Debug)]
pub struct Moved {
    /// Where it was.
    pub pair: Pair,
    /// The message as it goes on.
    pub message: Message,
}

/// A message that came back and is to wait.
#[derive(Debug)]
pub struct Postponed {
    /// The message; how often it came back counts this time.
    pub entry: Entry,
    /// When it is due, ms since 1970.
    pub due: u64,
    /// It stays where the store has it.
    pub in_place: bool,
}

/// What a schedule wants done.
#[derive(Debug)]
pub enum Job {
    /// Some of a bucket is to be read through; then [`Note::Scanned`].
    Scan {
        /// Goes with the answer.
        round: u64,
        /// The bucket.
        bucket: Bucket,
        /// The position to read from.
        from: Seq,
    },
    /// Messages are to be read; then [`Note::Fetched`].
    Fetch {
        /// Goes with the answer.
        round: u64,
        /// Which; none is in memory.
        pairs: Vec<Pair>,
    },
    /// Messages are due: they leave their buckets in the same step of the store in which they arrive.
    Move(Vec<Moved>),
    /// The same by the order of this number, which is to hear of it.
    Run(Vec<Moved>, u64),
    /// Messages leave the queue in the same step of the store in which they come to wait; then
    /// [`Note::Postpone`].
    Postpone(Vec<Postponed>),
}

/// What tells the store that messages have left their buckets.
pub fn settlement(owner: QueueId, moved: &[Moved]) -> Vec<Op> {
    let mut spans: Vec<(Bucket, Spans)> = Vec::new();
    for Moved { pair, message } in moved {
        let Some(bucket) = pair.bucket() else { continue };
        let at = match spans.iter().position(|(known, _)| *known == bucket) {
            Some(at) => at,
            None => {
                spans.push((bucket, Spans::default()));
                spans.len() - 1
            }
        };
        if let Some((_, spans)) = spans.get_mut(at) {
            spans.add_range(pair.seq, pair.seq, message.body_len() as u64);
        }
    }
    let mut ops = Vec::new();
    for (bucket, spans) in spans {
        spans.settle(bucket.stored_as(owner), &mut ops);
    }
    ops
}
