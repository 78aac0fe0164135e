//! Queues and their messages, one JSON object a line.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use lepus_storage::{Inspection, QueueId, QueueStats, ReadMax, Seq, StoreError, Stored};
use serde_json::{Value, json};

use super::names::{Declared, Names};
use super::{EngineArgs, cannot_read, names, report, values};
use crate::message::{Message, Waiting};
use crate::queue::state::place::{self, is_keys, lowest_level};
use crate::queue::state::schedule::Bucket;
use crate::topology::record;

/// How much is read at once.
const AT_ONCE: ReadMax = ReadMax { messages: 256, bytes: 4 << 20 };

#[derive(Args)]
pub(super) struct DumpArgs {
    /// The data directory of a broker that does not run.
    directory: PathBuf,
    /// Only queues of this name.
    #[arg(long)]
    queue: Option<String>,
    /// Only queues of this virtual host.
    #[arg(long)]
    vhost: Option<String>,
    /// At most so many messages of each queue.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Whether all could be read.
pub(super) fn run(args: &DumpArgs) -> Result<bool> {
    let directory = &args.directory;
    let kind = args.engine.kind(directory)?;
    let inspection = Inspection::open(directory, kind).with_context(|| cannot_read(directory))?;
    let names = names(&inspection);
    let mut queues = report::queues_of(inspection.report(), &names);
    queues.retain(|(id, _)| !is_keys(*id) && args.wants(names.get(*id)));
    let mut out = BufWriter::new(io::stdout().lock());
    for levels in levels_of(&queues) {
        writeln!(out, "{}", queue_line(levels, &names))?;
    }
    let mut whole = inspection.report().is_sound();
    for levels in levels_of(&queues) {
        let mut left = args.limit;
        for (id, stats) in levels {
            whole &= messages(&inspection, (*id, stats), &names, &mut left, &mut out)?;
        }
    }
    out.flush()?;
    Ok(whole)
}

impl DumpArgs {
    fn wants(&self, declared: Option<&Declared>) -> bool {
        let is = |wanted: &Option<String>, name: fn(&Declared) -> &String| match wanted {
            Some(wanted) => declared.is_some_and(|declared| name(declared) == wanted),
            None => true,
        };
        is(&self.queue, |declared| &declared.name) && is(&self.vhost, |declared| &declared.vhost)
    }
}

/// A queue, with what the store has of each of its priorities.
fn queue_line(levels: &[(QueueId, QueueStats)], names: &Names) -> Value {
    let first = levels.first().map_or(QueueId(0), |(id, _)| *id);
    let (id, is_scheduled) = (lowest_level(first), Bucket::parse(first).is_some());
    let declared = names.get(id);
    let arguments = declared.and_then(|declared| record::arguments(&declared.arguments).ok());
    json!({
        "kind": "queue",
        "id": id.0,
        "vhost": declared.map(|declared| &declared.vhost),
        "name": declared.map(|declared| &declared.name),
        "durable": true,
        "auto_delete": declared.map(|declared| declared.auto_delete),
        "arguments": arguments.as_ref().map(values::fields),
        "scheduled": is_scheduled,
        "messages": levels.iter().map(|(_, stats)| stats.messages).sum::<u64>(),
        "octets": levels.iter().map(|(_, stats)| stats.weight).sum::<u64>(),
    })
}

/// Each queue with its priorities, and each with what waits for a time in it.
fn levels_of(queues: &[(QueueId, QueueStats)]) -> impl Iterator<Item = &[(QueueId, QueueStats)]> {
    let of = |id: QueueId| (lowest_level(id), Bucket::parse(id).is_some());
    queues.chunk_by(move |(one, _), (other, _)| of(*one) == of(*other))
}

/// Whether all that is left of a priority to be printed could be read.
fn messages(
    inspection: &Inspection,
    (id, stats): (QueueId, &QueueStats),
    names: &Names,
    left: &mut u64,
    out: &mut impl Write,
) -> Result<bool> {
    let (mut from, mut whole) = (Seq(0), true);
    let mut read = Vec::new();
    while *left > 0 {
        let messages = AT_ONCE.messages.min(usize::try_from(*left).unwrap_or(usize::MAX));
        match inspection.read(id, from, ReadMax { messages, ..AT_ONCE }, &mut read) {
            Ok(next) if next == from => break,
            Ok(next) => {
                from = next;
                *left = left.saturating_sub(read.len() as u64);
                for stored in read.drain(..) {
                    writeln!(out, "{}", message_line(id, names.get(id), stats, stored))?;
                }
            }
            Err(error @ StoreError::Unreadable { seq, .. }) => {
                let queue = names.get(id).map(|declared| &declared.name);
                let (level, why) = (level_of(id), error.to_string());
                let line = json!({
                    "kind": "unreadable", "queue": queue, "level": level, "position": seq.0, "why": why,
                });
                writeln!(out, "{line}")?;
                (from, whole) = (Seq(seq.0 + 1), false);
                *left -= 1;
            }
            Err(error) => return Err(error).context("cannot read messages"),
        }
    }
    Ok(whole)
}

fn message_line(
    id: QueueId,
    declared: Option<&Declared>,
    stats: &QueueStats,
    stored: Stored,
) -> Value {
    let Stored { seq, payload, returns } = stored;
    let mut line = json!({
        "kind": "message",
        "vhost": declared.map(|declared| &declared.vhost),
        "queue": declared.map(|declared| &declared.name),
        "level": level_of(id),
        "position": seq.0,
        "redelivered": returns > 0 || seq < stats.delivered,
        "returns": returns,
    });
    let Some(fields) = line.as_object_mut() else { return line };
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    let message = match Bucket::parse(id) {
        Some(_) => {
            let waiting = Waiting::from_stored(payload.clone());
            put("due", json!(waiting.due()));
            waiting.message()
        }
        None => Message::from_stored(payload.clone()),
    };
    match message {
        Some(message) => {
            put("exchange", json!(String::from_utf8_lossy(message.exchange())));
            put("routing_key", json!(String::from_utf8_lossy(message.routing_key())));
            put("properties", values::properties(message.properties()));
            let (body, encoding) = values::octets(message.body());
            put("octets", json!(message.body_len()));
            put("body", json!(body));
            put("encoding", json!(encoding));
        }
        None => {
            let (stored, encoding) = values::octets(&payload);
            put("stored", json!(stored));
            put("encoding", json!(encoding));
        }
    }
    line
}

/// The priority that a queue of the store is for.
fn level_of(id: QueueId) -> u8 {
    if Bucket::parse(id).is_some() { 0 } else { place::level_of(id.0) }
}
