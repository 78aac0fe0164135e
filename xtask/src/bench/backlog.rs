//! Long queues, the start with them, and what memory they take.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::peer::{CONFIG, Peer};
use super::run::{Plan, generate};
use super::scratch::Scratch;

/// How long the broker rests before its memory is read: its allocator gives back within ten seconds.
const SETTLE: Duration = Duration::from_secs(12);
/// A broker that is to serve far more than it can hold in memory.
const LITTLE_MEMORY: &str = "vm_memory_high_watermark.absolute = 512MB\n";
const MESSAGES_PER_MIB: u64 = 1024;

/// Fills a queue of a broker of its own, stops it, and starts it again: how long until the first
/// message is delivered, does the count agree? What memory it takes is read where nothing else grows
/// it: after a start, with half of the messages and with all.
pub(super) fn long(plan: &Plan, options: &[&str]) -> Result<Value> {
    let half = plan.backlog / 2;
    let peer = Peer::lepus(&plan.lepus)?;
    step(plan, &peer, options, "fill", half).context("filling half of the queue")?;
    let peer = Peer::lepus_in(&plan.lepus, peer.stop()?)?;
    let half_kib = settled_kib(&peer)?;
    let filled = step(plan, &peer, options, "fill", plan.backlog - half)?;
    let filled_kib = settled_kib(&peer)?;
    let peer = Peer::lepus_in(&plan.lepus, peer.stop()?).context("starting with the queue")?;
    let first = first(plan, &peer, options, plan.backlog)?;
    let peer = Peer::lepus_in(&plan.lepus, peer.stop()?)?;
    let started_kib = settled_kib(&peer)?;
    Ok(json!({
        "fill": filled.get("fill"),
        "first_after_start_ms": first,
        "count": plan.backlog,
        "filled_kib": filled_kib,
        "started_kib": started_kib,
        "bytes_per_message": (started_kib - half_kib) * 1024.0 / (plan.backlog - half) as f64,
    }))
}

/// A queue far longer than the broker's memory: filled, killed, started again, and drained in order.
pub(super) fn deep(plan: &Plan, options: &[&str]) -> Result<Value> {
    let messages = plan.deep * MESSAGES_PER_MIB;
    let scratch = Scratch::new("deep")?;
    let (free, need) = (free_mib(scratch.path())?, plan.deep * 3 / 2);
    ensure!(free >= need, "{free} MiB are free, and {need} are needed; --deep MIB takes less");
    std::fs::write(scratch.path().join(CONFIG), LITTLE_MEMORY)?;
    let peer = Peer::lepus_in(&plan.lepus, scratch)?;
    let filled = step(plan, &peer, options, "fill", messages).context("filling the queue")?;
    let peer = Peer::lepus_in(&plan.lepus, peer.kill()).context("starting after the kill")?;
    let first = first(plan, &peer, options, messages)?;
    let drained = step(plan, &peer, options, "drain", messages).context("draining the queue")?;
    let peak = |report: &Value| report.get("peak_rss_kib").and_then(Value::as_u64);
    Ok(json!({
        "fill": filled.get("fill"),
        "drain": drained.get("drain"),
        "first_after_start_ms": first,
        "count": messages,
        "peak_rss_kib": peak(&filled).max(peak(&drained)),
    }))
}

fn step(plan: &Plan, peer: &Peer, options: &[&str], step: &str, messages: u64) -> Result<Value> {
    let (count, pid) = (messages.to_string(), peer.pid().to_string());
    let own = [&peer.url(), "--backlog", &count, "--backlog-step", step, "--pid", &pid];
    generate(&plan.lepus, &[&own, options].concat(), plan.seconds)
}

/// Milliseconds from the start of the process to the first delivery. The count must be exact.
fn first(plan: &Plan, peer: &Peer, options: &[&str], messages: u64) -> Result<f64> {
    let report = step(plan, peer, options, "first", messages).context("the first message")?;
    let count = report.get("count").cloned().unwrap_or_default();
    ensure!(count == json!(messages), "{count} messages after the start, not {messages}");
    let connected = report.get("first_ms").and_then(Value::as_f64).context("no first message")?;
    Ok(peer.started_in.as_secs_f64() * 1e3 + connected)
}

fn settled_kib(peer: &Peer) -> Result<f64> {
    std::thread::sleep(SETTLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", peer.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.context("no VmRSS in the broker's status")
}

/// Free room on the disk of a directory.
fn free_mib(directory: &Path) -> Result<u64> {
    let output = Command::new("df").args(["--output=avail", "-BM"]).arg(directory).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let free = text.lines().nth(1).and_then(|line| line.trim().trim_end_matches('M').parse().ok());
    free.context("df does not say how much is free")
}
