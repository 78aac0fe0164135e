use std::collections::BTreeMap;

use amq_protocol::types::{AMQPValue, FieldTable};
use proptest::prelude::*;

use super::super::naive::NaiveBindings;
use super::*;

/// Exchanges with their alternates.
#[derive(Default)]
struct Graph(BTreeMap<ExchangeId, (Bindings, Option<ExchangeId>)>);

impl ExchangeGraph for Graph {
    fn bindings(&self, id: ExchangeId) -> Option<&Bindings> {
        self.0.get(&id).map(|exchange| &exchange.0)
    }

    fn alternate(&self, id: ExchangeId) -> Option<ExchangeId> {
        self.0.get(&id).and_then(|exchange| exchange.1)
    }
}

impl Graph {
    fn declare(&mut self, id: u64, kind: ExchangeKind, alternate: Option<u64>) {
        let bindings = Bindings::new(kind, &FieldTable::default()).unwrap();
        let exchange = (bindings, alternate.map(ExchangeId));
        self.0.insert(ExchangeId(id), exchange);
    }

    fn bind(&mut self, from: u64, to: Destination, key: &str) {
        let exchange = self.0.get_mut(&ExchangeId(from)).unwrap();
        let added = exchange.0.add(to, key.as_bytes(), &FieldTable::default());
        added.unwrap();
    }

    fn route(&self, start: u64, keys: &[&str]) -> Vec<u64> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
        let input = RouteInput { keys: &keys, ..RouteInput::default() };
        let walk = route_all(self, ExchangeId(start), &input);
        walk.queues.iter().map(|queue| queue.0).collect()
    }
}

fn queue(id: u64) -> Destination {
    Destination::Queue(QueueId(id))
}

fn exchange(id: u64) -> Destination {
    Destination::Exchange(ExchangeId(id))
}

#[test]
fn one_copy_per_queue_by_whatever_keys_and_ways() {
    let mut graph = Graph::default();
    graph.declare(1, ExchangeKind::Direct, None);
    graph.declare(2, ExchangeKind::Fanout, None);
    graph.bind(1, queue(7), "a");
    graph.bind(1, queue(7), "b");
    graph.bind(1, queue(3), "b");
    graph.bind(1, exchange(2), "a");
    graph.bind(2, queue(7), "");
    graph.bind(2, queue(1), "");
    assert_eq!(graph.route(1, &["a", "b"]), [1, 3, 7]);
    assert_eq!(graph.route(1, &["b"]), [3, 7]);
    assert_eq!(graph.route(1, &["c"]), [0; 0]);
    assert_eq!(graph.route(9, &["a"]), [0; 0]);
}

#[test]
fn cycles_end() {
    let mut graph = Graph::default();
    for id in 1..4 {
        graph.declare(id, ExchangeKind::Fanout, None);
        graph.bind(id, queue(id), "");
        graph.bind(id, exchange(id % 3 + 1), "");
        graph.bind(id, exchange(id), "");
    }
    assert_eq!(graph.route(2, &["k"]), [1, 2, 3]);
}

#[test]
fn the_alternate_serves_an_exchange_without_a_match() {
    let mut graph = Graph::default();
    graph.declare(1, ExchangeKind::Direct, Some(2));
    graph.declare(2, ExchangeKind::Topic, Some(3));
    graph.declare(3, ExchangeKind::Fanout, Some(1));
    graph.bind(1, queue(1), "a");
    graph.bind(2, queue(2), "b.#");
    graph.bind(3, queue(3), "");
    assert_eq!(graph.route(1, &["a"]), [1]);
    assert_eq!(graph.route(1, &["b"]), [2]);
    assert_eq!(graph.route(1, &["c"]), [3]);
    // One key that matches is enough, and the alternate sees all keys.
    assert_eq!(graph.route(1, &["a", "b"]), [1]);
    assert_eq!(graph.route(1, &["c", "b"]), [2]);
}

#[test]
fn a_match_that_leads_nowhere_is_still_a_match() {
    let mut graph = Graph::default();
    graph.declare(1, ExchangeKind::Fanout, Some(3));
    graph.declare(2, ExchangeKind::Direct, None);
    graph.declare(3, ExchangeKind::Fanout, None);
    graph.bind(1, exchange(2), "");
    graph.bind(3, queue(3), "");
    assert_eq!(graph.route(1, &["k"]), [0; 0]);
    // The alternate of an exchange inside the walk counts too.
    graph.declare(2, ExchangeKind::Direct, Some(3));
    assert_eq!(graph.route(1, &["k"]), [3]);
}

