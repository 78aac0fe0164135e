//! Whether all is well.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{Reply, Routes, ok};
use crate::admin::Port;
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::table::get;
use crate::alarm::Alarm;
use crate::node::Node;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/health/checks/alarms", get(alarms))
        .route("/api/health/checks/local-alarms", get(alarms))
        .route("/api/health/checks/virtual-hosts", get(well))
        .route("/api/health/checks/node-is-mirror-sync-critical", get(alone))
        .route("/api/health/checks/node-is-quorum-critical", get(alone))
        .route("/api/health/checks/is-in-service", get(well))
        .route("/api/health/checks/ready-to-serve-clients", get(well))
        .route("/api/health/checks/below-node-connection-limit", get(below_limit))
        .route("/api/health/checks/reached-target-cluster-size", get(well))
        .route("/api/health/checks/metadata-store/initialized", get(well))
        .route("/api/health/checks/metadata-store/initialized/with-data", get(well))
        .route(&led("all-vhosts"), get(well))
        .route(&led("all-vhosts/pattern/{pattern}"), get(well))
        .route(&led("vhost/{vhost}"), get(well_in))
        .route(&led("vhost/{vhost}/pattern/{pattern}"), get(well_in_part))
        .route("/api/health/checks/port-listener/{port}", get(port_listener))
        .route("/api/health/checks/protocol-listener/{protocols}", get(protocol_listener))
        .route("/api/healthchecks/node", get(well))
        .route("/api/healthchecks/node/{node}", get(well_of))
}

/// 503, with what is wrong.
pub(super) fn failed(mut told: Value) -> Reply {
    told["status"] = "failed".into();
    Ok((StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response())
}

/// A broker that answers has all its virtual hosts, and serves.
async fn well(_: Caller) -> Reply {
    ok(json!({"status": "ok"}))
}

/// Whether quorum queues have leaders.
fn led(which: &str) -> String {
    format!("/api/health/checks/quorum-queues-without-elected-leaders/{which}")
}

async fn well_in(caller: Caller, Path(vhost): Path<String>) -> Reply {
    caller.vhost(&vhost)?;
    ok(json!({"status": "ok"}))
}

async fn well_in_part(caller: Caller, Path((vhost, _)): Path<(String, String)>) -> Reply {
    caller.vhost(&vhost)?;
    ok(json!({"status": "ok"}))
}

async fn below_limit(caller: Caller) -> Reply {
    let connections = caller.node().connections().len();
    let limit = caller.node().config().connection_max;
    let shown = limit.map_or_else(|| json!("infinity"), |limit| json!(limit));
    let mut told = json!({"connections": connections, "limit": shown});
    if limit.is_none_or(|limit| connections < limit as usize) {
        told["status"] = "ok".into();
        return ok(told);
    }
    told["reason"] = "node connection limit is reached".into();
    failed(told)
}

async fn well_of(_: Caller, Path(node): Path<String>) -> Reply {
    match node == Node::NAME {
        true => ok(json!({"status": "ok"})),
        false => Err(Fault::unknown()),
    }
}

async fn alone(_: Caller) -> Reply {
    ok(json!({"status": "ok", "reason": "single node cluster"}))
}

async fn alarms(caller: Caller) -> Reply {
    let all = [Alarm::Memory, Alarm::Disk, Alarm::Store].into_iter();
    let set = all.filter(|alarm| caller.node().alarms().is_set(*alarm));
    let set: Vec<Value> =
        set.map(|alarm| json!({"node": Node::NAME, "resource": alarm.name()})).collect();
    match set.is_empty() {
        true => ok(json!({"status": "ok"})),
        false => {
            failed(json!({"reason": "There are alarms in effect in the cluster", "alarms": set}))
        }
    }
}

async fn port_listener(caller: Caller, Path(port): Path<String>) -> Reply {
    let port: u16 = port.parse().map_err(|_| Fault::bad_request("Invalid port"))?;
    let ports: Vec<u16> = caller.ports().iter().map(|open| open.address.port()).collect();
    match ports.contains(&port) {
        true => ok(json!({"status": "ok", "port": port})),
        false => failed(json!({"reason": "No active listener", "missing": port, "ports": ports})),
    }
}

/// One of them is enough.
async fn protocol_listener(caller: Caller, Path(protocols): Path<String>) -> Reply {
    let open: Vec<&str> = caller.ports().iter().map(|port: &Port| port.protocol).collect();
    let wanted: Vec<&str> = protocols.split(',').map(|name| known_as(name.trim())).collect();
    if let Some(protocol) = wanted.iter().find(|protocol| open.contains(protocol)) {
        return ok(json!({"status": "ok", "protocol": protocol}));
    }
    let missing = wanted.join(",");
    failed(json!({"reason": "No active listener", "missing": missing, "protocols": open}))
}

/// RabbitMQ's other names of a protocol.
fn known_as(name: &str) -> &str {
    match name {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp10" | "amqp1.0" => "amqp",
        "amqps" | "amqp/tls" => "amqp/ssl",
        other => other,
    }
}
