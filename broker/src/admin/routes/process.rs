//! The process that the broker is: its log, its settings, its end.

use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;

use super::{Reply, Routes, done, ok};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::Input;
use crate::admin::table::{get, post};
use crate::config::cli::as_json;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/x/log-level", get(level).shows("LogLevel").put(set_level))
        .route("/api/x/logs/rotate", post(rotate))
        .route("/api/x/environment", get(environment))
        .route("/api/config/effective", get(environment))
        .route("/api/x/stop", post(stop))
}

async fn level(caller: Caller) -> Reply {
    caller.must_be(Tag::Monitoring)?;
    ok(json!({"level": caller.running().log().level()}))
}

async fn set_level(caller: Caller, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    input.need(&["level"])?;
    let level = input.text("level")?;
    caller.running().log().set_level(level).map_err(Fault::bad_request)?;
    tracing::info!("{} has set the level of the log to {level}", caller.user());
    done()
}

async fn rotate(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    caller.running().log().rotate();
    done()
}

/// Each setting that holds, with where it comes from.
async fn environment(caller: Caller) -> Reply {
    caller.must_be(Tag::Administrator)?;
    ok(as_json(&caller.running().settings()))
}

/// Ends the broker as SIGTERM does.
async fn stop(caller: Caller) -> Reply {
    caller.must_be_owner()?;
    tracing::info!("{} stops the broker", caller.user());
    let told = kill_process(getpid(), Signal::TERM);
    told.map_err(|error| Fault::unavailable(&error.to_string()))?;
    done()
}
