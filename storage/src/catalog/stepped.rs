//! A catalog without a disk whose work is done one step at a time: a tool for tests.

use std::sync::Arc;

use tokio::sync::watch;

use super::pending::{Pending, Work};
use super::{Catalog, Kind, OnVersion};
use crate::Meta;

/// Does the work of a catalog, and holds what would survive a crash.
pub struct CatalogSteps {
    pending: Arc<Pending>,
    durable: Meta,
    sender: Option<watch::Sender<u64>>,
    on_version: Option<OnVersion>,
}

impl Catalog {
    /// A catalog that has this from a former life.
    pub fn stepped(found: Meta, on_version: Option<OnVersion>) -> (Self, CatalogSteps) {
        let (sender, durable) = watch::channel(found.version);
        let pending = Arc::new(Pending::default());
        let kind = Kind::Disk { pending: pending.clone(), writer: None };
        let sender = Some(sender);
        (Self { durable, kind }, CatalogSteps { pending, durable: found, sender, on_version })
    }
}

impl CatalogSteps {
    /// Makes durable what has gathered; `false` if there is nothing.
    pub fn step(&mut self) -> bool {
        let Some(work) = self.pending.try_take() else { return false };
        let Work { version, replace, changes } = work;
        if replace {
            self.durable.entries.clear();
        }
        self.durable.apply(version, changes.into_iter().collect());
        if let Some(sender) = &self.sender {
            sender.send_replace(version);
        }
        if let Some(on_version) = &self.on_version {
            on_version(Some(version));
        }
        true
    }

    /// The disk fails: nothing more becomes durable.
    pub fn fail(&mut self) {
        self.pending.poison("the disk".to_owned());
        if self.sender.take().is_some()
            && let Some(on_version) = &self.on_version
        {
            on_version(None);
        }
    }

    /// What would survive a crash now.
    pub fn durable(&self) -> &Meta {
        &self.durable
    }
}
