//! Channels. Their connections are asked for them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Reply, Routes, connections, consumers, idle_process, ok, stats};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::query::Item;
use crate::admin::samples::Asked;
use crate::admin::table::get;
use crate::connection::{Open, ask_all};
use crate::node::Node;
use crate::session::seen::ChannelSeen;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/channels", get(all).lists("Channel"))
        .route("/api/vhosts/{vhost}/channels", get(of_vhost).lists("Channel"))
        .route("/api/channels/{name}", get(one).shows("Channel"))
}

async fn all(caller: Caller) -> Reply {
    let channels = of(&caller, connections::seen(&caller)).await;
    ok(caller.view.list(channels)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let mut connections = connections::seen(&caller);
    connections.retain(|connection| Arc::ptr_eq(&connection.vhost, &vhost));
    ok(caller.view.list(of(&caller, connections).await)?)
}

async fn one(caller: Caller, Path(name): Path<String>) -> Reply {
    let (connection, _) = name.rsplit_once(" (").ok_or_else(Fault::unknown)?;
    let open = caller.node().connection_named(connection).ok_or_else(Fault::unknown)?;
    connections::must_see(&caller, &open.user)?;
    let channels = of(&caller, vec![open]).await;
    let found = channels.into_iter().find(|channel| channel.name == name);
    let found = found.ok_or_else(Fault::unknown)?;
    let consumers = consumers::of_channel(caller.node(), &found.open, &found.channel);
    let mut shown = found.show();
    shown["consumer_details"] = consumers;
    shown["publishes"] = json!([]);
    shown["deliveries"] = json!([]);
    ok(caller.view.one(shown))
}

/// The channels of connections, in RabbitMQ's order.
pub(super) async fn of(caller: &Caller, connections: Vec<Arc<Open>>) -> Vec<Seen> {
    let asked = caller.asked();
    let seen = ask_all(connections).await.into_iter().map(|(open, channel)| {
        let name = name(&open, channel.number);
        let state = match open.state(false, asked.now) {
            "flow" => "flow",
            _ => "running",
        };
        Seen { open, channel, name, state, asked }
    });
    let mut seen: Vec<Seen> = seen.collect();
    seen.sort_unstable_by(|a, b| (&a.open.vhost.name, &a.name).cmp(&(&b.open.vhost.name, &b.name)));
    seen
}

/// RabbitMQ's name of a channel.
pub(super) fn name(open: &Open, number: u16) -> String {
    format!("{} ({number})", open.facts.name())
}

/// A channel as its connection has told of it.
pub(super) struct Seen {
    open: Arc<Open>,
    channel: Arc<ChannelSeen>,
    name: String,
    state: &'static str,
    asked: Asked,
}

impl Item for Seen {
    fn name(&self) -> &str {
        &self.name
    }

    fn field(&self, path: &[&str]) -> Value {
        show(self).field(path)
    }

    fn show(self) -> Value {
        show(&self)
    }
}

fn show(Seen { open, channel, name, state, asked }: &Seen) -> Value {
    let (peer, _) = open.facts.ends();
    idle_process(json!({
        "name": name,
        "number": channel.number,
        "node": Node::NAME,
        "state": state,
        "user": open.user,
        "user_who_performed_action": open.user,
        "vhost": *open.vhost.name,
        "connection_details": {
            "name": open.facts.name(),
            "peer_host": peer.ip().to_canonical().to_string(),
            "peer_port": peer.port(),
        },
        "confirm": channel.confirm,
        "transactional": channel.transactional,
        "consumer_count": channel.consumers.len(),
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.global_prefetch,
        "messages_unacknowledged": channel.unacknowledged,
        "messages_unconfirmed": channel.unconfirmed,
        "messages_uncommitted": channel.uncommitted,
        "acks_uncommitted": channel.acks_uncommitted,
        "pending_raft_commands": 0,
        "message_stats": stats::channel_messages(&channel.stats, asked),
    }))
}
