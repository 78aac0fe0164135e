//! The log, its last lines or as it is written, and events as they happen.

use std::fs;
use std::io::BufRead;
use std::process::exit;
use std::thread::{sleep, spawn};
use std::time::Duration;

use regex::Regex;
use serde_json::{Map, Value};

use super::call::{Call, UNAVAILABLE, USAGE, error};
use crate::cli::client::path;
use crate::cli::failure::{Done, Failure};
use crate::cli::logs;
use crate::cli::table::{rows, text};

/// Lines of the log that are shown if nothing is said.
const LINES: usize = 50;

/// The last lines of the log's file, which must be on this machine.
pub fn log_tail(call: &Call) -> Done {
    let count = call.options.number.unwrap_or(LINES);
    call.banner(&format!("Last {count} log lines on node {} ...", call.node()))?;
    let node = call.facts(&call.client()?)?;
    let files = rows(&node["log_files"]).iter().map(text).collect::<Vec<_>>();
    let file = files.iter().find(|file| !file.starts_with('<'));
    let file = file.ok_or_else(|| error(UNAVAILABLE, "the log is in no file"))?;
    let octets = fs::read(file).map_err(|why| error(UNAVAILABLE, format!("{file}: {why}")))?;
    let log = String::from_utf8_lossy(&octets);
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(count)..).unwrap_or_default();
    if last.is_empty() { Ok(()) } else { call.print(&last.join("\n")) }
}

/// Lines of the log from now on.
pub fn log_tail_stream(call: &Call) -> Done {
    follow(call, "logs", |_, line| Some(logs::shown(&line)))
}

/// Events from now on, a JSON object a line.
pub fn consume_event_stream(call: &Call) -> Done {
    let pattern = call.options.pattern.as_deref().map(Regex::new).transpose();
    let pattern = pattern.map_err(|why| Failure::new(USAGE, why.to_string()))?;
    follow(call, "events", |name, event| {
        let is_wanted = pattern.as_ref().is_none_or(|pattern| pattern.is_match(name));
        is_wanted.then(|| {
            let mut whole = Map::from_iter([("event".to_owned(), name.into())]);
            whole.extend(event.as_object().cloned().unwrap_or_default());
            Value::Object(whole).to_string()
        })
    })
}

/// Prints what becomes of the events of a stream, for a while or for ever.
fn follow(call: &Call, stream: &str, show: impl Fn(&str, Value) -> Option<String>) -> Done {
    let duration = call.options.duration.filter(|seconds| (0.0..1e9).contains(seconds));
    let time = duration.map(|seconds| format!(" for {seconds} seconds")).unwrap_or_default();
    call.banner(&format!("Streaming logs from node {}{time} ...", call.node()))?;
    let lines = call.client()?.stream(&path(&["x", stream]))?.lines();
    if let Some(seconds) = duration {
        spawn(move || {
            sleep(Duration::from_secs_f64(seconds));
            // Each line is written by now, and another one is waited for.
            exit(0);
        });
    }
    let mut name = String::new();
    for line in lines {
        let line = line?;
        if let Some(event) = line.strip_prefix("event:") {
            event.trim_start().clone_into(&mut name);
        }
        let data = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok());
        if let Some(shown) = data.and_then(|data| show(&name, data)) {
            call.print(&shown)?;
        }
    }
    Ok(())
}
