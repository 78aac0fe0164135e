//! `cargo xtask crash`: real clients, a broker that is killed under them, and what it kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::tools;

/// Options of `cargo xtask crash`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CrashArgs {
    /// Rounds with the message log
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Rounds with the engine on the embedded key-value store
    #[arg(long, default_value_t = 14)]
    sled_rounds: u32,
    /// Repeats the choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Only rounds of this kind: publish, consume, transactions, volume, startup, declare, vhosts, rules
    /// or stop
    #[arg(long, value_name = "KIND")]
    only: Option<String>,
    /// Size of a segment of the log; small ones are filled, compacted and used again often
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    segment_bytes: String,
    /// The optimised build, which does more in the same time
    #[arg(long)]
    release: bool,
    /// A file for what the rounds came to.
    #[arg(skip)]
    figures: Option<PathBuf>,
}

impl CrashArgs {
    /// So many rounds with each engine, otherwise as usual.
    pub(crate) fn of(rounds: u32, sled_rounds: u32) -> Self {
        let segment_bytes = "1MiB".to_owned();
        let (seed, only, release, figures) = (None, None, false, None);
        Self { rounds, sled_rounds, seed, only, segment_bytes, release, figures }
    }
}

/// How many kinds of rounds there are, one after another.
const KINDS: u32 = 9;

/// So many rounds, and others again until the time is over. What they came to is added to the file.
pub(crate) fn run_for(minutes: u64, rounds: u32, figures: &Path) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        let figures = Some(figures.to_owned());
        run(&CrashArgs { figures, ..CrashArgs::of(rounds, (rounds / 10).max(KINDS)) })?;
        runs += 1;
    }
    println!("{runs} runs of `cargo xtask crash`: nothing lost");
    Ok(())
}

/// Builds the broker and runs the rounds against it.
pub(crate) fn run(args: &CrashArgs) -> Result<()> {
    let profile: &[&str] = if args.release { &["--release"] } else { &[] };
    let lepus = tools::build(&[profile, &["--package", "lepus", "--bin", "lepus"]].concat())?;
    rounds(&lepus, args)
}

/// Runs the rounds against this binary. The files stay when it fails.
pub(crate) fn rounds(lepus: &Path, args: &CrashArgs) -> Result<()> {
    ensure!(args.rounds + args.sled_rounds > 0, "no rounds");
    let program = tools::build(&["--package", "lepus-crash"])?;
    for (engine, rounds) in [("log", args.rounds), ("sled", args.sled_rounds)] {
        if rounds > 0 {
            println!("engine {engine}");
            with_engine(&program, lepus, args, engine, rounds)?;
        }
    }
    Ok(())
}

fn with_engine(
    program: &Path,
    lepus: &Path,
    args: &CrashArgs,
    engine: &str,
    rounds: u32,
) -> Result<()> {
    let directory = tools::scratch("crash")?.join(format!("{}-{engine}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let config = directory.join("rabbitmq.conf");
    let segments = &args.segment_bytes;
    let settings = format!("storage.engine = {engine}\nstorage.segment_bytes = {segments}\n");
    std::fs::write(&config, settings).context("cannot write the configuration")?;
    let mut command = Command::new(program);
    command.arg("--binary").arg(lepus).arg("--directory").arg(&directory);
    command.args(["--rounds", &rounds.to_string(), "--arg", "--config", "--arg"]).arg(&config);
    if let Some(seed) = args.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    if let Some(figures) = &args.figures {
        command.env("LEPUS_TEST_FIGURES", figures);
    }
    tools::run(&mut command).with_context(|| {
        format!("the broker's files, as the last start left them, are in {}", directory.display())
    })?;
    std::fs::remove_dir_all(&directory).context("cannot remove the broker's files")
}
