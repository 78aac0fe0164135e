//! The measured part of a run: what was counted between its start and its end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::args::BenchArgs;
use super::device::{Device, Written};
use super::latency::Latencies;
use super::process;
use super::report::{BrokerCost, DeviceCost, Messages};
use super::shared::{Counter, Shared};

/// Everything that is counted, at one moment.
#[derive(Debug)]
struct Snapshot {
    at: Instant,
    published: u64,
    confirmed: u64,
    consumed: u64,
    broker_cpu: Option<Duration>,
    own_cpu: Duration,
    device: Option<Written>,
}

impl Snapshot {
    fn take(args: &BenchArgs, shared: &Shared, device: Option<&Device>) -> Result<Self> {
        let sum = |counters: &[Counter]| counters.iter().map(Counter::get).sum();
        Ok(Self {
            at: Instant::now(),
            published: sum(&shared.published),
            confirmed: sum(&shared.confirmed),
            consumed: sum(&shared.consumed),
            broker_cpu: args.pid.map(|pid| process::cpu_time(Some(pid))).transpose()?,
            own_cpu: process::cpu_time(None)?,
            device: device.map(Device::written).transpose()?,
        })
    }
}

/// The measured window: both ends, and the broker's memory at its end.
#[derive(Debug)]
pub(super) struct Window {
    start: Snapshot,
    end: Snapshot,
    rss_kib: Option<u64>,
}

impl Window {
    /// Lets the run warm up, then counts for its duration or until a thread fails.
    pub fn measure(args: &BenchArgs, shared: &Shared) -> Result<Self> {
        let device = args.device_of.as_deref().map(Device::under).transpose()?;
        shared.wait(Duration::from_secs_f64(args.warm_up));
        let start = Snapshot::take(args, shared, device.as_ref())?;
        shared.set_measuring(true);
        shared.wait(Duration::from_secs_f64(args.duration));
        shared.set_measuring(false);
        let end = Snapshot::take(args, shared, device.as_ref())?;
        let rss_kib = args.pid.map(process::resident_kib).transpose()?;
        Ok(Self { start, end, rss_kib })
    }

    /// What was counted, per second and per message.
    pub fn report(
        &self,
        args: &BenchArgs,
        shared: &Shared,
        latency: &Latencies,
        confirm: &Latencies,
    ) -> Messages {
        let Self { start, end, rss_kib } = self;
        let seconds = end.at.duration_since(start.at).as_secs_f64();
        let published = end.published - start.published;
        let consumed = end.consumed - start.consumed;
        // A run without consumers is about publishing.
        let messages = if args.consumers > 0 { consumed } else { published };
        let per_message = |seconds: f64| (messages > 0).then(|| seconds * 1e6 / messages as f64);
        let own_cpu = end.own_cpu.saturating_sub(start.own_cpu).as_secs_f64();
        let broker_cpu = end
            .broker_cpu
            .zip(start.broker_cpu)
            .map(|(end, start)| end.saturating_sub(start).as_secs_f64());
        Messages {
            seconds,
            published_per_s: published as f64 / seconds,
            confirmed_per_s: (args.confirm > 0)
                .then(|| (end.confirmed - start.confirmed) as f64 / seconds),
            consumed_per_s: consumed as f64 / seconds,
            latency_us: latency.percentiles(),
            confirm_us: confirm.percentiles(),
            broker: broker_cpu.zip(*rss_kib).map(|(cpu, rss_kib)| BrokerCost {
                cpu_us_per_msg: per_message(cpu),
                cores: cpu / seconds,
                rss_kib,
            }),
            device: end.device.zip(start.device).map(|(end, start)| {
                DeviceCost::new(start, end, published, u64::from(args.size), seconds)
            }),
            generator_cpu_us_per_msg: per_message(own_cpu),
            generator_cores: own_cpu / seconds,
            nacked: shared.nacked.load(Ordering::Relaxed),
            blocked: shared.blocked.load(Ordering::Relaxed),
        }
    }
}
