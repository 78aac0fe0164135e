//! Opening the messages of a data directory, by the engine that keeps them.

use std::sync::Arc;

use crate::disk::{Disk, RealDisk};
use crate::identity::{self, Identity};
use crate::log::is_full;
use crate::{
    Batch, LogStore, Lsn, MessageStore, Op, Recovered, SledStore, StoreConfig, StoreError,
    StoreKind,
};

/// A log with less room than that takes no messages.
const SEGMENTS: u64 = 4;

/// Opens the store of a data directory, which is made if need be. One that has its messages in
/// another engine, or whose messages are not there, is left as it is.
///
/// # Errors
/// As [`MessageStore::open`], and [`StoreError::Misplaced`].
pub fn open(
    kind: StoreKind,
    cfg: &StoreConfig,
) -> Result<(Arc<dyn MessageStore>, Recovered), StoreError> {
    let unwritten = identity::check(&cfg.directory, kind)?;
    let (store, mut recovered) = match kind {
        StoreKind::Log => shared(LogStore::open(cfg)?),
        StoreKind::Sled => shared(SledStore::open(cfg)?),
    };
    if let Some(identity) = unwritten {
        match begin(&*store, &recovered, cfg, &identity) {
            Err(StoreError::Io(error)) if is_full(&error) => {
                let note = "the disk is full: the data directory does not say yet what is in it";
                recovered.notes.push(note.to_owned());
            }
            begun => begun?,
        }
    }
    Ok((store, recovered))
}

fn shared<S: MessageStore + 'static>(
    (store, recovered): (S, Recovered),
) -> (Arc<dyn MessageStore>, Recovered) {
    (Arc::new(store), recovered)
}

/// From then on a directory without anything in it is one that has lost it: a new store gets its
/// first record and a checkpoint that needs it.
fn begin(
    store: &dyn MessageStore,
    recovered: &Recovered,
    cfg: &StoreConfig,
    identity: &Identity,
) -> Result<(), StoreError> {
    // Where there is no room for segments the record would wait for some.
    let room = RealDisk.free_bytes(&cfg.directory)? >= SEGMENTS * u64::from(cfg.segment_bytes);
    if recovered.lsn == Lsn(0) && room {
        store.append(Batch::from(vec![Op::Meta { version: 0, changes: Vec::new() }]))?;
        store.checkpoint()?;
    }
    identity.write(&cfg.directory)
}

#[cfg(test)]
mod tests;
