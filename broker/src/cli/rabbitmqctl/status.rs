//! `status`, `cluster_status` and what else tells of the node as a whole.

use serde_json::{Value, json};

use super::call::{Call, Formatter, bold, part};
use super::checks::{alarm_lines, described, listener_lines};
use super::terms::term;
use crate::cli::client::{Client, path};
use crate::cli::failure::Done;
use crate::cli::table::{find, rows};

/// What is asked for.
struct Facts {
    node: Value,
    overview: Value,
    memory: Value,
}

impl Facts {
    fn ask(call: &Call, client: &Client) -> Done<Self> {
        let node = call.facts(client)?;
        let memory = client.get(&path(&["nodes", &part(&node, "name"), "memory"]))?;
        Ok(Self {
            node,
            overview: client.get(&path(&["overview"]))?,
            memory: memory["memory"].clone(),
        })
    }

    fn listeners(&self) -> Vec<Value> {
        rows(find(&self.overview, "listeners"))
    }

    fn list(&self, at: &str) -> Vec<String> {
        let all = find(&self.node, at).as_array().cloned().unwrap_or_default();
        all.iter().map(crate::cli::table::text).collect()
    }

    fn number(&self, at: &str) -> u64 {
        find(&self.node, at).as_u64().unwrap_or_default()
    }

    fn total(&self, at: &str) -> u64 {
        find(&self.overview, &format!("object_totals.{at}")).as_u64().unwrap_or_default()
    }

    /// Kinds of memory, the largest first.
    fn kinds(&self) -> Vec<(String, u64)> {
        let all = self.memory.as_object().cloned().unwrap_or_default();
        let kinds = all.into_iter().filter_map(|(kind, used)| Some((kind, used.as_u64()?)));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        kinds
    }
}

/// A size in the unit that is asked for.
fn sized(call: &Call, octets: u64) -> String {
    let unit = call.options.unit.as_deref().unwrap_or("gb");
    let size = match unit {
        "bytes" | "byte" | "b" => return format!("{octets} bytes"),
        "kb" | "k" | "ki" => 1e3,
        "mb" | "m" | "mi" => 1e6,
        "tb" | "t" | "ti" => 1e12,
        _ => 1e9,
    };
    let rounded = (octets as f64 / size * 1e4).round() / 1e4;
    format!("{rounded:?} {unit}")
}

/// A head, and what is under it.
fn section(head: &str, lines: &[String]) -> String {
    let lines = if lines.is_empty() { "(none)".to_owned() } else { lines.join("\n") };
    format!("{}\n\n{lines}", bold(head))
}

fn starred(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| format!(" * {line}")).collect()
}

pub fn status(call: &Call) -> Done {
    call.banner(&format!("Status of node {} ...", call.node()))?;
    let client = call.client()?;
    let facts = Facts::ask(call, &client)?;
    let vhosts = rows(&client.get(&path(&["vhosts"]))?).len();
    if call.formatter == Formatter::Json {
        return call.print(&status_json(&facts, vhosts).to_string());
    }
    let runtime = [
        format!("OS PID: {}", part(&facts.node, "os_pid")),
        "OS: Linux".to_owned(),
        format!("Uptime (seconds): {}", facts.number("uptime") / 1000),
        format!("Is under maintenance?: {}", part(&facts.node, "being_drained")),
        format!("RabbitMQ version: {}", part(&facts.overview, "rabbitmq_version")),
        "RabbitMQ release series support status: supported".to_owned(),
        format!("Node name: {}", part(&facts.node, "name")),
        format!(
            "Product: {} {}",
            part(&facts.overview, "product_name"),
            part(&facts.overview, "product_version")
        ),
    ];
    let plugins = facts.list("enabled_plugins");
    let plugins: Vec<String> =
        ["Enabled plugins:\n".to_owned()].into_iter().chain(starred(&plugins)).collect();
    let limit = facts.number("mem_limit");
    let mut memory = vec![
        format!("Total memory used: {}", sized(call, facts.number("mem_used"))),
        format!("Calculation strategy: {}", part(&facts.node, "mem_calculation_strategy")),
        format!("Memory high watermark setting: computed to: {}\n", sized(call, limit)),
    ];
    memory.extend(breakdown(call, &facts, " %)"));
    let descriptors = [
        format!("Total: {}, limit: {}", facts.number("fd_used"), facts.number("fd_total")),
        format!(
            "Sockets: {}, limit: {}",
            facts.number("sockets_used"),
            facts.number("sockets_total")
        ),
    ];
    let disk = [
        format!("Low free disk space watermark: {}", sized(call, facts.number("disk_free_limit"))),
        format!("Free disk space: {}", sized(call, facts.number("disk_free"))),
    ];
    let totals = [
        format!("Connection count: {}", facts.total("connections")),
        format!("Queue count: {}", facts.total("queues")),
        format!("Virtual host count: {vhosts}"),
    ];
    let data = [format!("Node data directory: {}", part(&facts.node, "db_dir"))];
    let sections = [
        section("Runtime", &runtime),
        section("Plugins", &plugins),
        section("Data directory", &data),
        section("Config files", &starred(&facts.list("config_files"))),
        section("Log file(s)", &starred(&facts.list("log_files"))),
        section("Alarms", &alarm_lines(&facts.node, call.node())),
        section("Memory", &memory),
        section("File Descriptors", &descriptors),
        section("Free Disk Space", &disk),
        section("Totals", &totals),
        section("Listeners", &[listener_lines(&facts.listeners())]),
    ];
    call.print(&sections.join("\n\n"))
}

