//! Queues.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use axum::Router;
use axum::extract::Path;
use axum::routing::{delete, get};
use serde_json::{Value, json};

use super::{Reply, Routes, consumers, counters, done, ok, put};
use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::Input;
use crate::admin::query::Item;
use crate::json_table::{from_json, to_json};
use crate::node::Node;
use crate::policy::{Applied, Flow};
use crate::queue::Queue;
use crate::queue::state::{Command, Outcome};
use crate::topology::{QueueSpec, check_name};
use crate::vhost::Vhost;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/queues", get(all))
        .route("/api/queues/detailed", get(all))
        .route("/api/queues/{vhost}", get(of_vhost))
        .route("/api/queues/{vhost}/{queue}", get(one).put(declare).delete(delete_one))
        .route("/api/queues/{vhost}/{queue}/contents", delete(purge))
}

async fn all(caller: Caller) -> Reply {
    let queues = caller.vhosts().iter().flat_map(|vhost| see(vhost, None)).collect::<Vec<_>>();
    ok(caller.view.list(queues)?)
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let queues = see(&caller.vhost(&vhost)?, None);
    ok(caller.view.list(queues)?)
}

async fn one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let seen = see(&vhost, Some(&name)).pop().ok_or_else(Fault::unknown)?;
    let consumers = consumers::of_queue(caller.node(), &seen.queue).await;
    let owner = owner(caller.node(), &seen.queue);
    let mut queue = seen.show();
    queue["consumer_details"] = consumers;
    if let Some(owner) = owner {
        queue["owner_pid_details"] = owner;
    }
    queue["incoming"] = json!([]);
    queue["deliveries"] = json!([]);
    ok(caller.view.one(queue))
}

/// Whose an exclusive queue is.
fn owner(node: &Node, queue: &Queue) -> Option<Value> {
    let open = node.connection(queue.record.spec.owner?)?;
    let (peer, _) = open.facts.ends();
    Some(json!({
        "name": open.facts.name(),
        "peer_host": peer.ip().to_canonical().to_string(),
        "peer_port": peer.port(),
    }))
}

/// A queue with the policies that count for it.
struct Seen {
    vhost: Arc<Vhost>,
    queue: Arc<Queue>,
    applied: Applied,
    flow: Flow,
}

impl Item for Seen {
    fn name(&self) -> &str {
        self.queue.name()
    }

    fn field(&self, path: &[&str]) -> Value {
        match path {
            ["name"] => self.queue.name().into(),
            ["vhost"] => (*self.vhost.name).into(),
            ["consumers"] => self.queue.counts().consumers.into(),
            ["messages_ready"] => self.queue.counts().ready.into(),
            ["messages_unacknowledged"] => self.queue.counts().unacked.into(),
            ["messages"] => {
                let counts = self.queue.counts();
                (counts.ready + counts.unacked).into()
            }
            path => show(self).field(path),
        }
    }

    fn show(self) -> Value {
        show(&self)
    }
}

/// All queues by name, or the one of a name.
fn see(vhost: &Arc<Vhost>, name: Option<&str>) -> Vec<Seen> {
    let mut seen: Vec<Seen> = vhost.read(|topology| {
        let queues = topology.queues().filter(|(record, _)| match name {
            Some(name) => *record.name == *name,
            None => true,
        });
        let seen = queues.map(|(record, queue)| {
            let (applied, flow) = topology.queue_policies(&record.name).unwrap_or_default();
            Seen { vhost: vhost.clone(), queue: queue.clone(), applied, flow }
        });
        seen.collect()
    });
    seen.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    seen
}

const STATS: [&str; 9] = [
    "ack",
    "deliver",
    "deliver_get",
    "deliver_no_ack",
    "get",
    "get_empty",
    "get_no_ack",
    "publish",
    "redeliver",
];

