//! The load generator behind `lepus bench`.
//!
//! It drives any AMQP 0-9-1 broker over TCP and says how many messages went through, how long
//! they took, and what the broker's process spent on them. Blocking threads, frames built once
//! and a consumer that only walks frame lengths keep its own cost far below any broker's.

mod args;
mod backlog;
mod client;
mod confirms;
mod connections;
mod consumer;
mod declares;
mod device;
mod floor;
mod frames;
mod latency;
mod messages;
mod pace;
mod process;
mod producer;
mod publish_buffer;
mod raw;
mod report;
mod shared;
mod topology;
mod tunnel;
mod url;
mod window;
mod wire;

pub use args::BenchArgs;

use anyhow::Result;

use report::Report;
use url::Target;

/// Runs one load and prints what it measured.
pub fn run(args: BenchArgs) -> Result<()> {
    args.validate()?;
    if let Some(addr) = args.floor {
        return floor::serve(addr);
    }
    if let Some(directory) = &args.raw_commits {
        return Report::RawCommits(raw::commits(&args, directory)?).print(args.json);
    }
    let target = Target::parse(&args.url)?;
    load(&args, &target)?.print(args.json)
}

fn load(args: &BenchArgs, target: &Target) -> Result<Report> {
    Ok(match (args.idle_connections, args.backlog) {
        (Some(count), _) => Report::IdleConnections(connections::idle(args, target, count)?),
        (None, Some(count)) => Report::Backlog(backlog::run(args, target, count)?),
        (None, None) if args.connects => Report::Connects(connections::connects(args, target)?),
        (None, None) if args.declares => Report::Declares(declares::run(args, target)?),
        (None, None) => Report::Messages(messages::run(args, target)?),
    })
}
