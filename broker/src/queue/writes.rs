//! What a queue has to tell the store, in order.

use std::sync::Arc;

use lepus_storage::{Batch, Lsn, MessageStore, Op, SeqRange};

use super::receipt::{Receipt, Transaction};
use super::state::place::{from_store, is_keys};
use super::state::schedule::Bucket;
use super::state::{Dropped, Seq};
use crate::durability::Durability;
use crate::limits::STORED_APART;

/// Messages that the store has refused.
#[derive(Debug, Default)]
pub struct Refused {
    /// Position, octets of the body, by position.
    pub messages: Vec<(Seq, u64)>,
    /// Those of them that were for buckets.
    pub waiting: Vec<(Bucket, Seq)>,
    /// Of its keys.
    pub keys: Vec<u64>,
}

impl Refused {
    /// Whether messages are among it: the store may have failed with others.
    pub fn has_messages(&self) -> bool {
        !(self.messages.is_empty() && self.waiting.is_empty())
    }
}

/// Writes that nobody carries out yet.
#[derive(Debug, Default)]
pub struct Writes(Vec<Write>);

/// Operations for one batch, and who wants to know what becomes of it.
#[derive(Debug, Default)]
pub struct Write {
    ops: Vec<Op>,
    receipts: Vec<Arc<Receipt>>,
    tx: Option<Arc<Transaction>>,
    /// What its transaction publishes leaves its place with it.
    moves: bool,
    /// Its transaction settles messages with it, for good.
    settles: bool,
    /// Something that belongs to it was dropped for what the store has, or will have if writes before it
    /// bring that.
    drops: bool,
    relies: bool,
}

impl Writes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all.
    pub fn take(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.0)
    }

    /// The store has refused messages (position, octets of the body) before these writes, which do
    /// not know of it.
    pub fn count_without(&mut self, refused: &[(Seq, u64)]) {
        self.0.iter_mut().for_each(|write| write.count_without(refused));
    }

    /// Refuses what waits for these writes: see [`Write::doubt`].
    pub fn doubt(&self) {
        self.0.iter().for_each(Write::doubt);
    }

    /// Adds operations, with those that came just before if they are in no transaction; of a
    /// transaction with whether what settles messages is a part of it.
    pub fn add(
        &mut self,
        ops: &mut Vec<Op>,
        receipt: Option<&Arc<Receipt>>,
        tx: Option<(&Arc<Transaction>, bool)>,
        Dropped { drops, relies }: Dropped,
    ) {
        let (ops, receipt) = (std::mem::take(ops), receipt.cloned());
        match self.0.last_mut() {
            Some(last) if last.tx.is_none() && tx.is_none() => {
                last.ops.extend(ops);
                last.receipts.extend(receipt);
                last.drops |= drops;
                last.relies |= relies;
            }
            _ => {
                let (tx, settles) = tx.map_or((None, false), |(tx, with)| (Some(tx.clone()), with));
                let receipts = receipt.into_iter().collect();
                self.0.push(Write { ops, receipts, tx, moves: false, settles, drops, relies });
            }
        }
    }
}

impl Write {
    /// Messages leave their place, for others if there is a transaction.
    pub fn leaving(ops: Vec<Op>, tx: Option<Arc<Transaction>>) -> Self {
        Self { ops, tx, moves: true, ..Self::default() }
    }

    /// The transaction that it is a part of.
    pub fn transaction(&self) -> Option<&Arc<Transaction>> {
        self.tx.as_ref()
    }

    /// Messages that were to be stored before this write are refused. What of it was dropped for being the same
    /// as one of these would be nowhere: nobody may be told that it is safe.
    pub fn doubt(&self) {
        if self.relies {
            self.receipts.iter().for_each(|receipt| receipt.refuse());
        }
    }

    /// The store has refused messages (position, octets of the body) before this write, which does
    /// not know of it.
    pub fn count_without(&mut self, refused: &[(Seq, u64)]) {
        count_without(&mut self.ops, refused);
    }

