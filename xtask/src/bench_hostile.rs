//! `cargo xtask bench-hostile`: how long others wait while peers are hostile or there is too much of
//! something. The scenarios are the tests of hostile.rs and overload.rs, larger, one at a time, against
//! the broker as it is released; what they measure of a bystander's round trips is printed as a table.

use anyhow::{Context, Result};

use crate::tools;

/// Options of `cargo xtask bench-hostile`.
#[derive(Debug, clap::Args)]
pub(crate) struct HostileArgs {
    /// How many times as much of everything as in the tests
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Only scenarios with this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// Rounds of all of them: the table has each one
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

/// Measures and prints.
pub(crate) fn run(args: &HostileArgs) -> Result<()> {
    let lepus = tools::build(&["--release", "--package", "lepus", "--bin", "lepus"])?;
    let figures = tools::scratch("bench-hostile")?.join("figures");
    let _ = std::fs::remove_file(&figures);
    let mut failed = None;
    for _ in 0..args.rounds {
        let mut tests = tools::cargo();
        tests.args(["test", "--package", "lepus-tests", "--test", "hostile", "--test", "overload"]);
        tests.args(["--no-fail-fast", "--", "--test-threads", "1", &args.only]);
        tests.env("LEPUS_BIN", &lepus).env("LEPUS_TEST_FIGURES", &figures);
        tests.env("LEPUS_TEST_SCALE", args.scale.to_string());
        failed = failed.or(tools::run(&mut tests).err());
    }
    let measured = std::fs::read_to_string(&figures).context("nothing was measured")?;
    println!("\nA bystander's round trip (published, delivered, confirmed), microseconds:\n");
    println!("| meanwhile | quiet p50 | p99 | loaded p50 | p99 | worst | p50 loaded/quiet |");
    println!("|---|---|---|---|---|---|---|");
    measured.lines().filter_map(row).for_each(|row| println!("{row}"));
    failed.map_or(Ok(()), Err)
}

/// A line of figures as a row of the table.
fn row(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let figures: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let [quiet, quiet_99, loaded, loaded_99, worst] = figures[..] else { return None };
    let ratio = loaded / quiet.max(1.0);
    Some(format!(
        "| `{name}` | {quiet} | {quiet_99} | {loaded} | {loaded_99} | {worst} | {ratio:.1} |"
    ))
}
