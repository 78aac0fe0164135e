//! `cargo xtask bench-scale`: what operators ask for, with very many queues and connections.

mod asked;
mod idle;
mod polling;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::scratch::free_port;
use crate::bench::{CONFIG, Peer, Scratch, generate, install, machine, replace_table, today};
use crate::tools;
use asked::Asked;

pub(crate) use idle::open as idle;

/// Targets: a page and `/metrics` in ms, a poll's effect on throughput.
const PAGE_MS: f64 = 50.0;
const METRICS_MS: f64 = 20.0;
const EFFECT: f64 = 0.05;

/// Rows of a page.
const PAGE: usize = 100;

/// Options of `cargo xtask bench-scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Durable queues
    #[arg(long, default_value_t = 100_000)]
    queues: usize,
    /// Connections with a channel each, which do nothing
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Loads with and without polling, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each load
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Write the table into docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// Use this binary instead of building Lepus
    #[arg(long, value_name = "PATH")]
    lepus: Option<PathBuf>,
}

/// What is measured.
struct Figures {
    start_s: f64,
    rss_mib: f64,
    page_ms: f64,
    metrics_ms: f64,
    objects: asked::Streamed,
    /// Messages a second in the median round, and the median of the rounds' ratios.
    quiet: f64,
    ratio: f64,
    polls: polling::Polls,
}

pub(crate) fn run(args: &ScaleArgs) -> Result<()> {
    ensure!(args.queues >= PAGE && args.rounds > 0, "at least {PAGE} queues and a round");
    let lepus = match &args.lepus {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => install::build_lepus()?,
    };
    let figures = measure(args, &lepus)?;
    let table = table(args, &figures);
    println!("\n{table}");
    if args.write {
        replace_table(&tools::root()?.join("docs/benchmarks.md"), "scale", &table)?;
    }
    Ok(())
}

fn measure(args: &ScaleArgs, lepus: &std::path::Path) -> Result<Figures> {
    let scratch = Scratch::new("scale")?;
    std::fs::write(scratch.path().join("definitions.json"), definitions(args.queues).to_string())?;
    std::fs::write(scratch.path().join(CONFIG), "load_definitions = definitions.json\n")?;
    let (http, metrics) = (free_port()?, free_port()?);
    let peer = Peer::lepus_at(lepus, scratch, [&http.to_string(), &metrics.to_string()])?;
    let connections = idle::open(peer.addr(), args.connections)?;
    let asked = Asked::new(http, metrics, peer.pid());
    asked.fill()?;
    eprintln!("{} queues, {} connections", args.queues, connections.len());
    let rss_mib = asked.rss_kib()? / 1024.0;
    let (page_ms, metrics_ms) = (asked.page()?, asked.metrics()?);
    eprintln!("page {page_ms:.1} ms, /metrics {metrics_ms:.1} ms, {rss_mib:.0} MiB");
    let objects = asked.per_object()?;
    eprintln!("/metrics/per-object: {}", objects.text());
    let (mut quiet, mut ratios) = (Vec::new(), Vec::new());
    let mut polls = polling::Polls::default();
    for round in 0..args.rounds {
        // The first of two is not always the same.
        let load = |polled: bool, polls: &mut polling::Polls| -> Result<f64> {
            let polling = polled.then(|| polling::start(&asked));
            let rate = throughput(args, lepus, &peer.url());
            if let Some(polling) = polling {
                polls.add(&polling.stop()?);
            }
            rate
        };
        let (without, with) = if round % 2 == 0 {
            let without = load(false, &mut polls)?;
            (without, load(true, &mut polls)?)
        } else {
            let with = load(true, &mut polls)?;
            (load(false, &mut polls)?, with)
        };
        eprintln!(
            "round {}: {without:.0}/s alone, {with:.0}/s polled: {:.3}",
            round + 1,
            with / without
        );
        quiet.push(without);
        ratios.push(with / without);
    }
    let start_s = peer.started_in.as_secs_f64();
    let (quiet, ratio) = (median(quiet), median(ratios));
    Ok(Figures { start_s, rss_mib, page_ms, metrics_ms, objects, quiet, ratio, polls })
}

/// Queues, and exchanges that lead to some of them.
fn definitions(queues: usize) -> Value {
    let queue = |number: usize| {
        json!({"name": format!("scale.{number:06}"), "vhost": "/", "durable": true,
            "auto_delete": false, "arguments": {}})
    };
    let exchange = |name: &&str| {
        json!({"name": name, "vhost": "/", "type": "fanout", "durable": true,
            "auto_delete": false, "internal": false, "arguments": {}})
    };
    let bindings = asked::EXCHANGES.iter().flat_map(|(name, every)| {
        (0..queues).step_by(*every).map(move |number| {
            json!({"source": name, "vhost": "/", "destination": format!("scale.{number:06}"),
                "destination_type": "queue", "routing_key": "", "arguments": {}})
        })
    });
    json!({
        "vhosts": [{"name": "/"}],
        "users": [{"name": "guest", "password": "guest", "tags": "administrator"}],
        "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        "queues": (0..queues).map(queue).collect::<Vec<_>>(),
        "exchanges": asked::EXCHANGES.iter().map(|(name, _)| exchange(name)).collect::<Vec<_>>(),
        "bindings": bindings.collect::<Vec<_>>(),
    })
}

/// Messages a second through one queue, acked one by one.
fn throughput(args: &ScaleArgs, lepus: &std::path::Path, url: &str) -> Result<f64> {
    let options = [url, "--size", "100", "--ack", "1", "--prefetch", "1000"];
    let report = generate(lepus, &options, args.seconds)?;
    report.pointer("/consumed_per_s").and_then(Value::as_f64).context("no throughput")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(args: &ScaleArgs, figures: &Figures) -> String {
    let mut text = format!(
        "{}: {} queues, {} connections with a channel, on {}. The clients are on the same machine; those that poll have the lowest priority.\n\n\
         | | measured | to reach |\n|---|---|---|\n",
        today(),
        args.queues,
        args.connections,
        machine(),
    );
    let verdict = |value: f64, most: f64| if value <= most { "met" } else { "**missed**" };
    let Figures { page_ms, metrics_ms, objects, ratio, .. } = figures;
    let mut row = |what: &str, measured: String, goal: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {what} | {measured} | {goal} |");
    };
    row(
        "start with the definitions to listening",
        format!("{:.1} s", figures.start_s),
        String::new(),
    );
    row("resident memory then", format!("{:.0} MiB", figures.rss_mib), String::new());
    let (page, metrics) = (verdict(*page_ms, PAGE_MS), verdict(*metrics_ms, METRICS_MS));
    row(
        &format!("{PAGE} of the queues, sorted by messages"),
        format!("{page_ms:.1} ms"),
        format!("≤ {PAGE_MS} ms ({page})"),
    );
    row("`/metrics`", format!("{metrics_ms:.1} ms"), format!("≤ {METRICS_MS} ms ({metrics})"));
    row("`/metrics/per-object`", objects.text(), "bounded memory".to_owned());
    let effect = verdict(1.0 - ratio, EFFECT);
    row(
        "throughput, 100 B, ack each, while all three are polled each second",
        format!("{:.3} of {:.0} /s", ratio, figures.quiet),
        format!("≥ {:.2} ({effect})", 1.0 - EFFECT),
    );
    row("polls meanwhile", figures.polls.text(), String::new());
    text.trim_end().to_owned()
}
