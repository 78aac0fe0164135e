//! `cargo xtask soak`: whatever can go on for hours. Real clients while things go wrong, crashes of a
//! simulated disk and of real processes, octets that nobody would send.

mod clients;
mod simulation;

use anyhow::Result;

use crate::{crash, fuzz};

/// Options of `cargo xtask soak`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SoakArgs {
    /// Minutes of each part; what has begun is finished
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Only this part (may be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    #[command(flatten)]
    clients: clients::ClientsArgs,
    /// Crash points of the simulated disk at most
    #[arg(long, default_value_t = 1_000_000)]
    points: u64,
    /// Rounds of `cargo xtask crash` at a time
    #[arg(long, default_value_t = 70)]
    rounds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Real clients, and faults
    Clients,
    /// The store and the whole broker on a simulated disk
    Simulation,
    /// Real processes that are killed
    Crash,
    /// What reads octets from outside
    Fuzz,
}

/// Runs the chosen parts, one after another.
pub(crate) fn run(args: &SoakArgs) -> Result<()> {
    let all = [Part::Clients, Part::Simulation, Part::Crash, Part::Fuzz];
    let chosen = |part: &&Part| args.only.is_empty() || args.only.contains(part);
    for part in all.iter().filter(chosen) {
        println!("==> {part:?}");
        match part {
            Part::Clients => clients::run(args.minutes, &args.clients)?,
            Part::Simulation => simulation::run(args.minutes, args.points)?,
            Part::Crash => crash::run_for(args.minutes, args.rounds)?,
            Part::Fuzz => fuzz::run_for(args.minutes * 60)?,
        }
    }
    Ok(())
}
