//! Queues.

use std::cmp::Ordering;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use chrono::{DateTime, SecondsFormat};
use lepus_protocol::properties::Properties;
use serde_json::{Map, Value, json};

use super::{Reply, Routes, consumers, done, ok, put, stats};
use crate::access::{Kind, Resource};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::query::Item;
use crate::admin::samples;
use crate::admin::table::{delete, get};
use crate::json_table::{from_json, to_json};
use crate::message::Message;
use crate::node::Node;
use crate::policy::{Applied, Flow, Policy};
use crate::queue::Queue;
use crate::queue::state::{Activity, Command, ConsumerStatus, Outcome};
use crate::stats::Numbers;
use crate::topology::{QueueSpec, check_name};
use crate::vhost::{Queues, Vhost};

/// Queues whose lengths are read in one go: each is somewhere else in memory, and so the processor waits
/// for many of them at a time.
const AT_ONCE: usize = 256;

pub(super) fn routes() -> Routes {
    let one_of_them = get(one).shows("Queue").put(declare).delete(delete_one);
    Routes::new()
        .route("/api/queues", get(all).lists("Queue"))
        .route("/api/queues/detailed", get(all).lists("Queue"))
        .route("/api/queues/{vhost}", get(of_vhost).lists("Queue"))
        .route("/api/queues/{vhost}/{queue}", one_of_them)
        .route("/api/queues/{vhost}/{queue}/contents", delete(purge))
}

async fn all(caller: Caller) -> Reply {
    list(&caller, &caller.vhosts())
}

async fn of_vhost(caller: Caller, Path(vhost): Path<String>) -> Reply {
    list(&caller, &[caller.vhost(&vhost)?])
}

fn list(caller: &Caller, vhosts: &[Arc<Vhost>]) -> Reply {
    let all: Vec<Queues> = vhosts.iter().map(|vhost| vhost.queues()).collect();
    let seen = vhosts.iter().zip(&all).flat_map(|(vhost, queues)| {
        queues.chunks(AT_ONCE).flat_map(move |queues| {
            let lengths: Vec<_> = queues.iter().map(|queue| queue.lengths()).collect();
            let both = queues.iter().zip(lengths);
            both.map(move |(queue, lengths)| Seen { caller, vhost, queue, lengths })
        })
    });
    ok(caller.view.pick(seen)?)
}

async fn one(caller: Caller, Path((vhost, name)): Path<(String, String)>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let queue = of_name(&vhost, &name)?;
    let consumers = consumers::of_queue(caller.node(), &queue).await;
    let tag = |is_it: fn(&ConsumerStatus) -> bool| {
        let found = consumers.iter().find(|(status, _)| is_it(status));
        found.map(|(_, shown)| shown["consumer_tag"].clone())
    };
    let single = tag(|status| matches!(status.activity, Activity::SingleActive));
    let exclusive = tag(|status| status.spec.exclusive);
    let mut queue = Seen::new(&caller, &vhost, &queue).show();
    queue["single_active_consumer_tag"] = single.into();
    queue["exclusive_consumer_tag"] = exclusive.into();
    queue["consumer_details"] = consumers.into_iter().map(|(_, shown)| shown).collect();
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

/// A queue. There may be very many, and most of them are not shown.
struct Seen<'a> {
    caller: &'a Caller,
    vhost: &'a Arc<Vhost>,
    queue: &'a Arc<Queue>,
    /// As it was listed: messages ready, messages that consumers hold, consumers.
    lengths: [usize; 3],
}

impl Item for Seen<'_> {
    fn name(&self) -> &str {
        self.queue.name()
    }

    fn field(&self, path: &[&str]) -> Value {
        let [ready, unacked, consumers] = self.lengths;
        match path {
            ["name"] => self.queue.name().into(),
            ["vhost"] => (*self.vhost.name).into(),
            ["messages"] => (ready + unacked).into(),
            ["messages_ready"] => ready.into(),
            ["messages_unacknowledged"] => unacked.into(),
            ["consumers"] => consumers.into(),
            ["message_stats", name, rest @ ..] => {
                stats::queue_number(&self.numbers(), name).field(rest)
            }
            path => self.shown().field(path),
        }
    }

    /// By name, and virtual hosts as they come.
    fn order(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(self.vhost, other.vhost) {
            self.name().cmp(other.name())
        } else {
            Ordering::Equal
        }
    }

    fn show(self) -> Value {
        self.shown()
    }
}

impl<'a> Seen<'a> {
    fn new(caller: &'a Caller, vhost: &'a Arc<Vhost>, queue: &'a Arc<Queue>) -> Self {
        Self { caller, vhost, queue, lengths: queue.lengths() }
    }

