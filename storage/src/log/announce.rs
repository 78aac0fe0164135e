//! Tells of batches that have become durable.

use lepus_sync::Mutex;
use tokio::sync::watch;

use crate::{Lsn, OnDurable};

/// The watermark, for all who wait. Called by one thread at a time, with ascending positions.
pub(super) struct Announcer {
    sender: Mutex<Option<watch::Sender<Lsn>>>,
    receiver: watch::Receiver<Lsn>,
    hook: Option<OnDurable>,
}

impl Announcer {
    pub fn new(lsn: Lsn, hook: Option<OnDurable>) -> Self {
        let (sender, receiver) = watch::channel(lsn);
        Self { sender: Mutex::new(Some(sender)), receiver, hook }
    }

    pub fn subscribe(&self) -> watch::Receiver<Lsn> {
        self.receiver.clone()
    }

    /// All up to there is durable.
    pub fn advance(&self, lsn: Lsn) {
        let sender = self.sender.lock();
        if let Some(sender) = &*sender {
            sender.send_replace(lsn);
            if let Some(hook) = &self.hook {
                hook(Some(lsn));
            }
        }
    }

    /// No more will become durable.
    pub fn end(&self) {
        let mut sender = self.sender.lock();
        if sender.take().is_some()
            && let Some(hook) = &self.hook
        {
            hook(None);
        }
    }
}
