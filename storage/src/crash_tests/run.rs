//! Lives, the crashes in them, and lives after those.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::engine::Stepped;
use super::life::Life;
use super::script::{Event, Script};
use super::witness::{Crash, Witness};
use crate::Lsn;
use crate::conformance::model::Model;
use crate::disk::sim::{Random, SimDisk, Tearing};

/// Events in a life.
const EVENTS: usize = 120;

/// Says where to look when a test fails.
pub(super) struct Place(pub String);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub crashes: u64,
    pub compactions: u64,
}

/// Lives with at least so many crashes, or as many as the environment says; nothing is returned for
/// a single one that it asks for.
pub(super) fn lives<S: Stepped>(crashes: u64) -> Option<Tally> {
    if let Some(seed) = variable("LEPUS_CRASH_SEED") {
        life::<S>(seed, S::setup(seed));
        return None;
    }
    let wanted = variable("LEPUS_CRASH_POINTS").unwrap_or(crashes);
    let first = variable("LEPUS_CRASH_FROM").unwrap_or(0);
    let (seeds, done) = (AtomicU64::new(first), Mutex::new(Tally::default()));
    let work = || {
        while done.lock().crashes < wanted {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            let Tally { crashes, compactions } = life::<S>(seed, S::setup(seed));
            let mut done = done.lock();
            done.crashes += crashes;
            done.compactions += compactions;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let done = done.into_inner();
    println!("{done:?} in the lives from {first} to {}", seeds.into_inner() - 1);
    Some(done)
}

/// A new store on a new disk; images are taken in so many steps out of a hundred.
pub(super) fn begin<S: Stepped>(seed: u64, setup: S::Setup, percent: u64) -> Life<S> {
    let disk = SimDisk::new(seed);
    let mut random = Random::new(seed);
    disk.set_tearing(if random.chance(50) { Tearing::Fresh } else { Tearing::Never });
    let script = Script::new(random.number(), S::big(&setup));
    let witness = Witness::of(&disk, random.number(), percent);
    Life::open(disk, setup, (Model::default(), script), witness, Lsn(0)).unwrap()
}

/// One life.
pub(super) fn life<S: Stepped>(seed: u64, setup: S::Setup) -> Tally {
    let _place = Place(format!("LEPUS_CRASH_SEED={seed}"));
    let mut life = begin::<S>(seed, setup, 100);
    let mut crashes = 0;
    for number in 0..EVENTS {
        let place = Place(format!("event {number}"));
        let before = life.model.clone();
        life.go_on().unwrap();
        drop(place);
        crashes += self::crashes(&life, &before, number);
    }
    Tally { crashes, compactions: life.compacted() }
}

/// Looks at the crashes in an event. The model before it has all that may be found after them, but
/// for the batch that the event has appended.
pub(super) fn crashes<S: Stepped>(life: &Life<S>, before: &Model, number: usize) -> u64 {
    let taken = life.witness.taken();
    let points = taken.len() as u64;
    for crash in taken {
        let Crash { step, least, kill, .. } = &crash;
        let _place = Place(format!("event {number}, step {step}, {least:?} durable, kill: {kill}"));
        let model = if life.model.latest() > before.latest() { &life.model } else { before };
        afterwards(crash, model.clone(), life, 0);
    }
    points
}

/// What a new process makes of it.
pub(super) fn afterwards<S: Stepped>(crash: Crash, model: Model, life: &Life<S>, depth: u32) {
    let mut random = Random::new(crash.seed);
    let again = depth < 2 && random.chance(12);
    // A crash is not looked at in all steps here: there would be too many.
    let witness = Witness::of(&crash.image, random.number(), if again { 15 } else { 0 });
    let mut script = life.script.clone();
    script.random = Random::new(random.number());
    let before = model.clone();
    let opened =
        Life::<S>::open(crash.image, life.setup.clone(), (model, script), witness, crash.least);
    let mut next = opened.unwrap();
    next.disk.set_capacity(None);
    nested(&next, &before, depth);
    for _ in 0..random.below(6) {
        let before = next.model.clone();
        next.go_on().unwrap();
        let before = if next.model.latest() > before.latest() { &next.model } else { &before };
        nested(&next, before, depth);
    }
    if random.chance(30) {
        next.rest();
        next.perform(Event::Drop).unwrap();
    }
    next.compare();
}

fn nested<S: Stepped>(life: &Life<S>, model: &Model, depth: u32) {
    for crash in life.witness.taken() {
        let Crash { step, least, kill, .. } = &crash;
        let _place =
            Place(format!("  step {step} of the life after it, {least:?} durable, kill: {kill}"));
        afterwards(crash, model.clone(), life, depth + 1);
    }
}
