//! A store that survives by doing everything again: it tests the suite for those that really do.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Batch, Lsn, MemoryStore, MessageStore, Op, QueueId, QueueStats, ReadMax, Recovered, Seq,
    StoreConfig, StoreError, StoreStatus, Stored, conformance,
};

/// The batches that were appended to a store, unless they came to nothing.
type Journal = Arc<Mutex<Vec<Batch>>>;

struct Replayed {
    memory: MemoryStore,
    journal: Journal,
    durable: watch::Sender<Lsn>,
}

#[test]
fn the_suite_for_engines_that_survive_can_be_passed() {
    let journals: Mutex<HashMap<PathBuf, Journal>> = Mutex::default();
    conformance::reopening(|path: &Path| {
        Replayed::replay(journals.lock().entry(path.to_owned()).or_default().clone())
    });
}

impl Replayed {
    fn replay(journal: Journal) -> (Self, Recovered) {
        let (memory, mut recovered) = MemoryStore::open(&StoreConfig::new("unused")).unwrap();
        let mut queues = BTreeSet::new();
        let mut batches = journal.lock();
        let parts = batches.iter().filter_map(Batch::part);
        let whole: BTreeSet<u64> = parts.filter(|part| part.last).map(|part| part.tx).collect();
        for batch in batches.iter_mut() {
            let skipped = batch.part().is_some_and(|part| !whole.contains(&part.tx));
            let ops = std::mem::take(batch).into_ops();
            for op in ops.into_iter().filter(|_| !skipped) {
                if let Op::Publish { queue, .. } | Op::Deliver { queue, .. } = &op {
                    queues.insert(*queue);
                }
                batch.push(op);
            }
            memory.append(batch.clone()).unwrap();
        }
        recovered.lsn = Lsn(batches.len() as u64);
        recovered.meta = memory.meta();
        let stats = queues.into_iter().map(|queue| (queue, memory.stats(queue)));
        recovered.queues = stats.filter(|(_, stats)| stats.next > Seq(0)).collect();
        let durable = watch::Sender::new(recovered.lsn);
        drop(batches);
        (Self { memory, journal, durable }, recovered)
    }
}

impl MessageStore for Replayed {
    fn open(_: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        Ok(Self::replay(Journal::default()))
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let mut journal = self.journal.lock();
        self.memory.append(batch.clone())?;
        if !batch.is_empty() || batch.part().is_some() {
            journal.push(batch);
        }
        Ok(Lsn(journal.len() as u64))
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
        self.memory.read(queue, from, max, out)
    }

    fn stats(&self, queue: QueueId) -> QueueStats {
        self.memory.stats(queue)
    }

    fn checkpoint(&self) -> Result<Lsn, StoreError> {
        let latest = Lsn(self.journal.lock().len() as u64);
        self.durable.send_replace(latest);
        Ok(latest)
    }

    fn status(&self) -> StoreStatus {
        self.memory.status()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.checkpoint().map(drop)
    }
}
