//! Rounds: start both brokers, give each load to one and then to the other, collect the figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::peer::Peer;
use super::scenario::{Floor, Load, Metric, Scenario};
use super::{backlog, rabbitmq};

/// Seconds of each load before measuring.
const WARM_UP: &str = "2";
/// Time for a broker to get rid of what the last load left.
const REST: Duration = Duration::from_millis(500);

/// What to run.
#[derive(Debug)]
pub(super) struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    /// Messages in the longest queue.
    pub backlog: u64,
    /// MiB in the deepest one.
    pub deep: u64,
    pub scenarios: Vec<&'static Scenario>,
    /// Both the broker and, as `lepus bench`, the generator.
    pub lepus: PathBuf,
}

/// Who was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    RabbitMq,
    Lepus,
    Floor,
}

/// The generator's reports, one per round, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Results {
    reports: BTreeMap<(&'static str, Who), Vec<Value>>,
    pub failures: Vec<String>,
}

impl Results {
    /// Median over the rounds.
    pub fn median(&self, scenario: &Scenario, who: Who, metric: Metric) -> Option<f64> {
        let reports = self.reports.get(&(scenario.id, who))?;
        median(
            reports.iter().filter_map(|report| report.pointer(metric.pointer)?.as_f64()).collect(),
        )
    }

    fn add(&mut self, scenario: &Scenario, who: Who, report: Result<Value>) {
        match report {
            Ok(report) => self.reports.entry((scenario.id, who)).or_default().push(report),
            Err(error) => {
                eprintln!("  {:<14} {who:?}: {error:#}", scenario.id);
                self.failures.push(format!("{}, {who:?}: {error:#}", scenario.id));
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    match values.len() % 2 {
        1 => Some(upper),
        _ => Some((values.get(middle - 1)? + upper) / 2.0),
    }
}

/// Runs the plan. A load that fails is noted and the rest goes on.
pub(super) fn all(plan: &Plan) -> Result<Results> {
    let mut results = Results::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        self::round(plan, round, &mut results)?;
    }
    Ok(results)
}

fn round(plan: &Plan, round: u32, results: &mut Results) -> Result<()> {
    // Fresh brokers each round: none is helped or hurt by what earlier rounds left in it.
    let peers = [
        (Who::RabbitMq, rabbitmq::start().context("RabbitMQ did not start")?),
        (Who::Lepus, Peer::lepus(&plan.lepus).context("Lepus did not start")?),
        (Who::Floor, Peer::floor(&plan.lepus).context("the floor did not start")?),
    ];
    for (_, peer) in &peers {
        peer.pause()?;
    }
    let mut scenarios = plan.scenarios.clone();
    scenarios.sort_by_key(|scenario| scenario.turn);
    // Long queues take minutes, and are measured once.
    scenarios.retain(|scenario| {
        round == 1 || !matches!(scenario.load, Load::Backlog(_) | Load::Deep(_))
    });
    for scenario in scenarios {
        for (who, peer) in &peers {
            if *who != Who::Floor || scenario.floor != Floor::None {
                results.add(scenario, *who, measure(plan, scenario, *who, peer));
            }
        }
    }
    Ok(())
}

fn measure(plan: &Plan, scenario: &Scenario, who: Who, peer: &Peer) -> Result<Value> {
    let report = match (scenario.load, scenario.floor) {
        (_, Floor::Disk(options)) if who == Who::Floor => {
            let directory = peer.directory().display().to_string();
            let raw = [&["--raw-commits", &directory], options].concat();
            generate(&plan.lepus, &raw, plan.seconds)?
        }
        (Load::Start, _) => json!({ "seconds": peer.started_in.as_secs_f64() }),
        (Load::Bench(options), _) => load(plan, peer, options)?,
        (Load::Device(options), _) => {
            let directory = peer.directory().display().to_string();
            load(plan, peer, &[options, &["--device-of", &directory]].concat())?
        }
        // RabbitMQ would take minutes to fill the queue, and to start with it.
        (Load::Backlog(_) | Load::Deep(_), _) if who != Who::Lepus => return Ok(json!({})),
        (Load::Backlog(options), _) => backlog::long(plan, options)?,
        (Load::Deep(options), _) => backlog::deep(plan, options)?,
    };
    let figures = scenario.metrics.iter().filter_map(|metric| {
        report.pointer(metric.pointer)?.as_f64().map(|value| metric.unit.show(value))
    });
    eprintln!(
        "  {:<14} {:<9} {}",
        scenario.id,
        format!("{who:?}"),
        figures.collect::<Vec<_>>().join(", ")
    );
    Ok(report)
}

/// Lets a broker run for one load.
fn load(plan: &Plan, peer: &Peer, options: &[&str]) -> Result<Value> {
    peer.resume()?;
    std::thread::sleep(REST);
    let pid = peer.pid().to_string();
    let report =
        generate(&plan.lepus, &[options, &[&peer.url(), "--pid", &pid]].concat(), plan.seconds);
    peer.pause()?;
    report
}

/// Runs `lepus bench` and returns its report.
pub(crate) fn generate(lepus: &Path, options: &[&str], seconds: u32) -> Result<Value> {
    let output = Command::new(lepus)
        .args(["bench", "--json", "--warm-up", WARM_UP])
        .args(["--duration", &seconds.to_string()])
        .args(options)
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::piped())
        .output()
        .context("cannot run the generator")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the generator failed: {}", errors.trim());
    serde_json::from_slice(&output.stdout).context("the generator printed no JSON")
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_of_odd_even_none() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
