//! Whether all is well.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Reply, Routes, ok};
use crate::admin::Port;
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::alarm::Alarm;
use crate::node::Node;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/health/checks/alarms", get(alarms))
        .route("/api/health/checks/local-alarms", get(alarms))
        .route("/api/health/checks/virtual-hosts", get(well))
        .route("/api/health/checks/node-is-mirror-sync-critical", get(alone))
        .route("/api/health/checks/node-is-quorum-critical", get(alone))
        .route("/api/health/checks/is-in-service", get(well))
        .route("/api/health/checks/ready-to-serve-clients", get(well))
        .route("/api/health/checks/port-listener/{port}", get(port_listener))
        .route("/api/health/checks/protocol-listener/{protocols}", get(protocol_listener))
        .route("/api/healthchecks/node", get(well))
        .route("/api/healthchecks/node/{node}", get(well_of))
}

fn failed(mut told: Value) -> Reply {
    told["status"] = "failed".into();
    Ok((StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response())
}

/// A broker that answers has all its virtual hosts, and serves.
async fn well(_: Caller) -> Reply {
    ok(json!({"status": "ok"}))
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