#[test]
fn missing_alternates_and_alternate_cycles_are_harmless() {
    let mut graph = Graph::default();
    graph.declare(1, ExchangeKind::Direct, Some(2));
    graph.declare(2, ExchangeKind::Direct, Some(1));
    graph.declare(3, ExchangeKind::Direct, Some(99));
    assert_eq!(graph.route(1, &["k"]), [0; 0]);
    assert_eq!(graph.route(3, &["k"]), [0; 0]);
}

#[test]
fn a_walk_tells_what_it_depends_on_and_who_remembers() {
    let mut graph = Graph::default();
    graph.declare(1, ExchangeKind::Direct, None);
    graph.declare(2, ExchangeKind::Random, None);
    graph.declare(3, ExchangeKind::RecentHistory, None);
    graph.bind(1, queue(1), "a");
    graph.bind(1, exchange(2), "b");
    graph.bind(2, exchange(3), "");
    let walk = |start, key: &str, headers: Option<&FieldTable>| {
        let input = RouteInput { keys: &[key.as_bytes()], headers, ..RouteInput::default() };
        let walk = route_all(&graph, ExchangeId(start), &input);
        (walk.by_keys_only, walk.histories)
    };
    assert_eq!(walk(1, "a", None), (true, vec![]));
    assert_eq!(walk(1, "c", None), (true, vec![]));
    assert_eq!(walk(1, "b", None), (false, vec![ExchangeId(3)]));
    assert_eq!(walk(3, "", None), (false, vec![ExchangeId(3)]));
    let mut headers = FieldTable::default();
    headers.insert("x-recent-history-no-store".into(), AMQPValue::Boolean(true));
    assert_eq!(walk(3, "", Some(&headers)), (false, vec![]));
}

/// (kind, alternate, bindings) of the exchanges 0, 1, …
type Plan = Vec<(ExchangeKind, Option<u64>, Vec<(Destination, &'static str)>)>;

fn any_plan() -> impl Strategy<Value = Plan> {
    let kind =
        prop::sample::select(vec![ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic]);
    let dest = prop_oneof![(0..5u64).prop_map(queue), (0..6u64).prop_map(exchange)];
    let key = prop::sample::select(vec!["a", "b", "#.b", "*"]);
    let bindings = prop::collection::vec((dest, key), 0..4);
    prop::collection::vec((kind, prop::option::of(0..6u64), bindings), 1..6)
}

/// The queues reached, by a fixed point over the reached exchanges.
fn naive_route(plan: &Plan, keys: &[&str]) -> Vec<u64> {
    let mut reached = vec![exchange(0)];
    let mut at = 0;
    while let Some(dest) = reached.get(at).copied() {
        at += 1;
        let Destination::Exchange(id) = dest else {
            continue;
        };
        let Some((kind, alternate, bindings)) = plan.get(id.0 as usize) else {
            continue;
        };
        let mut naive = NaiveBindings::new(*kind);
        for (dest, key) in bindings {
            naive.add(*dest, key.as_bytes(), &FieldTable::default());
        }
        let keys: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
        let mut matched = naive.route(&RouteInput { keys: &keys, ..RouteInput::default() });
        if matched.is_empty() {
            matched.extend(alternate.map(exchange));
        }
        for dest in matched {
            if !reached.contains(&dest) {
                reached.push(dest);
            }
        }
    }
    let mut queues: Vec<_> = reached
        .iter()
        .filter_map(|dest| match dest {
            Destination::Queue(queue) => Some(queue.0),
            Destination::Exchange(_) => None,
        })
        .collect();
    queues.sort_unstable();
    queues
}

proptest! {
    #[test]
    fn a_walk_reaches_what_a_fixed_point_reaches(
        plan in any_plan(),
        keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", ""]), 1..3),
    ) {
        let mut graph = Graph::default();
        for (id, (kind, alternate, bindings)) in plan.iter().enumerate() {
            graph.declare(id as u64, *kind, *alternate);
            for (dest, key) in bindings {
                graph.bind(id as u64, *dest, key);
            }
        }
        prop_assert_eq!(graph.route(0, &keys), naive_route(&plan, &keys));
    }
}
