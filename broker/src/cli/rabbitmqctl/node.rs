//! The broker as a process: its start, its end, its log.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::call::{Call, UNAVAILABLE, USAGE, error, part};
use crate::cli::client::path;
use crate::cli::failure::{Done, Failure};
use crate::cli::table::{rows, text};
use crate::definitions::RABBITMQ_VERSION;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Seconds that RabbitMQ waits for a start if nothing is said; more than for an answer.
const STARTUP: f64 = 300.0;

pub fn version(call: &Call) -> Done {
    call.print(RABBITMQ_VERSION)
}

pub fn server_version(call: &Call) -> Done {
    call.banner(&format!("Asking node {} for its RabbitMQ version...", call.node()))?;
    let overview = call.client()?.get(&path(&["overview"]))?;
    call.answer(&part(&overview, "rabbitmq_version"), &overview["rabbitmq_version"])
}

pub fn log_location(call: &Call) -> Done {
    call.banner(&format!("Log file location(s) on node {} ...", call.node()))?;
    let nodes = rows(&call.client()?.get(&path(&["nodes"]))?);
    let files = nodes.iter().flat_map(|node| rows(&node["log_files"]));
    files.map(|file| text(&file)).try_for_each(|file| call.print(&file))
}

pub fn enable_feature_flag(call: &Call) -> Done {
    let flag = call.word(0);
    match flag {
        "all" => call.banner("Enabling all feature flags ...")?,
        flag => call.banner(&format!("Enabling feature flag \"{flag}\" ..."))?,
    }
    let client = call.client()?;
    if flag == "all" {
        // They always are.
        return client.get(&path(&["feature-flags"])).map(drop);
    }
    client.put(&path(&["feature-flags", flag, "enable"]), &json!({})).map(drop).map_err(|failure| {
        match failure.status {
            Some(_) => {
                error(USAGE, format!("This feature flag is not supported by node {}", call.node()))
            }
            None => failure,
        }
    })
}

pub fn set_cluster_name(call: &Call) -> Done {
    let name = call.word(0);
    call.banner(&format!("Setting cluster name to {name} ..."))?;
    call.client()?.put(&path(&["cluster-name"]), &json!({"name": name})).map(drop)
}

/// There are no leaders to spread.
pub fn rebalance(call: &Call) -> Done {
    call.banner(&format!("Re-balancing leaders of {} queues...", call.word(0)))?;
    call.client()?.post(&path(&["rebalance", "queues"]), &json!({})).map(drop)
}

pub fn await_startup(call: &Call) -> Done {
    await_answer(call, || true)
}

/// There is one.
pub fn await_online_nodes(call: &Call) -> Done {
    let count = call.word(0);
    call.banner(&format!(
        "Will wait for at least {count} nodes to join the cluster of {}. Timeout: {} seconds.",
        call.node(),
        call.seconds_or(STARTUP)
    ))?;
    await_answer(call, || true)?;
    match count.parse::<u32>() {
        Ok(0 | 1) => Ok(()),
        _ => Err(error(UNAVAILABLE, "Lepus is one node: there will be no more")),
    }
}

/// Until the broker answers, as long as it may still do so.
fn await_answer(call: &Call, may_come: impl Fn() -> bool) -> Done {
    let until = Instant::now() + Duration::from_secs_f64(call.seconds_or(STARTUP));
    loop {
        match call.client()?.get(&path(&["whoami"])) {
            Ok(_) => return Ok(()),
            Err(failure) if failure.status.is_some() => return Err(failure),
            Err(_) if !may_come() => return Err(error(UNAVAILABLE, "process_not_running")),
            Err(_) if Instant::now() >= until => return Err(error(UNAVAILABLE, "timeout")),
            Err(_) => sleep(PAUSE),
        }
    }
}

