//! `cargo xtask soak`: crashes for hours, of a simulated disk and of real processes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{crash, tools};

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

/// Options of `cargo xtask soak`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SoakArgs {
    /// Minutes in all; what has begun is finished
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Crash points of the simulated disk
    #[arg(long, default_value_t = 1_000_000)]
    points: u64,
    /// Rounds of `cargo xtask crash` at a time
    #[arg(long, default_value_t = 70)]
    rounds: u32,
}

/// Runs both until the time is over, with new seeds each time, which are printed.
pub(crate) fn run(args: &SoakArgs) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(args.minutes * 60);
    let mut points = 0;
    while points < args.points && Instant::now() < end {
        let step = STEP.min(args.points - points);
        STORAGE.run(step)?;
        BROKER.run(LIVES)?;
        points += step;
    }
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        let args = crash::CrashArgs::of(args.rounds, args.rounds / 10);
        crash::run(&args)?;
        rounds += 1;
    }
    println!(
        "at least {points} crash points and {rounds} runs of `cargo xtask crash`: nothing lost"
    );
    Ok(())
}

impl Simulation {
    fn run(&self, count: u64) -> Result<()> {
        let (seed, count) = (tools::seed().to_string(), count.to_string());
        println!("{}: crashes from seed {seed} on", self.test);
        let mut test = tools::cargo();
        test.args(["test", "--package", self.package, "--lib", self.test, "--", "--nocapture"]);
        test.env(self.first, &seed).env(self.count, &count);
        tools::run(&mut test).with_context(|| {
            let (first, lives) = (self.first, self.count);
            format!("it names the seed of the life that failed; all again: {first}={seed} {lives}={count}")
        })
    }
}
