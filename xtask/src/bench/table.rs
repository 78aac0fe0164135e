//! The figures as Markdown.

use std::fmt::Write;
use std::process::Command;

use super::goal;
use super::run::{Plan, Results, Who};
use super::scenario::{Metric, Scenario, digits};

const GENERATOR_CPU: &str = "/generator_cpu_us_per_msg";
const NO_FIGURE: &str = "—";
/// The rows of the README's table.
const SHORT: &[&str] = &["small", "1k", "paced", "durable-1k", "durable-16", "idle", "start"];

/// Where and how the figures were taken.
pub(super) fn about(plan: &Plan, rabbitmq: &str) -> String {
    format!(
        "{}: Lepus and RabbitMQ {rabbitmq} in turn on one machine ({}), generator \
         included; median of {} rounds of {} s.",
        today(),
        machine(),
        plan.rounds,
        plan.seconds,
    )
}

/// Cores, CPU and kernel.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}, Linux {}", cpu_model(), kernel())
}

/// Every scenario with every figure.
pub(super) fn full(plan: &Plan, results: &Results, rabbitmq: &str) -> String {
    let mut out = format!(
        "| scenario | RabbitMQ {rabbitmq} | Lepus | floor | ratio | to reach | generator |\n"
    );
    out.push_str("|---|---|---|---|---|---|---|\n");
    for scenario in &plan.scenarios {
        let [theirs, ours, floor] =
            [Who::RabbitMq, Who::Lepus, Who::Floor].map(|who| figures(results, scenario, who));
        let (ratio, goals) = (ratio(results, scenario), goal::all(results, scenario));
        let (title, own) = (scenario.title, generator(results, scenario));
        // Writing to a String cannot fail.
        let _ =
            writeln!(out, "| {title} | {theirs} | {ours} | {floor} | {ratio} | {goals} | {own} |");
    }
    out.push('\n');
    out.push_str(&missed(plan, results));
    out
}

fn missed(plan: &Plan, results: &Results) -> String {
    let missed: Vec<String> = plan
        .scenarios
        .iter()
        .map(|scenario| (scenario.id, goal::missed(results, scenario)))
        .filter(|(_, goals)| !goals.is_empty())
        .map(|(id, goals)| format!("`{id}` ({})", goals.join(", ")))
        .collect();
    match missed.as_slice() {
        [] => "Every target was reached in this run.".to_owned(),
        _ => format!("**Not reached in this run**: {}.", missed.join("; ")),
    }
}

/// The rows and columns that say most.
pub(super) fn short(plan: &Plan, results: &Results, rabbitmq: &str) -> String {
    let mut out =
        format!("| scenario | RabbitMQ {rabbitmq} | Lepus | ratio |\n|---|---|---|---|\n");
    for scenario in plan.scenarios.iter().filter(|scenario| SHORT.contains(&scenario.id)) {
        let [theirs, ours] = [Who::RabbitMq, Who::Lepus].map(|who| figures(results, scenario, who));
        let _ = writeln!(
            out,
            "| {} | {theirs} | {ours} | {} |",
            scenario.title,
            ratio(results, scenario)
        );
    }
    out.trim_end().to_owned()
}

fn figures(results: &Results, scenario: &Scenario, who: Who) -> String {
    let shown = |metric: &Metric| Some(metric.unit.show(results.median(scenario, who, *metric)?));
    let shown: Vec<_> = scenario.metrics.iter().filter_map(shown).collect();
    if shown.is_empty() { NO_FIGURE.to_owned() } else { shown.join(", ") }
}

fn ratio(results: &Results, scenario: &Scenario) -> String {
    let times = goal::ratio(results, scenario);
    times.map_or_else(|| NO_FIGURE.to_owned(), |times| format!("{} ×", digits(times)))
}

/// The generator's own CPU per message while it drove Lepus.
fn generator(results: &Results, scenario: &Scenario) -> String {
    let metric = Metric { pointer: GENERATOR_CPU, unit: super::scenario::Unit::CpuMicros };
    results
        .median(scenario, Who::Lepus, metric)
        .map_or_else(|| NO_FIGURE.to_owned(), |micros| metric.unit.show(micros))
}

fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.trim().to_owned())
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The date, as in 2026-01-31.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
