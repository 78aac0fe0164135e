//! Random lives of a store on a simulated disk that crashes at every step.
//!
//! In the middle of the steps of the disk images are taken of what a new process would find. Each is
//! opened and compared with the model: everything that had been promised is there, no batch without
//! those before it, no batch or transaction in part. Then life goes on there, and crashes again.
//!
//! `LEPUS_CRASH_SEED` repeats one life; `LEPUS_CRASH_POINTS` says how many crashes there should be,
//! and `LEPUS_CRASH_FROM` with which seed to begin.

mod engine;
mod faults;
mod life;
mod log;
mod naive;
mod repairs;
mod run;
mod script;
mod witness;

use crate::LogStore;
use naive::{Mistake, Naive, Setup};

#[test]
fn a_sound_engine_passes() {
    if let Some(done) = run::lives::<Naive>(2000) {
        assert!(done.crashes >= 2000, "{done:?}");
    }
}

#[test]
fn every_mistake_is_found() {
    use Mistake::{Cut, Settle, Sync, SyncDir, SyncRecovered};
    for mistake in [Sync, SyncDir, SyncRecovered, Cut, Settle] {
        let run = move || {
            for seed in 0..200 {
                run::life::<Naive>(seed, Setup::with(mistake));
            }
        };
        assert!(std::panic::catch_unwind(run).is_err(), "{mistake:?} is not noticed");
    }
}

#[test]
fn the_log_survives_crashes() {
    if let Some(done) = run::lives::<LogStore>(10_000) {
        assert!(done.crashes > 0 && done.compactions > 0, "{done:?}");
    }
}

#[test]
fn the_log_survives_a_full_disk() {
    let points: u64 = (0..30).map(faults::full_disk::<LogStore>).sum();
    assert!(points > 0);
}

#[test]
fn the_log_gives_room_back() {
    (0..40).for_each(faults::room_comes_back::<LogStore>);
}

#[test]
fn the_log_survives_a_failing_disk() {
    let points: u64 = (0..100).map(faults::failing_disk::<LogStore>).sum();
    assert!(points > 0);
}

#[test]
fn the_log_notices_damage() {
    (0..300).for_each(faults::damaged_file::<LogStore>);
}

#[test]
fn a_damaged_log_is_repaired_and_says_what_is_lost() {
    let outcomes: Vec<repairs::Outcome> = (0..400).map(repairs::repaired).collect();
    let count = |outcome| outcomes.iter().filter(|other| **other == outcome).count();
    use repairs::Outcome::{Lossless, Lossy, Sound};
    // Chance must not have avoided what is to be tested.
    for outcome in [Lossless, Lossy, Sound] {
        assert!(count(outcome) > 30, "{outcome:?}: {}", count(outcome));
    }
}
