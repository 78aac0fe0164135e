//! `cargo xtask fuzz`: ever new cases for what reads octets from outside.

mod guided;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::tools;

/// Cases of one run of all targets; the dear ones have some times fewer.
const CASES: &str = "4000";

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// For how long; what has begun is finished
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Only targets with this in their name, such as `stream`, `requests` or `data_directory`
    #[arg(long, default_value = "")]
    target: String,
    /// Cases are chosen by what code they reach (cargo-fuzz, which needs a C++ compiler)
    #[arg(long)]
    guided: bool,
}

/// All targets, by package: what is in the names of tests.
const TARGETS: [(&str, &[&str]); 2] = [
    ("lepus-fuzz", &["::tests::"]),
    (
        "lepus-storage",
        &["log::tests::malice", "log::checkpoint::tests::nothing_that_it_is_given_is_trusted"],
    ),
];

/// What a long run came to.
pub(crate) struct Runs {
    /// How often all targets ran.
    pub(crate) runs: u64,
    /// Cases that were chosen by what code they reach.
    pub(crate) guided: u64,
}

/// All targets, each way for half of these seconds. How many cases there were is added to the file, without
/// the guided ones.
pub(crate) fn run_for(seconds: u64, figures: &Path) -> Result<Runs> {
    let half = FuzzArgs { seconds: seconds / 2, target: String::new(), guided: false };
    // First, as programs may be missing for it.
    let guided = guided::run(half.seconds, "")?;
    Ok(Runs { runs: repeat(&half, Some(figures))?, guided })
}

/// Runs them over and over until the time is over, or one fails.
pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    match args.guided {
        true => guided::run(args.seconds, &args.target).map(drop),
        false => repeat(args, None).map(drop),
    }
}

fn repeat(args: &FuzzArgs, figures: Option<&Path>) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let chosen = chosen(&args.target);
    for (package, targets) in &chosen {
        check_names(package, targets)?;
    }
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        for (package, targets) in &chosen {
            run_once(package, targets, figures)?;
        }
        runs += 1;
    }
    println!("{runs} runs of up to {CASES} cases a target: nothing found");
    Ok(runs)
}

/// What tests are to have in their names, by package: of those that are known, or one of `lepus-fuzz`.
fn chosen(target: &str) -> Vec<(&'static str, Vec<String>)> {
    let known = TARGETS.iter().map(|(package, targets)| {
        let named = targets.iter().filter(|of| of.contains(target));
        (*package, named.map(|&of| of.to_owned()).collect::<Vec<_>>())
    });
    let known: Vec<_> = known.filter(|(_, targets)| !targets.is_empty()).collect();
    if known.is_empty() { vec![("lepus-fuzz", vec![target.to_owned()])] } else { known }
}

/// Tests that nobody has are run without a word.
fn check_names(package: &str, targets: &[String]) -> Result<()> {
    let output = test(package, targets).arg("--list").output().context("cannot run cargo")?;
    let is_test = |line: &str| line.ends_with(": test");
    let any = String::from_utf8_lossy(&output.stdout).lines().any(is_test);
    ensure!(any, "no target of {package} has {} in its name", targets.join(" or "));
    Ok(())
}

fn test(package: &str, targets: &[String]) -> Command {
    let mut test = tools::cargo();
    test.args(["test", "--package", package, "--lib", "--"]).args(targets);
    test
}

fn run_once(package: &str, targets: &[String], figures: Option<&Path>) -> Result<()> {
    let mut test = test(package, targets);
    let seed = tools::seed().to_string();
    println!("again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={CASES} {}", tools::line(&test));
    test.env("PROPTEST_CASES", CASES).env("PROPTEST_RNG_SEED", seed);
    if let Some(figures) = figures {
        test.env("LEPUS_TEST_FIGURES", figures);
    }
    tools::run(&mut test).context("it prints what it has shrunk the failing case to")
}
