//! How far the store is, and who waits for it.

use lepus_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use lepus_storage::{Lsn, OnDurable, OnVersion};
use lepus_sync::Mutex;

use crate::mailbox::{Mail, Mailbox};

/// The latest write that would survive a crash, and the connections to tell of the next one.
#[derive(Debug, Default)]
pub struct Durability {
    lsn: AtomicU64,
    failed: AtomicBool,
    waiting: Mutex<Vec<Arc<Mailbox>>>,
}

impl Durability {
    /// The store is this far, or has failed (`None`). Called by its own thread.
    pub fn advance(&self, lsn: Option<Lsn>) {
        match lsn {
            Some(lsn) => drop(self.lsn.fetch_max(lsn.0, Ordering::SeqCst)),
            None => self.failed.store(true, Ordering::SeqCst),
        }
        for mailbox in std::mem::take(&mut *self.waiting.lock()) {
            // A connection that is gone needs to hear nothing.
            let _ = mailbox.post(Mail::Durable);
        }
    }

    /// What the message store is to call.
    pub fn on_durable(self: Arc<Self>) -> OnDurable {
        Arc::new(move |lsn| self.advance(lsn))
    }

    /// What the catalog is to call: its versions stand for positions.
    pub fn on_version(self: Arc<Self>) -> OnVersion {
        Arc::new(move |version| self.advance(version.map(Lsn)))
    }

    /// Has [`Mail::Durable`] sent after the next advance. Look again afterwards: it may have been.
    pub fn tell(&self, mailbox: &Arc<Mailbox>) {
        self.waiting.lock().push(mailbox.clone());
    }

    /// Whether a write would survive a crash.
    pub fn has(&self, lsn: u64) -> bool {
        self.lsn.load(Ordering::SeqCst) >= lsn
    }

    /// The latest write that would.
    pub fn reached(&self) -> u64 {
        self.lsn.load(Ordering::SeqCst)
    }

    /// Whether nothing more becomes durable.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}
