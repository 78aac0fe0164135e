//! What a run found, as text or as JSON.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::device::Written;
use super::latency::Percentiles;

/// The result of one run.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Report {
    Messages(Messages),
    IdleConnections(IdleConnections),
    Connects(Connects),
    Declares(Declares),
    Backlog(Backlog),
    RawCommits(RawCommits),
}

/// Publishing and consuming.
#[derive(Debug, Serialize)]
pub(super) struct Messages {
    pub seconds: f64,
    pub published_per_s: f64,
    pub confirmed_per_s: Option<f64>,
    pub consumed_per_s: f64,
    /// From publish to delivery, µs.
    pub latency_us: Option<Percentiles>,
    /// From publish to confirm, µs.
    pub confirm_us: Option<Percentiles>,
    pub broker: Option<BrokerCost>,
    pub device: Option<DeviceCost>,
    /// CPU time of this generator per message, µs; none without messages.
    pub generator_cpu_us_per_msg: Option<f64>,
    /// Cores that this generator kept busy.
    pub generator_cores: f64,
    pub nacked: u64,
    pub blocked: u64,
}

/// What the broker's process used.
#[derive(Debug, Serialize)]
pub(super) struct BrokerCost {
    pub cpu_us_per_msg: Option<f64>,
    pub cores: f64,
    pub rss_kib: u64,
}

/// What the disk's device wrote, for whomever it was.
#[derive(Debug, Serialize)]
pub(super) struct DeviceCost {
    /// Per byte of published bodies; none without messages.
    pub bytes_per_body_byte: Option<f64>,
    pub mb_per_s: f64,
    pub flushes_per_s: f64,
}

impl DeviceCost {
    /// From two readings, and what was published between them.
    pub fn new(start: Written, end: Written, messages: u64, size: u64, seconds: f64) -> Self {
        let bytes = end.bytes.saturating_sub(start.bytes) as f64;
        let bodies = messages * size;
        Self {
            bytes_per_body_byte: (bodies > 0).then(|| bytes / bodies as f64),
            mb_per_s: bytes / 1e6 / seconds,
            flushes_per_s: end.flushes.saturating_sub(start.flushes) as f64 / seconds,
        }
    }
}

/// Durable queues declared one after another.
#[derive(Debug, Serialize)]
pub(super) struct Declares {
    pub seconds: f64,
    pub declares_per_s: f64,
    pub latency_us: Option<Percentiles>,
    pub broker_cpu_us_per_declare: Option<f64>,
}

/// A queue filled and drained, or one step of that.
#[derive(Debug, Default, Serialize)]
pub(super) struct Backlog {
    pub fill: Option<Phase>,
    pub drain: Option<Phase>,
    /// What the queue says it holds.
    pub count: Option<u64>,
    /// From connecting to the first delivery, ms.
    pub first_ms: Option<f64>,
    /// The broker's memory at the end.
    pub rss_kib: Option<u64>,
    /// The most that it ever was.
    pub peak_rss_kib: Option<u64>,
}

/// Filling, or draining.
#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub per_s: f64,
    pub broker_cpu_us_per_msg: Option<f64>,
}

/// One write and one fdatasync, over and over.
#[derive(Debug, Serialize)]
pub(super) struct RawCommits {
    /// Into a file that was written before; under the name that confirms have, µs.
    pub confirm_us: Option<Percentiles>,
    /// At the end of a file that grows, µs.
    pub appended_us: Option<Percentiles>,
}

/// Open connections that do nothing.
#[derive(Debug, Serialize)]
pub(super) struct IdleConnections {
    pub connections: u32,
    pub rss_kib_before: u64,
    pub rss_kib_after: u64,
    pub kib_per_connection: f64,
}

/// Short-lived connections, one after another.
#[derive(Debug, Serialize)]
pub(super) struct Connects {
    pub seconds: f64,
    pub connects_per_s: f64,
    pub latency_us: Option<Percentiles>,
    pub broker_cpu_us_per_connect: Option<f64>,
}

