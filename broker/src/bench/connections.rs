//! Runs that are about connections instead of messages.

use std::time::{Duration, Instant};

use amq_protocol::types::FieldTable;
use anyhow::{Context, Result};

use super::args::BenchArgs;
use super::client::{Client, QueueKind};
use super::latency::Latencies;
use super::process;
use super::report::{Connects, IdleConnections};
use super::url::Target;

/// Connections opened before the first reading, so that code and pools touched once are not counted.
const FIRST: u32 = 20;
/// How long the broker gets to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// Memory of the broker per open connection with one open channel.
pub(super) fn idle(args: &BenchArgs, target: &Target, connections: u32) -> Result<IdleConnections> {
    let pid = args.pid.context("--idle-connections needs --pid")?;
    let mut open = Vec::new();
    let mut open_more = |count: u32| -> Result<u64> {
        for _ in 0..count {
            open.push(Client::connect(target)?);
        }
        std::thread::sleep(REST);
        process::resident_kib(pid)
    };
    let before = open_more(FIRST)?;
    let after = open_more(connections)?;
    open.into_iter().try_for_each(Client::close)?;
    Ok(IdleConnections {
        connections,
        rss_kib_before: before,
        rss_kib_after: after,
        kib_per_connection: (after as f64 - before as f64) / f64::from(connections.max(1)),
    })
}

/// Connect, open a channel, declare a queue, close: one after another. The queue is the same each
/// time and only the first one creates it, as with programs that declare what they use.
pub(super) fn connects(args: &BenchArgs, target: &Target) -> Result<Connects> {
    let queue = format!("{}-{}-connects", args.prefix, std::process::id());
    let measured = measure_connects(args, target, &queue);
    let mut control = Client::connect(target)?;
    control.delete_queue(&queue)?;
    control.close()?;
    measured
}

fn measure_connects(args: &BenchArgs, target: &Target, queue: &str) -> Result<Connects> {
    repeat(target, queue, args.warm_up, &mut Latencies::new()?)?;
    let mut latencies = Latencies::new()?;
    let cpu = || args.pid.map(|pid| process::cpu_time(Some(pid))).transpose();
    let (start, cpu_before) = (Instant::now(), cpu()?);
    let done = repeat(target, queue, args.duration, &mut latencies)?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu()?.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Connects {
        seconds,
        connects_per_s: f64::from(done) / seconds,
        latency_us: latencies.percentiles(),
        broker_cpu_us_per_connect: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(done.max(1))),
    })
}

fn repeat(target: &Target, queue: &str, seconds: f64, latencies: &mut Latencies) -> Result<u32> {
    let (start, time) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut done = 0;
    while start.elapsed() < time {
        let began = start.elapsed().as_nanos() as u64;
        let mut client = Client::connect(target)?;
        client.declare_queue(queue, QueueKind::Transient, &FieldTable::default())?;
        client.close()?;
        latencies.record(began, start.elapsed().as_nanos() as u64);
        done += 1;
    }
    Ok(done)
}
