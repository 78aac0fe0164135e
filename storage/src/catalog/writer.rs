//! The catalog's thread: all changes that have gathered become one commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, panic};

use tokio::sync::watch;

use super::OnVersion;
use super::pending::{Pending, Work};
use super::records::Records;
use crate::StoreError;
use crate::disk::{Disk, RealDisk};
use crate::embedded::corrupt;
use crate::log::is_full;

/// Octets that the embedded store needs at least to write anything.
const ROOM: u64 = 1 << 20;

/// How often to see whether there is room again.
const RETRY: Duration = Duration::from_millis(200);

pub(super) fn start(
    directory: PathBuf,
    records: Records,
    pending: Arc<Pending>,
    durable: watch::Sender<u64>,
    on_version: Option<OnVersion>,
) -> io::Result<JoinHandle<()>> {
    let tell = move |version| {
        if let Some(on_version) = &on_version {
            on_version(version);
        }
    };
    thread::Builder::new().name("catalog".to_owned()).spawn(move || {
        let mut writer = Writer { directory, records: Some(records), pending: pending.clone() };
        // A panic is a failure like others: nobody must wait for what does not come.
        let run = || writer.commit_until_stopped(&durable, &tell);
        let ended = panic::catch_unwind(panic::AssertUnwindSafe(run));
        let why = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the embedded store gave up".to_owned(),
        };
        pending.poison(why);
        drop(durable);
        tell(None);
    })
}

struct Writer {
    directory: PathBuf,
    /// `None` while the disk is full.
    records: Option<Records>,
    pending: Arc<Pending>,
}

impl Writer {
    fn commit_until_stopped(
        &mut self,
        durable: &watch::Sender<u64>,
        tell: &impl Fn(Option<u64>),
    ) -> Result<(), StoreError> {
        while let Some(work) = self.pending.take()? {
            self.write(&work)?;
            durable.send_replace(work.version);
            tell(Some(work.version));
        }
        Ok(())
    }

    /// Writes, when there is room for it. The embedded store takes nothing more after a failure, and
    /// does not know what has become of what it wrote; what it finds when it is opened again is what
    /// would survive a crash.
    fn write(&mut self, work: &Work) -> Result<(), StoreError> {
        loop {
            let error = match self.try_to_write(work) {
                Ok(()) => break,
                Err(error) if self.wants_room(&error) => error,
                Err(error) => return Err(error),
            };
            self.pending.set_stalled(true);
            self.records = None;
            if self.pending.stops_within(RETRY) {
                return Err(error);
            }
        }
        self.pending.set_stalled(false);
        Ok(())
    }

    fn try_to_write(&mut self, work: &Work) -> Result<(), StoreError> {
        let records = match self.records.take() {
            Some(records) => records,
            None if self.free() < ROOM => {
                return Err(StoreError::Full { needed: ROOM, free: self.free() });
            }
            None => Records::reopen(&self.directory)?,
        };
        let records = self.records.insert(records);
        let written = panic::catch_unwind(panic::AssertUnwindSafe(|| records.write(work)));
        written.unwrap_or_else(|_| {
            Err(corrupt(Path::new("the catalog"), "the embedded store gave up"))
        })
    }

    fn wants_room(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Full { .. } => true,
            StoreError::Io(error) if is_full(error) => true,
            // The embedded store has more than one way to say it.
            _ => self.free() < ROOM,
        }
    }

    fn free(&self) -> u64 {
        RealDisk.free_bytes(&self.directory).unwrap_or(u64::MAX)
    }
}
