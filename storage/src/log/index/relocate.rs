//! Messages that go from sealed segments to another one.

use std::sync::Arc;

use super::present::Present;
use super::queue::{Queue, find};
use super::queues::Queues;
use super::run::{Places, Run};
use super::settled::Settled;
use super::{Located, SegmentId};
use crate::{QueueId, Seq};

/// So many positions without a message, and another run takes less than a bitmap over them.
const WIDE: u64 = 4096;

/// A run that is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    /// Whose it is.
    pub queue: QueueId,
    /// The segment that holds its messages.
    pub segment: SegmentId,
    /// Its lowest position.
    first: u64,
}

/// What of a run was copied to another segment.
#[derive(Debug)]
pub(crate) struct Moved {
    source: Source,
    pieces: Vec<Piece>,
}

/// A stretch of it without wide gaps.
#[derive(Debug)]
struct Piece {
    /// Position 0. As far from that of the run as makes whole words of a bitmap.
    first: u64,
    /// The entry of its first message in the index of the new segment.
    entry: u32,
    /// What its messages take there.
    bytes: u32,
    /// One above the highest position.
    span: u32,
    /// The positions copied.
    present: Present,
}

impl Moved {
    /// Nothing of the run yet.
    pub(crate) fn new(source: Source) -> Self {
        Self { source, pieces: Vec::new() }
    }

    /// What it was copied of.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Adds a message, behind all others: its entry in the index of the new segment, and what it
    /// takes there. True if it begins another stretch.
    pub(crate) fn push(&mut self, seq: Seq, entry: u32, bytes: u32) -> bool {
        let near = |piece: &Piece| seq.0 - piece.first - u64::from(piece.span) < WIDE;
        let begins = !self.pieces.last().is_some_and(near);
        if begins {
            let first = seq.0 - (seq.0 - self.source.first) % 64;
            let present = Present::default();
            self.pieces.push(Piece { first, entry, bytes: 0, span: 0, present });
        }
        if let Some(piece) = self.pieces.last_mut() {
            let position = (seq.0 - piece.first) as u32;
            piece.present.push(position);
            piece.span = position + 1;
            piece.bytes = piece.bytes.saturating_add(bytes);
        }
        begins
    }
}

impl Piece {
    /// The run of what is still live; none if nothing is.
    fn run(&self, old: &Run, slot: u32) -> Option<Run> {
        let shift = ((self.first - old.first) / 64) as usize;
        let words = self.present.bits().words().iter().enumerate();
        let live: Vec<u64> = words.map(|(at, word)| word & old.live_bits(at + shift)).collect();
        let count: u32 = live.iter().map(|word| word.count_ones()).sum();
        let at = live.iter().position(|word| *word != 0)?;
        let low = at as u32 * 64 + live.get(at)?.trailing_zeros();
        let all = self.present.count();
        let average = self.bytes / all.max(1);
        let live_bytes = if count == all { self.bytes } else { average.saturating_mul(count) };
        let (span, places) = (self.span, Places::Table(self.entry));
        let mut run = Run { live: count, live_bytes, places, ..Run::new(slot, self.first) };
        if count == all && span - low == all {
            // Without gaps: no bitmap is needed.
            run.first += u64::from(low);
            (run.span, run.count) = (all, all);
            return Some(run);
        }
        let mut settled = Settled::new(low, span);
        for (index, (word, live)) in
            self.present.bits().words().iter().zip(&live).enumerate().skip(at)
        {
            let above = if index == at { u64::MAX << (low % 64) } else { u64::MAX };
            settled.add(index, word & !live & above);
        }
        (run.span, run.count, run.low) = (span, all, low);
        run.settled = (settled.holes() > 0).then(|| Arc::new(settled));
        run.present = Some(Arc::new(self.present.clone()));
        Some(run)
    }
}

impl Queues {
    /// All queues that may have messages in these segments, by ascending id.
    pub(crate) fn members_of(&self, segments: &[SegmentId]) -> Vec<QueueId> {
        let mut members: Vec<_> = segments.iter().flat_map(|id| self.members(*id)).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Appends to `out` at most `max` messages of the first run that has some in these segments, at
    /// `from` or above.
    pub(crate) fn locate_within(
        &self,
        segments: &[SegmentId],
        (queue, from): (QueueId, Seq),
        max: usize,
        out: &mut Vec<Located>,
    ) -> Option<Source> {
        let Queue { runs, .. } = self.get(queue)?;
        for run in runs.range(find(runs, from.0)..) {
            let account = self.segments.get(run.slot)?;
            if run.live == 0 || !segments.contains(&account.id) {
                continue;
            }
            let from = from.0.saturating_sub(run.first).min(u64::from(run.span)) as u32;
            let mut at = run.next_live(from);
            if at.is_none() {
                continue;
            }
            for _ in 0..max {
                let Some(position) = at else { break };
                let seq = Seq(run.first + u64::from(position));
                if let Places::Table(entry) = run.places {
                    let place = account.place(entry + run.rank(position));
                    out.push(Located { seq, segment: account.id, place, returns: 0 });
                }
                at = run.next_live(position + 1);
            }
            return Some(Source { queue, segment: account.id, first: run.first });
        }
        None
    }

    /// Whether that message is there still.
    pub(crate) fn is_within(&self, source: Source, seq: Seq) -> bool {
        let Some(Queue { runs, .. }) = self.get(source.queue) else { return false };
        let run = runs.get(find(runs, seq.0)).filter(|run| run.live > 0 && run.first <= seq.0);
        run.is_some_and(|run| {
            let position = (seq.0 - run.first) as u32;
            let here = self.segments.get(run.slot).is_some_and(|of| of.id == source.segment);
            here && run.next_live(position) == Some(position)
        })
    }

    /// What was copied of a run is read from the new segment from now on, but for what was settled
    /// meanwhile. If not all that is live was copied, the run stays as it is.
    pub(crate) fn relocate(&mut self, moved: &Moved, target: SegmentId) {
        let Moved { source, pieces } = moved;
        let Some(&from) = self.segments.slot_of(source.segment) else { return };
        let slot = self.segments.slot(target);
        if let Some(account) = self.segments.by_id_mut(target) {
            account.sealed = true;
        }
        let Some(queue) = self.get_mut(source.queue) else { return };
        // A queue that was dropped and began again has nothing in a sealed segment.
        let of_source = |run: &Run| run.slot == from && run.first == source.first && run.live > 0;
        let at = queue.runs.partition_point(|run| run.end() <= source.first);
        let Some(old) = queue.runs.get(at).filter(|run| of_source(run)) else { return };
        let runs: Vec<Run> = pieces.iter().filter_map(|piece| piece.run(old, slot)).collect();
        if runs.iter().map(|run| run.live).sum::<u32>() != old.live {
            return;
        }
        let gone = (old.live, old.live_bytes);
        let added: Vec<_> = runs.iter().map(|run| (run.live, run.live_bytes)).collect();
        let behind = queue.runs.split_off(at + 1);
        queue.runs.pop_back();
        queue.runs.extend(runs.into_iter().chain(behind));
        self.segments.release(from, gone.0, gone.1);
        for (live, bytes) in added {
            self.segments.add(slot, live, bytes, Some(source.queue));
        }
    }
}
