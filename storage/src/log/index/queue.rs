//! The messages of one queue.

use std::collections::{BTreeMap, VecDeque};

use super::big::BigId;
use super::returns::Returns;
use super::run::{Places, Run};
use super::segments::Segments;
use super::{Located, Place};
use crate::{QueueId, QueueStats, Seq, SeqRange};

/// Runs by ascending position, and sums over them.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: QueueId,
    pub(super) runs: VecDeque<Run>,
    /// How many of the runs have nothing left. Those in the middle stay for a while.
    pub(super) empty: usize,
    pub(super) next: u64,
    pub(super) delivered: u64,
    pub(super) messages: u64,
    pub(super) weight: u64,
    pub(super) returns: Returns,
    /// The files of its largest messages.
    pub(super) big: BTreeMap<u64, BigId>,
}

/// As many empty runs are no reason to look at all of them.
const FEW_EMPTY: usize = 16;

impl Queue {
    pub(super) fn new(id: QueueId) -> Self {
        Self {
            id,
            runs: VecDeque::new(),
            empty: 0,
            next: 0,
            delivered: 0,
            messages: 0,
            weight: 0,
            returns: Returns::default(),
            big: BTreeMap::new(),
        }
    }

    /// Adds a message; false: its position is taken. Says in `new_run` if that took a run.
    pub(super) fn publish(&mut self, seq: u64, slot: u32, place: (u32, u32), weight: u32) -> Added {
        if seq < self.next || seq == u64::MAX {
            return Added::Refused;
        }
        self.next = seq + 1;
        self.messages += 1;
        self.weight = self.weight.saturating_add(u64::from(weight));
        if let Some(run) = self.runs.back_mut()
            && run.slot == slot
        {
            let was_empty = run.live == 0;
            if run.push(seq, place.0, place.1) {
                self.empty -= usize::from(was_empty);
                return Added::Here;
            }
        }
        self.drop_empty_tail();
        let mut run = Run::new(slot, seq);
        run.push(seq, place.0, place.1);
        self.runs.push_back(run);
        Added::InNewRun
    }

    /// Settles what is in the range, and says how many messages that were.
    pub(super) fn settle(&mut self, range: SeqRange, segments: &mut Segments) -> u64 {
        let (first, last) = (range.first.0, range.last.0);
        if self.messages == 0 || first > last || first >= self.next {
            return 0;
        }
        let mut settled: u64 = 0;
        let mut at = find(&self.runs, first);
        while let Some(run) = self.runs.get_mut(at).filter(|run| run.first <= last) {
            let was_empty = run.live == 0;
            let (gone, freed) = run.settle(first, last);
            segments.release(run.slot, gone, freed);
            settled += u64::from(gone);
            self.empty += usize::from(run.live == 0 && !was_empty);
            at += 1;
        }
        if settled == 0 {
            return 0;
        }
        self.messages = self.messages.saturating_sub(settled);
        if !self.returns.is_empty() {
            let Self { runs, returns, .. } = self;
            returns.settle(first, last.min(self.next - 1), |seq| next_live(runs, seq));
        }
        if self.empty > 0 {
            self.tidy(segments);
        }
        settled
    }

    /// The weight of what was settled.
    pub(super) fn lighten(&mut self, weight: u64) {
        self.weight = if self.messages == 0 { 0 } else { self.weight.saturating_sub(weight) };
    }

    pub(super) fn deliver(&mut self, up_to: u64) {
        self.delivered = self.delivered.max(up_to.saturating_add(1));
        self.next = self.next.max(self.delivered);
    }

    pub(super) fn give_back(&mut self, range: SeqRange) {
        // Only positions that are used: one that comes later has not come back.
        let Some(last) = self.next.checked_sub(1).map(|last| last.min(range.last.0)) else {
            return;
        };
        let Self { runs, returns, .. } = self;
        if let Some(first) = next_live(runs, range.first.0).filter(|&first| first <= last) {
            returns.add(first, last.min(u64::MAX - 1), |seq| next_live(runs, seq));
        }
    }

    /// The first message at `from` or above.
    pub(super) fn next_live(&self, from: u64) -> Option<u64> {
        next_live(&self.runs, from)
    }

    pub(super) fn stats(&self) -> QueueStats {
        QueueStats {
            messages: self.messages,
            weight: self.weight,
            first: Seq(self.next_live(0).unwrap_or(self.next)),
            next: Seq(self.next),
            delivered: Seq(self.delivered),
        }
    }

