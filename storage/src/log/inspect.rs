//! Looking at a log that nobody has open, without changing it.

use std::path::Path;
use std::sync::Arc;

use lepus_sync::Mutex;

use super::engine::Engine;
use super::files::Files;
use super::salvage::{Findings, Lost, Patient, salvage};
use super::state::Stage;
use super::{LogStore, Tuning};
use crate::disk::Disk;
use crate::inspect::{SegmentReport, unreadable};
use crate::{MessageStore, Meta, QueueId, Recovered, Seq, SeqRange, StoreConfig, StoreError};

/// A log as far as it can be read, and what is wrong with it.
pub(crate) struct Examined {
    pub store: LogStore,
    pub recovered: Recovered,
    pub findings: Findings,
}

impl Examined {
    /// Takes the directory and reads what there is, so that it can be repaired if it is not only
    /// read. `declared` is what the catalog has.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], [`StoreError::Io`].
    pub fn open(
        directory: &Path,
        disk: Arc<dyn Disk>,
        declared: impl FnOnce() -> Result<Option<Meta>, StoreError>,
        read_only: bool,
    ) -> Result<Self, StoreError> {
        let mut cfg = StoreConfig::new(directory);
        // Where no broker has made the file there is nobody to keep out.
        let is_there = !read_only || disk.list(directory)?.iter().any(|name| name == "lock");
        let lock = if is_there { super::lock(&*disk, directory)? } else { Box::new(()) };
        let declared = declared()?;
        let disk = Patient::new(disk, read_only);
        let unreadable = disk.unreadable();
        let files = Files::new(Arc::new(disk), directory);
        let (found, mut findings) = salvage(&files, declared)?;
        // Recovery reads these places too, and would be refused.
        for (path, offset) in unreadable.lock().iter() {
            findings.fault(path.clone(), Some(*offset), "the disk cannot read this", []);
            findings.copied.insert(path.clone());
        }
        let lengths = found.segments.values().map(|segment| segment.header.len);
        cfg.segment_bytes = lengths.max().unwrap_or(cfg.segment_bytes);
        let (engine, recovered) = Engine::of_found(&cfg, files, found, Tuning::default(), false);
        let store =
            LogStore { engine: Arc::new(engine), threads: Mutex::new(Vec::new()), _lock: lock };
        Ok(Self { store, recovered, findings })
    }

    /// Reads all messages, and notes those that cannot be read.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn verify(&mut self) -> Result<(), StoreError> {
        for (queue, seq, place, why) in unreadable(&self.store, &self.recovered)? {
            self.lose(queue, seq, place, why);
        }
        Ok(())
    }

    /// What the messages of a queue weigh that cannot be read.
    pub fn lost_weight(&self, queue: QueueId, lost: &[SeqRange]) -> u64 {
        let is_lost = |seq: Seq| lost.iter().any(|range| range.first <= seq && seq <= range.last);
        let readable = self.store.engine.weight(queue, is_lost);
        self.store.stats(queue).weight.saturating_sub(readable)
    }

    fn lose(&mut self, queue: QueueId, seq: Seq, place: String, why: String) {
        let known = self.store.engine.place_in_file(queue, seq);
        let (file, offset) = known.unwrap_or_else(|| (place.into(), None));
        let (first, last) = (seq, seq);
        self.findings.lose(Lost { queue, first, last, certain: true, file, offset, why });
    }

    /// The segments in use, by number.
    pub fn segments(&self) -> Vec<SegmentReport> {
        let inner = self.store.engine.inner.lock();
        let report = inner.segments.iter().map(|(id, segment)| {
            let usage = inner.index.usage(*id);
            SegmentReport {
                file: self.store.engine.files.segment(*id, segment.header.kind),
                bytes: segment.used.into(),
                sealed: segment.stage == Stage::Sealed,
                messages: usage.live,
                live_bytes: usage.bytes,
            }
        });
        report.collect()
    }
}
