//! `lepus status`.

use clap::Args;
use serde_json::json;

use super::client::path;
use super::failure::Done;
use super::reach::Reach;
use super::table::{Column, find, rows, text};

const PARTS: &[Column] = &[
    Column::text("product", "overview.product_name"),
    Column::text("version", "overview.product_version"),
    Column::text("speaks as RabbitMQ", "overview.rabbitmq_version"),
    Column::text("node", "overview.node"),
    Column::text("cluster", "overview.cluster_name"),
    Column::text("process", "node.os_pid"),
    Column::millis("up for", "node.uptime"),
    Column::text("data", "node.db_dir"),
    Column::text("listens", "listens"),
    Column::text("alarms", "alarms"),
    Column::octets("memory", "node.mem_used"),
    Column::octets("memory limit", "node.mem_limit"),
    Column::octets("disk free", "node.disk_free"),
    Column::octets("disk limit", "node.disk_free_limit"),
    Column::text("descriptors", "descriptors"),
    Column::count("connections", "overview.object_totals.connections"),
    Column::count("channels", "overview.object_totals.channels"),
    Column::count("consumers", "overview.object_totals.consumers"),
    Column::count("queues", "overview.object_totals.queues"),
    Column::count("exchanges", "overview.object_totals.exchanges"),
    Column::count("ready", "overview.queue_totals.messages_ready"),
    Column::count("unacked", "overview.queue_totals.messages_unacknowledged"),
    Column::rate("in/s", "overview.message_stats.publish_details.rate"),
    Column::rate("out/s", "overview.message_stats.deliver_get_details.rate"),
    Column::rate("acks/s", "overview.message_stats.ack_details.rate"),
];

/// Arguments of `lepus status`.
#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    reach: Reach,
}

/// Runs `lepus status`.
pub fn run(args: &StatusArgs) -> Done {
    let session = args.reach.session()?;
    let overview = session.client.get(&path(&["overview"]))?;
    // Who may not see the node sees the rest.
    let nodes = session.client.get(&path(&["nodes"])).unwrap_or_default();
    let node = rows(&nodes).into_iter().next().unwrap_or_default();
    if session.json {
        return session.show(&json!({"overview": overview, "node": node}));
    }
    let listens = rows(find(&overview, "listeners"));
    let listens = listens.iter().map(|listener| {
        let part = |at| text(find(listener, at));
        let address = part("ip_address");
        let address = if address.contains(':') { format!("[{address}]") } else { address };
        format!("{} {address}:{}", part("protocol"), part("port"))
    });
    let alarms = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
    let alarms = alarms.iter().filter(|(at, _)| find(&node, at).as_bool() == Some(true));
    let alarms: Vec<&str> = alarms.map(|(_, name)| *name).collect();
    let descriptors =
        format!("{} of {}", text(find(&node, "fd_used")), text(find(&node, "fd_total")));
    let listens = listens.collect::<Vec<_>>().join(", ");
    let all = json!({
        "overview": overview, "node": node, "listens": listens, "descriptors": descriptors,
        "alarms": if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") },
    });
    session.object(&all, PARTS)
}
