//! `cargo xtask fuzz`: ever new cases for what reads octets from outside.

use std::path::Path;
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

/// The targets that are not in `fuzz`.
const ELSEWHERE: &str = "config::tests::random";

/// All targets, for so many seconds. How many cases there were is added to the file; returns how often
/// all targets ran.
pub(crate) fn run_for(seconds: u64, figures: &Path) -> Result<u64> {
    repeat(&FuzzArgs { seconds, target: String::new() }, Some(figures))
}

/// Runs them over and over until the time is over, or one fails.
pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    repeat(args, None).map(drop)
}

fn repeat(args: &FuzzArgs, figures: Option<&Path>) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        let mut test = tools::cargo();
        test.args(["test", "--package", "lepus", "--lib", "--", &format!("fuzz::{}", args.target)]);
        if ELSEWHERE.contains(&args.target) {
            test.arg(ELSEWHERE);
        }
        let seed = tools::seed().to_string();
        println!("again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={CASES} {}", tools::line(&test));
        test.env("PROPTEST_CASES", CASES).env("PROPTEST_RNG_SEED", seed);
        if let Some(figures) = figures {
            test.env("LEPUS_TEST_FIGURES", figures);
        }
        tools::run(&mut test).context("it prints what it has shrunk the failing case to")?;
        runs += 1;
    }
    println!("{runs} runs of up to {CASES} cases a target: nothing found");
    Ok(runs)
}
