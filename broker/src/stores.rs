//! The stores that a broker keeps its state in.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use lepus_storage::{
    Batch, Catalog, FoundCatalog, MemoryStore, MessageStore, Meta, Op, QueueId, QueueStats,
    Recovered, StoreConfig, StoreError, StoreKind,
};

use crate::config::{Config, StorageEngine};
use crate::declared::{Change, Declared};
use crate::durability::Durability;
use crate::store_cli;

/// Messages, and what is declared.
pub struct Stores {
    /// The messages of durable queues.
    pub messages: Arc<dyn MessageStore>,
    /// How far that is.
    pub durability: Arc<Durability>,
    /// The catalog.
    pub declared: Declared,
}

/// A message store that has just been opened.
pub struct OpenedMessages {
    /// The store, which tells `durability` how far it is.
    pub store: Arc<dyn MessageStore>,
    /// What it has found.
    pub recovered: Recovered,
    /// How far it is.
    pub durability: Arc<Durability>,
}

/// A catalog that has just been opened.
pub struct OpenedCatalog {
    /// The catalog, which tells `durability` how far it is.
    pub catalog: Catalog,
    /// What it has found.
    pub found: FoundCatalog,
    /// How far it is.
    pub durability: Arc<Durability>,
}

/// What was found in stores when they were opened.
#[derive(Debug, Default)]
pub struct Found {
    /// What is declared.
    pub entries: BTreeMap<Bytes, Bytes>,
    /// What the queues have.
    pub queues: HashMap<QueueId, QueueStats>,
}

impl Stores {
    /// Stores that are gone with the process.
    pub fn in_memory() -> Self {
        let durability = Arc::new(Durability::default());
        let config = StoreConfig {
            on_durable: Some(durability.clone().on_durable()),
            ..StoreConfig::new("")
        };
        let messages = Arc::new(MemoryStore::new(&config));
        Self { messages, durability, declared: Declared::in_memory() }
    }

    /// Opens what is in a data directory.
    pub fn open(directory: &Path, config: &Config) -> Result<(Self, Found)> {
        let durability = Arc::new(Durability::default());
        let store_config = StoreConfig {
            segment_bytes: config.segment_bytes,
            on_durable: Some(durability.clone().on_durable()),
            ..StoreConfig::new(directory)
        };
        let (store, recovered) = lepus_storage::open(config.storage_engine.kind(), &store_config)
            .map_err(|error| with_damage(error, directory, config))
            .with_context(|| format!("cannot open the data directory {}", directory.display()))?;
        let messages = OpenedMessages { store, recovered, durability };
        let durability = Arc::new(Durability::default());
        let on_version = durability.clone().on_version();
        let in_directory = || format!("cannot open the catalog in {}", directory.display());
        let (catalog, found) =
            Catalog::open(directory, Some(on_version)).with_context(in_directory)?;
        let catalog = OpenedCatalog { catalog, found, durability };
        Self::take_up(messages, catalog).with_context(in_directory)
    }

    /// Begins with stores that have just been opened.
    pub fn take_up(messages: OpenedMessages, catalog: OpenedCatalog) -> Result<(Self, Found)> {
        let OpenedMessages { store, recovered, durability } = messages;
        durability.advance(Some(recovered.lsn));
        tell(&recovered.notes);
        let (declared, entries) = agree(catalog, recovered.meta, &*store)?;
        let queues = recovered.queues.into_iter().collect();
        Ok((Self { messages: store, durability, declared }, Found { entries, queues }))
    }
}

/// Adds what is damaged, with the names of the queues, and what to do.
fn with_damage(error: StoreError, directory: &Path, config: &Config) -> anyhow::Error {
    let repairable = config.storage_engine == StorageEngine::Log;
    if !repairable || !matches!(error, StoreError::Corrupt { .. }) {
        return error.into();
    }
    let damage = store_cli::explain(directory, StoreKind::Log);
    anyhow!(
        "{error}\n\n{damage}\nNothing was changed. `lepus store repair {}` sets aside what is \
         damaged, says what is lost, and makes the rest a store that opens.",
        directory.display()
    )
}

/// Of the catalog and the message store's copy of it the newer one counts, for both.
fn agree(
    catalog: OpenedCatalog,
    copy: Meta,
    messages: &dyn MessageStore,
) -> Result<(Declared, BTreeMap<Bytes, Bytes>)> {
    let OpenedCatalog { catalog, found, durability } = catalog;
    tell(&found.notes);
    let Meta { version, entries } = if copy.version > found.meta.version {
        let (copied, version) = (copy.version, found.meta.version);
        tracing::warn!(copied, version, "the catalog is rebuilt from the message store's copy");
        catalog.replace(copy.clone())?;
        copy
    } else {
        let changes = differences(&copy.entries, &found.meta.entries);
        if !changes.is_empty() {
            let version = found.meta.version;
            messages.append(Batch::from(vec![Op::Meta { version, changes }]))?;
        }
        found.meta
    };
    Ok((Declared::new(catalog, version, durability), entries))
}

/// What turns `old` into `new`.
fn differences(old: &BTreeMap<Bytes, Bytes>, new: &BTreeMap<Bytes, Bytes>) -> Vec<Change> {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
    gone.chain(changed.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}

fn tell(notes: &[String]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}
