//! Reads the configuration again while the broker runs.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::load::{Faults, Loaded, Settings, load};
use crate::config::sources::Sources;
use crate::logging::Log;
use crate::node::Node;

/// What the running configuration is made of, and the log.
pub struct Running {
    settings: Mutex<Settings>,
    log: Log,
}

impl Running {
    /// With what the broker was started with.
    pub fn new(settings: Settings, log: Log) -> Self {
        Self { settings: Mutex::new(settings), log }
    }

    /// What the running configuration is made of.
    pub fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }
}

/// Reads what the broker was started with, once more.
pub struct Reloader {
    sources: Sources,
    running: Arc<Running>,
}

impl Reloader {
    /// With where the running configuration came from.
    pub fn new(sources: Sources, running: Arc<Running>) -> Self {
        Self { sources, running }
    }

    /// Reads all sources again. What can change while the broker runs does; of the rest it is said that
    /// it waits for a restart. With any fault nothing changes.
    pub fn reload(&mut self, node: &Arc<Node>) {
        let Loaded { settings, notes, .. } = match load(&self.sources) {
            Ok(loaded) => loaded,
            Err(Faults { faults, notes }) => {
                notes.iter().for_each(|warning| tracing::warn!("{warning}"));
                faults.iter().for_each(|fault| tracing::error!("{fault}"));
                tracing::error!("the configuration is not changed");
                return;
            }
        };
        notes.iter().for_each(|warning| tracing::warn!("{warning}"));
        let (next, changes) = self.running.settings().changed_to(&settings);
        for change in &changes {
            match change.live {
                true => tracing::info!("{} has changed", change.key),
                false => tracing::warn!("{} has changed: needs a restart", change.key),
            }
        }
        let mut faults = Vec::new();
        let config = next.config(&mut faults);
        if !faults.is_empty() {
            // Each was read well before, on its own.
            faults.iter().for_each(|fault| tracing::error!("{fault}"));
            return;
        }
        self.running.log.set_levels(&config.log);
        node.reconfigure(config);
        *self.running.settings.lock() = next;
        tracing::info!("the configuration was read again");
    }
}
