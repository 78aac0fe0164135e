//! The engine without a disk: everything in memory, and gone with the process.

use std::collections::HashSet;

use lepus_sync::Mutex;
use tokio::sync::watch;

use crate::{
    Batch, Lsn, MessageStore, Meta, OnDurable, Payload, QueueId, QueueStats, ReadMax, Recovered,
    Seq, StoreConfig, StoreError, StoreStatus, Stored,
};

mod queue;
mod queues;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod tests;

use queues::Queues;

/// Keeps messages in memory. A batch counts as durable as soon as it is appended:
/// [`StoreConfig::on_durable`] is called by the thread that appends.
///
/// The bound is [`StoreConfig::max_bytes`], of which every message takes [`Self::ENTRY_BYTES`]
/// besides its payload. A payload that several queues share counts for each of them.
pub struct MemoryStore {
    state: Mutex<State>,
    durable: watch::Sender<Lsn>,
    on_durable: Option<OnDurable>,
}

#[derive(Debug)]
struct State {
    queues: Queues,
    lsn: Lsn,
    /// Transactions without their last parts.
    open: HashSet<u64>,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(cfg: &StoreConfig) -> Self {
        let queues = Queues::new(cfg.max_bytes);
        Self {
            state: Mutex::new(State { queues, lsn: Lsn(0), open: HashSet::new(), closed: false }),
            durable: watch::Sender::new(Lsn(0)),
            on_durable: cfg.on_durable.clone(),
        }
    }

    /// What a message costs besides its payload, in bytes: about what the index needs.
    pub const ENTRY_BYTES: u64 = 64;

    /// What [`crate::Op::Meta`] has left.
    pub fn meta(&self) -> Meta {
        self.state.lock().queues.meta().clone()
    }

    /// The watermark, for all who wait. Two batches may arrive here in the other order: the later
    /// one counts.
    fn publish(&self, lsn: Lsn) {
        let advanced = self.durable.send_if_modified(|durable| {
            let later = *durable < lsn;
            *durable = lsn.max(*durable);
            later
        });
        if advanced && let Some(on_durable) = &self.on_durable {
            on_durable(Some(lsn));
        }
    }
}

impl MessageStore for MemoryStore {
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        Ok((Self::new(cfg), Recovered::default()))
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        // What is settled is collected, to be freed after the lock.
        let mut settled: Vec<Payload> = Vec::new();
        let lsn = {
            let mut state = self.state.lock();
            if batch.is_empty() && batch.part().is_none() {
                return Ok(state.lsn);
            }
            if state.closed {
                return Err(StoreError::Poisoned("it was closed".to_owned()));
            }
            let continues = batch.part().is_some_and(|part| state.open.contains(&part.tx));
            state.queues.check(batch.ops(), !continues)?;
            // Nothing survives a crash here, so that transactions have nothing to hold together.
            match batch.part() {
                Some(part) if part.last => drop(state.open.remove(&part.tx)),
                Some(part) => drop(state.open.insert(part.tx)),
                None => {}
            }
            for op in batch.into_ops() {
                state.queues.apply(op, &mut settled);
            }
            state.lsn = Lsn(state.lsn.0 + 1);
            state.lsn
        };
        self.publish(lsn);
        Ok(lsn)
    }

    fn durable(&self) -> watch::Receiver<Lsn> {
        self.durable.subscribe()
    }

    fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        Ok(self.state.lock().queues.read(queue, from, max, out))
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.state.lock().queues.stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        Ok(self.state.lock().lsn)
    }

    fn status(&self) -> StoreStatus {
        let state = self.state.lock();
        StoreStatus {
            live_bytes: state.queues.used(),
            commits: state.lsn.0,
            ..StoreStatus::default()
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        self.state.lock().closed = true;
        Ok(())
    }
}
