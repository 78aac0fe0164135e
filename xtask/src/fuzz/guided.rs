//! libFuzzer, by cargo-fuzz: it keeps octets that reach code which none has reached before, and goes on from
//! these. A stable compiler is enough: the bounds are the targets' own, so no sanitizer is needed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tools;

const FOLDER: &str = "tests/fuzz";

/// Runs each target with this in its name for an equal part of the time. Returns how many cases there were.
pub(super) fn run(seconds: u64, target: &str) -> Result<u64> {
    tools::ensure_cargo_can("fuzz")?;
    tools::ensure_program("c++", &["--version"], &["g++"])?;
    let seeds = tools::scratch("fuzz")?.join("seeds");
    let write = ["run", "--package", "lepus-fuzz", "--example", "seeds", "--"];
    tools::run(tools::cargo().args(write).arg(&seeds))?;
    let targets = targets(target)?;
    ensure!(!targets.is_empty(), "no target has {target} in its name");
    let each = (seconds / targets.len() as u64).max(1);
    let mut executions = 0;
    for target in targets {
        executions += fuzz(&target, each, &seeds)?;
    }
    println!("{executions} cases by what code they reach: nothing found");
    Ok(executions)
}

fn targets(part: &str) -> Result<Vec<String>> {
    let programs = tools::root()?.join(FOLDER).join("targets");
    let mut names = Vec::new();
    for file in std::fs::read_dir(&programs).context("cannot read the targets")? {
        let name = file?.path().file_stem().map(|name| name.to_string_lossy().into_owned());
        names.extend(name.filter(|name| name.contains(part)));
    }
    names.sort();
    Ok(names)
}

/// What is worth keeping stays in the build's folder.
fn fuzz(target: &str, seconds: u64, seeds: &Path) -> Result<u64> {
    let folder = tools::root()?.join(FOLDER);
    let found = tools::scratch("fuzz")?.join("corpus").join(target);
    std::fs::create_dir_all(&found)
        .with_context(|| format!("cannot create {}", found.display()))?;
    let mut fuzz = tools::cargo();
    fuzz.args(["fuzz", "run", "--fuzz-dir", FOLDER, "--dev", "--sanitizer", "none"]);
    fuzz.args(["--features", "guided", target]);
    fuzz.args([found, folder.join("corpus").join(target), seeds.join(target)]);
    fuzz.args(["--", "-timeout=120", "-print_final_stats=1"]);
    executions(fuzz.arg(format!("-max_total_time={seconds}")))
        .with_context(|| format!("the octets are in {FOLDER}/artifacts/{target}"))
}

/// Runs it, shows what is worth reading, and takes the number of its cases from that.
fn executions(fuzz: &mut Command) -> Result<u64> {
    println!("$ {}", tools::line(fuzz));
    let mut running = fuzz.stderr(Stdio::piped()).spawn().context("cannot run cargo-fuzz")?;
    let mut executions = 0;
    let said = running.stderr.take().map(BufReader::new);
    for line in said.into_iter().flat_map(|said| said.split(b'\n')) {
        let line = line.context("cannot read what cargo-fuzz says")?;
        let line = String::from_utf8_lossy(&line);
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = number.trim().parse().context("no number of cases")?;
        }
        // A line for each case that is kept, or for a function that is reached.
        if !line.starts_with('#') && !line.trim_start().starts_with("NEW_FUNC") {
            eprintln!("{line}");
        }
    }
    let status = running.wait().context("cannot wait for cargo-fuzz")?;
    ensure!(status.success(), "cargo-fuzz ended with {status}");
    Ok(executions)
}
