//! What all clients share: the broker, what must be there, the time, chance.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use lepus_storage::disk::sim::{Random, SimDisk};
use lepus_storage::{Health, MessageStore};

use super::broker::{Broker, Setup};
use super::model::{Model, Window};
use super::policies::{OPERATOR, Policies, USER};
use crate::watch;

/// How much time has passed in all scenes, ms.
pub static PASSED: AtomicU64 = AtomicU64::new(0);

/// The limit of memory.
pub const WATERMARK: u64 = 100;

pub struct Scene {
    pub broker: Broker,
    pub model: Model,
    pub disk: SimDisk,
    pub random: Random,
    pub setup: Setup,
    /// Milliseconds.
    pub now: u64,
    /// The latest time that there was, before the clock was set back.
    pub latest: u64,
    /// Something has gone wrong on the disk in this life.
    pub troubled: bool,
    /// Octets of memory in use, as the broker sees it; [`WATERMARK`] is its limit.
    pub allocated: u64,
    letters: u64,
    trace: DefaultHasher,
}

/// How far the stores are.
#[derive(Clone, Copy)]
pub struct Marks {
    lsn: u64,
    version: u64,
    takes: bool,
}

/// What the stores were told between two looks.
pub struct Span {
    pub lsn: Window,
    pub version: Window,
    /// Whether messages were taken that must be stored.
    pub takes: bool,
}

impl Marks {
    pub fn since(self, before: Self) -> Span {
        Span {
            lsn: Window { after: before.lsn, by: self.lsn },
            version: Window { after: before.version, by: self.version },
            takes: before.takes,
        }
    }
}

impl Scene {
    pub fn new(
        broker: Broker,
        model: Model,
        (disk, setup): (SimDisk, Setup),
        random: Random,
        now: u64,
    ) -> Self {
        Self {
            broker,
            model,
            disk,
            random,
            setup,
            now,
            latest: now,
            troubled: false,
            allocated: 0,
            letters: 0,
            trace: DefaultHasher::new(),
        }
    }

    /// Goes on counting where another scene ended.
    pub fn follow(&mut self, other: &Self) {
        (self.letters, self.trace) = (other.letters, other.trace.clone());
        self.latest = self.latest.max(other.latest);
    }

    pub fn next_letter(&mut self) -> u64 {
        self.letters += 1;
        self.letters
    }

    pub fn marks(&self) -> Marks {
        let (lsn, version) = (self.broker.store.latest(), self.broker.version());
        Marks { lsn, version, takes: self.broker.node.stores() }
    }

    /// Whether the store takes nothing any more.
    pub fn failed(&self) -> bool {
        matches!(self.broker.store.status().health, Health::Poisoned(_))
    }

    /// The latest position, if what was done before will stand before it.
    pub fn certain_position(&self) -> u64 {
        if self.failed() { u64::MAX } else { self.broker.store.latest() }
    }

    /// Something has happened: looks at what the store was told, and counts.
    pub fn told(&mut self, committed: Option<u64>) {
        let (notes, failed) = (self.broker.store.notes(), self.failed());
        self.model.told(notes, committed, failed);
        let told = self.broker.store.told();
        self.model.ledger.set_trouble(self.troubled);
        self.model.ledger.told(told, self.now, failed);
        let counts = |owner| self.broker.counts(owner);
        self.model.ledger.check_counts(counts);
        for queue in self.model.queues() {
            let number = queue.number;
            let found = self.broker.queue(number);
            let counts = found.unwrap_or_else(|| panic!("queue {number} is gone")).counts();
            let (least, most) = queue.bounds();
            let fits = (least..=most).contains(&(counts.ready + counts.unacked));
            assert!(fits, "queue {number} has {counts:?}, not {least} to {most} messages");
        }
    }

    /// Time passes.
    pub fn pass(&mut self, ms: u64) {
        PASSED.fetch_add(ms, Ordering::Relaxed);
        self.now += ms;
        self.latest = self.latest.max(self.now);
        self.broker.set_time(self.now);
    }

    /// Other policies are set.
    pub fn change_policies(&mut self) {
        let (user, operator) = (self.random.below(USER), self.random.below(OPERATOR));
        let policies = Policies { user, operator };
        // The operator's stays for a moment while the other one has changed.
        let between = Policies { user, ..self.model.ledger.policies() };
        for policies in [between, policies] {
            self.model.ledger.set_policies(policies);
            policies.set(&self.broker.node);
            self.told(None);
        }
    }

    /// The broker does what is due.
    pub fn timers(&mut self) {
        self.broker.node.timers().step(self.now);
        self.told(None);
    }

    /// The broker looks after its resources.
    pub fn watch(&self) {
        watch::check_memory(&self.broker.node, self.allocated);
        watch::check_disk(&self.broker.node, &self.disk);
        watch::check_store(&self.broker.node);
    }

    /// Notes octets that must be the same whenever this seed is run.
    pub fn trace(&mut self, octets: &[u8]) {
        octets.hash(&mut self.trace);
    }

    pub fn traced(&self) -> u64 {
        self.trace.finish()
    }
}
