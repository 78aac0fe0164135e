//! Real clients of several languages for a long time, with faults injected, and a ledger of every
//! message: nothing confirmed may be lost, nothing doubled without a fault, nothing may grow.

mod clients;
mod disk;
mod faults;
mod lapin_client;
mod ledger;
mod measure;
mod report;
mod run;
mod topology;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use lapin_client::Work;

#[derive(Debug, Parser)]
#[command(about = "Real clients for a long time, faults, and a ledger of every message")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs clients and faults against a broker of its own
    Run(RunArgs),
    /// One client, on lapin: it is told what to do by the environment
    Client {
        /// What it does
        work: Work,
    },
}

/// Options of a run.
#[derive(Debug, Clone, clap::Args)]
struct RunArgs {
    /// The broker's binary
    #[arg(long)]
    binary: PathBuf,
    /// An empty directory for its files and the clients' logs
    #[arg(long)]
    directory: PathBuf,
    /// How long; then the queues are emptied
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Messages a second of each publisher
    #[arg(long, default_value_t = 150.0)]
    rate: f64,
    /// Repeats the faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Only faults with this in their name
    #[arg(long)]
    fault: Option<String>,
    /// A client and the command that runs it, to which `publish` or `consume` is added (may be repeated)
    #[arg(long = "client", value_name = "NAME=COMMAND")]
    clients: Vec<String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let done: Result<()> = match Cli::parse().command {
        Task::Run(args) => run::run(&args).await,
        Task::Client { work } => lapin_client::run(work).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
