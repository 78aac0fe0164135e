//! A report, for people and for programs.

use std::io::{self, Write};
use std::path::Path;

use lepus_storage::{Fault, Lost, QueueId, QueueStats, Report, StoreKind};
use serde_json::{Value, json};

use super::names::Names;
use crate::queue::state::place::{level_of, lowest_level};
use crate::queue::state::schedule::Bucket;

/// What is there, for people.
pub(super) fn holdings(
    out: &mut impl Write,
    directory: &Path,
    kind: StoreKind,
    report: &Report,
) -> io::Result<()> {
    let names = Names::of(&report.meta);
    let messages: u64 = report.queues.iter().map(|(_, stats)| stats.messages).sum();
    let octets: u64 = report.queues.iter().map(|(_, stats)| stats.weight).sum();
    let directory = directory.display();
    let queues = names.all().count();
    writeln!(
        out,
        "{directory}: engine {kind}, {queues} durable queues, {messages} messages, {octets} octets"
    )?;
    for segment in &report.segments {
        let state = if segment.sealed { "sealed" } else { "open" };
        let (file, bytes) = (segment.file.display(), segment.bytes);
        let (messages, live) = (segment.messages, segment.live_bytes);
        writeln!(out, "{file}: {state}, {bytes} octets, of which {messages} messages take {live}")?;
    }
    for (id, stats) in queues_of(report, &names) {
        let QueueStats { messages, weight, first, next, .. } = stats;
        let (name, first, next) = (names.name(id), first.0, next.0);
        let positions = if messages == 0 { String::new() } else { format!(", first at {first}") };
        writeln!(out, "{name}: {messages} messages, {weight} octets{positions}, next at {next}")?;
    }
    for note in &report.notes {
        writeln!(out, "in order: {note}")?;
    }
    Ok(())
}

/// What is damaged and what is lost, for people.
pub(super) fn damage(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let names = Names::of(&report.meta);
    for Fault { file, offset, what, queues } in &report.faults {
        writeln!(out, "damaged: {}: {what}", place(file, *offset))?;
        if !queues.is_empty() {
            writeln!(out, "  concerns {}", names.list(queues))?;
        }
    }
    for lost in &report.lost {
        let (name, messages) = (names.name(lost.queue), lost.messages());
        let (first, last) = (lost.first.0, lost.last.0);
        let how = if lost.certain { "lost" } else { "may be lost: at most" };
        let place = place(&lost.file, lost.offset);
        let why = &lost.why;
        writeln!(
            out,
            "{how} {messages} messages of {name}, positions {first} to {last}: {place}: {why}"
        )?;
    }
    Ok(())
}

fn place(file: &Path, offset: Option<u64>) -> String {
    match offset {
        Some(offset) => format!("{} at {offset}", file.display()),
        None => file.display().to_string(),
    }
}

/// All of it, for programs.
pub(super) fn json(directory: &Path, kind: StoreKind, report: &Report) -> Value {
    let names = Names::of(&report.meta);
    let queue = |id: QueueId| {
        let declared = names.get(id);
        json!({
            "id": lowest_level(id).0,
            "priority": level_of(id.0),
            "vhost": declared.map(|declared| &declared.vhost),
            "name": declared.map(|declared| &declared.name),
            "scheduled": Bucket::parse(id).is_some(),
        })
    };
    let queues = queues_of(report, &names).into_iter().map(|(id, stats)| {
        json!({
            "queue": queue(id),
            "messages": stats.messages,
            "octets": stats.weight,
            "first": stats.first.0,
            "next": stats.next.0,
            "delivered": stats.delivered.0,
        })
    });
    let segments = report.segments.iter().map(|segment| {
        json!({
            "file": segment.file.display().to_string(),
            "octets": segment.bytes,
            "sealed": segment.sealed,
            "messages": segment.messages,
            "live_octets": segment.live_bytes,
        })
    });
    let damage = report.faults.iter().map(|Fault { file, offset, what, queues }| {
        let queues: Vec<Value> = queues.iter().map(|id| queue(*id)).collect();
        let file = file.display().to_string();
        json!({ "file": file, "offset": offset, "what": what, "queues": queues })
    });
    let lost = report.lost.iter().map(|lost| {
        let Lost { first, last, certain, file, offset, why, .. } = lost;
        json!({
            "queue": queue(lost.queue),
            "first": first.0,
            "last": last.0,
            "messages": lost.messages(),
            "certain": certain,
            "file": file.display().to_string(),
            "offset": offset,
            "why": why,
        })
    });
    json!({
        "directory": directory.display().to_string(),
        "engine": kind.to_string(),
        "sound": report.is_sound(),
        "queues": queues.collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "damage": damage.collect::<Vec<_>>(),
        "lost": lost.collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// All queues that are declared or have something, by id and priority.
pub(super) fn queues_of(report: &Report, names: &Names) -> Vec<(QueueId, QueueStats)> {
    let stored = report.queues.iter().copied();
    let is_stored = |id: QueueId| report.queues.binary_search_by_key(&id, |(id, _)| *id).is_ok();
    let others = names.all().map(|(id, _)| id).filter(|id| !is_stored(*id));
    let mut all: Vec<_> = stored.chain(others.map(|id| (id, QueueStats::default()))).collect();
    all.sort_unstable_by_key(|(id, _)| (lowest_level(*id), *id));
    all
}
