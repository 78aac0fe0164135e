//! `cargo xtask bench-hostile`: how long others wait while peers are hostile or there is too much of
//! something. The scenarios are the tests of hostile.rs and overload.rs, larger, one at a time, against
//! the broker as it is released; what they measure of a bystander's round trips is printed as a table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::bench::{machine, replace_table, today};
use crate::tools;

/// What others' median may grow to.
const GOAL: f64 = 2.0;

const HEADER: &str = "\
| meanwhile | quiet p50 | quiet p99 | loaded p50 | loaded p99 | worst | p50 loaded/quiet |
|---|---|---|---|---|---|---|
";

/// Options of `cargo xtask bench-hostile`.
#[derive(Debug, clap::Args)]
pub(crate) struct HostileArgs {
    /// How many times as much of everything as in the tests
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Only scenarios with this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// Rounds of all of them: the table has the one with the median ratio
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Write the table into docs/reliability.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// Use this binary instead of building Lepus
    #[arg(long, value_name = "PATH")]
    lepus: Option<PathBuf>,
}

/// What a bystander has measured, in µs.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    quiet: [f64; 2],
    loaded: [f64; 2],
    worst: f64,
}

/// Measures and prints.
pub(crate) fn run(args: &HostileArgs) -> Result<()> {
    let lepus = match &args.lepus {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => tools::build(&["--release", "--package", "lepus", "--bin", "lepus"])?,
    };
    let figures = tools::scratch("bench-hostile")?.join("figures");
    // There is none the first time.
    let _ = std::fs::remove_file(&figures);
    let mut failed = None;
    for _ in 0..args.rounds {
        let mut tests = tools::cargo();
        tests.args(["test", "--package", "lepus-tests", "--test", "blackbox"]);
        tests.args(["--no-fail-fast", "--", "--test-threads", "1"]);
        match args.only.as_str() {
            "" => tests.args(["hostile::", "overload::"]),
            only => tests.arg(only),
        };
        tests.env("LEPUS_BIN", &lepus).env("LEPUS_TEST_FIGURES", &figures);
        tests.env("LEPUS_TEST_SCALE", args.scale.to_string());
        failed = failed.or(tools::run(&mut tests).err());
    }
    let measured = std::fs::read_to_string(&figures).context("nothing was measured")?;
    let rows = medians(measured.lines().filter_map(Row::read).collect());
    let table = table(&rows);
    println!(
        "\nA bystander's round trip (published, delivered, confirmed), microseconds:\n\n{table}"
    );
    if args.write && failed.is_none() {
        let HostileArgs { scale, rounds, .. } = args;
        let about = format!(
            "{}: `cargo xtask bench-hostile --scale {scale} --rounds {rounds}` on {}; microseconds.",
            today(),
            machine()
        );
        let path = tools::root()?.join("docs/reliability.md");
        replace_table(&path, "hostile", &format!("{about}\n\n{table}"))?;
    }
    failed.map_or(Ok(()), Err)?;
    ensure!(over(&rows).is_empty(), "a bystander's median is over {GOAL} times its quiet value");
    Ok(())
}

impl Row {
    /// From a line: the scenario, and what was measured.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        // Without that of the folder.
        let name = words.next()?;
        let name = name.split_once("::").map_or(name, |(_, name)| name).to_owned();
        let figures: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
        let [quiet, quiet_99, loaded, loaded_99, worst] = figures[..] else { return None };
        Some(Self { name, quiet: [quiet, quiet_99], loaded: [loaded, loaded_99], worst })
    }

    fn ratio(&self) -> f64 {
        self.loaded[0] / self.quiet[0].max(1.0)
    }
}

/// Of several rows of a scenario the one with the median ratio.
fn medians(rows: Vec<Row>) -> Vec<Row> {
    let mut by_name: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_name.entry(row.name.clone()).or_default().push(row);
    }
    let median = |mut rows: Vec<Row>| {
        rows.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        rows.get((rows.len() - 1) / 2).cloned()
    };
    by_name.into_values().filter_map(median).collect()
}

fn table(rows: &[Row]) -> String {
    let mut out = HEADER.to_owned();
    for Row { name, quiet: [quiet, quiet_99], loaded: [loaded, loaded_99], worst } in rows {
        let ratio = loaded / quiet.max(1.0);
        out += &format!(
            "| `{name}` | {quiet} | {quiet_99} | {loaded} | {loaded_99} | {worst} | {ratio:.1} |\n"
        );
    }
    let over = over(rows);
    let sum = match over.as_slice() {
        [] => format!(
            "In all {} of them the median stays within {GOAL} times its quiet value.",
            rows.len()
        ),
        _ => format!(
            "In {} of {} the median stays within {GOAL} times its quiet value, not in {}.",
            rows.len() - over.len(),
            rows.len(),
            over.join(", ")
        ),
    };
    format!("{out}\n{sum}")
}

/// Those in which the median grows too much, and by how much.
fn over(rows: &[Row]) -> Vec<String> {
    let over = rows.iter().filter(|row| row.ratio() > GOAL);
    over.map(|row| format!("`{}` ({:.1})", row.name, row.ratio())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_rounds_the_median_counts() {
        let lines =
            ["b 10 20 30 40 50", "x::a 100 1 150 1 1", "x::b 10 20 90 1 1", "b 10 20 15 1 1", "x"];
        let rows = medians(lines.iter().filter_map(|line| Row::read(line)).collect());
        let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.ratio())).collect();
        assert_eq!(names, [("a", 1.5), ("b", 3.0)]);
        let table = table(&rows);
        assert!(table.contains("| `b` | 10 | 20 | 30 | 40 | 50 | 3.0 |"), "{table}");
        assert!(table.ends_with(
            "In 1 of 2 the median stays within 2 times its quiet value, not in `b` (3.0)."
        ));
    }
}
