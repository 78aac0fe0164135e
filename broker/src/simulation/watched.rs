//! The message store under the broker's eyes: it notes what the broker tells it, and can refuse to
//! read.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use lepus_storage::{
    Batch, LogStore, Lsn, MessageStore, Op, QueueId, QueueStats, ReadMax, Recovered, Seq, SeqRange,
    StoreConfig, StoreError, StoreStatus, Stored,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::ledger::{Told, owner_of};
use super::letter::id_of;
use crate::message::Message;
use crate::queue::state::place::{from_store, lowest_level};

/// The position of what is part of a transaction: that of its last part.
pub const WITH_OTHERS: u64 = u64::MAX;

/// What the store was told, and at what position it stands; `None`: it was refused.
#[derive(Debug)]
pub enum Note {
    Published {
        queue: QueueId,
        seq: u64,
        id: u64,
        at: Option<u64>,
    },
    Settled {
        queue: QueueId,
        ranges: Vec<SeqRange>,
        at: Option<u64>,
    },
    Dropped {
        queue: QueueId,
        at: Option<u64>,
    },
    /// A message for a queue with rules, in a transaction: the other parts are refused, too.
    Refused,
    /// The last part of a transaction.
    Committed {
        at: Option<u64>,
    },
}

/// A log whose work is done step by step.
pub struct Watched {
    log: LogStore,
    notes: Mutex<Vec<Note>>,
    ruled: Mutex<Ruled>,
    /// The next read fails.
    pub fail_read: AtomicBool,
}

/// What concerns queues with rules.
#[derive(Default)]
struct Ruled {
    names: BTreeSet<u64>,
    transactions: BTreeSet<u64>,
    /// Transactions that are about others, too.
    mixed: BTreeSet<u64>,
    told: Vec<Told>,
}

impl Ruled {
    fn is_about(&self, op: &Op) -> bool {
        name(op).is_some_and(|name| self.names.contains(&name))
    }

    fn has(&mut self, batch: &Batch) -> bool {
        let has = batch.ops().iter().any(|op| self.is_about(op));
        match batch.part() {
            Some(part) if has => self.transactions.insert(part.tx) || has,
            Some(part) => self.transactions.contains(&part.tx),
            None => has,
        }
    }
}

/// The owner of what an operation is about.
fn name(op: &Op) -> Option<u64> {
    match op {
        Op::Publish { queue, .. }
        | Op::Settle { queue, .. }
        | Op::Return { queue, .. }
        | Op::Deliver { queue, .. }
        | Op::DropQueue { queue } => Some(owner_of(queue.0)),
        _ => None,
    }
}

impl Watched {
    pub fn new(log: LogStore) -> Self {
        Self {
            log,
            notes: Mutex::default(),
            ruled: Mutex::default(),
            fail_read: AtomicBool::new(false),
        }
    }

    pub fn notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock())
    }

    /// These are names of queues with rules.
    pub fn set_ruled(&self, names: impl Iterator<Item = u64>) {
        self.ruled.lock().names.extend(names);
    }

    /// What it was told of these.
    pub fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.ruled.lock().told)
    }

    pub fn step(&self) -> bool {
        self.log.step()
    }

    /// The position of the latest batch.
    pub fn latest(&self) -> u64 {
        self.log.append(Batch::new()).map_or(0, |lsn| lsn.0)
    }

    /// Up to where all would survive a crash.
    pub fn safe(&self) -> u64 {
        self.log.durable().borrow().0
    }

    fn note(&self, batch: &Batch, at: Option<u64>) {
        let mut ruled = self.ruled.lock();
        let (has, tx) = (ruled.has(batch), batch.part().map(|part| part.tx));
        if has {
            ruled.told.push((batch.clone(), at));
        }
        let published = batch.ops().iter().any(|op| matches!(op, Op::Publish { .. }));
        if has && tx.is_some() && at.is_none() && published {
            self.notes.lock().push(Note::Refused);
        }
        let others = batch.ops().iter().filter(|op| !ruled.is_about(op)).collect::<Vec<_>>();
        if let Some(tx) = tx.filter(|_| !others.is_empty()) {
            ruled.mixed.insert(tx);
        }
        if has && tx.is_none_or(|tx| !ruled.mixed.contains(&tx)) {
            return;
        }
        let mut notes = self.notes.lock();
        // What is part of a transaction takes effect with its last part.
        let committed = at;
        let at = if batch.part().is_some() { at.map(|_| WITH_OTHERS) } else { at };
        for op in others {
            match op {
                Op::Publish { queue, seq, payload, .. } => {
                    let message = Message::from_stored(payload.clone()).expect("a message");
                    let (seq, id) = (from_store(*queue, *seq), id_of(message.body()));
                    notes.push(Note::Published { queue: lowest_level(*queue), seq, id, at });
                }
                Op::Settle { queue, ranges, .. } => {
                    let position = |at: Seq| Seq(from_store(*queue, at));
                    let ranges = ranges.iter().map(|range| SeqRange {
                        first: position(range.first),
                        last: position(range.last),
                    });
                    let queue = lowest_level(*queue);
                    notes.push(Note::Settled { queue, ranges: ranges.collect(), at });
                }
                Op::DropQueue { queue } => {
                    notes.push(Note::Dropped { queue: lowest_level(*queue), at });
                }
                _ => {}
            }
        }
        if batch.part().is_some_and(|part| part.last) {
            notes.push(Note::Committed { at: committed });
        }
    }
}

impl MessageStore for Watched {
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        LogStore::open(cfg).map(|(log, recovered)| (Self::new(log), recovered))
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let told = batch.clone();
        let done = self.log.append(batch);
        self.note(&told, done.as_ref().ok().map(|lsn| lsn.0));
        done
    }

    fn durable(&self) -> watch::Receiver<Lsn> {
        self.log.durable()
    }

    fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        if self.fail_read.swap(false, Ordering::Relaxed) {
            return Err(std::io::Error::other("simulated").into());
        }
        self.log.read(queue, from, max, out)
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.log.stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        self.log.checkpoint()
    }

    fn give_back_room(&self) {
        self.log.give_back_room();
    }

    fn status(&self) -> StoreStatus {
        self.log.status()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.log.close()
    }
}
