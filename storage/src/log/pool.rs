//! Files that wait to become segments.
//!
//! A file that was fully written once is written again with one device write less for each commit,
//! so that segments are recycled, and a few are prepared. The last one is not touched before the
//! disk is full: settlements, which make room, must find some themselves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::files::{Part, is_full};
use super::index::SegmentId;
use super::prepare::Filling;
use super::segment::SegmentHeader;
use super::state::Inner;
use crate::disk::DiskFile;

/// The most files that wait.
pub(super) const MOST: usize = 5;

/// The files, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Pool {
    ready: Vec<PoolFile>,
    next: u64,
    /// One that is being written, to be added then.
    pub filling: Option<Filling>,
    /// It may go on.
    pub slice_due: bool,
    /// There was no room for more, or there are enough.
    pub no_spares: bool,
}

/// What the disk had left at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    octets: u64,
    /// Octets of big payloads written until then.
    big: u64,
}

/// What messages leave free, and checkpoints besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// Two segments: what is settled gives room only when it was written.
    ForSettlements = 2,
    /// One more, for messages that leave where they are and give back there what they take.
    ForMoves = 3,
}

/// A file of the length of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PoolFile {
    pub number: u64,
    /// It was fully written once.
    pub written: bool,
}

impl Pool {
    /// The number for another file.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes in a file; one that was found has its number already.
    pub fn add(&mut self, file: PoolFile) {
        self.next = self.next.max(file.number);
        self.ready.push(file);
    }

    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Takes one, but the last only if the disk is full.
    pub fn take(&mut self, full: bool) -> Option<PoolFile> {
        if self.ready.len() < 2 && !full {
            return None;
        }
        let best = self.ready.iter().position(|file| file.written).unwrap_or(0);
        (best < self.ready.len()).then(|| self.ready.remove(best))
    }
}

/// The name of a file that waits.
pub(super) fn name(number: u64) -> String {
    format!("{number:016x}.free")
}

impl Engine {
    /// Makes the file of a segment, with its header, so that it survives a crash. It gets its name
    /// when the header is durable: a segment with a bad one is damaged.
    pub(super) fn make_segment(&self, header: &SegmentHeader) -> io::Result<Arc<dyn DiskFile>> {
        let usual = header.len == self.cfg.segment_bytes;
        let waiting = if usual { self.inner.lock().pool.take(false) } else { None };
        let taken = match waiting {
            Some(taken) => taken,
            None => match self.make_free(header.len) {
                Ok(made) => made,
                Err(error) if is_full(&error) && usual => {
                    let mut inner = self.inner.lock();
                    inner.trouble.full = true;
                    inner.pool.take(true).ok_or(error)?
                }
                Err(error) => return Err(error),
            },
        };
        let free = self.files.path(&name(taken.number));
        let file = match self.files.open_path(&free) {
            Ok(file) => file,
            Err(error) => {
                if usual {
                    self.inner.lock().pool.add(taken);
                }
                return Err(error);
            }
        };
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        let id = SegmentId(header.id);
        self.files.disk.rename(&free, &self.files.segment(id, header.kind))?;
        self.files.sync()?;
        self.files.keep(id, Part::Records, file.clone());
        if let Some(segment) = self.inner.lock().segments.get_mut(&id) {
            segment.made = true;
            segment.recyclable = usual && taken.written;
        }
        // A disk that does not say is asked again for the next one.
        if let Ok(free) = self.look() {
            let mut inner = self.inner.lock();
            if self.room(&inner, free, Kept::ForMoves) == 0 {
                inner.trouble.full = true;
            }
        }
        Ok(file)
    }

    /// Looks how much the disk has left.
    pub(super) fn look(&self) -> io::Result<Free> {
        let big = self.counters.big.load(Ordering::Relaxed);
        Ok(Free { octets: self.files.free_bytes()?, big })
    }

    /// Octets that the disk has for more messages. What has been appended is to be written yet.
    pub(super) fn room(&self, inner: &Inner, free: Free, kept: Kept) -> u64 {
        let segment = u64::from(self.cfg.segment_bytes);
        // Big payloads written since are not pending any more, and their room was free then.
        let since = self.counters.big.load(Ordering::Relaxed).saturating_sub(free.big);
        let coming: u64 = inner.transactions.values().sum();
        let pending = inner.groups.pending() + since + coming;
        let needed = pending + inner.chores.checkpoint_bytes + kept as u64 * segment;
        let spare = inner.pool.len() as u64 * segment;
        free.octets.saturating_add(spare).saturating_sub(needed)
    }

    /// Removes the files that wait, but the last: somebody else is short of room.
    pub(super) fn give_back_room(&self) {
        loop {
            let mut inner = self.inner.lock();
            inner.pool.no_spares = true;
            let Some(spare) = inner.pool.take(false) else { return };
            drop(inner);
            // It is cleared away on opening if not now.
            let _ = self.files.remove(&self.files.path(&name(spare.number)));
        }
    }

    /// Makes a file of that length, for which the disk promises room.
    pub(super) fn make_free(&self, len: u32) -> io::Result<PoolFile> {
        let number = self.inner.lock().pool.number();
        let path = self.files.path(&name(number));
        self.files.remove(&path)?;
        let file = self.files.create(&path)?;
        if let Err(error) = file.allocate(u64::from(len)) {
            // It is cleared away on opening if not now.
            let _ = self.files.remove(&path);
            return Err(error);
        }
        Ok(PoolFile { number, written: false })
    }
}
