//! Transactions of several parts: all of them survive a crash, or none.
//!
//! While one is unfinished, every batch is written twice: as what it changes, and in the journal, as
//! it was appended, together with what the keys that it is the first to change held before. After a
//! crash all those keys get back what they held, and the journal is done again without the
//! transactions that were not finished.

use std::collections::BTreeSet;

use sled::Tree;

use super::apply::{Applying, Failure};
use super::codec;
use super::state::HEADER;
use super::view::View;
use crate::embedded::ReadError;
use crate::embedded::pieces::Kind;
use crate::{Batch, Lsn};

/// Batches, under their number.
const BATCH: Kind = Kind { head: 7, piece: 8 };
/// Before a key: what that held. Empty for nothing, else a 1 and the value.
const HELD: u8 = 9;

/// Adds a batch to the journal, whose changes are in the view.
pub(super) fn record(view: &mut View<'_>, lsn: Lsn, batch: &Batch) -> Result<(), Failure> {
    let tree = view.tree();
    let mut held = Vec::new();
    for key in view.changed().filter(|key| key.as_slice() != HEADER) {
        let held_key = [&[HELD], key.as_slice()].concat();
        if tree.get(&held_key)?.is_none() {
            let before = tree.get(key)?;
            let before = before.map_or_else(Vec::new, |value| [&[1], &value[..]].concat());
            held.push((held_key, before));
        }
    }
    for (key, before) in held {
        view.insert(key, before);
    }
    BATCH.insert(&lsn.0.to_be_bytes(), &codec::encode(batch), |key, value| view.insert(key, value));
    Ok(())
}

/// Removes the journal: nothing is unfinished.
pub(super) fn clear(view: &mut View<'_>) -> Result<(), Failure> {
    for prefix in [BATCH.head, BATCH.piece, HELD] {
        for key in view.tree().scan_prefix([prefix]).keys() {
            view.remove(key?.to_vec());
        }
    }
    Ok(())
}

/// What there is to write before the store can be used, if a journal was left.
pub(super) fn replay(tree: &Tree) -> Result<Option<sled::Batch>, Failure> {
    if tree.scan_prefix([HELD]).next().is_none() && tree.scan_prefix([BATCH.head]).next().is_none()
    {
        return Ok(None);
    }
    let mut view = View::new(tree);
    for entry in tree.scan_prefix([HELD]) {
        let (key, before) = entry?;
        let key = key.get(1..).unwrap_or_default().to_vec();
        match before.split_first() {
            Some((_, value)) => view.insert(key, value),
            None => view.remove(key),
        }
    }
    let batches = batches(tree)?;
    let parts = batches.iter().filter_map(Batch::part);
    let whole: BTreeSet<u64> = parts.filter(|part| part.last).map(|part| part.tx).collect();
    let mut applying = Applying::new(view);
    for batch in batches {
        if batch.part().is_none_or(|part| whole.contains(&part.tx)) {
            for op in batch.ops() {
                applying.apply(op)?;
            }
        }
    }
    let (mut view, _) = applying.finish();
    clear(&mut view)?;
    Ok(Some(view.into_batch()))
}

fn batches(tree: &Tree) -> Result<Vec<Batch>, Failure> {
    let damaged = || ReadError::Damaged("not a batch");
    let mut batches = Vec::new();
    for entry in tree.scan_prefix([BATCH.head]) {
        let (key, head) = entry?;
        let number = key.get(1..).ok_or_else(damaged)?;
        let octets = BATCH.read(number, &head, |key| tree.get(key))?;
        batches.push(codec::decode(octets.into()).ok_or_else(damaged)?);
    }
    Ok(batches)
}
