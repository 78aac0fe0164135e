//! The engine without a disk: everything in memory, and gone with the process.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Batch, Lsn, MessageStore, QueueId, QueueStats, ReadMax, Recovered, Seq, StoreConfig,
    StoreError, Stored,
};

mod queues;

use queues::Queues;

/// Keeps messages in memory. A batch counts as durable as soon as it is appended.
///
/// The bound is [`StoreConfig::max_bytes`], of which every position in a queue takes
/// [`Self::ENTRY_BYTES`] besides the payload. A move to several queues is never refused, and may
/// pass the bound by the positions that it adds.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    durable: watch::Sender<Lsn>,
}

#[derive(Debug)]
struct State {
    queues: Queues,
    lsn: Lsn,
}

impl MemoryStore {
    /// What a position in a queue costs besides the payload, in bytes: about what the index needs.
    pub const ENTRY_BYTES: u64 = 64;
}

impl MessageStore for MemoryStore {
    fn open(cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        let store = Self {
            state: Mutex::new(State { queues: Queues::new(cfg.max_bytes), lsn: Lsn(0) }),
            durable: watch::Sender::new(Lsn(0)),
        };
        Ok((store, Recovered::default()))
    }

    fn append(&self, batch: Batch) -> Result<Lsn, StoreError> {
        // What is settled is collected, to be freed after the lock.
        let mut settled: Vec<Bytes> = Vec::new();
        let lsn = {
            let mut state = self.state.lock();
            if batch.is_empty() {
                return Ok(state.lsn);
            }
            state.queues.check(batch.ops())?;
            for op in batch.into_ops() {
                state.queues.apply(op, &mut settled);
            }
            state.lsn = Lsn(state.lsn.0 + 1);
            state.lsn
        };
        // Two batches may arrive here in the other order: the watermark keeps the later one.
        self.durable.send_if_modified(|durable| {
            let later = *durable < lsn;
            *durable = lsn.max(*durable);
            later
        });
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    fn open(max_bytes: u64) -> MemoryStore {
        let cfg = StoreConfig { directory: "unused".into(), max_bytes };
        let (store, recovered) = MemoryStore::open(&cfg).unwrap();
        assert_eq!(recovered, Recovered::default());
        store
    }

    #[test]
    fn conforms() {
        conformance::conformance(open);
    }

    #[test]
    fn a_body_shared_by_queues_is_counted_once() {
        const QUEUES: u64 = 10;
        let store = open(1000 + QUEUES * MemoryStore::ENTRY_BYTES);
        let mut batch = Batch::new();
        let refs = (0..QUEUES).map(|queue| (QueueId(queue), Seq(0))).collect();
        batch.publish(Bytes::from(vec![0; 1000]), refs);
        store.append(batch).unwrap();
        let append = |seq| {
            let mut batch = Batch::new();
            batch.publish(Bytes::new(), vec![(QueueId(0), Seq(seq))]);
            store.append(batch)
        };
        assert!(matches!(
            append(1),
            Err(StoreError::Full { needed: MemoryStore::ENTRY_BYTES, free: 0, .. })
        ));
        // The body goes with the last of its positions.
        let mut batch = Batch::new();
        batch.purge(QueueId(0));
        store.append(batch).unwrap();
        append(1).unwrap();
        assert!(append(2).is_err());
        let mut batch = Batch::new();
        for queue in 1..QUEUES {
            batch.drop_queue(QueueId(queue));
        }
        store.append(batch).unwrap();
        let state = store.state.lock();
        assert_eq!(state.queues.used(), MemoryStore::ENTRY_BYTES);
    }

    #[test]
    fn a_move_keeps_the_body_and_its_account() {
        let store = open(u64::MAX);
        let body = Bytes::from(vec![7; 500]);
        let mut batch = Batch::new();
        batch.publish(body.clone(), vec![(QueueId(1), Seq(0))]);
        batch.move_message((QueueId(1), Seq(0)), vec![(QueueId(2), Seq(0)), (QueueId(3), Seq(5))]);
        store.append(batch).unwrap();
        assert_eq!(store.state.lock().queues.used(), 500 + 2 * MemoryStore::ENTRY_BYTES);
        let mut out = Vec::new();
        let max = ReadMax { messages: 1, bytes: 0 };
        store.read(QueueId(3), Seq(0), max, &mut out).unwrap();
        assert_eq!(out[0].payload.as_ptr(), body.as_ptr());
        let mut batch = Batch::new();
        batch.move_message((QueueId(2), Seq(0)), Vec::new());
        batch.purge(QueueId(3));
        store.append(batch).unwrap();
        assert_eq!(store.state.lock().queues.used(), 0);
    }
}
