//! The process that the broker is. There is one.

use lepus_storage::disk::{Disk, RealDisk};
use serde_json::{Map, Value, json};

use super::{Reply, Routes, ok, overview, stats};
use crate::access::sasl::Mechanism;
use crate::admin::auth::{Caller, Tag};
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::table::get;
use crate::alarm::Alarm;
use crate::config::logging::Logging;
use crate::definitions::RABBITMQ_VERSION;
use crate::node::Node;
use crate::{descriptors, memory};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/nodes", get(all).lists("Node"))
        .route("/api/nodes/{node}", get(one).shows("Node"))
        .route("/api/nodes/{node}/memory", get(memory_of))
        .route("/api/nodes/{node}/memory/relative", get(relative_memory_of))
        .route("/api/nodes/{node}/memory/ets", get(tables_of))
}

async fn all(caller: Caller) -> Reply {
    caller.must_be(Tag::Monitoring)?;
    ok(caller.view.list(vec![show(&caller)])?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    must_watch(&caller, &name)?;
    ok(caller.view.one(show(&caller)))
}

/// Refuses who may not see what happens in a node, and other nodes than this one.
pub(super) fn must_watch(caller: &Caller, node: &str) -> Result<(), Fault> {
    caller.must_be(Tag::Monitoring)?;
    must_be_here(node)
}

/// Refuses other nodes than this one.
pub(super) fn must_be_here(node: &str) -> Result<(), Fault> {
    if node == Node::NAME { Ok(()) } else { Err(Fault::unknown()) }
}

fn show(caller: &Caller) -> Value {
    let (node, config) = (caller.node(), caller.node().config());
    let data_dir = config.data_dir.as_deref();
    let disk_free = data_dir.and_then(|directory| RealDisk.free_bytes(directory).ok());
    let connections = node.connection_count();
    let mut shown = json!({
        "name": Node::NAME,
        "type": "disc",
        "running": true,
        "being_drained": false,
        "partitions": [],
        "cluster_links": [],
        "rabbitmq_version": RABBITMQ_VERSION,
        "os_pid": std::process::id().to_string(),
        "uptime": caller.uptime().as_millis() as u64,
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "run_queue": 0,
        "net_ticktime": 60,
        "rates_mode": overview::rates_mode(config.management.rates_mode),
        "mem_used": memory::allocated(),
        "mem_limit": config.memory_watermark,
        "mem_alarm": node.alarms().is_set(Alarm::Memory),
        "mem_calculation_strategy": "allocated",
        "disk_free": disk_free,
        "disk_free_limit": config.disk_free_limit,
        "disk_free_alarm": node.alarms().is_set(Alarm::Disk),
        "fd_used": descriptors::used(),
        "fd_total": descriptors::limit(),
        "sockets_used": connections,
        "sockets_total": config.connections_max,
        "proc_used": memory::threads(),
        "proc_total": 1_048_576,
        "db_dir": data_dir.map(|directory| directory.display().to_string()),
        "log_files": log_files(&config.log),
        "config_files": caller.running().settings().files(),
        "enabled_plugins": ["rabbitmq_management", "rabbitmq_prometheus"],
        "applications": [
            {"name": "rabbit", "description": "Lepus", "version": RABBITMQ_VERSION},
        ],
        "exchange_types": overview::exchange_types(),
        "auth_mechanisms": Mechanism::offered(&config.auth, true)
            .split(' ')
            .map(|name| json!({"name": name, "description": "", "enabled": true}))
            .collect::<Vec<_>>(),
        "contexts": overview::contexts(caller),
    });
    if let (false, Value::Object(shown)) = (caller.leaves_out_stats(), &mut shown) {
        shown.extend(stats::churn(caller));
    }
    for counter in IDLE {
        shown[counter] = 0.into();
        shown[format!("{counter}_details")] = json!({"rate": 0.0});
    }
    for measure in ["mem_used", "disk_free", "fd_used", "sockets_used", "proc_used"] {
        shown[format!("{measure}_details")] = json!({"rate": 0.0});
    }
    shown
}

/// Where lines of the log can be read afterwards.
fn log_files(log: &Logging) -> Vec<String> {
    let console = log.console.enabled.then(|| "<stderr>".to_owned());
    let file = log.path().map(|path| path.display().to_string());
    file.into_iter().chain(console).collect()
}

/// What Erlang's runtime counts, and there is none.
const IDLE: [&str; 22] = [
    "context_switches",
    "gc_bytes_reclaimed",
    "gc_num",
    "io_file_handle_open_attempt_count",
    "io_read_bytes",
    "io_read_count",
    "io_reopen_count",
    "io_seek_count",
    "io_sync_count",
    "io_write_bytes",
    "io_write_count",
    "mnesia_disk_tx_count",
    "mnesia_ram_tx_count",
    "msg_store_read_count",
    "msg_store_write_count",
    "queue_index_read_count",
    "queue_index_write_count",
    "io_file_handle_open_attempt_avg_time",
    "io_read_avg_time",
    "io_seek_avg_time",
    "io_sync_avg_time",
    "io_write_avg_time",
];

/// What RabbitMQ tells memory apart by. Here it is only known how much there is of all.
const KINDS: [&str; 23] = [
    "connection_readers",
    "connection_writers",
    "connection_channels",
    "connection_other",
    "queue_procs",
    "queue_slave_procs",
    "quorum_queue_procs",
    "quorum_queue_dlx_procs",
    "stream_queue_procs",
    "stream_queue_replica_reader_procs",
    "stream_queue_coordinator_procs",
    "plugins",
    "other_proc",
    "metrics",
    "mgmt_db",
    "mnesia",
    "quorum_ets",
    "other_ets",
    "binary",
    "msg_index",
    "code",
    "atom",
    "other_system",
];

async fn memory_of(caller: Caller, Path(name): Path<String>) -> Reply {
    must_watch(&caller, &name)?;
    let (allocated, resident) =
        (memory::allocated().unwrap_or_default(), memory::resident().unwrap_or_default());
    let mut memory = kinds(allocated);
    memory.insert("allocated_unused".to_owned(), 0.into());
    let unallocated = resident.saturating_sub(allocated);
    memory.insert("reserved_unallocated".to_owned(), unallocated.into());
    memory.insert("strategy".to_owned(), "allocated".into());
    let total = json!({"erlang": allocated, "rss": resident, "allocated": allocated});
    memory.insert("total".to_owned(), total);
    ok(caller.view.one(json!({"memory": memory})))
}

async fn relative_memory_of(caller: Caller, Path(name): Path<String>) -> Reply {
    must_watch(&caller, &name)?;
    let mut memory = kinds(100);
    memory.insert("total".to_owned(), 100.into());
    ok(caller.view.one(json!({"memory": memory})))
}

fn kinds(all: u64) -> Map<String, Value> {
    let kinds = KINDS.map(|kind| {
        let octets = if kind == "other_system" { all } else { 0 };
        (kind.to_owned(), octets.into())
    });
    kinds.into_iter().collect()
}

async fn tables_of(caller: Caller, Path(name): Path<String>) -> Reply {
    must_watch(&caller, &name)?;
    ok(json!({"ets_tables_memory": "no_tables"}))
}
