//! Real clients of several languages, faults, and a ledger of every message (`interop-tests/soak`).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{interop, tools};

/// Options of this part.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClientsArgs {
    /// Messages a second of each publisher
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// Repeats the faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Only faults with this in their name: Kill, Stop, Freeze, Cut, HoldAll, HoldAnswers, FullDisk,
    /// SlowConsumers, KillClient
    #[arg(long)]
    fault: Option<String>,
    /// The optimised broker
    #[arg(long)]
    release: bool,
}

/// Builds the broker, gets the clients, runs them. The files stay when it fails.
pub(super) fn run(minutes: u64, args: &ClientsArgs, figures: &Path) -> Result<()> {
    let profile: &[&str] = if args.release { &["--release"] } else { &[] };
    let lepus = tools::build(&[profile, &["--package", "lepus", "--bin", "lepus"]].concat())?;
    let program = tools::build(&["--package", "lepus-soak"])?;
    let directory = tools::scratch("soak")?.join(std::process::id().to_string());
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let mut command = Command::new(program);
    command.env("LEPUS_TEST_FIGURES", figures);
    command.arg("run").arg("--binary").arg(&lepus).arg("--directory").arg(&directory);
    command.args(["--minutes", &minutes.to_string(), "--rate", &args.rate.to_string()]);
    if let Some(seed) = args.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(fault) = &args.fault {
        command.args(["--fault", fault]);
    }
    for (name, line) in clients()? {
        command.args(["--client", &format!("{name}={line}")]);
    }
    tools::run(&mut command)?;
    std::fs::remove_dir_all(&directory).context("cannot remove the broker's files")
}

/// The clients that can be had here, and how they are run. Lapin is in the program itself.
fn clients() -> Result<Vec<(&'static str, String)>> {
    let folder = tools::root()?.join("interop-tests/soak/clients");
    let line = |program: &Path, file: &str| {
        format!("{} {}", program.display(), folder.join(file).display())
    };
    let python = interop::python()?;
    interop::node_modules("amqplib")?;
    let mut clients = vec![
        ("pika", line(&python, "pika_client.py")),
        ("celery", line(&python, "celery_client.py")),
        ("amqplib", line(Path::new("node"), "amqplib_client.js")),
    ];
    match tools::ensure_program("ruby", &["-e", "require 'bunny'"], &["ruby-bunny"]) {
        Ok(()) => clients.push(("bunny", line(Path::new("ruby"), "bunny_client.rb"))),
        Err(error) => println!("without Bunny: {error:#}"),
    }
    Ok(clients)
}