fn status_json(facts: &Facts, vhosts: usize) -> Value {
    json!({
        "pid": part(&facts.node, "os_pid").parse::<u64>().unwrap_or_default(),
        "os": "Linux",
        "uptime": facts.number("uptime") / 1000,
        "is_under_maintenance": facts.node["being_drained"],
        "rabbitmq_version": facts.overview["rabbitmq_version"],
        "product_name": facts.overview["product_name"],
        "product_version": facts.overview["product_version"],
        "erlang_version": "",
        "release_series_support_status": "supported",
        "active_plugins": facts.node["enabled_plugins"],
        "alarms": alarm_lines(&facts.node, &part(&facts.node, "name")),
        "config_files": facts.node["config_files"],
        "log_files": facts.node["log_files"],
        "data_directory": facts.node["db_dir"],
        "disk_free": facts.node["disk_free"],
        "disk_free_limit": facts.node["disk_free_limit"],
        "file_descriptors": {
            "sockets_limit": facts.node["sockets_total"], "sockets_used": facts.node["sockets_used"],
            "total_limit": facts.node["fd_total"], "total_used": facts.node["fd_used"],
        },
        "listeners": facts.listeners().iter().map(described).collect::<Vec<_>>(),
        "memory": facts.memory,
        "net_ticktime": 60,
        "processes": {"limit": facts.node["proc_total"], "used": facts.node["proc_used"]},
        "run_queue": 0,
        "totals": {
            "virtual_host_count": vhosts,
            "connection_count": facts.total("connections"),
            "queue_count": facts.total("queues"),
        },
        "vm_memory_calculation_strategy": facts.node["mem_calculation_strategy"],
        "vm_memory_high_watermark_limit": facts.node["mem_limit"],
    })
}

fn breakdown(call: &Call, facts: &Facts, end: &str) -> Vec<String> {
    let kinds = facts.kinds();
    let total = kinds.iter().map(|(_, used)| used).sum::<u64>().max(1);
    let line = |(kind, used): &(String, u64)| {
        let percent = (*used as f64 / total as f64 * 1e4).round() / 1e2;
        format!("{kind}: {} ({percent:?}{end}", sized(call, *used))
    };
    kinds.iter().map(line).collect()
}

pub fn memory_breakdown(call: &Call) -> Done {
    call.banner(&format!("Reporting memory breakdown on node {}...", call.node()))?;
    let facts = Facts::ask(call, &call.client()?)?;
    call.answer(&(breakdown(call, &facts, "%)").join("\n") + "\n"), &facts.memory)
}

pub fn cluster_status(call: &Call) -> Done {
    call.banner(&format!("Cluster status of node {} ...", call.node()))?;
    let client = call.client()?;
    let facts = Facts::ask(call, &client)?;
    let flags = rows(&client.get(&path(&["feature-flags"]))?);
    let (node, listeners) = (part(&facts.node, "name"), facts.listeners());
    let version = part(&facts.overview, "rabbitmq_version");
    let cluster = part(&facts.overview, "cluster_name");
    if call.formatter == Formatter::Json {
        let told = json!({
            "alarms": alarm_lines(&facts.node, &node),
            "cluster_name": cluster,
            "disk_nodes": [node], "ram_nodes": [], "running_nodes": [node],
            "feature_flags": flags,
            "listeners": {&node: listeners.iter().map(described).collect::<Vec<_>>()},
            "maintenance_status": {&node: "not under maintenance"},
            "partitions": {},
            "versions": {&node: {
                "rabbitmq_name": facts.overview["product_name"],
                "rabbitmq_version": version, "erlang_version": "",
            }},
        });
        return call.print(&told.to_string());
    }
    let listening = listener_lines(&listeners);
    let listening: Vec<String> = listening
        .lines()
        .map(|line| format!("Node: {node}, {}", line.replacen("Interface", "interface", 1)))
        .collect();
    let flags = flags
        .iter()
        .map(|flag| format!("Flag: {}, state: {}", part(flag, "name"), part(flag, "state")));
    let sections = [
        section("Basics", &[format!("Cluster name: {cluster}")]),
        section("Disk Nodes", std::slice::from_ref(&node)),
        section("Running Nodes", std::slice::from_ref(&node)),
        section("Versions", &[format!("{node}: RabbitMQ {version}")]),
        section("Maintenance status", &[format!("Node: {node}, status: not under maintenance")]),
        section("Alarms", &alarm_lines(&facts.node, &node)),
        section("Network Partitions", &[]),
        section("Listeners", &listening),
        section("Feature flags", &flags.collect::<Vec<_>>()),
    ];
    call.print(&sections.join("\n\n"))
}

/// What is set, as Erlang's terms.
pub fn environment(call: &Call) -> Done {
    call.banner(&format!("Application environment of node {} ...", call.node()))?;
    let settings = call.client()?.get(&path(&["x", "environment"]))?;
    let fields = settings.as_object().cloned().unwrap_or_default();
    let pairs = fields.iter().map(|(key, of)| format!("{{'{key}',{}}}", term(&of["value"])));
    let text = format!("[{{rabbit,\n     [{}]}}]", pairs.collect::<Vec<_>>().join(",\n      "));
    call.answer(&text, &settings)
}
