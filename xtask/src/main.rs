//! What a developer or CI runs: `cargo xtask test`, `cargo xtask bench`, `cargo xtask deny`.

mod bench;
mod broker;
mod deny;
mod interop;
mod steps;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What a developer or CI runs")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything, in order: fmt, clippy, build, unit+blackbox, interop, deny
    Test(steps::TestArgs),
    /// Lepus and RabbitMQ under the same loads, side by side
    Bench(bench::BenchArgs),
    /// Licences, bans, sources and known vulnerabilities of every dependency
    Deny,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Test(args) => steps::test(&args),
        Task::Bench(args) => bench::run(args),
        Task::Deny => deny::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
