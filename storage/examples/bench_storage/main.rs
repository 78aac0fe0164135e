//! Measures engines of message storage against the bare disk. `cargo xtask bench-storage` runs it
//! and makes tables of what it prints, one JSON object for each command.

mod compare;
mod device;
mod embedded;
mod engine;
mod keep;
mod process;
mod raw;
mod stored;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures message storage.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All engines under the same batches, in turn
    Compare {
        /// A directory on the disk to measure
        #[arg(long)]
        directory: PathBuf,
        /// Turns of each engine with each kind of batch; the first one does not count
        #[arg(long, default_value_t = 6)]
        rounds: usize,
        /// Milliseconds of a turn
        #[arg(long, default_value_t = 250)]
        millis: u64,
        /// Only bodies of so many octets
        #[arg(long)]
        size: Option<usize>,
        /// Only batches of so many messages
        #[arg(long)]
        batch: Option<usize>,
    },
    /// Fills queues, shows how memory grows, and ends
    Fill(keep::Args),
    /// Opens what `fill` has left
    Open(keep::Args),
}

fn main() -> Result<()> {
    let report = match Cli::parse().command {
        Command::Compare { directory, rounds, millis, size, batch } => {
            compare::run(&compare::Plan { directory, rounds, millis, size, batch })?
        }
        Command::Fill(args) => keep::fill(&args)?,
        Command::Open(args) => keep::open(&args)?,
    };
    println!("{report}");
    Ok(())
}
