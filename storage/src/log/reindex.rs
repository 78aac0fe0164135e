//! The index of a sealed segment, made anew from its records and the runs of the queues.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::carve::Carved;
use super::engine::{Engine, count};
use super::files::{Files, Part};
use super::index::{Place, Queues, SealPart, SealTable, SegmentId};
use super::record::Record;
use super::scan::Frames;
use super::seal;
use super::segment::SegmentHeader;
use crate::disk::DiskFile;
use crate::{QueueId, Seq, StoreError};

/// The messages of a segment that are found by entries of its index.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    by_message: HashMap<(QueueId, Seq), u32>,
    entries: u32,
}

/// What was found of them.
#[derive(Debug)]
pub(super) struct Offsets {
    /// By entry; 0 for one that nobody needs, or that was not found.
    pub offsets: Vec<u32>,
    /// Messages without a record.
    pub lost: Vec<(QueueId, Seq)>,
}

impl Wanted {
    /// What is live in a segment.
    pub fn of(index: &Queues, id: SegmentId) -> Self {
        let mut wanted = Self::default();
        for queue in index.queues_of(id) {
            let (mut from, mut located) = (Seq(0), Vec::new());
            loop {
                located.clear();
                index.locate(queue, from, 4096, &mut located);
                let Some(last) = located.last() else { break };
                from = Seq(last.seq.0 + 1);
                for found in located.iter().filter(|found| found.segment == id) {
                    if let Place::Entry(entry) = found.place {
                        wanted.by_message.insert((queue, found.seq), entry);
                        wanted.entries = wanted.entries.max(entry + 1);
                    }
                }
            }
        }
        wanted
    }

    /// Looks for their records, also in frames that are damaged.
    pub fn find(&self, header: SegmentHeader, file: Arc<dyn DiskFile>) -> io::Result<Offsets> {
        let mut offsets = vec![0_u32; self.entries as usize];
        let mut frames = Frames::new(header, file, None)?;
        for stretch in frames.stretches(0)? {
            for carved in frames.carve(&stretch)? {
                let Carved::Sound(offset, record) = carved else { continue };
                let (Record::Publish { at, .. }
                | Record::Shared { at, .. }
                | Record::Big { at, .. }) = record
                else {
                    continue;
                };
                // If a queue was dropped and began again, the last one counts.
                let entry = self.by_message.get(&(at.queue, at.seq));
                let entry = entry.and_then(|&entry| offsets.get_mut(entry as usize));
                if let Some(entry) = entry {
                    *entry = stretch.at as u32 + offset;
                }
            }
        }
        let is_lost = |entry: &u32| offsets.get(*entry as usize) == Some(&0);
        let lost = self.by_message.iter().filter(|(_, entry)| is_lost(entry));
        let mut lost: Vec<_> = lost.map(|(message, _)| *message).collect();
        lost.sort_unstable();
        Ok(Offsets { offsets, lost })
    }
}

/// A table of entries whose queues nobody asks for.
pub(super) fn table(segment: SegmentId, offsets: Vec<u32>) -> SealTable {
    let part = SealPart { queue: QueueId(0), first: Seq(0), entry: 0, offsets };
    SealTable { segment, parts: vec![part] }
}

/// Makes sure that a sealed segment has its index. Returns the octets of its file.
pub(super) fn ensure(
    files: &Files,
    index: &Queues,
    segment: &SegmentHeader,
    records: Arc<dyn DiskFile>,
) -> Result<u64, StoreError> {
    let path = files.index(SegmentId(segment.id), segment.kind);
    match files.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => {
            let file = opened?;
            let mut bytes = [0; seal::HEADER];
            let read = file.read_at(&mut bytes, 0)?;
            let len = file.len()?;
            if seal::fits(bytes.get(..read).unwrap_or_default(), len, segment) == Some(true) {
                return Ok(len);
            }
        }
    }
    let found = Wanted::of(index, SegmentId(segment.id)).find(*segment, records)?;
    if let Some((queue, seq)) = found.lost.first() {
        return Err(StoreError::Corrupt {
            place: files.segment(SegmentId(segment.id), segment.kind).display().to_string(),
            detail: format!("message {} of queue {} is not there", seq.0, queue.0),
        });
    }
    let bytes = seal::encode_offsets(segment, &found.offsets);
    files.replace(&path, &bytes)?;
    Ok(bytes.len() as u64)
}

impl Engine {
    /// A message was not where the index of its segment says: makes the index anew if it is not what
    /// was written. Whether it is another one now. It is looked at less and less often: a segment may have a
    /// million messages that are damaged.
    pub(super) fn mend_index(&self, id: SegmentId) -> bool {
        let mut misses = self.misses.lock();
        let inner = self.inner.lock();
        if inner.index.has_table(id) || inner.index.usage(id).live == 0 {
            // Another thread was quicker, or the message has moved.
            return true;
        }
        let Some(header) = inner.segments.get(&id).map(|known| known.header) else { return true };
        drop(inner);
        let misses = misses.entry(id).or_default();
        *misses += 1;
        let path = self.files.index(id, header.kind);
        let is_whole = |bytes: Vec<u8>| seal::is_whole(&bytes, &header);
        if !misses.is_power_of_two() || self.files.read(&path).is_ok_and(is_whole) {
            return false;
        }
        let Ok(found) = self.find_again(&header) else { return false };
        let bytes = seal::encode_offsets(&header, &found.offsets);
        let mut inner = self.inner.lock();
        if !inner.segments.contains_key(&id) {
            return true;
        }
        inner.index.put_table(table(id, found.offsets));
        drop(inner);
        // The table in memory is good until the store is opened again, which looks for the file.
        if self.files.replace(&path, &bytes).is_ok() {
            count(&self.counters.index, bytes.len());
            self.files.forget(id);
        }
        true
    }

    /// Where the messages of a segment are by its records.
    fn find_again(&self, header: &SegmentHeader) -> io::Result<Offsets> {
        let id = SegmentId(header.id);
        let wanted = Wanted::of(&self.inner.lock().index, id);
        wanted.find(*header, self.files.open(id, header.kind, Part::Records)?)
    }
}
