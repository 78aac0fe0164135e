//! The writer: group commits, one at a time.
//!
//! While a group is on its way to the disk, the next one gathers. Only one frame is being written
//! at any time: that is what tells a torn frame from a damaged one.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::chores::Chores;
use super::engine::{Engine, Step, count};
use super::files::Part;
use super::group::Group;
use super::state::Trouble;
use crate::Lsn;
use crate::disk::DiskFile;
use std::sync::Arc;

/// How long what nobody waits for may stay in memory.
const LINGER: Duration = Duration::from_millis(5);
/// How long writing a group may have taken for the next one to be written by whoever appends.
const QUICK: Duration = Duration::from_millis(1);
/// When to try again on a disk that was full.
pub(super) const RETRY: Duration = Duration::from_millis(100);

impl Engine {
    /// Writes groups until the store is closed or poisoned.
    pub(super) fn run_writer(&self) {
        while self.wait_for_group() {
            let step = self.write_group();
            let mut inner = self.inner.lock();
            inner.writing = false;
            match step {
                Step::Did | Step::Idle => {}
                Step::Stalled => drop(self.work.wait_for(&mut inner, RETRY)),
                Step::Failed => return,
            }
        }
    }

    /// Has the writer woken, or writes a group here: one that waits for it is told sooner if no thread
    /// has to be woken for it and by it.
    pub(super) fn write(&self, quickest: bool) {
        let mut inner = self.inner.lock();
        if inner.groups.is_empty() {
            return;
        }
        let Trouble { full, stalled, .. } = inner.trouble;
        let troubled = full || stalled || inner.trouble.ends();
        if !quickest || !inner.quick || inner.writing || troubled || self.steps.is_some() {
            drop(inner);
            self.work.notify_one();
            return;
        }
        inner.writing = true;
        drop(inner);
        // What becomes of it is noted for all, the writer included.
        let _ = self.write_group();
        let mut inner = self.inner.lock();
        inner.writing = false;
        let more = !inner.groups.is_empty() || inner.trouble.ends();
        drop(inner);
        if more {
            self.work.notify_one();
        }
    }

    /// Waits until there is something to write and nobody writes; false if there will be nothing any
    /// more.
    fn wait_for_group(&self) -> bool {
        let mut inner = self.inner.lock();
        loop {
            while inner.groups.is_empty() || inner.writing {
                let Trouble { stopping, abandoned, .. } = inner.trouble;
                let over = stopping || abandoned || inner.trouble.poisoned.is_some();
                if over && !inner.writing {
                    return false;
                }
                self.work.wait(&mut inner);
            }
            // What nobody waits for may grow a little.
            self.work.wait_while_for(
                &mut inner,
                |inner| !inner.groups.is_urgent() && !inner.trouble.ends(),
                LINGER,
            );
            // Meanwhile another thread may have begun with it.
            if !inner.writing && !inner.groups.is_empty() {
                break;
            }
        }
        inner.writing = inner.trouble.poisoned.is_none() && !inner.trouble.abandoned;
        inner.writing
    }

    /// Writes one group.
    pub(super) fn write_group(&self) -> Step {
        let Some(group) = self.first_group() else { return Step::Idle };
        let began = Instant::now();
        if let Err(error) = self.commit(&group) {
            let step = self.failed("writing the log", &error);
            self.inner.lock().trouble.stalled = step == Step::Stalled;
            return step;
        }
        let took = began.elapsed();
        self.counters.commit_time.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.counters.commit_bytes.note(group.bytes.len() as u64);
        let mut inner = self.inner.lock();
        inner.trouble.stalled = false;
        inner.quick = took <= QUICK;
        inner.groups.written();
        inner.durable = group.last_lsn;
        let done = group.big.iter().map(|(id, _)| inner.unwritten_big.remove(id));
        let done: Vec<_> = done.collect();
        let shared = inner.shared.take();
        inner.release_freed(group.whole_lsn);
        // A checkpoint or a segment may have waited for it, or files that can go now.
        let Chores { job, rolled, unneeded, .. } = &inner.chores;
        let waiting = job.is_some() || !rolled.is_empty() || !unneeded.is_empty();
        drop(inner);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.announcer.advance(Lsn(group.last_lsn));
        if waiting {
            self.chores.notify_one();
        }
        self.progress.notify_all();
        drop((done, shared));
        self.inner.lock().groups.recycle(group);
        Step::Did
    }

    fn first_group(&self) -> Option<Arc<Group>> {
        let mut inner = self.inner.lock();
        if inner.trouble.poisoned.is_some() {
            return None;
        }
        inner.groups.first()
    }

    /// Makes a group durable.
    fn commit(&self, group: &Group) -> io::Result<()> {
        let file = self.file_for(group)?;
        self.write_big(group)?;
        file.write_at(&group.bytes, u64::from(group.base))?;
        file.sync_data()?;
        count(&self.counters.log, group.bytes.len());
        Ok(())
    }

    /// The file of a group's segment, made if the group is the first in it.
    fn file_for(&self, group: &Group) -> io::Result<Arc<dyn DiskFile>> {
        let header = {
            let inner = self.inner.lock();
            let segment = inner.segments.get(&group.segment);
            let segment = segment.ok_or_else(|| io::Error::other("a segment was forgotten"))?;
            if !segment.made { Some(segment.header) } else { None }
        };
        match header {
            Some(header) => self.make_segment(&header),
            None => self.files.open(group.segment, super::segment::Kind::Hot, Part::Records),
        }
    }
}