fn show(Seen { vhost, queue, applied, flow }: &Seen) -> Value {
    let (record, counts) = (&queue.record, queue.counts());
    let policy = |policy: &Option<Arc<crate::policy::Policy>>| {
        policy.as_ref().map(|policy| policy.name.clone())
    };
    let rate = json!({"rate": 0.0});
    json!({
        "name": record.name.to_string(),
        "vhost": vhost.name.to_string(),
        "type": if queue.is_quorum() { "quorum" } else { "classic" },
        "durable": record.spec.durable,
        "auto_delete": record.spec.auto_delete,
        "exclusive": record.spec.owner.is_some(),
        "arguments": to_json(&record.spec.arguments),
        "node": Node::NAME,
        "state": if flow.paused { "paused" } else { "running" },
        "policy": policy(&applied.policy),
        "operator_policy": policy(&applied.operator),
        "effective_policy_definition": json!(applied.effective().unwrap_or_default()),
        "messages": counts.ready + counts.unacked,
        "messages_details": rate,
        "messages_ready": counts.ready,
        "messages_ready_details": rate,
        "messages_unacknowledged": counts.unacked,
        "messages_unacknowledged_details": rate,
        "message_bytes_ready": counts.ready_bytes,
        "consumers": counts.consumers,
        "memory": 0,
        "head_message_timestamp": null,
        "message_stats": counters(&STATS),
    })
}

async fn declare(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let vhost = caller.vhost_to_change(&vhost)?;
    let arguments = from_json(&input.object("arguments")?).map_err(Fault::bad_request)?;
    let mut spec = QueueSpec {
        name: name.clone(),
        durable: input.flag("durable")?,
        owner: None,
        auto_delete: input.flag("auto_delete")?,
        arguments,
    };
    check_name("queue", &name)?;
    let queue = Resource::Queue(&name);
    caller.permit(&vhost.name, queue, Kind::Configure)?;
    let is_new = !vhost.read(|topology| topology.has_queue(&name));
    if let (true, Some(AMQPValue::LongString(exchange))) =
        (is_new, spec.arguments.inner().get("x-dead-letter-exchange"))
    {
        let exchange = exchange.to_string();
        caller.permit(&vhost.name, queue, Kind::Read)?;
        caller.permit(&vhost.name, Resource::Exchange(&exchange), Kind::Write)?;
    }
    vhost.complete(caller.node(), &mut spec);
    vhost.declare_queue_by(caller.user(), caller.node(), &spec)?;
    put(is_new)
}

/// The queue that messages of the broker's own test go through.
pub(super) fn probe(caller: &Caller, vhost: &Vhost, name: &str) -> Result<Arc<Queue>, Fault> {
    caller.permit(&vhost.name, Resource::Queue(name), Kind::Configure)?;
    let (name, arguments) = (name.to_owned(), FieldTable::default());
    let spec = QueueSpec { name, durable: false, owner: None, auto_delete: false, arguments };
    Ok(vhost.declare_queue_by(caller.user(), caller.node(), &spec)?)
}

/// A queue that is not some connection's alone.
fn shared(vhost: &Vhost, name: &str) -> Result<Arc<Queue>, Fault> {
    if !vhost.read(|topology| topology.has_queue(name)) {
        return Err(Fault::unknown());
    }
    Ok(vhost.read(|topology| topology.queue(name, 0))?)
}

async fn delete_one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let queue = shared(&vhost, &name)?;
    caller.permit(&vhost.name, Resource::Queue(&name), Kind::Configure)?;
    let (if_unused, if_empty) = (caller.view.flag("if-unused"), caller.view.flag("if-empty"));
    let outcome = vhost.delete_queue_by(caller.user(), caller.node(), &queue, if_unused, if_empty);
    let refuse = |why: &str| {
        let vhost = &vhost.name;
        Err(Fault::bad_request(format!("queue '{name}' in vhost '{vhost}' {why}")))
    };
    match outcome {
        Outcome::InUse => refuse("in use"),
        Outcome::NotEmpty => refuse("not empty"),
        _ => done(),
    }
}

async fn purge(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let queue = shared(&vhost, &name)?;
    caller.permit(&vhost.name, Resource::Queue(&name), Kind::Read)?;
    queue.apply(Command::Purge);
    done()
}
