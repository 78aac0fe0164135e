//! The whole broker on a simulated disk: sessions, routing, queues, stores, without threads, in an
//! order and a time that follow from a seed.
//!
//! Clients publish with confirms and in transactions, consume, settle, declare, disappear; in half of the
//! lives an operator moves and deletes messages, in some there are many clients. In the
//! middle of the steps of the disk images are taken of what a new process would find; a broker is
//! started on each, and a client takes all that it has. What must be there follows from what the
//! broker has taken in and how far its store was ([`model`]). Some queues have rules ([`laws`]; those of
//! one are policies that come and go, [`policies`]): what these do by themselves, in transactions too, is
//! followed step by step ([`ledger`]).
//!
//! `LEPUS_SIM_SEED` repeats one life, and with `LEPUS_SIM_TRACE=trace` tells what happens in it;
//! `LEPUS_SIM_SEEDS` says how many there are, and `LEPUS_SIM_FROM` with which seed they begin.

mod broker;
mod client;
mod deletion;
mod laws;
mod ledger;
mod letter;
mod model;
mod operator;
mod policies;
mod scene;
mod watched;
mod witness;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use world::World;

/// Events in a life.
const EVENTS: u64 = 1500;

/// Says where to look when a test fails.
struct Place(String);

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

/// So many lives, or as many as the environment says. Returns the number of crashes.
fn lives(seeds: u64, life: impl Fn(u64) -> u64 + Sync) -> u64 {
    if let Some(seed) = variable("LEPUS_SIM_SEED") {
        if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("LEPUS_SIM_TRACE") {
            let _ = tracing_subscriber::fmt().with_env_filter(filter).without_time().try_init();
        }
        return life(seed);
    }
    let seeds = variable("LEPUS_SIM_SEEDS").unwrap_or(seeds);
    let first = variable("LEPUS_SIM_FROM").unwrap_or(0);
    let (next, crashes) = (AtomicU64::new(first), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - first >= seeds {
                break;
            }
            crashes.fetch_add(life(seed), Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (crashes, ms) = (crashes.into_inner(), scene::PASSED.swap(0, Ordering::Relaxed));
    println!("{crashes} crashes in {seeds} lives from {first} on, {} s of theirs", ms / 1000);
    for (name, value) in [("lives", seeds), ("crashes", crashes), ("simulated ms", ms)] {
        lepus_tests::figure(&format!("{name}: {value}"));
    }
    crashes
}

fn go_on(world: &mut World, events: u64) {
    for number in 0..events {
        let _place = Place(format!("event {number}"));
        world.step();
    }
}

fn life(seed: u64) -> World {
    let _place = Place(format!("LEPUS_SIM_SEED={seed}"));
    let mut world = World::begin(seed);
    go_on(&mut world, EVENTS);
    world.rest();
    world.drain();
    world
}

#[test]
fn the_broker_survives_crashes() {
    // A key was over when it was not yet, by a clock that was set back.
    life(600_000_747);
    // Two messages were too many by a new policy, and one of them was over by both.
    life(700_000_727);
    assert!(lives(250, |seed| life(seed).crashes) > 0);
}

/// For a while there is no room on the disk.
fn life_on_a_full_disk(seed: u64) -> u64 {
    let _place = Place(format!("full disk, LEPUS_SIM_SEED={seed}"));
    let mut world = World::begin(seed);
    go_on(&mut world, EVENTS / 4);
    for _ in 0..3 {
        world.fill_disk();
        go_on(&mut world, EVENTS / 4);
        world.free_disk();
    }
    go_on(&mut world, EVENTS / 4);
    world.rest();
    world.drain();
    world.crashes
}

/// An operation of a disk fails: what was not durable then never will be.
fn life_on_a_failing_disk(seed: u64) -> u64 {
    let _place = Place(format!("failing disk, LEPUS_SIM_SEED={seed}"));
    let mut world = World::begin(seed);
    go_on(&mut world, EVENTS / 2);
    if seed.is_multiple_of(4) {
        world.fail_catalog()
    } else {
        world.fail_disk()
    }
    go_on(&mut world, EVENTS / 4);
    world.rest();
    world.restart();
    go_on(&mut world, EVENTS / 4);
    world.rest();
    world.drain();
    world.crashes
}

#[test]
fn the_broker_survives_a_full_disk() {
    // It refused a message of a transaction that was dead already.
    life_on_a_full_disk(3047);
    // It took the message of a refused transaction, which came back and waited, for one that is stored.
    life_on_a_full_disk(354_024_411);
    // A queue was full by a message that the store did not know.
    life_on_a_full_disk(500_000_038);
    // A message that is over kept a queue waiting until it could be stored elsewhere.
    life_on_a_full_disk(600_000_149);
    // What a refused transaction gave back was over, and the store was not told.
    life_on_a_full_disk(900_001_283);
    assert!(lives(40, life_on_a_full_disk) > 0);
}

#[test]
fn the_broker_survives_a_failing_disk() {
    // A message came back after the clock was set back.
    life_on_a_failing_disk(354_024_717);
    // A connection ended by what it was told, and its messages went on.
    life_on_a_failing_disk(500_000_044);
    assert!(lives(60, life_on_a_failing_disk) > 0);
}

#[test]
fn a_life_can_be_repeated() {
    for seed in 5..15 {
        assert_eq!(life(seed).scene.traced(), life(seed).scene.traced(), "{seed}");
    }
}
