//! The load generator behind `lepus bench`.
//!
//! It drives any AMQP 0-9-1 broker over TCP and says how many messages went through, how long
//! they took, and what the broker's process spent on them. Blocking threads, frames built once
//! and a consumer that only walks frame lengths keep its own cost far below any broker's.

mod args;
mod client;
mod confirms;
mod connections;
mod consumer;
mod floor;
mod frames;
mod latency;
mod messages;
mod pace;
mod process;
mod producer;
mod publish_buffer;
mod report;
mod shared;
mod topology;
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
    let target = Target::parse(&args.url)?;
    let report = match args.idle_connections {
        Some(count) => Report::IdleConnections(connections::idle(&args, &target, count)?),
        None if args.connects => Report::Connects(connections::connects(&args, &target)?),
        None => Report::Messages(messages::run(&args, &target)?),
    };
    report.print(args.json)
}
