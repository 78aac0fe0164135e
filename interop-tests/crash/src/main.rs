//! Ends a broker at the worst moments, with real clients, and checks that it kept its promises.
//!
//! The clients keep a ledger of what was confirmed, handed out and acked. After each restart it is
//! compared with what the broker has: nothing confirmed is lost or changed or out of order, nothing
//! settled comes back, transactions are whole, and what must not survive is gone.

mod drain;
mod ledger;
mod load;
mod message;
mod random;
mod rounds;
mod rules;
mod topology;
mod transactions;
mod vhosts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use lepus_crash::broker::Setup;
use lepus_crash::figures::figure;
use parking_lot::Mutex;

use ledger::{Ledger, Totals};
use load::World;
use random::Random;
use rounds::{KINDS, Kind};

/// Options.
#[derive(Debug, Clone, Parser)]
#[command(about = "Kills a broker over and over, with real clients, and checks what it kept")]
struct Args {
    /// The broker's binary
    #[arg(long, required_unless_present = "control")]
    binary: Option<PathBuf>,
    /// An empty directory for its files
    #[arg(long, required_unless_present = "control")]
    directory: Option<PathBuf>,
    /// One more argument for the broker (may be repeated)
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Rounds
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Repeats the choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Only rounds of this kind: publish, consume, transactions, volume, startup, declare, vhosts, rules
    /// or stop
    #[arg(long, value_name = "KIND", value_parser = kind)]
    only: Option<Kind>,
    /// Another broker instead: a command that is given `start`, `kill` or `stop`
    #[arg(long, requires = "url")]
    control: Option<String>,
    /// Where that one serves
    #[arg(long, requires = "control")]
    url: Option<String>,
}

fn kind(name: &str) -> Result<Kind, String> {
    let named = |kind: &&Kind| format!("{kind:?}").eq_ignore_ascii_case(name);
    KINDS.iter().find(named).copied().ok_or_else(|| format!("no kind {name}"))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        now.map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    println!("seed {seed}");
    match run(&args, seed).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED (seed {seed}): {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn setup(args: &Args) -> Result<Setup> {
    Ok(match (&args.control, &args.url) {
        (Some(command), Some(url)) => Setup::Other { command: command.clone(), url: url.clone() },
        _ => Setup::Own {
            binary: args.binary.clone().context("--binary is missing")?.canonicalize()?,
            directory: args.directory.clone().context("--directory is missing")?.canonicalize()?,
            args: args.args.clone(),
        },
    })
}

async fn run(args: &Args, seed: u64) -> Result<()> {
    let setup = setup(args)?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut random = Random::new(seed);
    let mut done: BTreeMap<Kind, u32> = BTreeMap::new();
    let mut compacted = 0;
    let mut broker = setup.start()?;
    topology::declare(broker.url()).await.context("declaring the topology")?;
    for round in 1..=args.rounds {
        let turn = usize::try_from(round - 1)? % KINDS.len();
        let kind = args.only.or_else(|| KINDS.get(turn).copied()).context("no kinds")?;
        let began = Instant::now();
        let world = World { url: broker.url().to_owned(), seed, ledger: Arc::clone(&ledger) };
        let doomed = topology::connect(broker.url()).await?;
        topology::declare_transient(&doomed).await.context("declaring what must go")?;
        let declared = rounds::run(kind, &world, &setup, broker, &mut random).await?;
        drop(doomed);
        compacted += u32::from(setup.keep_image()? > 0);
        broker = setup.start().context("starting it again")?;
        let world = World { url: broker.url().to_owned(), ..world };
        topology::check(broker.url()).await.context("the topology after the restart")?;
        rounds::check_declared(&world, &broker, declared).await?;
        drain::check_counts(&world).await?;
        // Transactions are only compared in full.
        let keep = round < args.rounds && random.below(100) < stays(kind);
        let drained = if keep { None } else { Some(drain::drain(&world).await?) };
        *done.entry(kind).or_default() += 1;
        report(round, args.rounds, kind, drained, began);
        let violations = ledger.lock().violations.len();
        ensure!(violations == 0, "{violations} violations in round {round}, see above");
    }
    broker.stop().context("the last stop")?;
    let totals = ledger.lock().totals;
    summary(&done, compacted, totals)
}

/// Of how many rounds in a hundred the messages stay for the next one. What is left of much data
/// is still to be compacted when the next round begins.
fn stays(kind: Kind) -> u64 {
    match kind {
        Kind::Transactions => 0,
        Kind::Volume => 60,
        _ => 25,
    }
}

fn report(round: u32, rounds: u32, kind: Kind, drained: Option<u64>, began: Instant) {
    let drained = drained.map_or_else(
        || "messages stay for the next round".to_owned(),
        |count| format!("{count} messages checked"),
    );
    let (name, seconds) = (format!("{kind:?}"), began.elapsed().as_secs_f32());
    println!("round {round}/{rounds} {name:<12} {drained}, {seconds:.1} s");
}

fn summary(done: &BTreeMap<Kind, u32>, compacted: u32, totals: Totals) -> Result<()> {
    let kinds: Vec<String> =
        done.iter().map(|(kind, count)| format!("{count} × {kind:?}")).collect();
    let Totals { sent, confirmed, delivered, acked, committed } = totals;
    println!(
        "rounds: {}; files of compacted messages were there after {compacted} of them\n{sent} messages sent, {confirmed} confirmed, {delivered} delivered, {acked} acked, \
         {committed} transactions committed\n\
         checked: every confirmed message that was not acked is there once, byte for byte, in its publisher's \
         order; none that was acked, refused or transient is; redelivered flags; counts; transactions whole or \
         absent; late messages once and in their time; no key twice; policies; exchanges, queues and bindings; transient and exclusive queues gone",
        kinds.join(", ")
    );
    if delivered == 0 {
        bail!("no message was ever delivered: nothing was checked");
    }
    figure("rounds", done.values().sum::<u32>())?;
    figure("confirmed", confirmed)?;
    figure("delivered", delivered)?;
    figure("transactions", committed)
}
