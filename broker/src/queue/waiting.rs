//! Messages that wait, looked through and read on threads that may wait for the disk; and for those
//! who want to see them.

use lepus_storage::{QueueId, ReadMax, Seq as At, StoreError, Stored};

use super::Queue;
use super::state::Seq;
use super::state::schedule::{Bucket, Moved, Note, Pair, Scanned};
use crate::limits::LOAD_MESSAGES;
use crate::message::Waiting;

/// Octets of messages that are read at once.
const AT_ONCE: usize = 4 << 20;

/// Where a page of waiting messages begins, or one of them is: its bucket (`None`: in memory) and its
/// position.
pub type Place = (Option<Bucket>, Seq);

/// Messages of a bucket with their positions, and where to read on; `None` at its end.
type Piece = (Vec<(Seq, Waiting)>, Option<Seq>);

impl Queue {
    /// Messages that wait, window by window of their due times, in each in order of arrival, those in
    /// memory last: from a place on (`None`: from the beginning), and where the next page begins. What cannot
    /// be read is passed over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting(
        &self,
        from: Option<Place>,
        max: usize,
    ) -> Result<(Vec<Moved>, Option<Place>), StoreError> {
        let buckets = self.inner.lock().state.waiting().map(|waiting| waiting.buckets());
        let buckets = buckets.unwrap_or_default();
        let mut page = Vec::new();
        let (at, mut seq) = from.unwrap_or((buckets.first().copied(), 0));
        let begin = match at {
            None => buckets.len(),
            Some(at) => buckets.iter().position(|bucket| *bucket == at).unwrap_or_else(|| {
                // It is gone by now: all of it was first, or was taken.
                seq = 0;
                0
            }),
        };
        let mut octets = 0;
        for bucket in buckets.iter().skip(begin) {
            while page.len() < max && octets < AT_ONCE {
                let max = max - page.len();
                let (read, next) = match self.read_waiting(*bucket, seq, max, AT_ONCE - octets) {
                    Err(StoreError::Unreadable { seq, .. }) => (Vec::new(), Some(seq.0 + 1)),
                    read => read?,
                };
                for (seq, waiting) in read {
                    octets += waiting.record().len();
                    let Some(message) = waiting.message() else { continue };
                    page.push(Moved { pair: Pair::stored(waiting.due(), seq, *bucket), message });
                }
                match next {
                    Some(next) => seq = next,
                    None => break,
                }
            }
            if page.len() >= max || octets >= AT_ONCE {
                return Ok((page, Some((Some(*bucket), seq))));
            }
            seq = 0;
        }
        let left = max - page.len();
        let kept = self.inner.lock().state.waiting().map(|waiting| waiting.kept(seq, left));
        let kept = kept.unwrap_or_default();
        let last = kept.last().filter(|_| kept.len() == left).map(|last| last.pair.seq);
        page.extend(kept);
        Ok((page, last.map(|seq| (None, seq + 1))))
    }

    /// The message that waits at a place.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting_at(&self, (bucket, seq): Place) -> Result<Option<Moved>, StoreError> {
        let Some(bucket) = bucket else {
            let kept = self.inner.lock().state.waiting().map(|waiting| waiting.kept(seq, 1));
            return Ok(kept.into_iter().flatten().find(|kept| kept.pair.seq == seq));
        };
        let (found, _) = match self.read_waiting(bucket, seq, 1, usize::MAX) {
            Err(StoreError::Unreadable { .. }) => return Ok(None),
            read => read?,
        };
        let found = found.into_iter().find(|(at, _)| *at == seq);
        Ok(found.and_then(|(seq, waiting)| {
            let pair = Pair::stored(waiting.due(), seq, bucket);
            Some(Moved { pair, message: waiting.message()? })
        }))
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
