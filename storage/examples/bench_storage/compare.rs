//! Engines in turn, over and over: the disk is noisy, so each cell is a median of several turns.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use lepus_storage::{LogStore, SledStore};
use serde_json::{Value, json};

use crate::device::Device;
use crate::embedded::Embedded;
use crate::engine::Engine;
use crate::process::cpu_seconds;
use crate::raw::{Kind, Raw};
use crate::stored::Stored;

const SIZES: [usize; 2] = [16, 1024];
const BATCHES: [usize; 3] = [1, 32, 512];
/// The most octets of bodies in one turn: what the log can write to files used before.
const MOST_BYTES: usize = 160 << 20;
/// The least commits in one turn.
const LEAST_COMMITS: usize = 3;

/// What to compare.
pub struct Plan {
    pub directory: PathBuf,
    pub rounds: usize,
    pub millis: u64,
    pub size: Option<usize>,
    pub batch: Option<usize>,
}

/// One engine with its measured turns.
struct Contender {
    name: &'static str,
    engine: Box<dyn Engine>,
    turns: Vec<Turn>,
}

#[derive(Default)]
struct Turn {
    messages: usize,
    commits: usize,
    seconds: f64,
    cpu: f64,
    written: u64,
    flushes: u64,
    /// Seconds of each commit.
    times: Vec<f64>,
}

/// Compares all engines under all kinds of batches.
pub fn run(plan: &Plan) -> Result<Value> {
    let wanted = |given: Option<usize>, value: &usize| given.is_none_or(|given| given == *value);
    let mut cells = Vec::new();
    for size in SIZES.into_iter().filter(|size| wanted(plan.size, size)) {
        for batch in BATCHES.into_iter().filter(|batch| wanted(plan.batch, batch)) {
            cells.push(cell(plan, size, batch)?);
        }
    }
    Ok(json!({ "rounds": plan.rounds - 1, "millis": plan.millis, "cells": cells }))
}

fn cell(plan: &Plan, size: usize, batch: usize) -> Result<Value> {
    let directory = plan.directory.join(format!("{size}-{batch}"));
    let mut contenders = contenders(&directory)?;
    let device = Device::under(&directory)?;
    let body = Bytes::from(vec![0x5A; size]);
    for round in 0..plan.rounds {
        for contender in &mut contenders {
            // What others have left in the page cache is not written at this one's expense.
            Command::new("sync").status().context("cannot run sync")?;
            let turn = turn(plan, contender.engine.as_mut(), &body, batch, device.as_ref())?;
            contender.engine.forget()?;
            if round > 0 {
                contender.turns.push(turn);
            }
        }
    }
    let engines: serde_json::Map<String, Value> = contenders
        .iter()
        .map(|it| (it.name.to_owned(), summary(&it.turns, size, device.is_some())))
        .collect();
    drop(contenders);
    std::fs::remove_dir_all(&directory)?;
    eprintln!("{size} B × {batch}: {}", brief(&engines));
    Ok(json!({ "size": size, "batch": batch, "engines": engines }))
}

/// The bare disk comes first and last: the two show how much it changed meanwhile.
fn contenders(directory: &Path) -> Result<Vec<Contender>> {
    let place = |name: &str| -> Result<PathBuf> {
        let place = directory.join(name);
        std::fs::create_dir_all(&place)?;
        Ok(place)
    };
    let contender = |name, engine| Contender { name, engine, turns: Vec::new() };
    Ok(vec![
        contender("raw", Box::new(Raw::create(&place("raw")?, Kind::Bodies)?) as Box<dyn Engine>),
        contender("log", Box::new(Stored::<LogStore>::open(&place("log")?)?.0)),
        contender("raw records", Box::new(Raw::create(&place("raw-records")?, Kind::Records)?)),
        contender("raw appended", Box::new(Raw::create(&place("raw-appended")?, Kind::Growing)?)),
        contender("sled engine", Box::new(Stored::<SledStore>::open(&place("engine")?)?.0)),
        contender("sled", Box::new(Embedded::open(&place("sled")?)?)),
        contender("raw again", Box::new(Raw::create(&place("raw-again")?, Kind::Bodies)?)),
    ])
}

fn turn(
    plan: &Plan,
    engine: &mut dyn Engine,
    body: &Bytes,
    batch: usize,
    device: Option<&Device>,
) -> Result<Turn> {
    let counts = || device.map_or(Ok((0, 0)), Device::written);
    let most = MOST_BYTES / (body.len() * batch).max(1);
    let mut turn = Turn::default();
    let (before, cpu, start) = (counts()?, cpu_seconds()?, Instant::now());
    let end = start + Duration::from_millis(plan.millis);
    while turn.commits < LEAST_COMMITS || (Instant::now() < end && turn.commits < most) {
        let began = Instant::now();
        engine.commit(body, batch)?;
        turn.times.push(began.elapsed().as_secs_f64());
        turn.commits += 1;
    }
    turn.seconds = start.elapsed().as_secs_f64();
    turn.cpu = cpu_seconds()? - cpu;
    turn.messages = turn.commits * batch;
    let after = counts()?;
    (turn.written, turn.flushes) = (after.0 - before.0, after.1 - before.1);
    Ok(turn)
}

fn summary(turns: &[Turn], size: usize, counted: bool) -> Value {
    let rates = turns.iter().map(|turn| turn.messages as f64 / turn.seconds).collect();
    let times = turns.iter().flat_map(|turn| turn.times.iter().copied()).collect();
    let sum = |of: fn(&Turn) -> f64| turns.iter().map(of).sum::<f64>();
    let (messages, commits) = (sum(|it| it.messages as f64), sum(|it| it.commits as f64));
    let per = |value: f64, by: f64| counted.then_some(value / by);
    json!({
        "per_s": median(rates),
        "commit_p50_us": median(times).map(|seconds| seconds * 1e6),
        "cpu_s_per_million": sum(|it| it.cpu) * 1e6 / messages,
        "device_bytes_per_byte": per(sum(|it| it.written as f64), messages * size as f64),
        "flushes_per_commit": per(sum(|it| it.flushes as f64), commits),
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn brief(engines: &serde_json::Map<String, Value>) -> String {
    let rate = |value: &Value| value.get("per_s").and_then(Value::as_f64).unwrap_or_default();
    let parts: Vec<String> =
        engines.iter().map(|(name, value)| format!("{name} {:.0}/s", rate(value))).collect();
    parts.join(", ")
}