pub fn wait(call: &Call) -> Done {
    let node = call.node();
    let pid = match (call.options.pid, call.words.first()) {
        (Some(pid), _) => pid,
        (None, Some(file)) => {
            call.banner(&format!("Waiting for pid file '{file}' to appear"))?;
            let pid = read_pid(call, file)?;
            call.banner(&format!("pid is {pid}"))?;
            pid
        }
        (None, None) => {
            return Err(Failure::new(
                USAGE,
                "Error (argument validation): Cannot proceed without a pid file or --pid",
            ));
        }
    };
    call.banner(&format!(
        "Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"
    ))?;
    await_answer(call, || runs(pid))?;
    call.banner(&format!(
        "Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"
    ))?;
    call.banner(&format!("Applications 'rabbit_and_plugins' are running on node '{node}'"))
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn read_pid(call: &Call, file: &str) -> Done<u32> {
    let until = Instant::now() + Duration::from_secs_f64(call.seconds_or(STARTUP));
    loop {
        let pid = fs::read_to_string(file).ok().and_then(|pid| pid.trim().parse().ok());
        match pid {
            Some(pid) => return Ok(pid),
            None if Instant::now() >= until => return Err(error(UNAVAILABLE, "timeout")),
            None => sleep(PAUSE),
        }
    }
}

/// Ends the broker and waits until its process has gone.
pub fn stop(call: &Call) -> Done {
    let client = call.client()?;
    let pid = part(&call.facts(&client)?, "os_pid");
    call.banner(&format!("Stopping and halting node {} ...", call.node()))?;
    match client.post(&path(&["x", "stop"]), &json!({})) {
        // It may be gone before it has answered.
        Err(failure) if failure.status.is_some() => return Err(failure),
        _ => {}
    }
    let Ok(pid) = pid.parse::<u32>() else { return Ok(()) };
    let until = Instant::now() + Duration::from_secs_f64(call.seconds_or(STARTUP));
    while runs(pid) {
        if Instant::now() >= until {
            return Err(error(UNAVAILABLE, format!("OS process {pid} has not ended yet")));
        }
        sleep(PAUSE);
    }
    Ok(())
}

pub fn stop_app(call: &Call) -> Done {
    call.banner(&format!("Stopping rabbit application on node {} ...", call.node()))?;
    Err(error(
        UNAVAILABLE,
        "Lepus has no runtime apart from the broker that could go on without it: nothing was done.\n\
         To stop the broker: rabbitmqctl stop. To hold clients back: lepus queues pause.",
    ))
}

/// A broker that answers has started.
pub fn start_app(call: &Call) -> Done {
    call.banner(&format!("Starting node {} ...", call.node()))?;
    call.client()?.get(&path(&["whoami"])).map(drop)
}

pub fn reset(call: &Call) -> Done {
    call.banner(&format!("Resetting node {} ...", call.node()))?;
    Err(error(
        UNAVAILABLE,
        "Lepus does not throw all data away at a word: nothing was done.\n\
         Stop the broker and remove its data directory.",
    ))
}

pub fn rotate_logs(call: &Call) -> Done {
    call.banner(&format!("Rotating logs for node {} ...", call.node()))?;
    call.client()?.post(&path(&["x", "logs", "rotate"]), &json!({})).map(drop)
}

pub fn set_log_level(call: &Call) -> Done {
    const LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "none"];
    let level = call.word(0);
    if !LEVELS.contains(&level) {
        let levels = LEVELS.join(", ");
        let why = format!("level {level} is not supported. Try one of {levels}");
        return Err(error(UNAVAILABLE, why));
    }
    call.banner(&format!("Setting log level to \"{level}\" ..."))?;
    call.client()?.put(&path(&["x", "log-level"]), &json!({"level": level})).map(drop)
}

/// There is no garbage.
pub fn force_gc(call: &Call) -> Done {
    call.banner(&format!(
        "Will ask all processes on node {} to schedule a full sweep GC",
        call.node()
    ))?;
    call.client()?.get(&path(&["whoami"])).map(drop)
}
