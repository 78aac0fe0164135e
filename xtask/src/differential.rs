//! `cargo xtask differential`: the same random requests to Lepus and to RabbitMQ, a clean restart of
//! both, and their answers compared, line by line.

mod definitions;
mod known;
mod management;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::{Peer, install, rabbitmq};
use crate::tools;

/// How much is shown of lines that differ.
const SHOWN: usize = 5;

/// Options of `cargo xtask differential`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DifferentialArgs {
    /// Traces, each with names of its own
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The seed of the first trace; by the clock if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Requests in a trace
    #[arg(long, default_value_t = 150)]
    requests: u64,
    /// Only the HTTP APIs
    #[arg(long)]
    http: bool,
    /// Use this binary instead of building Lepus
    #[arg(long, value_name = "PATH")]
    lepus: Option<PathBuf>,
    /// Keep all answers in these two files, PREFIX.lepus and PREFIX.rabbitmq
    #[arg(long, value_name = "PREFIX")]
    keep: Option<String>,
}

impl DifferentialArgs {
    /// A run that fits into `cargo xtask test`: the same traces each time, so that a change is told
    /// of what it has changed, and of nothing else.
    pub(crate) fn few() -> Self {
        Self { seeds: 20, seed: Some(4), requests: 150, http: false, lepus: None, keep: None }
    }
}

/// Whether RabbitMQ is there, or can be installed.
pub(crate) fn has_rabbitmq() -> bool {
    install::has_rabbitmq() || tools::can_install()
}

/// Builds Lepus, installs RabbitMQ if it is missing, compares.
pub(crate) fn run(args: &DifferentialArgs) -> Result<()> {
    match &args.lepus {
        Some(path) => compare(&path.canonicalize()?, args),
        None => compare(&tools::build(&["--package", "lepus", "--bin", "lepus"])?, args),
    }
}

/// Compares this binary with Debian's RabbitMQ.
pub(crate) fn compare(lepus: &Path, args: &DifferentialArgs) -> Result<()> {
    let version = install::rabbitmq()?;
    if args.http {
        return management::compare(lepus);
    }
    let client = tools::build(&["--package", "lepus-differential"])?;
    let seed = args.seed.unwrap_or_else(tools::seed);
    println!("RabbitMQ {version}; seed {seed}, {} traces", args.seeds);
    let ask = |peer: &Peer, phase: &str| answers(&client, peer.addr(), args, seed, phase);
    let ours = {
        let peer = Peer::lepus(lepus)?;
        let before = ask(&peer, "load").context("Lepus")?;
        let peer = Peer::lepus_in(lepus, peer.stop()?)?;
        Answers { before, after: ask(&peer, "observe").context("Lepus after its restart")? }
    };
    let theirs = {
        let peer = rabbitmq::start()?;
        let before = ask(&peer, "load").context("RabbitMQ")?;
        let peer = rabbitmq::start_in(peer.stop()?)?;
        Answers { before, after: ask(&peer, "observe").context("RabbitMQ after its restart")? }
    };
    if let Some(prefix) = &args.keep {
        std::fs::write(format!("{prefix}.lepus"), format!("{}{}", ours.before, ours.after))?;
        std::fs::write(format!("{prefix}.rabbitmq"), format!("{}{}", theirs.before, theirs.after))?;
    }
    report(&ours, &theirs, seed)?;
    definitions::round_trip(lepus)?;
    management::compare(lepus)
}

/// What a broker answered, before its restart and after it.
struct Answers {
    before: String,
    after: String,
}

fn answers(
    client: &Path,
    addr: SocketAddr,
    args: &DifferentialArgs,
    seed: u64,
    phase: &str,
) -> Result<String> {
    let (seed, seeds) = (seed.to_string(), args.seeds.to_string());
    let output = Command::new(client)
        .args([&addr.to_string(), "--phase", phase, "--seed", &seed, "--seeds", &seeds])
        .args(["--requests", &args.requests.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the client")?;
    ensure!(output.status.success(), "the client failed in the phase {phase} (seed {seed})");
    String::from_utf8(output.stdout).context("the client printed no text")
}

fn report(ours: &Answers, theirs: &Answers, seed: u64) -> Result<()> {
    let (mut count, mut known, mut different) = (0, 0, Vec::new());
    for (ours, theirs, restarted) in
        [(&ours.before, &theirs.before, false), (&ours.after, &theirs.after, true)]
    {
        let lines = ours.lines().count();
        ensure!(lines == theirs.lines().count(), "the two printed different numbers of lines");
        count += lines;
        for (our, their) in ours.lines().zip(theirs.lines()).filter(|(our, their)| our != their) {
            match known::reason(our, their) {
                Some(_) if restarted => known += 1,
                _ => different.push((our, their)),
            }
        }
    }
    for (our, their) in different.iter().take(SHOWN) {
        println!("Lepus:    {our}\nRabbitMQ: {their}\n");
    }
    println!(
        "{count} answers compared; {known} differ as docs/conformance.md says, {} otherwise",
        different.len()
    );
    if !different.is_empty() {
        bail!("{} answers differ; again: --seed {seed}", different.len());
    }
    Ok(())
}
