//! Consumers: what their connections say of them, and what their queues do.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Reply, Routes, channels, connections, ok};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Path;
use crate::admin::table::get;
use crate::connection::{Open, ask_all};
use crate::json_table::to_json;
use crate::node::Node;
use crate::queue::Queue;
use crate::queue::state::{Activity, ConsumerKey, ConsumerStatus};
use crate::session::seen::{ChannelSeen, ConsumerSeen};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/consumers", get(all).lists("Consumer"))
        .route("/api/consumers/{vhost}", get(of_vhost).lists("Consumer"))
}

async fn all(caller: Caller) -> Reply {
    ok(caller.view.list(of(caller.node(), connections::seen(&caller)).await)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let vhost = caller.node().vhost(&vhost).ok_or_else(Fault::unknown)?;
    let mut connections = connections::seen(&caller);
    connections.retain(|connection| Arc::ptr_eq(&connection.vhost, &vhost));
    ok(caller.view.list(of(caller.node(), connections).await)?)
}

async fn of(node: &Node, connections: Vec<Arc<Open>>) -> Vec<Value> {
    let mut queues = Queues::default();
    let channels = ask_all(connections).await;
    let shown = channels
        .iter()
        .flat_map(|(open, channel)| queues.consumers(node, (open, channel), &channel.consumers));
    let mut shown: Vec<Value> = shown.map(|(_, shown)| shown).collect();
    let place = |consumer: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let queue = &consumer["queue"];
        (text(&queue["vhost"]), text(&queue["name"]), text(&consumer["consumer_tag"]))
    };
    shown.sort_by_cached_key(place);
    shown
}

/// The consumers of one channel.
pub(super) fn of_channel(node: &Node, open: &Open, channel: &ChannelSeen) -> Value {
    let consumers = Queues::default().consumers(node, (open, channel), &channel.consumers);
    consumers.into_iter().map(|(_, shown)| shown).collect()
}

/// The consumers of one queue, as it knows them, and as they are shown.
pub(super) async fn of_queue(node: &Node, queue: &Arc<Queue>) -> Vec<(ConsumerStatus, Value)> {
    let mut ids: Vec<u64> =
        queue.consumers().iter().map(|status| status.spec.key.connection).collect();
    ids.sort_unstable();
    ids.dedup();
    let asked = ids.into_iter().filter_map(|id| node.connection(id)).collect();
    let mut queues = Queues::default();
    let channels = ask_all(asked).await;
    let is_its = |consumer: &&ConsumerSeen| Arc::ptr_eq(&consumer.queue, queue);
    let shown = channels.iter().flat_map(|(open, channel)| {
        queues.consumers(node, (open, channel), channel.consumers.iter().filter(is_its))
    });
    shown.collect()
}

/// What queues, by where they are, say of their consumers; each is asked once.
#[derive(Default)]
struct Queues(HashMap<usize, HashMap<ConsumerKey, ConsumerStatus>>);

impl Queues {
    fn status(&mut self, consumer: &ConsumerSeen) -> Option<ConsumerStatus> {
        let asked = self.0.entry(Arc::as_ptr(&consumer.queue).addr()).or_insert_with(|| {
            let all = consumer.queue.consumers().into_iter();
            all.map(|status| (status.spec.key, status)).collect()
        });
        asked.get(&consumer.key).copied()
    }

    /// Those that are still there.
    fn consumers<'a>(
        &mut self,
        node: &Node,
        (open, channel): (&Open, &ChannelSeen),
        consumers: impl IntoIterator<Item = &'a ConsumerSeen>,
    ) -> Vec<(ConsumerStatus, Value)> {
        let shown = consumers.into_iter().filter_map(|consumer| {
            let status = self.status(consumer)?;
            Some((status, show(node, open, channel.number, consumer, &status)))
        });
        shown.collect()
    }
}

fn show(
    node: &Node,
    open: &Open,
    channel: u16,
    consumer: &ConsumerSeen,
    ConsumerStatus { spec, activity, .. }: &ConsumerStatus,
) -> Value {
    let (active, activity) = match activity {
        Activity::Up => (true, "up"),
        Activity::SingleActive => (true, "single_active"),
        Activity::Waiting => (false, "waiting"),
    };
    let (peer, _) = open.facts.ends();
    let timeout = spec.timeout.or(node.config().consumer_timeout);
    json!({
        "consumer_tag": consumer.tag,
        "queue": {"name": consumer.queue.name(), "vhost": *open.vhost.name},
        "ack_required": !spec.no_ack,
        "exclusive": spec.exclusive,
        "prefetch_count": spec.prefetch,
        "active": active,
        "activity_status": activity,
        "arguments": to_json(&consumer.arguments),
        "consumer_timeout": timeout.unwrap_or_default(),
        "channel_details": {
            "name": channels::name(open, channel),
            "number": channel,
            "node": Node::NAME,
            "user": open.user,
            "connection_name": open.facts.name(),
            "peer_host": peer.ip().to_canonical().to_string(),
            "peer_port": peer.port(),
        },
    })
}
