//! `lepus store`: what a stopped broker's data directory holds, and repairing it.

mod dump;
mod names;
mod report;
mod values;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use lepus_storage::{Inspection, StoreKind};

use crate::cli::progress;
use dump::DumpArgs;
use names::Names;

/// The arguments of `lepus store`.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 all is as it was written; 1 something is damaged (after \
                        `repair`: it was, and the directory opens now); 2 the directory cannot be \
                        read, or a broker has it open.")]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read everything in a data directory, and say what is in it and what is damaged. Changes
    /// nothing.
    Check(DirectoryArgs),
    /// Print the queues and their messages as JSON, one object a line. Changes nothing.
    Dump(DumpArgs),
    /// Set what is damaged aside, in a folder `damaged-<n>` of the directory, and make the rest a
    /// store that opens. Says exactly what is lost.
    Repair(DirectoryArgs),
}

#[derive(Args)]
struct DirectoryArgs {
    /// The data directory of a broker that does not run.
    directory: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Args)]
struct EngineArgs {
    /// The engine that the messages are in; found out if not given.
    #[arg(long)]
    engine: Option<Engine>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Log,
    Sled,
}

impl EngineArgs {
    fn kind(&self, directory: &Path) -> Result<StoreKind> {
        Ok(match self.engine {
            Some(Engine::Log) => StoreKind::Log,
            Some(Engine::Sled) => StoreKind::Sled,
            None => StoreKind::of(directory)?,
        })
    }
}

const DAMAGED: u8 = 1;
const UNREADABLE: u8 = 2;

/// Runs a command. What it cannot do is said on standard error.
pub fn run(args: StoreArgs) -> ExitCode {
    let done = match &args.command {
        Command::Check(args) => check(args),
        Command::Dump(args) => dump::run(args),
        Command::Repair(args) => repair(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DAMAGED),
        // Whoever reads it has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:?}");
            ExitCode::from(UNREADABLE)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

fn cannot_read(directory: &Path) -> String {
    format!("cannot read the data directory {}", directory.display())
}

/// Whether all is as it was written.
fn check(args: &DirectoryArgs) -> Result<bool> {
    let directory = &args.directory;
    let kind = args.engine.kind(directory)?;
    let mut inspection =
        Inspection::open(directory, kind).with_context(|| cannot_read(directory))?;
    let looking = progress::spinner("check");
    inspection.verify().with_context(|| cannot_read(directory))?;
    drop(looking);
    let report = inspection.report();
    let out = &mut io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report::json(directory, kind, report))?;
    } else {
        report::holdings(out, directory, kind, report)?;
        report::damage(out, report)?;
        if report.is_sound() {
            writeln!(out, "nothing is damaged")?;
        }
    }
    Ok(report.is_sound())
}

fn repair(args: &DirectoryArgs) -> Result<bool> {
    let directory = &args.directory;
    let kind = args.engine.kind(directory)?;
    anyhow::ensure!(
        kind == StoreKind::Log,
        "messages kept by the embedded store cannot be repaired; `lepus store dump` prints those \
         that can be read"
    );
    let working = progress::spinner("repair");
    let (report, aside) =
        lepus_storage::repair(directory).with_context(|| cannot_read(directory))?;
    drop(working);
    let out = &mut io::stdout().lock();
    if args.json {
        let mut json = report::json(directory, kind, &report);
        if let (Some(fields), Some(aside)) = (json.as_object_mut(), &aside) {
            fields.insert("aside".to_owned(), aside.display().to_string().into());
        }
        writeln!(out, "{json}")?;
    } else {
        report::damage(out, &report)?;
        match &aside {
            Some(aside) => writeln!(
                out,
                "repaired: the damaged files as they were are in {}",
                aside.display()
            )?,
            None => writeln!(out, "nothing is damaged; nothing was changed")?,
        }
    }
    Ok(report.is_sound())
}

/// For a broker that cannot start: what is damaged, with the names of the queues concerned. Empty if
/// that cannot be said.
pub fn explain(directory: &Path, kind: StoreKind) -> String {
    let Ok(inspection) = Inspection::open(directory, kind) else { return String::new() };
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = report::damage(&mut text, inspection.report());
    String::from_utf8_lossy(&text).into_owned()
}

fn names(inspection: &Inspection) -> Names {
    Names::of(&inspection.report().meta)
}
