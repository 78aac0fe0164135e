//! Any engine behind the seam of this crate: the message log.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use lepus_storage::{Batch, Lsn, MessageStore, Op, QueueId, Recovered, Seq, SeqRange, StoreConfig};
use parking_lot::{Condvar, Mutex};

use crate::engine::Engine;

/// How far the store is durable; none once it has failed.
#[derive(Default)]
struct Durable {
    lsn: Mutex<Option<Lsn>>,
    grown: Condvar,
}

/// A store with the queues of a measurement.
pub struct Stored<S> {
    pub store: S,
    durable: Arc<Durable>,
    next: u64,
    forgotten: u64,
}

impl<S: MessageStore> Stored<S> {
    /// Opens the store in a directory, with what is there.
    pub fn open(directory: &Path) -> Result<(Self, Recovered)> {
        let durable = Arc::new(Durable { lsn: Mutex::new(Some(Lsn(0))), grown: Condvar::new() });
        let told = Arc::clone(&durable);
        let mut config = StoreConfig::new(directory);
        config.on_durable = Some(Arc::new(move |lsn| {
            *told.lsn.lock() = lsn;
            told.grown.notify_all();
        }));
        let (store, recovered) = S::open(&config)?;
        Ok((Self { store, durable, next: 0, forgotten: 0 }, recovered))
    }

    /// Adds messages to queues in turn, without waiting; positions go on over all queues.
    pub fn add(&mut self, body: &Bytes, count: usize, queues: u64) -> Result<Lsn> {
        let mut batch = Batch::new();
        for _ in 0..count {
            batch.push(Op::Publish {
                queue: QueueId(1 + self.next % queues),
                seq: Seq(self.next / queues),
                payload: body.clone(),
                weight: 0,
                shared: false,
            });
            self.next += 1;
        }
        Ok(self.store.append(batch)?)
    }

    /// Waits until a batch would survive a crash.
    pub fn wait(&self, lsn: Lsn) -> Result<()> {
        let mut durable = self.durable.lsn.lock();
        while durable.is_some_and(|durable| durable < lsn) {
            self.durable.grown.wait(&mut durable);
        }
        ensure!(durable.is_some(), "the store has failed: {:?}", self.store.status().health);
        Ok(())
    }
}

impl<S: MessageStore> Engine for Stored<S> {
    fn commit(&mut self, body: &Bytes, count: usize) -> Result<()> {
        let lsn = self.add(body, count, 1)?;
        self.wait(lsn)
    }

    fn forget(&mut self) -> Result<()> {
        if self.next > self.forgotten {
            let range = SeqRange { first: Seq(self.forgotten), last: Seq(self.next - 1) };
            let mut batch = Batch::new();
            batch.push(Op::Settle { queue: QueueId(1), ranges: vec![range], weight: 0 });
            self.store.append(batch)?;
            self.forgotten = self.next;
        }
        // Twice: files are used again once no checkpoint needs them.
        self.store.checkpoint()?;
        self.store.checkpoint()?;
        Ok(())
    }
}
