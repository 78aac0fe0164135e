//! `lepus definitions`: what is declared, as a file and from one.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use lepus_storage::StoreKind;
use serde_json::Value;

use crate::cli::running::Running;
use crate::cli::{Reach, progress};
use crate::config::{Config, StorageEngine};
use crate::definitions::{
    self, Definitions, bring, difference, document, export, export_vhost, vhost_document,
};
use crate::node::Node;
use crate::server;
use crate::stores::Stores;

/// The arguments of `lepus definitions`.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 done, or no difference; 1 the documents differ; 2 it could not \
                        be done."
)]
pub struct DefinitionsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write what a broker declares, as RabbitMQ's definitions: one that runs, or a data directory.
    Export(ExportArgs),
    /// Have a broker declare what a file says, besides what it does: one that runs, or a data directory.
    Import(ImportArgs),
    /// Say what makes two files of definitions different.
    Diff(DiffArgs),
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    reach: Reach,
    /// Where to write; standard output if not given.
    file: Option<PathBuf>,
}

#[derive(Args)]
struct ImportArgs {
    #[command(flatten)]
    reach: Reach,
    /// The definitions, as any RabbitMQ has exported them; `-` is standard input.
    file: PathBuf,
}

#[derive(Args)]
struct DiffArgs {
    /// What is changed.
    from: PathBuf,
    /// Into what.
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

/// Runs a command. What it cannot do is said on standard error.
pub fn run(args: &DefinitionsArgs) -> ExitCode {
    let done = match &args.command {
        Command::Export(args) => run_export(args).map(|()| ExitCode::SUCCESS),
        Command::Import(args) => run_import(args).map(|()| ExitCode::SUCCESS),
        Command::Diff(args) => run_diff(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(FAILED)
    })
}

fn run_export(args: &ExportArgs) -> Result<()> {
    let vhost = args.reach.vhost.as_deref();
    let document = match Running::find(&args.reach)? {
        Some(running) => running.export(vhost)?,
        None => export_directory(&args.reach.directory(), vhost)?,
    };
    let text = serde_json::to_string_pretty(&document)? + "\n";
    match &args.file {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => Ok(io::stdout().write_all(text.as_bytes())?),
    }
}

fn export_directory(directory: &Path, vhost: Option<&str>) -> Result<Value> {
    with_node(directory, StoreKind::of(directory)?, |node| match vhost {
        None => Ok(document(&export(node))),
        Some(name) => {
            let vhost = node.vhost(name).ok_or_else(|| anyhow!("no such vhost: {name:?}"))?;
            Ok(vhost_document(&export_vhost(node, &vhost), name))
        }
    })
}

fn run_import(args: &ImportArgs) -> Result<()> {
    let vhost = args.reach.vhost.as_deref();
    let _shown = progress::spinner("import");
    if let Some(running) = Running::find(&args.reach)? {
        let document = serde_json::from_slice(&octets(&args.file)?);
        return running.import(vhost, &document.context("the file is not JSON")?);
    }
    let definitions = read(&args.file, vhost)?;
    let directory = &args.reach.directory();
    let is_new = fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
    let kind = if is_new { StoreKind::Log } else { StoreKind::of(directory)? };
    with_node(directory, kind, |node| {
        bring(node, "cli", &definitions)?;
        Ok(node.set_up()?)
    })
}

fn run_diff(args: &DiffArgs) -> Result<ExitCode> {
    let changes = difference(&read(&args.from, None)?, &read(&args.to, None)?);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&changes)?)?;
    } else {
        for change in &changes {
            writeln!(out, "{change}")?;
        }
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn octets(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().read_to_end(&mut text).map(drop),
        _ => fs::read(path).map(|found| text = found),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

fn read(path: &Path, vhost: Option<&str>) -> Result<Definitions> {
    let text = octets(path)?;
    let definitions = match vhost {
        None => definitions::read(&text),
        Some(vhost) => definitions::read_vhost(&text, vhost),
    };
    definitions.with_context(|| path.display().to_string())
}

/// Wakes the broker of a directory up, without anybody who could connect to it.
fn with_node<R>(
    directory: &Path,
    kind: StoreKind,
    work: impl FnOnce(&Arc<Node>) -> Result<R>,
) -> Result<R> {
    let storage_engine = match kind {
        StoreKind::Sled => StorageEngine::Sled,
        StoreKind::Log => StorageEngine::Log,
    };
    let config = Config { storage_engine, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (stores, found) = Stores::open(directory, &config)?;
        let node = Node::new(config, stores);
        node.restore(found)?;
        let done = work(&node);
        let is_durable = node.declared().settled().await;
        server::close(&node).await?;
        ensure!(is_durable, "the catalog could not be written");
        done
    })
}
