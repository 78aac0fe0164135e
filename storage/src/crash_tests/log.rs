//! The log, with sizes so small that everything happens often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::{Stepped, directory};
use crate::disk::Disk;
use crate::disk::sim::Random;
use crate::log::Tuning;
use crate::{LogStore, Recovered, StoreConfig, StoreError};

#[derive(Clone)]
pub(super) struct Setup {
    segment_bytes: u32,
    tuning: Tuning,
    /// Each opening has random numbers of its own.
    openings: Arc<AtomicU64>,
}

impl Stepped for LogStore {
    type Setup = Setup;

    fn setup(seed: u64) -> Setup {
        let mut random = Random::new(seed ^ 0x70e5);
        let openings = Arc::new(AtomicU64::new(random.number()));
        let tuning = Tuning {
            big_from: 6000,
            group_bytes: 2000 + random.index(6000),
            largest_group: 16_000,
            traffic: 10_000,
            emptied: 1 + random.index(4),
            garbage: 1,
            ..Tuning::default()
        };
        Setup { segment_bytes: 4096 << random.below(4), tuning, openings }
    }

    fn big(setup: &Setup) -> u64 {
        setup.tuning.big_from as u64
    }

    fn open_on(setup: &Setup, disk: Arc<dyn Disk>) -> Result<(Self, Recovered), StoreError> {
        let mut cfg = StoreConfig::new(directory());
        cfg.segment_bytes = setup.segment_bytes;
        let seed = setup.openings.fetch_add(1, Ordering::Relaxed);
        LogStore::open_stepped(&cfg, disk, Tuning { seed: Some(seed), ..setup.tuning })
    }

    fn step(&self) -> bool {
        LogStore::step(self)
    }
}