impl Report {
    pub fn print(&self, json: bool) -> Result<()> {
        match json {
            true => println!("{}", serde_json::to_string(self)?),
            false => print!("{self}"),
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(messages) => messages.fmt(f),
            Self::IdleConnections(idle) => writeln!(
                f,
                "{} idle connections: {:.1} KiB each ({} → {} KiB)",
                idle.connections, idle.kib_per_connection, idle.rss_kib_before, idle.rss_kib_after
            ),
            Self::Declares(declares) => {
                writeln!(f, "declares   {:>12.0} /s", declares.declares_per_s)?;
                line(f, "latency", declares.latency_us.as_ref())?;
                if let Some(cpu) = declares.broker_cpu_us_per_declare {
                    writeln!(f, "broker     {cpu:>12.1} µs CPU per declare")?;
                }
                Ok(())
            }
            Self::Backlog(backlog) => backlog.fmt(f),
            Self::RawCommits(raw) => {
                line(f, "recycled", raw.confirm_us.as_ref())?;
                line(f, "appended", raw.appended_us.as_ref())
            }
            Self::Connects(connects) => {
                writeln!(f, "connects   {:>12.0} /s", connects.connects_per_s)?;
                line(f, "latency", connects.latency_us.as_ref())?;
                if let Some(cpu) = connects.broker_cpu_us_per_connect {
                    writeln!(f, "broker     {cpu:>12.1} µs CPU per connect")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, phase) in [("filled", &self.fill), ("drained", &self.drain)] {
            let Some(phase) = phase else { continue };
            let cpu = phase.broker_cpu_us_per_msg.unwrap_or(f64::NAN);
            writeln!(f, "{name:<10} {:>12.0} msg/s, {cpu:.3} µs broker CPU/msg", phase.per_s)?;
        }
        if let Some((count, first)) = self.count.zip(self.first_ms) {
            writeln!(f, "{count} messages, the first one after {first:.1} ms")?;
        }
        if let Some((kib, peak)) = self.rss_kib.zip(self.peak_rss_kib) {
            writeln!(f, "broker     {kib:>12} KiB resident, at most {peak}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "published  {:>12.0} msg/s", self.published_per_s)?;
        if let Some(confirmed) = self.confirmed_per_s {
            writeln!(f, "confirmed  {confirmed:>12.0} msg/s")?;
        }
        writeln!(f, "consumed   {:>12.0} msg/s", self.consumed_per_s)?;
        line(f, "latency", self.latency_us.as_ref())?;
        line(f, "confirms", self.confirm_us.as_ref())?;
        if let Some(broker) = &self.broker {
            writeln!(
                f,
                "broker     {:>12.3} µs CPU/msg, {:.2} cores, {} KiB resident",
                broker.cpu_us_per_msg.unwrap_or(f64::NAN),
                broker.cores,
                broker.rss_kib
            )?;
        }
        if let Some(device) = &self.device {
            writeln!(
                f,
                "device     {:>12.3} bytes per byte of bodies, {:.1} MB/s, {:.0} flushes/s",
                device.bytes_per_body_byte.unwrap_or(f64::NAN),
                device.mb_per_s,
                device.flushes_per_s
            )?;
        }
        writeln!(
            f,
            "generator  {:>12.3} µs CPU/msg, {:.2} cores",
            self.generator_cpu_us_per_msg.unwrap_or(f64::NAN),
            self.generator_cores
        )?;
        if self.nacked + self.blocked > 0 {
            writeln!(f, "nacked {} messages, blocked {} times", self.nacked, self.blocked)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, latencies: Option<&Percentiles>) -> fmt::Result {
    let Some(l) = latencies else { return Ok(()) };
    writeln!(
        f,
        "{name:<10} p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs, max {:.1} µs ({} samples)",
        l.p50, l.p99, l.p999, l.max, l.samples
    )
}
