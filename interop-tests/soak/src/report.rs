//! The figures, and whether they are good enough.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use lepus_crash::figures::figure;

use crate::faults::Fault;
use crate::ledger::Ledger;
use crate::measure::{Course, Samples};

/// By how much memory may grow in the last life: octets, or this part of what it is.
const MEMORY: f64 = 32.0 * MIB;
const PART: f64 = 0.15;
/// The same of descriptors.
const DESCRIPTORS: f64 = 8.0;
/// A slope over less than this says nothing, in seconds.
const LEAST: f64 = 30.0;
const MIB: f64 = 1024.0 * 1024.0;

/// How often a fault was survived, and how long it took at most until all went on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Survived {
    times: u32,
    longest: Duration,
}

impl Survived {
    pub fn note(&mut self, took: Duration) {
        self.times += 1;
        self.longest = self.longest.max(took);
    }
}

/// What the run came to.
pub struct Report<'a> {
    pub seconds: f64,
    pub survived: BTreeMap<Fault, Survived>,
    pub ledger: &'a Ledger,
    pub samples: &'a Samples,
}

/// A name, and what it came to.
type Row = (&'static str, String);

impl Report<'_> {
    /// Prints all and leaves it where it is collected; an error tells what is not good enough.
    pub fn print(&self) -> Result<()> {
        let (memory, descriptors) = self.samples.last_life().unzip();
        println!();
        for (name, text) in self.rows(memory.as_ref(), descriptors.as_ref()) {
            println!("{name:<17} {text}");
            figure(name, text)?;
        }
        self.print_faults();
        let (lost, first) = self.ledger.missing();
        let first = first.unwrap_or_default();
        ensure!(lost == 0, "{lost} confirmed messages are lost; the first is {first}");
        let violations = self.ledger.violations.len();
        ensure!(violations == 0, "{violations} violations");
        let bound = |course: &Course| MEMORY.max(course.median * PART);
        check("memory", memory, bound)?;
        check("descriptors", descriptors, |_| DESCRIPTORS)
    }

    fn rows(&self, memory: Option<&Course>, descriptors: Option<&Course>) -> Vec<Row> {
        let totals = &self.ledger.totals;
        let all: u32 = self.survived.values().map(|survived| survived.times).sum();
        let longest = self.survived.values().map(|survived| survived.longest).max();
        let (kinds, longest) = (self.survived.len(), longest.unwrap_or_default().as_secs_f32());
        let mut rows = vec![
            ("time", format!("{:.1} min", self.seconds / 60.0)),
            ("messages", format!("{} confirmed, {} consumed", totals.confirmed, totals.delivered)),
            (
                "refused by a nack",
                format!(
                    "{}; {} came all the same",
                    totals.refused,
                    self.ledger.refused_and_there()
                ),
            ),
            (
                "faults survived",
                format!(
                    "{all} of {kinds} kinds, {} reconnections; all clients went on after at most {longest:.1} s",
                    totals.reconnects
                ),
            ),
            ("lost", self.ledger.missing().0.to_string()),
            (
                "doubled",
                format!(
                    "{} with the flag `redelivered` and {} without it, all but {} of them after a fault",
                    totals.again, totals.again_unflagged, totals.unexplained
                ),
            ),
        ];
        rows.extend(memory.map(|memory| ("memory", course(memory, MIB, "MiB"))));
        rows.extend(descriptors.map(|open| ("descriptors", course(open, 1.0, "open"))));
        rows.push(("latency", latency(&self.ledger.latency)));
        rows.push(("  no fault", latency(&self.ledger.quiet)));
        rows
    }

    fn print_faults(&self) {
        for (fault, Survived { times, longest }) in &self.survived {
            let (fault, longest) = (format!("{fault:?}"), longest.as_secs_f32());
            println!("  {fault:<15} {times:>4}   all went on after at most {longest:.1} s");
        }
    }
}

fn course(course: &Course, unit: f64, units: &str) -> String {
    let Course { seconds, median, most, slope } = course;
    format!(
        "{:.1} {units} (median of the last {seconds:.0} s), at most {:.1}, slope {:+.2} an hour",
        median / unit,
        most / unit,
        slope * 3600.0 / unit
    )
}

fn latency(latency: &Histogram<u64>) -> String {
    let ms = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
    format!(
        "p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.0} ms of {} messages",
        ms(0.5),
        ms(0.95),
        ms(0.99),
        ms(0.999),
        ms(1.0),
        latency.len()
    )
}

fn check(what: &str, course: Option<Course>, bound: impl Fn(&Course) -> f64) -> Result<()> {
    let Some(course) = course.filter(|course| course.seconds >= LEAST) else {
        println!("the last life was too short to say whether {what} grows");
        return Ok(());
    };
    let (growth, bound) = (course.growth(), bound(&course));
    ensure!(growth <= bound, "{what} grew by {growth:.0}; no more than {bound:.0} is allowed");
    Ok(())
}
