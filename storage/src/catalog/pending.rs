//! Changes on their way to the catalog's thread.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lepus_sync::{Condvar, Mutex};

use crate::{Health, Meta, StoreError};

/// What has gathered since the thread came by: bounded by the keys that there are, since a later
/// change of a key takes the place of an earlier one.
#[derive(Default)]
pub(super) struct Pending {
    gathered: Mutex<Gathered>,
    changed: Condvar,
}

#[derive(Default)]
struct Gathered {
    work: Option<Work>,
    stopping: bool,
    /// The disk is full.
    stalled: bool,
    poisoned: Option<String>,
}

/// What to write in one piece.
#[derive(Default)]
pub(super) struct Work {
    pub version: u64,
    /// All other keys are to go.
    pub replace: bool,
    pub changes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Pending {
    pub(super) fn add(
        &self,
        version: u64,
        changes: Vec<(Bytes, Option<Bytes>)>,
    ) -> Result<(), StoreError> {
        self.hand_over(|work| {
            let work = work.get_or_insert_default();
            work.version = version;
            work.changes.extend(changes);
        })
    }

    pub(super) fn replace(&self, meta: Meta) -> Result<(), StoreError> {
        self.hand_over(|work| {
            let changes = meta.entries.into_iter().map(|(key, value)| (key, Some(value)));
            let (version, replace) = (meta.version, true);
            *work = Some(Work { version, replace, changes: changes.collect() });
        })
    }

    fn hand_over(&self, change: impl FnOnce(&mut Option<Work>)) -> Result<(), StoreError> {
        let mut gathered = self.gathered.lock();
        if let Some(why) = &gathered.poisoned {
            return Err(StoreError::Poisoned(why.clone()));
        }
        change(&mut gathered.work);
        drop(gathered);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for something to do; `None` when all is done and the catalog goes.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn take(&self) -> Result<Option<Work>, StoreError> {
        let mut gathered = self.gathered.lock();
        loop {
            if let Some(why) = &gathered.poisoned {
                return Err(StoreError::Poisoned(why.clone()));
            }
            if let Some(work) = gathered.work.take() {
                return Ok(Some(work));
            }
            if gathered.stopping {
                return Ok(None);
            }
            self.changed.wait(&mut gathered);
        }
    }

    /// What there is to do now.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn try_take(&self) -> Option<Work> {
        self.gathered.lock().work.take()
    }

    pub(super) fn stop(&self) {
        self.gathered.lock().stopping = true;
        self.changed.notify_one();
    }

    /// What has gathered waits for room, or no longer.
    pub(super) fn set_stalled(&self, stalled: bool) {
        self.gathered.lock().stalled = stalled;
    }

    /// Waits; true if the catalog goes.
    pub(super) fn stops_within(&self, time: Duration) -> bool {
        let mut gathered = self.gathered.lock();
        self.changed.wait_while_for(&mut gathered, |gathered| !gathered.stopping, time);
        gathered.stopping
    }

    pub(super) fn health(&self) -> Health {
        let gathered = self.gathered.lock();
        match (&gathered.poisoned, gathered.stalled) {
            (Some(why), _) => Health::Poisoned(why.clone()),
            (None, true) => Health::Full,
            (None, false) => Health::Ready,
        }
    }

    /// Takes nothing more, for the first reason that there is.
    pub(super) fn poison(&self, why: String) {
        let mut gathered = self.gathered.lock();
        gathered.poisoned.get_or_insert(why);
        gathered.work = None;
        drop(gathered);
        self.changed.notify_one();
    }
}