    fn numbers(&self) -> samples::Seen<17> {
        self.numbers_of(self.queue.numbers())
    }

    fn numbers_of(&self, numbers: Numbers) -> samples::Seen<17> {
        samples::Seen::of(&self.queue.track, numbers, &self.caller.asked())
    }

    fn shown(&self) -> Value {
        let policies = self.vhost.read(|topology| topology.queue_policies(self.queue.name()).ok());
        let (applied, flow) = policies.unwrap_or_default();
        let mut shown = self.declared(flow);
        if !self.caller.leaves_out_stats() {
            self.put_stats(&applied, &mut shown);
            return Value::Object(shown);
        }
        if let Some(policy) = &applied.policy {
            shown.insert("policy".to_owned(), policy.name.clone().into());
        }
        if self.caller.wants_queue_totals() {
            let [ready, unacked, _] = self.lengths;
            shown.insert("messages".to_owned(), (ready + unacked).into());
            shown.insert("messages_ready".to_owned(), ready.into());
            shown.insert("messages_unacknowledged".to_owned(), unacked.into());
        }
        Value::Object(shown)
    }

    /// What is known without a look at the queue itself.
    fn declared(&self, flow: Flow) -> Map<String, Value> {
        let record = &self.queue.record;
        let mut shown = object(json!({
            "name": record.name.to_string(),
            "vhost": self.vhost.name.to_string(),
            "type": if self.queue.is_quorum() { "quorum" } else { "classic" },
            "durable": record.spec.durable,
            "auto_delete": record.spec.auto_delete,
            "exclusive": record.spec.owner.is_some(),
            "arguments": to_json(&record.spec.arguments),
            "node": Node::NAME,
            "state": if flow.paused { "paused" } else { "running" },
        }));
        if self.queue.is_quorum() {
            shown.insert("leader".to_owned(), Node::NAME.into());
            shown.insert("members".to_owned(), json!([Node::NAME]));
            shown.insert("online".to_owned(), json!([Node::NAME]));
        }
        if let Some(owner) = owner(self.caller.node(), self.queue) {
            shown.insert("owner_pid_details".to_owned(), owner);
        }
        shown
    }

    fn put_stats(&self, applied: &Applied, shown: &mut Map<String, Value>) {
        let (counts, status, numbers) = self.queue.status();
        let (now, changes) = (self.caller.node().now_ms(), self.queue.track.changes());
        let capacity = stats::capacity(counts.consumers, &changes, status.is_able);
        let policy = |policy: &Option<Arc<Policy>>| policy.as_ref().map(|of| of.name.clone());
        let bytes = counts.ready_bytes + counts.unacked_bytes;
        shown.extend(object(json!({
            "policy": policy(&applied.policy),
            "operator_policy": policy(&applied.operator),
            "effective_policy_definition": json!(applied.effective().unwrap_or_default()),
            "messages_ram": status.in_memory,
            "messages_ready_ram": status.ready_in_memory,
            "messages_unacknowledged_ram": counts.unacked,
            "messages_paged_out": counts.ready - status.ready_in_memory,
            "messages_persistent": status.persistent,
            "message_bytes": bytes,
            "message_bytes_ready": counts.ready_bytes,
            "message_bytes_unacknowledged": counts.unacked_bytes,
            "message_bytes_ram": status.bytes_in_memory,
            "message_bytes_paged_out": bytes.saturating_sub(status.bytes_in_memory),
            "message_bytes_persistent": status.persistent_bytes,
            "consumers": counts.consumers,
            "consumer_capacity": capacity,
            "consumer_utilisation": capacity,
            "memory": self.queue.memory(&status),
            "head_message_timestamp": status.head.as_ref().and_then(timestamp),
        })));
        let idle = now.saturating_sub(self.queue.idle_since());
        if u128::from(idle) >= self.caller.node().config().statistics_interval.as_millis() {
            shown.insert("idle_since".to_owned(), time(self.queue.idle_since()).into());
        }
        let seen = self.numbers_of(numbers);
        stats::put_lengths(&seen, shown);
        shown.insert("message_stats".to_owned(), stats::queue_messages(&seen));
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// A message's property `timestamp`, seconds since 1970.
fn timestamp(message: &Message) -> Option<u64> {
    Properties::decode(message.properties()).ok()?.timestamp
}

/// A time in ms since 1970 as text.
fn time(ms: u64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, false))
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

/// A queue of any kind.
pub(super) fn of_name(vhost: &Vhost, name: &str) -> Result<Arc<Queue>, Fault> {
    let found = vhost.read(|topology| topology.queue_named(name).map(|(_, queue)| queue.clone()));
    found.ok_or_else(Fault::unknown)
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
