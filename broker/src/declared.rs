//! What is declared, as it survives a restart: in the catalog, and once more in the message store, so
//! that either can be rebuilt from the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lepus_storage::{Batch, Catalog, Health, Lsn, MessageStore, Op};
use parking_lot::Mutex;

use crate::durability::Durability;

/// A key with its new value; without one it is forgotten.
pub type Change = (Bytes, Option<Bytes>);

/// The catalog of durable exchanges, queues and bindings.
pub struct Declared {
    catalog: Catalog,
    /// Held while a change is handed over, so that both stores get all of them in the same order.
    order: Mutex<()>,
    version: AtomicU64,
    durability: Arc<Durability>,
}

impl Declared {
    /// Changes from `version` on go to `catalog`, which tells `durability` how far it is.
    pub fn new(catalog: Catalog, version: u64, durability: Arc<Durability>) -> Self {
        durability.advance(Some(Lsn(version)));
        Self { catalog, order: Mutex::new(()), version: AtomicU64::new(version), durability }
    }

    /// One that is gone with the process.
    pub fn in_memory() -> Self {
        let durability = Arc::new(Durability::default());
        Self::new(Catalog::in_memory(Some(durability.clone().on_version())), 0, durability)
    }

    /// Records changes. Call in the order in which they take effect; nothing here waits.
    pub fn change(&self, store: &dyn MessageStore, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let _order = self.order.lock();
        let version = self.version.load(Ordering::SeqCst) + 1;
        let mut batch = Batch::new();
        batch.push(Op::Meta { version, changes: changes.clone() });
        // The store's copy is for the day when the catalog is damaged; a store that has failed says so
        // elsewhere.
        if let Err(error) = store.append(batch) {
            tracing::error!("the message store has no copy of a declaration: {error}");
        }
        if let Err(error) = self.catalog.apply(version, changes) {
            tracing::error!("the catalog takes no changes: {error}");
        }
        self.version.store(version, Ordering::SeqCst);
    }

    /// Waits until all changes are durable, which is true, or will never be.
    pub async fn settled(&self) -> bool {
        let mut durable = self.catalog.durable();
        let version = self.version();
        durable.wait_for(|durable| *durable >= version).await.is_ok()
    }

    /// Takes nothing more: its files are gone.
    pub fn fail(&self, why: &str) {
        self.catalog.fail(why);
    }

    /// Whether what is declared becomes durable.
    pub fn health(&self) -> Health {
        self.catalog.health()
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// The latest version that would survive a crash.
    pub fn durability(&self) -> &Durability {
        &self.durability
    }
}
