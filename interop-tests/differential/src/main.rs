//! One random trace of client requests, and all that a broker answers, one line a request.
//!
//! `cargo xtask differential` runs it against two brokers, restarts both in between, and compares the
//! lines. No answer decides what is asked next, so the lines of all brokers stand side by side.

mod client;
mod flavour;
mod message;
mod observe;
mod trace;

use clap::{Parser, ValueEnum};
use client::Client;

/// Options.
#[derive(Debug, Parser)]
#[command(about = "Asks a broker what a seed says, and prints what it answers")]
struct Args {
    /// Where the broker listens, host:port
    address: String,
    /// What to do
    #[arg(long, value_enum)]
    phase: Phase,
    /// The first seed
    #[arg(long)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Requests for each seed
    #[arg(long, default_value_t = 150)]
    requests: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// The requests.
    Load,
    /// After a restart: what is there; some more requests; everything that the queues hold.
    Observe,
}

fn main() {
    let args = Args::parse();
    for seed in args.seed..args.seed + args.seeds {
        // A connection each: what is exclusive to it goes with it.
        let mut client = Client::connect(&args.address);
        match args.phase {
            Phase::Load => trace::run(&mut client, seed, 0..args.requests),
            Phase::Observe => {
                observe::declared(&mut client, seed);
                trace::run(&mut client, seed, args.requests..args.requests * 4 / 3);
                observe::held(&mut client, seed);
            }
        }
    }
}
