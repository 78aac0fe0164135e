//! Durable queues, declared one after another.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::args::BenchArgs;
use super::client::{Client, QueueKind};
use super::latency::Latencies;
use super::process;
use super::report::Declares;
use super::url::Target;

/// Declares new queues for the time given. They are deleted afterwards, which is not measured.
pub(super) fn run(args: &BenchArgs, target: &Target) -> Result<Declares> {
    let mut client = Client::connect(target)?;
    let mut names = Vec::new();
    let measured = measure(args, &mut client, &mut names);
    for name in &names {
        client.delete_queue(name)?;
    }
    client.close()?;
    measured
}

fn measure(args: &BenchArgs, client: &mut Client, names: &mut Vec<String>) -> Result<Declares> {
    declare(args, client, names, args.warm_up, &mut Latencies::new()?)?;
    let mut latencies = Latencies::new()?;
    let cpu = || args.pid.map(|pid| process::cpu_time(Some(pid))).transpose();
    let (start, before, cpu_before) = (Instant::now(), names.len(), cpu()?);
    declare(args, client, names, args.duration, &mut latencies)?;
    let seconds = start.elapsed().as_secs_f64();
    let done = (names.len() - before) as f64;
    let cpu = cpu()?.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Declares {
        seconds,
        declares_per_s: done / seconds,
        latency_us: latencies.percentiles(),
        broker_cpu_us_per_declare: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / done.max(1.0)),
    })
}

fn declare(
    args: &BenchArgs,
    client: &mut Client,
    names: &mut Vec<String>,
    seconds: f64,
    latencies: &mut Latencies,
) -> Result<()> {
    let (start, time) = (Instant::now(), Duration::from_secs_f64(seconds));
    while start.elapsed() < time {
        let name = format!("{}-{}-declared-{}", args.prefix, std::process::id(), names.len());
        let began = start.elapsed().as_nanos() as u64;
        client.declare_queue(&name, QueueKind::Durable, &args.queue_table())?;
        latencies.record(began, start.elapsed().as_nanos() as u64);
        names.push(name);
    }
    Ok(())
}
