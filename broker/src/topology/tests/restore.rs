//! What is recorded of a topology is what survives of it, and brings it back.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::{Kind, Policy, PolicySpec};
use crate::topology::record::{self, Record};

const EXCHANGES: [&str; 4] = ["e", "f", "g", "amq.topic"];
const QUEUES: [&str; 3] = ["q", "r", "s"];
const KEYS: [&str; 3] = ["", "a.*", "k"];

#[derive(Clone, Debug)]
enum Step {
    Exchange { name: &'static str, durable: bool, auto_delete: bool },
    DeleteExchange(&'static str),
    Queue { name: &'static str, durable: bool, argument: f64 },
    RemoveQueue(&'static str),
    Bind(bool, &'static str, Target<'static>, &'static str, bool),
    Policy(Kind, &'static str, &'static str, u64),
    ClearPolicy(Kind, &'static str),
    Flow(&'static str, Flow),
}

fn any_step() -> impl Strategy<Value = Step> {
    let exchange = || select(&EXCHANGES[..3]);
    let argument = prop_oneof![Just(0.5), Just(f64::NAN), Just(f64::INFINITY)];
    let target = prop_oneof![
        2 => select(&QUEUES[..]).prop_map(Target::Queue),
        1 => select(&EXCHANGES[..]).prop_map(Target::Exchange),
    ];
    let kind = || select(&[Kind::User, Kind::Operator][..]);
    prop_oneof![
        2 => (kind(), select(&["p", "o"][..]), select(&["", "^q", "e"][..]), 1..9u64)
            .prop_map(|(kind, name, pattern, limit)| Step::Policy(kind, name, pattern, limit)),
        1 => (kind(), select(&["p", "o"][..])).prop_map(|(kind, name)| Step::ClearPolicy(kind, name)),
        1 => (select(&QUEUES[..]), any::<bool>(), prop::option::of(1..9u64))
            .prop_map(|(queue, paused, max_rate)| Step::Flow(queue, Flow { paused, max_rate })),
        4 => (exchange(), any::<bool>(), prop::bool::weighted(0.3)).prop_map(
            |(name, durable, auto_delete)| Step::Exchange { name, durable, auto_delete }
        ),
        1 => exchange().prop_map(Step::DeleteExchange),
        4 => (select(&QUEUES[..]), prop::bool::weighted(0.7), argument)
            .prop_map(|(name, durable, argument)| Step::Queue { name, durable, argument }),
        1 => select(&QUEUES[..]).prop_map(Step::RemoveQueue),
        8 => (
            prop::bool::weighted(0.8), select(&EXCHANGES[..]), target, select(&KEYS[..]),
            any::<bool>()
        ).prop_map(|(on, source, target, key, argument)| {
            Step::Bind(on, source, target, key, argument)
        }),
    ]
}

fn step(topology: &mut Topology<u32>, step: &Step) {
    match step {
        Step::Exchange { name, durable, auto_delete } => {
            let spec = exchange(name, ExchangeKind::Topic);
            let (durable, auto_delete) = (*durable, *auto_delete);
            let _ = topology.declare_exchange(ExchangeSpec { durable, auto_delete, ..spec });
        }
        Step::DeleteExchange(name) => {
            let _ = topology.delete_exchange(name, false);
        }
        Step::Queue { name, durable, argument } => {
            let arguments = table("x-any", AMQPValue::Double(*argument));
            let spec = QueueSpec { durable: *durable, arguments, ..queue(name) };
            let _ = topology.declare_queue(spec, |_| 0);
        }
        Step::RemoveQueue(name) => {
            if let Some(id) = topology.queues.get(*name).copied() {
                topology.remove_queue(id);
            }
        }
        Step::Policy(kind, name, pattern, limit) => {
            let spec = PolicySpec {
                name: (*name).to_owned(),
                pattern: (*pattern).to_owned(),
                apply_to: String::new(),
                priority: 0,
                definition: serde_json::json!({ "max-length": limit }),
            };
            topology.set_policy(*kind, Policy::new(*kind, spec).unwrap().into());
        }
        Step::ClearPolicy(kind, name) => drop(topology.clear_policy(*kind, name)),
        Step::Flow(queue, flow) => drop(topology.set_flow(queue, *flow)),
        Step::Bind(on, source, target, key, argument) => {
            let arguments = match argument {
                true => table("x", AMQPValue::LongInt(5)),
                false => FieldTable::default(),
            };
            let (target, arguments) = (*target, &arguments);
            let spec = BindingSpec { source, target, key, arguments };
            let _ = match on {
                true => topology.bind(spec, ANYONE).map(drop),
                false => topology.unbind(spec, ANYONE),
            };
        }
    }
}

/// All keys that a topology ought to have in the catalog.
fn keys(topology: &Topology<u32>) -> Vec<Bytes> {
    let mut keys = Vec::new();
    for exchange in topology.exchange.values() {
        keys.extend(record::put_exchange("/", exchange).map(|(key, _)| key));
        let bindings = exchange.bindings.iter();
        let durable = bindings.filter(|b| exchange.spec.durable && topology.is_durable(b.dest));
        keys.extend(durable.map(|b| record::remove_binding("/", exchange.id, &b).0));
    }
    let queues = topology.queue.values();
    let queues = queues.filter_map(|entry| record::put_queue("/", &entry.record, entry.flow));
    keys.extend(queues.map(|(key, _)| key));
    for kind in [Kind::User, Kind::Operator] {
        let policies = topology.policies.of(kind).iter();
        keys.extend(policies.map(|policy| record::remove_policy("/", kind, &policy.name).0));
    }
    keys.sort();
    keys
}

proptest! {
    #[test]
    fn what_is_recorded_is_what_survives(steps in vec(any_step(), 0..60)) {
        let mut topology = topology();
        let mut catalog = BTreeMap::new();
        for one in &steps {
            step(&mut topology, one);
            for (key, value) in topology.take_changes() {
                match value {
                    Some(value) => drop(catalog.insert(key, value)),
                    None => prop_assert!(catalog.remove(&key).is_some(), "removed twice"),
                }
            }
            let recorded: Vec<Bytes> = catalog.keys().cloned().collect();
            prop_assert_eq!(recorded, keys(&topology));
        }
        let records: Vec<Record> =
            catalog.values().map(|value| Record::decode(value).unwrap()).collect();
        let mut restored = Topology::new("/", Arc::default());
        restored.restore(&records.iter().collect::<Vec<_>>(), |_| 0).unwrap();
        prop_assert_eq!(keys(&restored), keys(&topology));
        for (id, entry) in &restored.queue {
            let before = &topology.queue[id];
            prop_assert_eq!((&entry.applied, entry.flow), (&before.applied, before.flow));
        }
        for (id, exchange) in &restored.exchange {
            prop_assert_eq!(&exchange.applied, &topology.exchange[id].applied);
        }
        prop_assert!(restored.census.last_id() <= topology.census.last_id());
        // Once more from what the second life would record.
        for (key, value) in &catalog {
            let record = Record::decode(value).unwrap();
            let again = serde_json::to_vec(&record).unwrap();
            prop_assert_eq!(&again[..], &value[..], "{:?}", key);
        }
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for value in [
        "",
        "{}",
        r#"{"kind":"queue","v":2,"vhost":"/","name":"q","id":1,"auto_delete":false,"arguments":""}"#,
    ] {
        assert!(Record::decode(value.as_bytes()).is_err());
    }
    let binding = r#"{"kind":"binding","v":1,"vhost":"/","source":"no","destination":"q","to_queue":true,"routing_key":"","arguments":""}"#;
    let record = Record::decode(binding.as_bytes()).unwrap();
    let refused = Topology::<u32>::new("/", Arc::default()).restore(&[&record], |_| 0);
    assert!(refused.unwrap_err().contains("no exchange 'no' in vhost '/'"));
}
