//! `cargo xtask bench-storage`: the message log, sled and the bare disk, in turn, in one run.

mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::{Scratch, replace_table};
use crate::tools;

/// Options of `cargo xtask bench-storage`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchStorageArgs {
    /// Turns of each engine with each kind of batch; the median is shown
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Milliseconds of a turn
    #[arg(long, default_value_t = 250)]
    millis: u32,
    /// Messages that the log finds at a restart; sled gets a tenth of them
    #[arg(long, default_value_t = 2_000_000)]
    restart: u64,
    /// Messages of 16 bytes for the slope of the log's memory
    #[arg(long, default_value_t = 10_000_000)]
    slope: u64,
    /// A directory on the disk to measure; the system's temporary one if none is given
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Only the comparison, without restarts and memory
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Write the tables into docs/benchmarks.md
    #[arg(long)]
    write: bool,
}

/// Measures, shows the tables, and writes them where they belong.
pub(crate) fn run(args: &BenchStorageArgs) -> Result<()> {
    let example = ["--release", "--package", "lepus-storage", "--example", "bench_storage"];
    let program = tools::build(&example)?;
    let scratch = match &args.directory {
        Some(directory) => Scratch::within(directory, "storage")?,
        None => Scratch::new("storage")?,
    };
    let rounds = (args.rounds + 1).to_string();
    let mut text = table::about(args.rounds, args.millis);
    let place = scratch.path().join("compare");
    let millis = args.millis.to_string();
    let compared =
        measure(&program, &place, &["compare", "--rounds", &rounds, "--millis", &millis])?;
    text.push_str(&table::comparison(&compared)?);
    if !args.quick {
        text.push_str(&table::kept(&kept(&program, scratch.path(), args)?));
    }
    println!("\n{text}");
    if args.write {
        replace_table(&tools::root()?.join("docs/benchmarks.md"), "bench-storage", &text)?;
    }
    Ok(())
}

/// Restarts with many messages, and the memory that they take.
fn kept(program: &Path, scratch: &Path, args: &BenchStorageArgs) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (engine, messages, size) in
        [("log", args.restart, 1024), ("sled", args.restart / 10, 1024), ("log", args.slope, 16)]
    {
        let place = scratch.join(format!("{engine}-{size}"));
        let (count, octets) = (messages.to_string(), size.to_string());
        let options = ["--engine", engine, "--messages", &count, "--size", &octets];
        let filled = measure(program, &place, &[&["fill"], &options[..]].concat())?;
        let cold = drop_caches();
        let opened = measure(program, &place, &[&["open"], &options[..]].concat())?;
        std::fs::remove_dir_all(&place)
            .with_context(|| format!("cannot remove {}", place.display()))?;
        all.push(json!({
            "engine": engine, "messages": messages, "size": size, "cold": cold,
            "filled": filled, "opened": opened,
        }));
    }
    Ok(all)
}

/// Makes the next process read from the disk; only root may.
fn drop_caches() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    synced && std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

fn measure(program: &Path, directory: &Path, options: &[&str]) -> Result<Value> {
    std::fs::create_dir_all(directory)?;
    let output = Command::new(program)
        .args(options)
        .arg("--directory")
        .arg(directory)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the measurement")?;
    ensure!(output.status.success(), "`{}` failed", options.join(" "));
    serde_json::from_slice(&output.stdout).context("the measurement printed no JSON")
}
