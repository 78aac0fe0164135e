//! `cargo xtask fuzz`: ever new cases for what reads octets from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tools;

/// Cases of one run of all targets; the dear ones have some times fewer.
const CASES: &str = "4000";

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// For how long; what has begun is finished
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Only targets with this in their name, such as `peer`, `texts` or `files::a_data_directory`
    #[arg(long, default_value = "")]
    target: String,
}

/// All targets, for so many seconds.
pub(crate) fn run_for(seconds: u64) -> Result<()> {
    run(&FuzzArgs { seconds, target: String::new() })
}

/// Runs them over and over until the time is over, or one fails.
pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        let mut test = tools::cargo();
        let target = format!("fuzz::{}", args.target);
        test.args(["test", "--package", "lepus", "--lib", &target]).env("PROPTEST_CASES", CASES);
        tools::run(&mut test).context("it prints what it has shrunk the failing case to")?;
        runs += 1;
    }
    println!("{runs} runs of up to {CASES} cases a target: nothing found");
    Ok(())
}
