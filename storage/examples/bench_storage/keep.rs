//! Many messages that stay: how memory grows with them, and how a new process finds them.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use lepus_storage::{LogStore, Lsn, MessageStore, QueueId, ReadMax, Seq, SledStore};
use serde_json::{Value, json};

use crate::process::anonymous_kib;
use crate::stored::Stored;

const QUEUES: u64 = 8;
/// Messages of a batch.
const BATCH: usize = 1_000;
/// Batches that may wait for the disk, so that what waits is not taken for growth.
const AHEAD: usize = 16;
/// How often memory is read while messages are added.
const SAMPLES: usize = 10;

/// An engine of this crate.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Engine {
    Log,
    Sled,
}

/// Which engine, and how many messages.
#[derive(clap::Args)]
pub struct Args {
    /// Where its files are
    #[arg(long)]
    directory: PathBuf,
    /// Which engine
    #[arg(long, value_enum)]
    engine: Engine,
    /// Messages
    #[arg(long)]
    messages: usize,
    /// Octets of a body
    #[arg(long, default_value_t = 1024)]
    size: usize,
}

/// Adds the messages and ends in order.
pub fn fill(args: &Args) -> Result<Value> {
    let start = Instant::now();
    let memory = match args.engine {
        Engine::Log => fill_store::<LogStore>(args)?,
        Engine::Sled => fill_store::<SledStore>(args)?,
    };
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({
        "per_s": args.messages as f64 / seconds,
        "bytes_per_message": slope(&memory),
        "memory_kib": memory.iter().map(|(_, kib)| kib).collect::<Vec<_>>(),
        "disk_bytes": disk_bytes(&args.directory)?,
    }))
}

fn fill_store<S: MessageStore>(args: &Args) -> Result<Vec<(usize, u64)>> {
    let (mut stored, _) = Stored::<S>::open(&args.directory)?;
    let (body, mut memory) = (Bytes::from(vec![0x5A; args.size]), Vec::new());
    let batches = args.messages / BATCH;
    for number in 1..=batches {
        let lsn = stored.add(&body, BATCH, QUEUES)?;
        stored.wait(Lsn(lsn.0.saturating_sub(AHEAD as u64)))?;
        if number % (batches / SAMPLES).max(1) == 0 {
            stored.wait(lsn)?;
            memory.push((number * BATCH, anonymous_kib()?));
        }
    }
    stored.store.close()?;
    Ok(memory)
}

/// Octets of memory per message, from the second sample to the last one.
fn slope(memory: &[(usize, u64)]) -> Option<f64> {
    let (first, last) = (memory.get(1)?, memory.last()?);
    let messages = last.0.checked_sub(first.0).filter(|messages| *messages > 0)?;
    Some((last.1 as f64 - first.1 as f64) * 1024.0 / messages as f64)
}

/// Opens the directory: how long until it is open with all counts, until the first message is read,
/// and with how much memory?
pub fn open(args: &Args) -> Result<Value> {
    match args.engine {
        Engine::Log => open_store::<LogStore>(args),
        Engine::Sled => open_store::<SledStore>(args),
    }
}

fn open_store<S: MessageStore>(args: &Args) -> Result<Value> {
    let (before, start) = (anonymous_kib()?, Instant::now());
    let (stored, recovered) = Stored::<S>::open(&args.directory)?;
    let opened = start.elapsed().as_secs_f64();
    let mut found = Vec::new();
    stored.store.read(QueueId(1), Seq(0), ReadMax { messages: 1, bytes: 1 }, &mut found)?;
    let first = start.elapsed().as_secs_f64();
    ensure!(found.first().is_some_and(|it| it.payload.len() == args.size), "no first message");
    let count: u64 = recovered.queues.iter().map(|(_, stats)| stats.messages).sum();
    ensure!(count == args.messages as u64, "{count} messages, not {}", args.messages);
    Ok(json!({
        "open_s": opened,
        "first_s": first,
        "memory_kib": anonymous_kib()?.saturating_sub(before),
    }))
}

fn disk_bytes(directory: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { disk_bytes(&entry.path())? } else { data.len() };
    }
    Ok(bytes)
}
