//! Positions that may have been in a damaged part of the log.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::super::record::Record;
use super::findings::{Findings, Lost};
use crate::{QueueId, Seq, SeqRange};

/// A position further ahead than this is no position, but damage.
const FARTHEST: u64 = 1 << 20;

/// A part of the log that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    pub file: PathBuf,
    pub offset: u64,
}

/// Gaps between the positions of a queue that damage may have made, found while records are applied.
#[derive(Debug, Default)]
pub(super) struct Missing {
    damages: Vec<Damage>,
    /// How many damages a queue's records have been seen after.
    seen: HashMap<QueueId, usize>,
    /// By queue and first position: the last one, and the damage.
    gaps: BTreeMap<(QueueId, u64), (u64, usize)>,
}

impl Missing {
    /// From here on records may be missing.
    pub fn damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }

    /// A damaged record looks like this one.
    pub fn suspect(&mut self, record: &Record<'_>, next_of: impl Fn(QueueId) -> u64) {
        if let Record::Publish { at, .. } | Record::Shared { at, .. } | Record::Big { at, .. } =
            record
        {
            let next = next_of(at.queue);
            if next > 0 && (next..next.saturating_add(FARTHEST)).contains(&at.seq.0) {
                self.gap(at.queue, at.seq.0, at.seq.0);
            }
        }
    }

    /// A record is about to be applied.
    pub fn applying(&mut self, record: &Record<'_>, next_of: impl Fn(QueueId) -> u64) {
        if self.damages.is_empty() {
            return;
        }
        match record {
            Record::Publish { at, .. } | Record::Shared { at, .. } | Record::Big { at, .. } => {
                self.reached(at.queue, at.seq.0, next_of(at.queue));
            }
            Record::Deliver { queue, up_to } => {
                self.reached(*queue, up_to.0.saturating_add(1), next_of(*queue));
            }
            Record::Settle { queue, ranges, .. } => {
                ranges.iter().for_each(|range| self.settled(*queue, range));
            }
            Record::Drop { queue } => self.settled(*queue, SeqRange::ALL),
            Record::Return { .. } | Record::Meta { .. } | Record::Part(_) => {}
        }
    }

    /// A queue has come to `to`, from `from`.
    fn reached(&mut self, queue: QueueId, to: u64, from: u64) {
        let seen = self.seen.insert(queue, self.damages.len()).unwrap_or(0);
        if seen < self.damages.len() && to > from {
            self.gap(queue, from, to - 1);
        }
    }

    /// Takes in a gap, and those that lie in it.
    fn gap(&mut self, queue: QueueId, first: u64, last: u64) {
        let damage = self.damages.len() - 1;
        self.settled(queue, SeqRange { first: Seq(first), last: Seq(last) });
        self.gaps.insert((queue, first), (last, damage));
    }

    /// Whatever was there is gone in any case.
    fn settled(&mut self, queue: QueueId, range: SeqRange) {
        let (from, to) = (range.first.0, range.last.0);
        if from > to {
            return;
        }
        let touched: Vec<_> = self
            .gaps
            .range((queue, 0)..=(queue, to))
            .map(|(&(_, first), &(last, damage))| (first, last, damage))
            .filter(|(_, last, _)| *last >= from)
            .collect();
        for (first, last, damage) in touched {
            self.gaps.remove(&(queue, first));
            if first < from {
                self.gaps.insert((queue, first), (from - 1, damage));
            }
            if last > to {
                self.gaps.insert((queue, to + 1), (last, damage));
            }
        }
    }

    /// Tells what is missing.
    pub fn tell(self, findings: &mut Findings) {
        for ((queue, first), (last, damage)) in self.gaps {
            let Some(Damage { file, offset }) = self.damages.get(damage).cloned() else { continue };
            findings.lose(Lost {
                queue,
                first: Seq(first),
                last: Seq(last),
                certain: false,
                file,
                offset: Some(offset),
                why: "a group commit is damaged".to_owned(),
            });
        }
    }
}
