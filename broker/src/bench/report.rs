//! What a run found, as text or as JSON.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::latency::Percentiles;

/// The result of one run.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Report {
    Messages(Messages),
    IdleConnections(IdleConnections),
    Connects(Connects),
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