    pub(super) fn locate(&self, from: u64, max: usize, out: &mut Vec<Located>, of: &Segments) {
        let end = out.len().saturating_add(max);
        let mut returned = self.returns.at_or_above(from);
        for run in self.runs.range(find(&self.runs, from)..) {
            let Some(account) = of.get(run.slot).filter(|_| run.live > 0) else {
                continue;
            };
            let from = from.saturating_sub(run.first).min(u64::from(run.span)) as u32;
            let mut at = run.next_live(from);
            while let Some(position) = at
                && out.len() < end
            {
                let rank = run.rank(position);
                let place = match &run.places {
                    Places::Memory(offsets) => {
                        offsets.get(rank as usize).map(|&o| Place::Offset(o))
                    }
                    Places::Table(entry) => Some(account.place(entry.saturating_add(rank))),
                };
                let seq = run.first + u64::from(position);
                while returned.is_some_and(|(_, last, _)| last < seq) {
                    returned = self.returns.at_or_above(seq);
                }
                let returns = returned.filter(|&(first, ..)| first <= seq).map_or(0, |r| r.2);
                if let Some(place) = place {
                    out.push(Located { seq: Seq(seq), segment: account.id, place, returns });
                }
                at = run.next_live(position + 1);
            }
            if out.len() >= end {
                return;
            }
        }
    }

    /// Forgets all messages.
    pub(super) fn release_all(&mut self, segments: &mut Segments) {
        for run in &self.runs {
            segments.release(run.slot, run.live, run.live_bytes);
        }
    }

    /// Takes out runs that have nothing left: at once where that is easy, else when they are many.
    /// The one that may go on in a young segment stays.
    fn tidy(&mut self, segments: &Segments) {
        if self.messages == 0 {
            self.returns.clear();
        }
        while self.runs.len() > 1 && self.runs.front().is_some_and(|run| run.live == 0) {
            self.runs.pop_front();
            self.empty -= 1;
        }
        if self.runs.len() > 1 || self.runs.back().is_some_and(|run| segments.is_sealed(run.slot)) {
            self.drop_empty_tail_of(segments);
        }
        if self.empty > FEW_EMPTY && self.empty > self.runs.len() / 2 {
            self.runs.retain(|run| run.live > 0);
            self.empty = 0;
        }
        if self.runs.capacity() > 64 && self.runs.len() < self.runs.capacity() / 4 {
            self.runs.shrink_to_fit();
        }
    }

    fn drop_empty_tail_of(&mut self, segments: &Segments) {
        while let Some(run) = self.runs.back()
            && run.live == 0
            && segments.is_sealed(run.slot)
        {
            self.runs.pop_back();
            self.empty -= 1;
        }
    }

    /// Before another run is added.
    fn drop_empty_tail(&mut self) {
        while self.runs.back().is_some_and(|run| run.live == 0) {
            self.runs.pop_back();
            self.empty -= 1;
        }
    }
}

/// What became of a publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// The position is taken.
    Refused,
    /// It went into the last run.
    Here,
    /// It began another run.
    InNewRun,
}

/// The first run that ends above `seq`.
pub(super) fn find(runs: &VecDeque<Run>, seq: u64) -> usize {
    // Queues are mostly read and settled at the front, and drained to the end.
    match (runs.front(), runs.back()) {
        (Some(front), _) if front.end() > seq => 0,
        (_, Some(back)) if back.first <= seq => runs.len() - usize::from(back.end() > seq),
        _ => runs.partition_point(|run| run.end() <= seq),
    }
}

fn next_live(runs: &VecDeque<Run>, from: u64) -> Option<u64> {
    runs.range(find(runs, from)..).filter(|run| run.live > 0).find_map(|run| {
        let from = from.saturating_sub(run.first).min(u64::from(u32::MAX)) as u32;
        run.next_live(from).map(|position| run.first + u64::from(position))
    })
}

#[cfg(test)]
impl Queue {
    pub(super) fn memory_bytes(&self) -> usize {
        let runs = self.runs.iter().map(Run::memory_bytes).sum::<usize>();
        let spare = self.runs.capacity() - self.runs.len();
        size_of::<Self>() + spare * size_of::<Run>() + runs
    }
}
