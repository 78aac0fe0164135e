//! The figures as Markdown.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::{digits, machine, today};

/// The columns, by the names in the measurement.
const ENGINES: [(&str, &str); 6] = [
    ("raw", "raw"),
    ("raw records", "raw, the log's octets"),
    ("raw appended", "raw, growing file"),
    ("log", "log"),
    ("sled engine", "sled engine"),
    ("sled", "sled + fdatasync"),
];

/// What the log is to reach of the raw limit, in per cent.
const SHARE: f64 = 80.0;

/// Where and how the figures were taken.
pub(super) fn about(rounds: u32, millis: u32) -> String {
    format!(
        "{}: one thread, one batch after the other, each safe before the next ({}); engines in turn, \
         median of {rounds} turns of {millis} ms. *raw* is one write and one fdatasync of the bodies, into a \
         file that was written before; it was measured before and after the others, and *drift* is by how much the two \
         differ. *raw, the log's octets* writes 30 octets more for each message and 40 for each commit, as the log does. \
         *sled engine* is \
         `storage.engine = sled`; *sled + fdatasync* is the bare database, key to body.\n\n",
        today(),
        machine(),
    )
}

/// One table for the rates and times, one for what they cost.
pub(super) fn comparison(compared: &Value) -> Result<String> {
    let cells = compared.get("cells").and_then(Value::as_array).context("no cells")?;
    let mut out = heading();
    out.push_str(
        " log of raw | log of raw, its octets | log of sled engine | drift |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for cell in cells {
        let figures = |name: &str| {
            let (rate, p50) = (of(cell, name, "per_s"), of(cell, name, "commit_p50_us"));
            format!("{}, {} µs", per_second(rate), digits(p50))
        };
        let row: Vec<String> = ENGINES.iter().map(|(name, _)| figures(name)).collect();
        let rate = |name| of(cell, name, "per_s");
        let limit = (rate("raw") + rate("raw again")) / 2.0;
        let drift = (rate("raw again") / rate("raw") - 1.0) * 100.0;
        let share = |limit: f64| rate("log") / limit * 100.0;
        let own = share(rate("raw records"));
        let verdict = if own >= SHARE { "met" } else { "**missed**" };
        writeln!(
            out,
            "| {} | {} | {:.0} % | {own:.0} % ({verdict}) | {} × | {drift:+.0} % |",
            title(cell),
            row.join(" | "),
            share(limit),
            digits(rate("log") / rate("sled engine")),
        )?;
    }
    write!(
        out,
        "\nMessages/s and p50 of a commit. The log is to reach {SHARE} % of what the disk can do with its octets.\n\n"
    )?;
    out.push_str(&costs(cells)?);
    Ok(out)
}

fn heading() -> String {
    let titles: Vec<&str> = ENGINES.iter().map(|(_, title)| *title).collect();
    format!("| body × batch | {} |", titles.join(" | "))
}

fn costs(cells: &[Value]) -> Result<String> {
    let mut out = heading();
    out.push_str("\n|---|---|---|---|---|---|---|\n");
    for cell in cells {
        let figures = |name: &str| {
            let [cpu, bytes, flushes] =
                ["cpu_s_per_million", "device_bytes_per_byte", "flushes_per_commit"]
                    .map(|figure| of(cell, name, figure));
            format!("{} s, {} ×, {flushes:.2}", digits(cpu), digits(bytes))
        };
        let row: Vec<String> = ENGINES.iter().map(|(name, _)| figures(name)).collect();
        writeln!(out, "| {} | {} |", title(cell), row.join(" | "))?;
    }
    out.push_str(
        "\nCPU seconds per million messages, bytes to the device per byte of bodies, device flushes per commit.\n",
    );
    Ok(out)
}

/// What a restart costs, and what memory a message takes.
pub(super) fn kept(all: &[Value]) -> String {
    let mut out = String::from(
        "\n| kept messages | fill | on disk | memory per message | open, all counted | first message | memory |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for one in all {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let number =
            |pointer: &str| one.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let cold = if one.get("cold") == Some(&Value::Bool(true)) { "cold" } else { "warm" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {}: {} × {} B, {cold} | {} | {} MB | {:.2} B | {:.3} s | {:.3} s | {} MB |",
            text("engine"),
            per_second(number("/messages")).trim_end_matches("/s"),
            number("/size"),
            per_second(number("/filled/per_s")),
            digits(number("/filled/disk_bytes") / 1e6),
            number("/filled/bytes_per_message"),
            number("/opened/open_s"),
            number("/opened/first_s"),
            digits(number("/opened/memory_kib") * 1024.0 / 1e6),
        );
    }
    out
}

fn title(cell: &Value) -> String {
    let number = |name: &str| cell.get(name).and_then(Value::as_u64).unwrap_or_default();
    let size = match number("size") {
        size if size >= 1024 => format!("{} KiB", size / 1024),
        size => format!("{size} B"),
    };
    format!("{size} × {}", number("batch"))
}

fn of(cell: &Value, engine: &str, figure: &str) -> f64 {
    let value = cell.get("engines").and_then(|it| it.get(engine)?.get(figure)?.as_f64());
    value.unwrap_or(f64::NAN)
}

fn per_second(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{} M/s", digits(rate / 1e6)),
        rate if rate >= 1e4 => format!("{} k/s", digits(rate / 1e3)),
        rate => format!("{rate:.0} /s"),
    }
}
