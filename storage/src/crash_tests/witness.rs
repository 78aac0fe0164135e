//! Who looks at the disk in the middle of each step.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Lsn;
use crate::disk::sim::{Random, SimDisk};

/// What a new process would find, had it all ended in a certain step.
pub(super) struct Crash {
    pub step: u64,
    pub image: SimDisk,
    /// Whether only the process has ended.
    pub kill: bool,
    /// What had been promised to survive.
    pub least: Lsn,
    /// Decides what the new process does.
    pub seed: u64,
}

/// The most images in one event: more would fill the memory.
const MOST: usize = 3000;

/// Takes images of a disk.
#[derive(Clone)]
pub(super) struct Witness(Arc<Mutex<Inner>>);

struct Inner {
    random: Random,
    /// An image is taken in so many steps out of a hundred.
    percent: u64,
    /// So many of them are taken as if only the process had ended.
    kills: u64,
    taken: Vec<Crash>,
    promised: Promised,
}

/// How to learn what must survive.
enum Promised {
    /// While a store is being opened.
    Before(Lsn),
    Now(watch::Receiver<Lsn>),
}

impl Witness {
    pub fn of(disk: &SimDisk, seed: u64, percent: u64) -> Self {
        let (random, promised) = (Random::new(seed), Promised::Before(Lsn(0)));
        let inner = Inner { random, percent, kills: 15, taken: Vec::new(), promised };
        let witness = Self(Arc::new(Mutex::new(inner)));
        let (inner, seen) = (Arc::downgrade(&witness.0), disk.clone());
        disk.on_step(Some(Arc::new(move |step| {
            if let Some(inner) = inner.upgrade() {
                inner.lock().look(&seen, step);
            }
        })));
        witness
    }

    /// A kill keeps what is in memory but will never be on the disk, once the disk has failed: no
    /// store can know.
    pub fn no_kills(&self) {
        self.0.lock().kills = 0;
    }

    /// The store is not there any more; this had been promised.
    pub fn closed(&self, promised: Lsn) {
        self.0.lock().promised = Promised::Before(promised);
    }

    pub fn opened(&self, durable: watch::Receiver<Lsn>) {
        self.0.lock().promised = Promised::Now(durable);
    }

    /// The images since the latest call.
    pub fn taken(&self) -> Vec<Crash> {
        std::mem::take(&mut self.0.lock().taken)
    }
}

impl Inner {
    fn look(&mut self, disk: &SimDisk, step: u64) {
        if !self.random.chance(self.percent) {
            return;
        }
        let least = match &self.promised {
            Promised::Before(lsn) => *lsn,
            Promised::Now(durable) => *durable.borrow(),
        };
        let seed = self.random.number();
        let kill = self.random.chance(self.kills);
        let image = if kill { disk.image_after_kill(seed) } else { disk.image_after_crash(seed) };
        assert!(self.taken.len() < MOST, "it never ends");
        self.taken.push(Crash { step, image, kill, least, seed });
    }
}
