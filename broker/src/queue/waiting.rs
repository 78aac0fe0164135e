//! Messages that wait, looked through and read on threads that may wait for the disk; and for those
//! who want to see them.

use std::sync::Arc;

use lepus_storage::{QueueId, ReadMax, Seq as At, StoreError, Stored};

use super::Queue;
use super::state::schedule::{Bucket, Note, Pair, Scanned};
use super::state::{Command, Outcome, Seq};
use crate::limits::LOAD_MESSAGES;
use crate::message::Waiting;

/// Octets of messages that are read at once.
const AT_ONCE: usize = 4 << 20;

/// Where a page of waiting messages begins, or one of them is: its bucket (`None`: in memory) and its
/// position.
pub type Place = (Option<Bucket>, Seq);

/// Messages of a bucket with their positions, and where to read on; `None` at its end.
type Piece = (Vec<(Seq, Waiting)>, Option<Seq>);

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Where it is.
    pub place: Place,
    /// When its time comes, ms since 1970.
    pub due: u64,
    /// Octets of its body.
    pub octets: u64,
}

impl Queue {
    /// Messages that wait, window by window of their due times, in each in order of arrival, those in
    /// memory last: from a place on (`None`: from the beginning), and where the next page begins.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting(
        &self,
        from: Option<Place>,
        max: usize,
    ) -> Result<(Vec<Listing>, Option<Place>), StoreError> {
        let buckets = self.inner.lock().state.waiting().map(|waiting| waiting.buckets());
        let buckets = buckets.unwrap_or_default();
        let mut page = Vec::new();
        let (at, mut seq) = from.unwrap_or((buckets.first().copied(), 0));
        // If its bucket is gone by now it begins anew.
        let begin = at.map_or(buckets.len(), |at| {
            buckets.iter().position(|bucket| *bucket == at).unwrap_or_default()
        });
        for bucket in buckets.iter().skip(begin) {
            while page.len() < max {
                let from = seq;
                let read = self.read_waiting(*bucket, from, max - page.len(), usize::MAX)?;
                for (at, waiting) in read.0 {
                    let octets = waiting.message().map_or(0, |message| message.body_len() as u64);
                    page.push(Listing { place: (Some(*bucket), at), due: waiting.due(), octets });
                }
                match read.1 {
                    Some(next) => seq = next,
                    None => break,
                }
            }
            if page.len() >= max {
                return Ok((page, Some((Some(*bucket), seq))));
            }
            seq = 0;
        }
        let left = max - page.len();
        let kept = self.inner.lock().state.waiting().map(|waiting| waiting.kept(seq, left));
        let kept = kept.unwrap_or_default();
        let next = kept.last().filter(|_| kept.len() == left).map(|(_, seq, _)| (None, seq + 1));
        page.extend(kept.into_iter().map(|(due, seq, octets)| Listing {
            place: (None, seq),
            due,
            octets,
        }));
        Ok((page, next))
    }

    /// Drops a message that waits; `false` if it does not any more.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cancel_waiting(self: &Arc<Self>, place: Place) -> Result<bool, StoreError> {
        let (bucket, seq) = place;
        let (due, octets) = match bucket {
            None => (0, 0),
            Some(bucket) => {
                let (found, _) = self.read_waiting(bucket, seq, 1, usize::MAX)?;
                let Some((at, waiting)) = found.first() else { return Ok(false) };
                if *at != seq {
                    return Ok(false);
                }
                let octets = waiting.message().map_or(0, |message| message.body_len() as u64);
                (waiting.due(), octets)
            }
        };
        let note = Note::Cancel { bucket, at: (due, seq), octets };
        Ok(self.apply(Command::Schedule(note)) == Outcome::Dropped(1))
    }

    fn bucket_id(&self, bucket: Bucket) -> Option<QueueId> {
        Some(bucket.stored_as(self.stored_as()?))
    }

    fn read_waiting(
        &self,
        bucket: Bucket,
        from: Seq,
        messages: usize,
        bytes: usize,
    ) -> Result<Piece, StoreError> {
        let Some(id) = self.bucket_id(bucket) else { return Ok((Vec::new(), None)) };
        let mut stored = Vec::new();
        let next = self.store().read(id, At(from), ReadMax { messages, bytes }, &mut stored)?;
        let waiting = |Stored { seq, payload, .. }| (seq.0, Waiting::from_stored(payload));
        let more = (next.0 != from).then_some(next.0);
        Ok((stored.into_iter().map(waiting).collect(), more))
    }

    /// Looks through some of a bucket.
    pub(super) fn scan_bucket(&self, round: u64, bucket: Bucket, from: Seq) -> Read {
        let mut scanned =
            Scanned { round, bucket, next: None, found: Vec::new(), unreadable: Vec::new() };
        match self.read_waiting(bucket, from, LOAD_MESSAGES, AT_ONCE) {
            Ok((read, next)) => {
                scanned.next = next;
                scanned.found = read.iter().map(|(seq, waiting)| (waiting.due(), *seq)).collect();
                Ok((Note::Scanned(scanned), None))
            }
            Err(StoreError::Unreadable { seq, place, detail, .. }) => {
                scanned.next = Some(seq.0 + 1);
                scanned.unreadable.push(seq.0);
                Ok((Note::Scanned(scanned), Some((seq.0, passed_over(&place, &detail)))))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads messages that are due, as far as they are not too many octets.
    pub(super) fn fetch_due(&self, round: u64, pairs: &[Pair]) -> Read {
        let (mut found, mut complaint, mut octets) = (Vec::new(), None, 0);
        let mut rest = pairs;
        while let Some(first) = rest.first()
            && octets < AT_ONCE
        {
            let (run, behind) = rest.split_at(run_length(rest));
            let Some(bucket) = first.bucket() else { break };
            let got = match self.read_waiting(bucket, first.seq, run.len(), AT_ONCE - octets) {
                Ok((got, _)) => got,
                Err(StoreError::Unreadable { seq, place, detail, .. }) => {
                    complaint = Some((seq.0, passed_over(&place, &detail)));
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            octets += got.iter().map(|(_, waiting)| waiting.record().len()).sum::<usize>();
            let read =
                got.into_iter().take_while(|(seq, _)| run.iter().any(|pair| pair.seq == *seq));
            let read: Vec<_> = read.map(|(seq, waiting)| (seq, Some(waiting))).collect();
            if read.is_empty() {
                // It is not there, or cannot be read.
                found.push((first.seq, None));
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            rest = if read.len() == run.len() { behind } else { rest.split_at(read.len()).1 };
            found.extend(read);
        }
        Ok((Note::Fetched { round, found }, complaint))
    }
}

/// What was read, and what to complain of: a position and why.
pub(super) type Read = Result<(Note, Option<(Seq, String)>), StoreError>;

fn passed_over(place: &str, detail: &str) -> String {
    format!(
        "a message cannot be read from {place}: {detail}; it stays in the store and is passed over"
    )
}

/// How many of the first messages follow each other in one bucket.
fn run_length(pairs: &[Pair]) -> usize {
    let follows = |two: &[Pair]| matches!(two, [one, next] if next.seq == one.seq + 1 && next.bucket() == one.bucket());
    1 + pairs.windows(2).take_while(|two| follows(two)).count()
}
