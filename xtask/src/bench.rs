//! `cargo xtask bench`: Lepus and Debian's RabbitMQ under the same loads, in turn, on this machine.

mod backlog;
mod docs;
mod goal;
pub(crate) mod install;
mod peer;
pub(crate) mod rabbitmq;
mod run;
mod scenario;
pub(crate) mod scratch;
mod table;

use anyhow::{Context, Result, bail, ensure};

use self::run::{Plan, Results};
use self::scenario::Scenario;

pub(crate) use self::docs::replace as replace_table;
pub(crate) use self::peer::{CONFIG, Peer};
pub(crate) use self::run::generate;
pub(crate) use self::scenario::digits;
pub(crate) use self::scratch::Scratch;
pub(crate) use self::table::{machine, today};

/// Most rounds and seconds: every run ends by itself.
const MAX_ROUNDS: u32 = 100;
const MAX_SECONDS: u32 = 600;

/// Options of `cargo xtask bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// Rounds; the median of each figure is shown
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Seconds to measure each load
    #[arg(long, default_value_t = 5)]
    pub seconds: u32,
    /// Only this scenario (may be repeated)
    #[arg(long, value_name = "SCENARIO")]
    pub only: Vec<String>,
    /// Messages in the queue of the scenario `backlog`
    #[arg(long, default_value_t = 10_000_000)]
    pub backlog: u64,
    /// MiB in the queue of the scenario `deep`, which needs half as much again of free disk
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    pub deep: u64,
    /// Write the tables into docs/benchmarks.md and README.md
    #[arg(long)]
    pub write: bool,
    /// Use this binary instead of building Lepus
    #[arg(long, value_name = "PATH", hide = true)]
    pub lepus: Option<std::path::PathBuf>,
}

/// Builds Lepus, installs and starts RabbitMQ, runs every load against both, shows the table.
pub fn run(args: BenchArgs) -> Result<()> {
    ensure!((1..=MAX_ROUNDS).contains(&args.rounds), "--rounds is between 1 and {MAX_ROUNDS}");
    ensure!((1..=MAX_SECONDS).contains(&args.seconds), "--seconds is between 1 and {MAX_SECONDS}");
    let scenarios = selected(&args.only)?;
    let lepus = match &args.lepus {
        Some(path) => {
            path.canonicalize().with_context(|| format!("no binary at {}", path.display()))?
        }
        None => install::build_lepus()?,
    };
    let rabbitmq = install::rabbitmq()?;
    let (rounds, seconds) = (args.rounds, args.seconds);
    let (backlog, deep) = (args.backlog, args.deep);
    let plan = Plan { rounds, seconds, backlog, deep, scenarios, lepus };
    let results = run::all(&plan)?;
    let about = table::about(&plan, &rabbitmq);
    let full = table::full(&plan, &results, &rabbitmq);
    println!("\n{about}\n\n{full}");
    if args.write {
        write(&args, &about, &full, &table::short(&plan, &results, &rabbitmq))?;
    }
    report_failures(&results)
}

fn selected(only: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in only {
        if !scenario::all().any(|scenario| scenario.id == name) {
            let known: Vec<_> = scenario::all().map(|scenario| scenario.id).collect();
            bail!("no scenario {name:?}; there are {}", known.join(", "));
        }
    }
    let wanted =
        |scenario: &&Scenario| only.is_empty() || only.iter().any(|name| name == scenario.id);
    Ok(scenario::all().filter(wanted).collect())
}

fn write(args: &BenchArgs, about: &str, full: &str, short: &str) -> Result<()> {
    ensure!(args.only.is_empty(), "--write needs all scenarios, so not with --only");
    let root = crate::tools::root()?;
    docs::replace(&root.join("docs/benchmarks.md"), "bench", &format!("{about}\n\n{full}"))?;
    docs::replace(&root.join("README.md"), "bench", short)
}

fn report_failures(results: &Results) -> Result<()> {
    ensure!(
        results.failures.is_empty(),
        "{} runs failed:\n{}",
        results.failures.len(),
        results.failures.join("\n")
    );
    Ok(())
}
