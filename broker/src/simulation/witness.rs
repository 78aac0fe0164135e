//! Who looks at the disk in the middle of each step.

use std::sync::Arc;

use lepus_storage::Lsn;
use lepus_storage::disk::sim::{Random, SimDisk};
use parking_lot::Mutex;
use tokio::sync::watch;

/// What a new process would find, had it all ended in a certain step.
pub struct Crash {
    pub image: SimDisk,
    /// Up to where it had been promised to survive.
    pub least: u64,
    /// Decides what happens next.
    pub seed: u64,
}

/// Takes images of a disk.
pub struct Witness(Arc<Mutex<Inner>>);

struct Inner {
    random: Random,
    /// An image is taken in so many steps out of a hundred.
    percent: u64,
    /// The machine stays, only the process ends, in so many of them.
    kills: u64,
    taken: Vec<Crash>,
    promised: Promised,
}

enum Promised {
    /// While a store is being opened.
    Before(u64),
    Now(watch::Receiver<Lsn>),
}

impl Witness {
    pub fn of(disk: &SimDisk, seed: u64, percent: u64, least: u64) -> Self {
        let (random, promised) = (Random::new(seed), Promised::Before(least));
        let inner = Inner { random, percent, kills: 20, taken: Vec::new(), promised };
        let witness = Self(Arc::new(Mutex::new(inner)));
        let (inner, seen) = (Arc::downgrade(&witness.0), disk.clone());
        disk.on_step(Some(Arc::new(move |_| {
            if let Some(inner) = inner.upgrade() {
                inner.lock().look(&seen);
            }
        })));
        witness
    }

    pub fn opened(&self, durable: watch::Receiver<Lsn>) {
        self.0.lock().promised = Promised::Now(durable);
    }

    /// A kill keeps what is in memory but will never be on the disk, once the disk has failed.
    pub fn no_kills(&self) {
        self.0.lock().kills = 0;
    }

    /// Looks in so many steps out of a hundred; returns what it was.
    pub fn look_in(&self, percent: u64) -> u64 {
        std::mem::replace(&mut self.0.lock().percent, percent)
    }

    /// The images since the latest call.
    pub fn taken(&self) -> Vec<Crash> {
        std::mem::take(&mut self.0.lock().taken)
    }

    /// What a new process would find if it ended now.
    pub fn crash(&self, disk: &SimDisk) -> Crash {
        self.0.lock().image(disk)
    }
}

impl Inner {
    fn look(&mut self, disk: &SimDisk) {
        if self.random.chance(self.percent) {
            let crash = self.image(disk);
            self.taken.push(crash);
        }
    }

    fn image(&mut self, disk: &SimDisk) -> Crash {
        let least = match &self.promised {
            Promised::Before(lsn) => *lsn,
            Promised::Now(durable) => durable.borrow().0,
        };
        let seed = self.random.number();
        let image = match self.random.chance(self.kills) {
            true => disk.image_after_kill(seed),
            false => disk.image_after_crash(seed),
        };
        Crash { image, least, seed }
    }
}
