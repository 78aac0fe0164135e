//! The store's thread: makes durable what has been appended, one commit after another, each with
//! all that has gathered.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lepus_sync::thread::{self, JoinHandle};
use lepus_sync::{Condvar, Mutex};
use tokio::sync::watch;

use crate::{Lsn, OnDurable, StoreError};

pub(super) struct Committer {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Gone when no further batch becomes durable.
    sender: Mutex<Option<watch::Sender<Lsn>>>,
    receiver: watch::Receiver<Lsn>,
    on_durable: Option<OnDurable>,
}

/// How far it is.
#[derive(Clone, Default)]
pub(super) struct Progress {
    appended: Lsn,
    durable: Lsn,
    /// Octets of messages that are not durable.
    pub pending_bytes: u64,
    pub commits: u64,
    /// Why there will be no more.
    pub failure: Option<String>,
    closed: bool,
}

impl Committer {
    pub(super) fn new(lsn: Lsn, on_durable: Option<OnDurable>) -> Self {
        let (sender, receiver) = watch::channel(lsn);
        let progress = Progress { appended: lsn, durable: lsn, ..Progress::default() };
        Self {
            progress: Mutex::new(progress),
            changed: Condvar::new(),
            sender: Mutex::new(Some(sender)),
            receiver,
            on_durable,
        }
    }

    pub(super) fn durable(&self) -> watch::Receiver<Lsn> {
        self.receiver.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Why nothing can be appended, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        let progress = self.progress.lock();
        let closed = || progress.closed.then(|| "it was closed".to_owned());
        progress.failure.clone().or_else(closed)
    }

    pub(super) fn appended(&self, lsn: Lsn, octets: u64) {
        let mut progress = self.progress.lock();
        progress.appended = progress.appended.max(lsn);
        progress.pending_bytes = progress.pending_bytes.saturating_add(octets);
        drop(progress);
        self.changed.notify_all();
    }

    /// Waits until a batch is durable.
    pub(super) fn wait_for(&self, lsn: Lsn) -> Result<(), StoreError> {
        let mut progress = self.progress.lock();
        while progress.durable < lsn {
            if let Some(why) = &progress.failure {
                return Err(StoreError::Poisoned(why.clone()));
            }
            self.changed.wait(&mut progress);
        }
        Ok(())
    }

    /// No more will be appended: the thread ends when all is durable.
    pub(super) fn close(&self) {
        self.progress.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nothing will become durable any more.
    pub(super) fn poison(&self, why: &str) {
        {
            let mut progress = self.progress.lock();
            if progress.failure.is_some() {
                return;
            }
            progress.failure = Some(why.to_owned());
        }
        self.sender.lock().take();
        self.changed.notify_all();
        self.tell(None);
    }

    fn tell(&self, lsn: Option<Lsn>) {
        if let Some(on_durable) = &self.on_durable {
            on_durable(lsn);
        }
    }

    /// Waits for something to commit; `None` at the end.
    fn next(&self) -> Option<(Lsn, u64)> {
        let mut progress = self.progress.lock();
        loop {
            if progress.failure.is_some() {
                return None;
            }
            if progress.appended > progress.durable {
                return Some((progress.appended, progress.pending_bytes));
            }
            if progress.closed {
                return None;
            }
            self.changed.wait(&mut progress);
        }
    }

    fn committed(&self, lsn: Lsn, octets: u64) {
        {
            // Held while it is told: nothing comes after the end.
            let sender = self.sender.lock();
            let Some(sender) = &*sender else { return };
            sender.send_replace(lsn);
            self.tell(Some(lsn));
        }
        let mut progress = self.progress.lock();
        progress.durable = lsn;
        progress.pending_bytes = progress.pending_bytes.saturating_sub(octets);
        progress.commits += 1;
        drop(progress);
        self.changed.notify_all();
    }
}

/// `commit` makes durable all that was appended before.
pub(super) fn start(
    committer: Arc<Committer>,
    commit: impl Fn() -> Result<(), StoreError> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("message store".to_owned()).spawn(move || {
        while let Some((lsn, octets)) = committer.next() {
            match catch_unwind(AssertUnwindSafe(&commit)) {
                Ok(Ok(())) => committer.committed(lsn, octets),
                Ok(Err(error)) => committer.poison(&error.to_string()),
                Err(_) => committer.poison("the embedded store gave up"),
            }
        }
    })
}
