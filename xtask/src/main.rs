//! What a developer or CI runs: `cargo xtask test`, `cargo xtask bench`, `cargo xtask crash`, …

mod bench;
mod bench_hostile;
mod bench_scale;
mod bench_storage;
mod broker;
mod certificates;
mod crash;
mod deb;
mod deny;
mod differential;
mod fuzz;
mod image;
mod interop;
mod models;
mod reproduce;
mod sbom;
mod soak;
mod steps;
mod tls_scan;
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
    /// Everything, in order: fmt, clippy, build, unit+blackbox, models, interop, crash, differential, image, deb, deny, sbom
    Test(steps::TestArgs),
    /// Lepus and RabbitMQ under the same loads, side by side
    Bench(bench::BenchArgs),
    /// A page of queues and the metrics, with 100,000 queues and 5,000 connections, and what it costs to ask
    BenchScale(bench_scale::ScaleArgs),
    /// How long others wait while peers are hostile, or there is too much of something
    BenchHostile(bench_hostile::HostileArgs),
    /// The message log, sled and the bare disk under the same batches, side by side
    BenchStorage(bench_storage::BenchStorageArgs),
    /// Kills the broker over and over under real clients, and checks what it kept
    Crash(crash::CrashArgs),
    /// The same random requests to Lepus and RabbitMQ, a restart of both, and their answers compared
    Differential(differential::DifferentialArgs),
    /// For hours: real clients and faults, crashes of a simulated disk and of real processes, odd octets
    Soak(soak::SoakArgs),
    /// Builds the container's image, and has clients use it
    Image(image::ImageArgs),
    /// Builds the Debian package, and installs, uses and purges it in a root of its own
    Deb(deb::DebArgs),
    /// Ever new octets for whatever reads octets from outside, until the time is over
    Fuzz(fuzz::FuzzArgs),
    /// What threads agree on, in ever other orders
    Models(models::ModelsArgs),
    /// The last commit built twice, in different places: the same binary
    Reproduce(reproduce::ReproduceArgs),
    /// All that is in the binary, as a CycloneDX file
    Sbom,
    /// Licences, bans, sources and known vulnerabilities of every dependency
    Deny,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Test(args) => steps::test(&args),
        Task::Bench(args) => bench::run(args),
        Task::BenchHostile(args) => bench_hostile::run(&args),
        Task::BenchScale(args) => bench_scale::run(&args),
        Task::BenchStorage(args) => bench_storage::run(&args),
        Task::Crash(args) => crash::run(&args),
        Task::Differential(args) => differential::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Image(args) => image::run(&args),
        Task::Deb(args) => deb::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Models(args) => models::run(&args),
        Task::Reproduce(args) => reproduce::run(&args),
        Task::Sbom => sbom::run(),
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
