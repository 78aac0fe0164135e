//! The broker as a whole.

use axum::Json;
use serde_json::{Value, json};

use super::{Reply, Routes, done, ok, stats};
use crate::admin::Port;
use crate::admin::auth::{Caller, Tag};
use crate::admin::input::Input;
use crate::admin::table::get;
use crate::config::management::{API, METRICS, RatesMode, Service};
use crate::config::tls::TlsOptions;
use crate::definitions::RABBITMQ_VERSION;
use crate::node::Node;
use crate::routing::ExchangeKind;

const CLUSTER_NAME: &str = "cluster_name";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/overview", get(overview).shows("Overview"))
        .route("/api/whoami", get(whoami).shows("Whoami"))
        .route("/api/cluster-name", get(cluster_name).shows("ClusterName").put(set_cluster_name))
        .route("/api/extensions", get(extensions))
        .route("/api/version", get(version))
}

async fn whoami(caller: Caller) -> Reply {
    ok(json!({"name": caller.user(), "tags": caller.tags()}))
}

/// The part of the management pages that RabbitMQ has without further plugins.
async fn extensions(_: Caller) -> Reply {
    ok(json!([{"javascript": "dispatcher.js"}]))
}

/// Anybody may know.
async fn version() -> Json<&'static str> {
    Json(RABBITMQ_VERSION)
}

async fn cluster_name(caller: Caller) -> Reply {
    ok(json!({"name": name_of(caller.node())}))
}

async fn set_cluster_name(caller: Caller, input: Input) -> Reply {
    caller.must_be(Tag::Administrator)?;
    input.need(&["name"])?;
    let name = input.text("name")?;
    caller.node().set_global_parameter(caller.user(), CLUSTER_NAME, name.into());
    done()
}

fn name_of(node: &Node) -> String {
    node.cluster_name()
}

async fn overview(caller: Caller) -> Reply {
    let node = caller.node();
    let management = &node.config().management;
    let mut overview = json!({
        "management_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": "Lepus",
        "product_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": "",
        "erlang_full_version": "",
        "release_series_support_status": "supported",
        "rates_mode": rates_mode(management.rates_mode),
        "sample_retention_policies": {
            "global": [600, 3600, 28800, 86400], "basic": [600, 3600], "detailed": [600],
        },
        "exchange_types": exchange_types(),
        "cluster_name": name_of(node),
        "cluster_tags": {},
        "node_tags": {},
        "disable_stats": management.disable_stats,
        "enable_queue_totals": management.enable_queue_totals,
        "default_queue_type": node.config().default_queue_type,
        "is_op_policy_updating_enabled": !management.operator_policies_locked,
        "statistics_db_event_queue": 0,
        "node": Node::NAME,
        "listeners": [],
        "contexts": [],
    });
    let (seen, no_stats) = (stats::of_all(&caller), caller.leaves_out_stats());
    if !no_stats {
        overview["message_stats"] = stats::message_stats(&seen);
        for name in ["disk_reads", "disk_writes"] {
            overview["message_stats"][name] = json!(0);
            overview["message_stats"][format!("{name}_details")] = json!({"rate": 0.0});
        }
        overview["churn_rates"] = stats::churn_rates(&caller);
    }
    if !no_stats || caller.wants_queue_totals() {
        overview["queue_totals"] = stats::queue_totals(&seen);
        overview["object_totals"] = object_totals(&caller);
    }
    if caller.is(Tag::Monitoring) {
        overview["listeners"] = caller.ports().iter().map(|port| listener(&caller, port)).collect();
        overview["contexts"] = contexts(&caller);
    }
    ok(caller.view.one(overview))
}

/// RabbitMQ's word for how much of rates is reckoned.
pub(super) fn rates_mode(mode: RatesMode) -> &'static str {
    match mode {
        RatesMode::Basic | RatesMode::Detailed => "basic",
        RatesMode::None => "none",
    }
}

/// The types of exchanges that there are.
pub(super) fn exchange_types() -> Vec<Value> {
    ExchangeKind::all().map(exchange_type).to_vec()
}

fn exchange_type(kind: ExchangeKind) -> Value {
    let description = match kind {
        ExchangeKind::Direct => "AMQP direct exchange, as per the AMQP specification",
        ExchangeKind::Fanout => "AMQP fanout exchange, as per the AMQP specification",
        ExchangeKind::Topic => "AMQP topic exchange, as per the AMQP specification",
        ExchangeKind::Headers => "AMQP headers exchange, as per the AMQP specification",
        _ => "",
    };
    json!({"name": kind.name(), "description": description, "enabled": true})
}

/// What there is in the virtual hosts that the caller may know of.
fn object_totals(caller: &Caller) -> Value {
    let (mut queues, mut exchanges, mut connections, mut consumers) = (0, 0, 0, 0);
    for vhost in stats::vhosts(caller) {
        vhost.read(|topology| {
            // The default one is not among them.
            exchanges += topology.exchanges().count() + 1;
            queues += topology.queue_count();
        });
        connections += vhost.members.count();
        consumers += vhost.stats.totals.consumers.get();
    }
    json!({
        "channels": caller.node().channel_count(), "connections": connections,
        "consumers": consumers, "exchanges": exchanges, "queues": queues,
    })
}

fn listener(caller: &Caller, port: &Port) -> Value {
    let tls = port.protocol.ends_with("/ssl") || port.protocol.starts_with("https");
    let options = match port.protocol.starts_with("amqp") {
        true => json!({"backlog": caller.node().config().socket.backlog, "nodelay": true}),
        false => json!({"ip": port.address.ip().to_string(), "port": port.address.port()}),
    };
    json!({
        "node": Node::NAME,
        "protocol": port.protocol,
        "ip_address": port.address.ip().to_string(),
        "port": port.address.port(),
        "socket_opts": options,
        "tls": tls,
    })
}

/// Where HTTP is spoken, and for what.
pub(super) fn contexts(caller: &Caller) -> Value {
    let config = caller.node().config();
    let of = |service: &'static Service, description| {
        let config = &config;
        let ports = caller.ports().iter();
        let ports = ports.filter(move |port| service.protocols.contains(&port.protocol));
        ports.map(move |port| context(port, description, (service.tls.1)(config)))
    };
    of(&API, "RabbitMQ Management").chain(of(&METRICS, "RabbitMQ Prometheus")).collect()
}

fn context(port: &Port, description: &str, tls: &TlsOptions) -> Value {
    let options = match port.protocol.starts_with("https") {
        true => json!({
            "cacertfile": tls.cacertfile, "certfile": tls.certfile, "keyfile": tls.keyfile,
        }),
        false => json!([]),
    };
    json!({
        "node": Node::NAME,
        "description": description,
        "path": "/",
        "ip": port.address.ip().to_string(),
        "port": port.address.port().to_string(),
        "ssl_opts": options,
    })
}
