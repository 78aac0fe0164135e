//! Maintenance: all that need not happen at once.

use std::time::Duration;

use super::chores::Unneeded;
use super::engine::{Engine, Step};
use super::index::SegmentId;
use super::pool::{self, PoolFile};
use super::prepare::PAUSE;
use super::writer::RETRY;

/// How often to look, when nothing happens, whether compaction is worth it by now.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Does what there is to do until the store is closed or poisoned.
    pub(super) fn run_maintenance(&self) {
        loop {
            let step = self.maintain();
            let mut inner = self.inner.lock();
            if inner.trouble.stopping || inner.trouble.abandoned || step == Step::Failed {
                return;
            }
            match step {
                Step::Did | Step::Failed => {}
                Step::Stalled => {
                    self.chores.wait_for(&mut inner, RETRY);
                }
                Step::Idle if inner.chores.compaction.is_some() => {
                    let waiting = inner.chores.compaction.as_ref();
                    let pause = waiting.map_or(PAUSE, |compaction| compaction.pause);
                    self.chores.wait_for(&mut inner, pause);
                    inner.pool.slice_due = true;
                    if let Some(compaction) = &mut inner.chores.compaction {
                        compaction.is_due = true;
                    }
                }
                Step::Idle if inner.trouble.full => {
                    self.chores.wait_for(&mut inner, RETRY);
                }
                Step::Idle if inner.pool.filling.is_some() => {
                    self.chores.wait_for(&mut inner, PAUSE);
                    inner.pool.slice_due = true;
                }
                Step::Idle if inner.has_chores() => {}
                Step::Idle => {
                    self.chores.wait_for(&mut inner, LOOK);
                }
            }
        }
    }

    /// Does the most urgent thing.
    pub(super) fn maintain(&self) -> Step {
        let mut inner = self.inner.lock();
        if inner.trouble.poisoned.is_some() {
            return Step::Idle;
        }
        // First what gives room: all else may wait for it.
        if let Some(unneeded) = inner.chores.unneeded.pop_front() {
            drop(inner);
            self.dispose(unneeded);
            return Step::Did;
        }
        if let Some(id) = inner.sealable() {
            drop(inner);
            return self.make_way(|| self.seal_segment(id));
        }
        if inner.can_take_checkpoint() {
            inner.take_checkpoint();
            let writing = !inner.groups.is_empty();
            drop(inner);
            if writing {
                self.work.notify_one();
            }
            return Step::Did;
        }
        if inner.chores.job.as_ref().is_some_and(|job| job.is_durable(inner.durable)) {
            drop(inner);
            return self.make_way(|| self.write_checkpoint());
        }
        drop(inner);
        match self.prepare_files() {
            Step::Idle => self.compact(),
            step => step,
        }
    }

    /// Does something that needs room, if need be that of a file that was kept for it: what is
    /// written here is what gives room.
    fn make_way(&self, step: impl Fn() -> Step) -> Step {
        let done = step();
        if done != Step::Stalled {
            return done;
        }
        let Some(spare) = self.inner.lock().pool.take(true) else { return done };
        let removed = self.files.remove(&self.files.path(&pool::name(spare.number)));
        if removed.is_ok() { step() } else { done }
    }

    /// Gives a file away, or keeps it for a later segment. What cannot be removed is left for the
    /// next time the store is opened.
    fn dispose(&self, unneeded: Unneeded) {
        match unneeded {
            Unneeded::Big(id) => {
                let _ = self.files.remove(&self.files.big(id));
            }
            Unneeded::Segment(id) => self.dispose_of_segment(id),
        }
        // Who waits for room may look again.
        if self.inner.lock().trouble.full {
            self.work.notify_one();
        }
    }

    /// The records go before the index: without the records nobody looks for the index.
    fn dispose_of_segment(&self, id: SegmentId) {
        let (segment, number) = {
            let mut inner = self.inner.lock();
            let Some(segment) = inner.remove(id) else { return };
            let keep = segment.recyclable && inner.pool.len() < pool::MOST;
            (segment, keep.then(|| inner.pool.number()))
        };
        self.files.forget(id);
        let path = self.files.segment(id, segment.header.kind);
        let kept = number.filter(|number| {
            self.files.disk.rename(&path, &self.files.path(&pool::name(*number))).is_ok()
        });
        match kept {
            Some(number) => self.inner.lock().pool.add(PoolFile { number, written: true }),
            None => {
                let _ = self.files.remove(&path);
            }
        }
        let _ = self.files.remove(&self.files.index(id, segment.header.kind));
    }
}
