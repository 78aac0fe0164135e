//! The simplest engine that survives crashes, and some that do not: the tests must tell them apart.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::engine::{Stepped, directory};
use crate::disk::{Disk, DiskFile};
use crate::{
    Batch, Lsn, MemoryStore, MessageStore, Meta, Op, QueueId, QueueStats, ReadMax, Recovered, Seq,
    StoreConfig, StoreError, StoreStatus, Stored,
};

const SECTOR: usize = 512;

/// What it leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mistake {
    None,
    /// Commits are not synced.
    Sync,
    /// The new file's name is not synced.
    SyncDir,
    /// What is recovered after a kill is not synced.
    SyncRecovered,
    /// What lies behind the tail is not cut off.
    Cut,
    /// A settlement now and then.
    Settle,
}

/// The log says which batches there are; they themselves are kept here, whatever happens.
#[derive(Clone)]
pub(super) struct Setup {
    mistake: Mistake,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl Setup {
    pub fn with(mistake: Mistake) -> Self {
        Self { mistake, batches: Arc::default() }
    }
}

pub(super) struct Naive {
    memory: MemoryStore,
    setup: Setup,
    file: Arc<dyn DiskFile>,
    log: Mutex<Log>,
    durable: watch::Sender<Lsn>,
    _lock: Box<dyn Debug + Send + Sync>,
}

struct Log {
    life: u64,
    appended: u64,
    /// Numbers of batches.
    unwritten: Vec<u64>,
    written: u64,
}

/// A sector per batch: its position in the log, the life in which it was written, its number.
fn encode(position: u64, life: u64, number: u64) -> Vec<u8> {
    let words = [position, life, number, check(position, life, number)];
    words.iter().flat_map(|word| word.to_le_bytes()).chain([0; SECTOR - 32]).collect()
}

fn decode(sector: &[u8]) -> Option<(u64, u64, u64)> {
    let word = |at: usize| u64::from_le_bytes(sector[8 * at..8 * at + 8].try_into().unwrap());
    let (position, life, number) = (word(0), word(1), word(2));
    (word(3) == check(position, life, number)).then_some((position, life, number))
}

fn check(position: u64, life: u64, number: u64) -> u64 {
    (position ^ life.rotate_left(20) ^ number.rotate_left(40) ^ 0x5eed).wrapping_mul(0x9e37_79b9)
}

impl Naive {
    /// The batches found in the file: the life and the number of each.
    fn scan(file: &dyn DiskFile) -> Result<Vec<(u64, u64)>, StoreError> {
        let mut found = Vec::new();
        let mut sector = [0; SECTOR];
        loop {
            let position = found.len() as u64;
            if file.read_at(&mut sector, position * SECTOR as u64)? < SECTOR {
                return Ok(found);
            }
            match decode(&sector) {
                Some((at, life, number)) if at == position => found.push((life, number)),
                _ => return Ok(found),
            }
        }
    }

    fn replay(&self, found: &[(u64, u64)]) -> Result<Recovered, StoreError> {
        let batches = self.setup.batches.lock();
        let found: Vec<_> =
            found.iter().map(|(life, number)| (life, batches[*number as usize].clone())).collect();
        let parts = found.iter().filter_map(|(life, batch)| Some((*life, batch.part()?)));
        let whole: BTreeSet<_> =
            parts.filter(|(_, part)| part.last).map(|(life, part)| (life, part.tx)).collect();
        let mut meta = Meta::default();
        let mut queues = BTreeSet::new();
        for (life, batch) in &found {
            if batch.part().is_some_and(|part| !whole.contains(&(*life, part.tx))) {
                continue;
            }
            for op in batch.ops() {
                match op {
                    Op::Meta { version, changes } => meta.apply(*version, changes.clone()),
                    Op::Publish { queue, .. } | Op::Deliver { queue, .. } => {
                        queues.insert(*queue);
                    }
                    Op::DropQueue { queue } => {
                        queues.remove(queue);
                    }
                    _ => {}
                }
            }
            self.memory.append(Batch::from(batch.ops().to_vec()))?;
        }
        let queues = queues.into_iter().map(|queue| (queue, self.stats(queue))).collect();
        Ok(Recovered { lsn: Lsn(found.len() as u64), queues, meta, notes: Vec::new() })
    }
}

impl Stepped for Naive {
    type Setup = Setup;

    fn setup(_seed: u64) -> Setup {
        Setup::with(Mistake::None)
    }

    fn big(_setup: &Setup) -> u64 {
        10_000
    }

    fn open_on(setup: &Setup, disk: Arc<dyn Disk>) -> Result<(Self, Recovered), StoreError> {
        disk.create_dir(&directory())?;
        let lock = disk.lock(&directory().join("lock"))?;
        let path = directory().join("log");
        let file = disk.open(&path).or_else(|_| disk.create(&path))?;
        if setup.mistake != Mistake::SyncDir {
            disk.sync_dir(&directory())?;
        }
        let found = Self::scan(&*file)?;
        let end = found.len() as u64;
        if setup.mistake != Mistake::Cut {
            file.set_len(end * SECTOR as u64)?;
        }
        if setup.mistake != Mistake::SyncRecovered {
            file.sync_data()?;
        }
        let life = found.last().map_or(0, |(life, _)| life + 1);
        let store = Self {
            memory: MemoryStore::open(&StoreConfig::new(""))?.0,
            setup: setup.clone(),
            file,
            log: Mutex::new(Log { life, appended: end, unwritten: Vec::new(), written: end }),
            durable: watch::Sender::new(Lsn(end)),
            _lock: lock,
        };
        let recovered = store.replay(&found)?;
        Ok((store, recovered))
    }

    /// Writes one batch, or syncs them all.
    fn step(&self) -> bool {
        let mut log = self.log.lock();
        if !log.unwritten.is_empty() {
            let number = log.unwritten.remove(0);
            let sector = encode(log.written, log.life, number);
            self.file.write_at(&sector, log.written * SECTOR as u64).unwrap();
            log.written += 1;
            return true;
        }
        if *self.durable.borrow() == Lsn(log.written) {
            return false;
        }
        if self.setup.mistake != Mistake::Sync {
            self.file.sync_data().unwrap();
        }
        self.durable.send_replace(Lsn(log.written));
        true
    }
}

impl MessageStore for Naive {
    fn open(_cfg: &StoreConfig) -> Result<(Self, Recovered), StoreError> {
        Err(StoreError::Poisoned("not by itself".to_owned()))
    }

    fn append(&self, mut batch: Batch) -> Result<Lsn, StoreError> {
        let mut log = self.log.lock();
        if batch.is_empty() && batch.part().is_none() {
            return Ok(Lsn(log.appended));
        }
        self.memory.append(Batch::from(batch.ops().to_vec()))?;
        log.appended += 1;
        let mut batches = self.setup.batches.lock();
        if self.setup.mistake == Mistake::Settle && log.appended.is_multiple_of(10) {
            let part = batch.part();
            let mut ops = batch.into_ops();
            ops.retain(|op| !matches!(op, Op::Settle { .. }));
            batch = Batch::from(ops);
            part.into_iter().for_each(|part| batch.set_part(part));
        }
        log.unwritten.push(batches.len() as u64);
        batches.push(batch);
        Ok(Lsn(log.appended))
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
        while self.step() {}
        Ok(*self.durable.borrow())
    }

    fn status(&self) -> StoreStatus {
        self.memory.status()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.checkpoint().map(drop)
    }
}
