//! The configuration that holds at this moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::Config;

/// A configuration that another one can stand in for while others read it.
#[derive(Debug)]
pub struct Live {
    config: ArcSwap<Config>,
    /// Looked at for each message, so it is at hand.
    max_message_size: AtomicU64,
}

impl Live {
    /// Begins with a configuration.
    pub fn new(config: Config) -> Self {
        let max_message_size = AtomicU64::new(config.max_message_size);
        Self { config: ArcSwap::from_pointee(config), max_message_size }
    }

    /// What holds now. Not to be kept: what is changed later is not seen in it.
    pub fn load(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// `max_message_size`.
    #[inline]
    pub fn max_message_size(&self) -> u64 {
        self.max_message_size.load(Ordering::Relaxed)
    }

    /// From now on this one holds. Returns the one before.
    pub fn replace(&self, config: Config) -> Arc<Config> {
        self.max_message_size.store(config.max_message_size, Ordering::Relaxed);
        self.config.swap(Arc::new(config))
    }
}
