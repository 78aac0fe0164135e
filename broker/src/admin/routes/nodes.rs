//! The process that the broker is. There is one.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};

use super::{Reply, Routes, ok};
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::alarm::Alarm;
use crate::memory;
use crate::node::Node;

pub(super) fn routes() -> Routes {
    Router::new().route("/api/nodes", get(all)).route("/api/nodes/{node}", get(one))
}

async fn all(caller: Caller) -> Reply {
    caller.must_be(Tag::Monitoring)?;
    ok(caller.view.list(vec![show(&caller)])?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    caller.must_be(Tag::Monitoring)?;
    if name != Node::NAME {
        return Err(Fault::unknown());
    }
    ok(caller.view.one(show(&caller)))
}

fn show(caller: &Caller) -> Value {
    let (node, config) = (caller.node(), caller.node().config());
    json!({
        "name": Node::NAME,
        "type": "disc",
        "running": true,
        "os_pid": std::process::id().to_string(),
        "uptime": caller.uptime().as_millis() as u64,
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "mem_used": memory::allocated(),
        "mem_limit": config.memory_watermark,
        "mem_alarm": node.alarms().is_set(Alarm::Memory),
        "disk_free_limit": config.disk_free_limit,
        "disk_free_alarm": node.alarms().is_set(Alarm::Disk),
        "partitions": [],
        "enabled_plugins": [],
        "being_drained": false,
    })
}