    /// Gives the store its batch. An error tells which messages were refused, if any are in it.
    pub fn carry_out(
        self,
        store: &dyn MessageStore,
        durability: &Durability,
    ) -> Result<(), Refused> {
        let Self { ops, receipts, tx, moves, settles, drops, .. } = self;
        let published = published(&ops);
        let waiting: Vec<(Bucket, Seq)> = ops.iter().filter_map(waiting).collect();
        let keys: Vec<u64> = ops.iter().filter_map(key).collect();
        // Only messages are refused, or what a transaction settles. What else they have led to is no part of it.
        let leads = !published.is_empty() || tx.is_some() && !moves;
        let mut others = if leads { others(&ops) } else { Vec::new() };
        if settles {
            others.retain(|op| !matches!(op, Op::Settle { .. }));
        }
        let followed = || receipts.iter().all(|receipt| receipt.is_followed());
        let done = match &tx {
            // What made this one unnecessary may not be durable yet.
            None if ops.is_empty() && !receipts.is_empty() => store.append(Batch::new()),
            None if ops.is_empty() => Ok(Lsn(0)),
            None if !receipts.is_empty() && followed() => {
                let mut batch = Batch::from(ops);
                batch.set_followed();
                let done = store.append(batch);
                // Whoever was to ask for the writing may have left it to this thread.
                if !followed() {
                    store.write(false);
                }
                done
            }
            None => store.append(Batch::from(ops)),
            Some(tx) => {
                let octets = stored_apart(published.iter().map(|(_, octets)| *octets));
                let done = tx.part(ops.is_empty(), octets, |part, to_come| {
                    let mut batch = Batch::from(ops);
                    batch.set_part(part);
                    batch.set_to_come(to_come);
                    if moves {
                        batch.set_moves();
                    }
                    store.append(batch)
                });
                match done {
                    Ok(Lsn(0)) if drops => store.append(Batch::new()),
                    done => done,
                }
            }
        };
        if let Some((awaited, end)) = tx.map(|tx| tx.take_awaited()) {
            awaited.iter().for_each(|receipt| receipt.written(end, durability));
        }
        if done.is_err() && !others.is_empty() {
            // A store that has failed has said so.
            count_without(&mut others, &published);
            let _ = store.append(Batch::from(others));
        }
        for receipt in receipts {
            receipt.written(done.as_ref().ok().copied(), durability);
        }
        match done {
            Ok(_) => Ok(()),
            Err(error) => {
                // That the store is poisoned was said when it happened: what is settled now comes
                // back after the restart that it needs.
                if !published.is_empty() {
                    tracing::error!(messages = published.len(), "messages refused: {error}");
                }
                Err(Refused { messages: published, waiting, keys })
            }
        }
    }
}

/// How much of messages of these sizes the store keeps in files of their own: the room for these has
/// to be there when a transaction begins.
pub fn stored_apart(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.filter(|octets| *octets >= STORED_APART).sum()
}

/// Messages (position, octets of the body) by position.
fn published(ops: &[Op]) -> Vec<(Seq, u64)> {
    let published = ops.iter().filter_map(|op| match op {
        Op::Publish { queue, seq, weight, .. } if !is_keys(*queue) => {
            Some((from_store(*queue, *seq), (*weight).into()))
        }
        _ => None,
    });
    let mut published: Vec<_> = published.collect();
    published.sort_unstable_by_key(|(seq, _)| *seq);
    published
}

/// A key that is kept.
fn key(op: &Op) -> Option<u64> {
    match op {
        Op::Publish { queue, seq, .. } if is_keys(*queue) => Some(seq.0),
        _ => None,
    }
}

/// A message that goes to a bucket.
fn waiting(op: &Op) -> Option<(Bucket, Seq)> {
    match op {
        Op::Publish { queue, seq, .. } => Some((Bucket::parse(*queue)?.1, seq.0)),
        _ => None,
    }
}

/// All but messages.
fn others(ops: &[Op]) -> Vec<Op> {
    ops.iter().filter(|op| !matches!(op, Op::Publish { .. })).cloned().collect()
}

/// Has settled messages count without those that the store does not have.
fn count_without(ops: &mut [Op], messages: &[(Seq, u64)]) {
    for op in ops {
        if let Op::Settle { queue, ranges, weight } = op {
            let has = |seq: Seq| {
                let includes = |range: &SeqRange| {
                    from_store(*queue, range.first) <= seq && seq <= from_store(*queue, range.last)
                };
                ranges.iter().any(includes)
            };
            let missing = messages.iter().filter(|(seq, _)| has(*seq));
            *weight = weight.saturating_sub(missing.map(|(_, octets)| octets).sum());
        }
    }
}
