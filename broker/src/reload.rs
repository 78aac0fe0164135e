//! Reads the configuration again while the broker runs.

use std::sync::Arc;

use crate::config::load::{Faults, Loaded, Settings, load};
use crate::config::sources::Sources;
use crate::logging::Log;
use crate::node::Node;

/// What the broker was started with, and what holds since.
pub struct Reloader {
    sources: Sources,
    settings: Settings,
    log: Log,
}

impl Reloader {
    /// With what the running configuration was made of.
    pub fn new(sources: Sources, settings: Settings, log: Log) -> Self {
        Self { sources, settings, log }
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
        let (next, changes) = self.settings.changed_to(&settings);
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
        self.log.set_levels(&config.log);
        node.reconfigure(config);
        self.settings = next;
        tracing::info!("the configuration was read again");
    }
}
