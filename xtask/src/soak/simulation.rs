//! Crashes of a simulated disk, below the store and below the whole broker.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tools;

/// A test of crashes of the simulated disk, which the environment tells where to begin and when to end.
struct Simulation {
    package: &'static str,
    test: &'static str,
    /// The variables for the first seed and for how many crashes, or lives, there should be.
    first: &'static str,
    count: &'static str,
}

const STORAGE: Simulation = Simulation {
    package: "lepus-storage",
    test: "the_log_survives_crashes",
    first: "LEPUS_CRASH_FROM",
    count: "LEPUS_CRASH_POINTS",
};
/// Crash points of one run of it.
const STEP: u64 = 50_000;
const BROKER: Simulation = Simulation {
    package: "lepus",
    test: "simulation",
    first: "LEPUS_SIM_FROM",
    count: "LEPUS_SIM_SEEDS",
};
/// Lives of one run of it; each has a dozen crashes.
const LIVES: u64 = 1000;

/// Runs both until the time is over, with new seeds each time, which are printed. Returns at how many
/// points the store crashed at least; what happened to the broker is in the file.
pub(super) fn run(minutes: u64, most: u64, figures: &Path) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut points, mut lives) = (0, 0);
    while points < most && Instant::now() < end {
        let step = STEP.min(most - points);
        STORAGE.run(step, figures)?;
        BROKER.run(LIVES, figures)?;
        points += step;
        lives += LIVES;
    }
    println!(
        "at least {points} crash points, and {lives} lives of each scenario of the broker: nothing lost"
    );
    Ok(points)
}

impl Simulation {
    fn run(&self, count: u64, figures: &Path) -> Result<()> {
        let (seed, count) = (tools::seed().to_string(), count.to_string());
        println!("{}: crashes from seed {seed} on", self.test);
        let mut test = tools::cargo();
        test.args(["test", "--package", self.package, "--lib", self.test, "--", "--nocapture"]);
        test.env(self.first, &seed).env(self.count, &count).env("LEPUS_TEST_FIGURES", figures);
        tools::run(&mut test).with_context(|| {
            let (first, lives) = (self.first, self.count);
            format!("it names the seed of the life that failed; all again: {first}={seed} {lives}={count}")
        })
    }
}
