//! What is kept in memory of the store, and how a batch changes it.

use std::collections::{BTreeSet, HashMap};

use sled::Tree;

use super::apply::{Applying, Changed, Failure, cost};
use super::counts::Counts;
use super::journal;
use super::view::View;
use crate::embedded::ReadError;
use crate::{Batch, Lsn, Op, QueueId, QueueStats, StoreError};

const FORMAT: u32 = 1;

/// The key of the header: the format, a u32; then the latest batch and the version of the meta
/// entries, both u64; all big-endian.
pub(super) const HEADER: &[u8] = &[0];

/// The numbers in the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Header {
    pub lsn: Lsn,
    pub meta_version: u64,
}

pub(super) struct State {
    header: Header,
    /// What messages take of the bound, and the bound.
    used: u64,
    max: u64,
    /// Transactions whose last part has not come.
    open: BTreeSet<u64>,
    queues: HashMap<QueueId, (Counts, QueueStats)>,
}

/// A batch that can be applied.
pub(super) struct Prepared {
    writes: sled::Batch,
    header: Header,
    open: BTreeSet<u64>,
    changed: Changed,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let (lsn, version) = (self.lsn.0.to_be_bytes(), self.meta_version.to_be_bytes());
        [&FORMAT.to_be_bytes()[..], &lsn, &version].concat()
    }

    /// The format, and the numbers if it is the one known.
    pub(super) fn decode(value: &[u8]) -> Result<Result<Self, u32>, ReadError> {
        const WRONG: ReadError = ReadError::Damaged("the header has the wrong length");
        let (format, rest) = value.split_first_chunk::<4>().ok_or(WRONG)?;
        let format = u32::from_be_bytes(*format);
        if format != FORMAT {
            return Ok(Err(format));
        }
        let (lsn, rest) = rest.split_first_chunk::<8>().ok_or(WRONG)?;
        let version: &[u8; 8] = rest.try_into().map_err(|_| WRONG)?;
        let (lsn, meta_version) = (Lsn(u64::from_be_bytes(*lsn)), u64::from_be_bytes(*version));
        Ok(Ok(Self { lsn, meta_version }))
    }

    /// The format that this version writes, the newest that it reads.
    pub(super) const KNOWN: u32 = FORMAT;
}

impl State {
    pub(super) fn new(
        header: Header,
        max: u64,
        queues: HashMap<QueueId, (Counts, QueueStats)>,
    ) -> Self {
        let costs = queues.values().map(|(counts, _)| counts.cost);
        let used = costs.fold(0, u64::saturating_add);
        Self { header, used, max, open: BTreeSet::new(), queues }
    }

    pub(super) fn lsn(&self) -> Lsn {
        self.header.lsn
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn stats(&self, queue: QueueId) -> QueueStats {
        self.queues.get(&queue).map_or_else(QueueStats::default, |(_, stats)| *stats)
    }

    /// What a batch will write, if nothing is against it.
    pub(super) fn prepare(&self, tree: &Tree, batch: Batch) -> Result<Prepared, Failure> {
        let mut applying = Applying::new(View::new(tree));
        for op in batch.ops() {
            applying.apply(op)?;
        }
        let continues = batch.part().is_some_and(|part| self.open.contains(&part.tx));
        let needed = needed(batch.ops());
        let free = self.max.saturating_sub(self.used);
        if needed > free && !continues {
            return Err(Failure::Refused(StoreError::Full { needed, free }));
        }
        let header = Header {
            lsn: Lsn(self.header.lsn.0 + 1),
            meta_version: applying.meta_version.unwrap_or(self.header.meta_version),
        };
        let (mut view, changed) = applying.finish();
        let mut open = self.open.clone();
        if let Some(part) = batch.part() {
            if part.last {
                open.remove(&part.tx);
            } else {
                open.insert(part.tx);
            }
        }
        if !open.is_empty() {
            journal::record(&mut view, header.lsn, &batch)?;
        } else if !self.open.is_empty() {
            journal::clear(&mut view)?;
        }
        view.insert(HEADER.to_vec(), header.encode());
        Ok(Prepared { writes: view.into_batch(), header, open, changed })
    }

    /// Writes it. After an error the state is not to be used.
    pub(super) fn carry_out(&mut self, tree: &Tree, prepared: Prepared) -> sled::Result<()> {
        let Prepared { writes, header, open, changed } = prepared;
        tree.apply_batch(writes)?;
        self.header = header;
        self.open = open;
        for (queue, counts) in changed {
            let after = counts.map_or(0, |counts| counts.cost);
            let before = match counts {
                Some(counts) => {
                    let stats = counts.stats(tree, queue)?;
                    self.queues.insert(queue, (counts, stats))
                }
                None => self.queues.remove(&queue),
            };
            let before = before.map_or(0, |(counts, _)| counts.cost);
            self.used = self.used.saturating_sub(before).saturating_add(after);
        }
        Ok(())
    }
}

/// What the messages of a batch take of the bound.
fn needed(ops: &[Op]) -> u64 {
    let costs = ops.iter().map(|op| match op {
        Op::Publish { payload, .. } => cost(payload.len()),
        _ => 0,
    });
    costs.fold(0, u64::saturating_add)
}
