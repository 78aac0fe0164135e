//! A virtual host is deleted, and the broker ends in the middle: all of it is there, or nothing.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_storage::disk::sim::SimDisk;
use lepus_storage::{MessageStore, Meta};
use parking_lot::Mutex;

use super::broker::{Broker, Setup};
use super::{Place, lives};
use crate::message::Message;
use crate::parameters::ParameterId;
use crate::policy::{Kind, PolicySpec};
use crate::queue::Queue;
use crate::queue::state as queue;
use crate::queue::state::place::lowest_level;
use crate::routing::{ExchangeKind, delayed};
use crate::topology::{Command, ExchangeSpec, QueueSpec};
use crate::vhost::{Vhost, VhostLimits, VhostSpec};

/// The time, in ms since 1970.
const NOW: u64 = 1_800_000_000_000;
/// Messages of each queue, and of those that wait.
const MESSAGES: u64 = 7;
const QUEUES: [&str; 2] = ["a", "b"];
const LATE: &str = "late";

/// Names in the store of what a virtual host has.
type Names = Vec<u64>;

#[test]
fn a_virtual_host_is_deleted_wholly_or_not_at_all() {
    assert!(lives(60, deletion) > 0);
}

/// Returns in how many images nothing has happened yet.
fn deletion(seed: u64) -> u64 {
    let _place = Place(format!("deletion, LEPUS_SIM_SEED={seed}"));
    let (disk, setup) = (SimDisk::new(seed), Setup::new(seed));
    let (mut broker, _) = Broker::open(&setup, &disk, Meta::default(), NOW);
    let [doomed, kept] = ["doomed", "kept"].map(|name| fill(&broker, name));
    while broker.store.step() || broker.catalog.step() {}
    let before = broker.catalog.durable().clone();
    let images = Arc::new(Mutex::new(Vec::new()));
    let (seen, taken) = (disk.clone(), images.clone());
    disk.on_step(Some(Arc::new(move |step| {
        let two = [0, 1].map(|number| seen.image_after_crash(seed ^ (2 * step + number)));
        taken.lock().push(two);
    })));
    broker.node.delete_vhost("operator", "doomed").expect("a virtual host");
    while broker.store.step() {}
    disk.on_step(None);
    while broker.catalog.step() {}
    let after = broker.catalog.durable().clone();
    let mut there = 0;
    for [first, second] in std::mem::take(&mut *images.lock()) {
        there += u64::from(is_there(&setup, first, before.clone(), (&doomed, &kept)));
        assert!(!is_there(&setup, second, after.clone(), (&doomed, &kept)));
    }
    there
}

/// Makes a virtual host with one of everything.
fn fill(broker: &Broker, name: &str) -> Names {
    let node = &broker.node;
    node.create_vhost("operator", VhostSpec::new(name)).expect("a virtual host");
    let vhost = node.vhost(name).expect("the virtual host");
    let limits = VhostLimits { max_connections: Some(9), max_queues: None };
    node.set_vhost_limits("operator", name, limits).expect("limits");
    let policy = PolicySpec {
        name: "p".to_owned(),
        pattern: String::new(),
        apply_to: String::new(),
        priority: 0,
        definition: serde_json::json!({"max-length": 100}),
    };
    vhost.set_policy("operator", node, Kind::User, policy).expect("a policy");
    let exchange = ExchangeSpec {
        name: LATE.to_owned(),
        kind: ExchangeKind::parse("x-delayed-message").expect("a type of exchanges"),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: table("x-delayed-type", AMQPValue::LongString("direct".into())),
    };
    vhost.apply(node, Command::DeclareExchange(exchange)).expect("a new exchange");
    for name in QUEUES {
        let arguments = table("x-max-priority", AMQPValue::LongInt(3));
        let (name, durable, owner, auto_delete) = (name.to_owned(), true, None, false);
        let spec = QueueSpec { name, durable, owner, auto_delete, arguments };
        let queue = vhost.declare_queue(node, &spec).expect("a new queue");
        publish(&queue, &FieldTable::default());
    }
    let late = vhost.read(|topology| topology.held_back(LATE)).expect("what waits");
    broker.store.set_ruled([late.record.id.0].into_iter());
    publish(&late, &table(delayed::HEADER, AMQPValue::LongInt(5000)));
    names(&vhost)
}

fn publish(queue: &Arc<Queue>, headers: &FieldTable) {
    for id in 0..MESSAGES {
        let (route, body) = ([LATE, "nowhere"], id.to_be_bytes());
        let message = Message::of_broker(NOW, route, &[0, 0], headers, &body, true);
        queue.apply(queue::Command::Publish(vec![message.expect("a message")]));
    }
}

fn names(vhost: &Vhost) -> Names {
    vhost.read(|topology| {
        let queues = QUEUES.iter().filter_map(|queue| topology.queue(queue, 0).ok());
        queues.chain(topology.held_back(LATE)).map(|queue| queue.record.id.0).collect()
    })
}

fn table(name: &str, value: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}

/// Whether a new process finds the virtual host, wholly; the other one it always does.
fn is_there(
    setup: &Setup,
    image: SimDisk,
    catalog: Meta,
    (doomed, kept): (&Names, &Names),
) -> bool {
    let (broker, found) = Broker::open(setup, &image, catalog, NOW);
    while broker.store.step() {}
    let stored = |owner: &u64| -> u64 {
        let names = found.names.iter().map(|name| lepus_storage::QueueId(*name));
        let names = names.filter(|name| lowest_level(*name).0 == *owner);
        names.map(|name| broker.store.stats(name).messages).sum()
    };
    for (name, ids) in [("doomed", doomed), ("kept", kept)] {
        let vhost = broker.node.vhost(name);
        let limits = broker.node.vhost_limits(name).is_some();
        let parameters = broker.node.parameters();
        let parameters = parameters.iter().any(|(id, _)| *id == ParameterId::limits(name));
        assert_eq!((limits, parameters), (vhost.is_some(), vhost.is_some()), "{name}");
        let Some(vhost) = vhost else {
            assert_eq!(name, "doomed");
            assert!(ids.iter().all(|id| stored(id) == 0), "messages of a deleted virtual host");
            continue;
        };
        assert_eq!((names(&vhost), vhost.policies(Kind::User).len()), (ids.clone(), 1), "{name}");
        let stored: Vec<u64> = ids.iter().map(stored).collect();
        assert_eq!(stored, [MESSAGES; QUEUES.len() + 1], "messages of {name}");
    }
    broker.node.vhost("doomed").is_some()
}
