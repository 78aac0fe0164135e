//! Preparing files for later segments.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Step, count};
use super::files::is_full;
use super::pool::{self, Kept, PoolFile};
use super::segment::HEADER;
use super::state::{Inner, Stage};
use crate::disk::DiskFile;

/// How many are prepared, that for the full disk included.
const PREPARED: usize = 3;
/// What is written of a spare at once, and the pause after it, so that commits are not held up.
const SLICE: usize = 1 << 20;
pub(super) const PAUSE: Duration = Duration::from_millis(4);

/// A spare that is being written.
#[derive(Clone, Debug)]
pub(super) struct Filling {
    file: Arc<dyn DiskFile>,
    number: u64,
    written: u64,
}

/// What is lacking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// The disk was full: is it still?
    Try,
    /// A file for the full disk.
    Reserve,
    /// One that is fully written.
    Spare,
}

impl Inner {
    /// What files maintenance should prepare.
    pub fn files_wanted(&self) -> Option<Wanted> {
        let pool = &self.pool;
        if self.trouble.full {
            Some(Wanted::Try)
        } else if self.trouble.closed || self.chores.appended < self.tuning.traffic {
            None
        } else if pool.len() == 0 {
            Some(Wanted::Reserve)
        } else if pool.filling.is_some() {
            pool.slice_due.then_some(Wanted::Spare)
        } else if pool.len() < PREPARED && !pool.no_spares {
            Some(Wanted::Spare)
        } else {
            None
        }
    }

    /// The first spare is there: groups need not go on in a file that is written more slowly.
    fn leave_slow_segment(&mut self) {
        let Some(cursor) = self.groups.cursor else { return };
        let slow = self.segments.get(&cursor.segment).is_some_and(|segment| {
            segment.stage == Stage::Active && segment.made && !segment.recyclable
        });
        if slow && cursor.offset > HEADER as u32 && cursor.offset < cursor.len / 2 {
            self.end_active();
        }
    }
}

impl Engine {
    /// Takes a step towards having the files that are wanted.
    pub(super) fn prepare_files(&self) -> Step {
        let (wanted, waiting, stalled) = {
            let inner = self.inner.lock();
            (inner.files_wanted(), inner.pool.len(), inner.trouble.stalled)
        };
        match wanted {
            Some(Wanted::Try) if waiting > 0 => {
                // Nothing was done: what was refused is tried again in due time.
                if !stalled && let Ok(free) = self.look() {
                    let mut inner = self.inner.lock();
                    inner.trouble.full &= self.room(&inner, free, Kept::ForMoves) == 0;
                }
                Step::Idle
            }
            Some(Wanted::Try | Wanted::Reserve) => match self.make_free(self.cfg.segment_bytes) {
                Ok(file) => {
                    self.inner.lock().pool.add(file);
                    self.work.notify_one();
                    Step::Did
                }
                Err(error) if is_full(&error) && wanted == Some(Wanted::Try) => Step::Idle,
                Err(error) => self.failed("preparing a segment", &error),
            },
            Some(Wanted::Spare) => self.fill_spare(),
            None => Step::Idle,
        }
    }

    /// Writes a piece of a spare.
    fn fill_spare(&self) -> Step {
        let filling = self.inner.lock().pool.filling.clone();
        let filled = match filling {
            Some(filling) => self.fill_slice(filling),
            None => self.begin_spare().map(Some),
        };
        let mut inner = self.inner.lock();
        match filled {
            Ok(Some(filling)) => {
                inner.pool.filling = Some(filling);
                inner.pool.slice_due = self.steps.is_some();
            }
            Ok(None) => {
                inner.pool.filling = None;
                inner.leave_slow_segment();
            }
            Err(error) if is_full(&error) => {
                // It would have been good to have, no more.
                inner.pool.no_spares = true;
                let filling = inner.pool.filling.take();
                drop(inner);
                if let Some(filling) = filling {
                    let _ = self.files.remove(&self.files.path(&pool::name(filling.number)));
                }
            }
            Err(error) => {
                drop(inner);
                return self.failed("preparing a segment", &error);
            }
        }
        Step::Did
    }

    fn begin_spare(&self) -> io::Result<Filling> {
        let number = self.inner.lock().pool.number();
        let path = self.files.path(&pool::name(number));
        self.files.remove(&path)?;
        Ok(Filling { file: self.files.create(&path)?, number, written: 0 })
    }

    /// Nothing is returned for one that is complete.
    fn fill_slice(&self, filling: Filling) -> io::Result<Option<Filling>> {
        let rest = u64::from(self.cfg.segment_bytes) - filling.written;
        let slice = vec![0; rest.min(SLICE as u64) as usize];
        filling.file.write_at(&slice, filling.written)?;
        filling.file.sync_data()?;
        count(&self.counters.pool, slice.len());
        let written = filling.written + slice.len() as u64;
        if slice.len() as u64 == rest {
            self.inner.lock().pool.add(PoolFile { number: filling.number, written: true });
            return Ok(None);
        }
        Ok(Some(Filling { written, ..filling }))
    }
}
