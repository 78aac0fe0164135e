//! How bindings come and go, and where messages go.

use super::*;
use crate::message::Builder;

use Target::{Exchange as ToExchange, Queue as ToQueue};

#[test]
fn the_default_exchange_leads_to_each_queue_by_name() {
    let mut topology = topology();
    topology.add_queue("b", 2);
    topology.add_queue("a", 1);
    assert_eq!((topology.to("", "a"), topology.to("", "c")), (vec![1], vec![]));
    let keys: [&[u8]; 4] = [b"a", b"\xff", b"b", b"a"];
    let route = topology.routed("", &keys);
    // Oldest first, each once.
    let Route { queues, stable, histories, .. } = route.unwrap();
    assert_eq!((queues, stable, histories), (vec![2, 1], true, vec![]));
}

#[test]
fn a_queue_that_goes_takes_its_bindings_along() {
    let mut topology = topology();
    let old = topology.add_queue("q", 1);
    topology.add_queue("other", 2);
    for key in ["a", "b"] {
        topology.bound("amq.direct", ToQueue("q"), key);
        topology.bound("amq.topic", ToQueue("q"), key);
        topology.bound("amq.direct", ToQueue("other"), key);
    }
    assert_eq!((topology.remove_queue(old), topology.remove_queue(old)), (Some(1), None));
    assert_eq!(topology.to("amq.direct", "a"), [2]);
    assert!(topology.to("amq.topic", "a").is_empty() && topology.to("", "q").is_empty());
    topology.check_books();
    // One of the same name is another queue.
    assert_ne!(topology.add_queue("q", 3), old);
    assert_eq!((topology.to("amq.direct", "a"), topology.to("", "q")), (vec![2], vec![3]));
}

#[test]
fn a_binding_is_its_ends_its_key_and_its_arguments() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    let (none, some) = (FieldTable::default(), table("a", text("b")));
    for arguments in [&none, &none, &some, &some] {
        topology.bind_with("amq.direct", ToQueue("q"), "k", arguments).expect("a binding");
    }
    assert_eq!(topology.bindings, 2);
    topology.unbound("amq.direct", ToQueue("q"), "other");
    topology.unbound("amq.direct", ToQueue("q"), "k");
    topology.unbound("amq.direct", ToQueue("q"), "k");
    assert_eq!((topology.bindings, topology.to("amq.direct", "k")), (1, vec![1]));
    let arguments = &some;
    let last = BindingSpec { source: "amq.direct", target: ToQueue("q"), key: "k", arguments };
    assert_eq!(topology.unbind(last, ANYONE), Ok(()));
    assert!(topology.to("amq.direct", "k").is_empty());
    topology.check_books();
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    topology.add_exchange(auto_delete("x", ExchangeKind::Fanout));
    assert!(topology.has_exchange("x"), "one that was never bound stays");
    topology.bound("x", ToQueue("q"), "a");
    topology.bound("x", ToQueue("q"), "b");
    topology.unbound("x", ToQueue("q"), "a");
    topology.unbound("x", ToQueue("q"), "a");
    assert!(topology.has_exchange("x"));
    topology.unbound("x", ToQueue("q"), "b");
    assert!(!topology.has_exchange("x"));
    topology.check_books();
}

#[test]
fn bindings_to_an_auto_delete_exchange_do_not_keep_it() {
    let mut topology = topology();
    let q = topology.add_queue("q", 1);
    topology.add_exchange(auto_delete("x", ExchangeKind::Fanout));
    topology.bound("amq.fanout", ToExchange("x"), "");
    topology.bound("x", ToQueue("q"), "");
    assert_eq!(topology.to("amq.fanout", ""), [1]);
    topology.remove_queue(q);
    assert!(!topology.has_exchange("x"));
    assert_eq!(topology.bindings, 0);
    topology.check_books();
}

#[test]
fn auto_delete_exchanges_fall_like_dominoes() {
    let mut topology = topology();
    let q = topology.add_queue("q", 1);
    for name in ["a", "b", "c"] {
        topology.add_exchange(auto_delete(name, ExchangeKind::Direct));
    }
    topology.add_exchange(exchange("stays", ExchangeKind::Direct));
    // a → b → c → q, a → c, b → b, stays → a
    for (from, to) in [("a", "b"), ("b", "c"), ("a", "c"), ("stays", "a")] {
        topology.bound(from, ToExchange(to), "");
    }
    topology.bound("c", ToQueue("q"), "");
    assert_eq!(topology.to("stays", ""), [1]);
    topology.remove_queue(q);
    assert!(["a", "b", "c"].iter().all(|name| !topology.has_exchange(name)));
    assert!(topology.has_exchange("stays"));
    assert_eq!(topology.bindings, 0);
    topology.check_books();
}

#[test]
fn an_exchange_bound_to_itself_can_go() {
    let mut topology = topology();
    topology.add_exchange(auto_delete("x", ExchangeKind::Fanout));
    topology.add_queue("q", 1);
    topology.bound("x", ToExchange("x"), "");
    topology.bound("x", ToQueue("q"), "");
    assert_eq!(topology.to("x", ""), [1]);
    topology.unbound("x", ToQueue("q"), "");
    assert!(topology.has_exchange("x"), "its binding to itself counts");
    assert_eq!(topology.delete_exchange("x", false), Ok(()));
    topology.check_books();
}

/// Whatever its length: a chain is not followed on the stack.
#[test]
fn a_long_chain_of_auto_delete_exchanges_can_go() {
    let mut topology = topology();
    let q = topology.add_queue("q", 1);
    let names: Vec<String> = (0..20_000).map(|number| format!("x{number}")).collect();
    for name in &names {
        topology.add_exchange(auto_delete(name, ExchangeKind::Fanout));
    }
    for pair in names.windows(2) {
        topology.bound(&pair[0], ToExchange(&pair[1]), "");
    }
    topology.bound("x19999", ToQueue("q"), "");
    assert_eq!(topology.to("x0", ""), [1]);
    topology.remove_queue(q);
    assert!(names.iter().all(|name| !topology.has_exchange(name)));
    topology.check_books();
}

#[test]
fn if_unused_asks_for_bindings_from_the_exchange() {
    let mut topology = topology();
    topology.add_exchange(exchange("x", ExchangeKind::Direct));
    topology.add_queue("q", 1);
    topology.bound("x", ToQueue("q"), "k");
    let refusal = refused(topology.delete_exchange("x", true));
    let reason = "exchange 'x' in vhost '/' in use".to_owned();
    assert_eq!(refusal, (ReplyCode::PreconditionFailed, reason));
    topology.unbound("x", ToQueue("q"), "k");
    // One that is only a destination is not in use.
    topology.bound("amq.fanout", ToExchange("x"), "");
    assert_eq!(topology.delete_exchange("x", true), Ok(()));
    assert_eq!(topology.bindings, 0);
    topology.check_books();
}

#[test]
fn an_internal_exchange_is_only_reached_through_others() {
    let mut topology = topology();
    topology.add_exchange(ExchangeSpec { internal: true, ..exchange("x", ExchangeKind::Fanout) });
    topology.add_queue("q", 1);
    topology.bound("x", ToQueue("q"), "");
    let refusal = refused(topology.routed("x", &[b""]));
    let reason = "cannot publish to internal exchange 'x' in vhost '/'".to_owned();
    assert_eq!(refusal, (ReplyCode::AccessRefused, reason));
    topology.bound("amq.direct", ToExchange("x"), "k");
    assert_eq!(topology.to("amq.direct", "k"), [1]);
}

#[test]
fn the_alternate_exchange_is_found_by_name_at_each_message() {
    let mut topology = topology();
    let arguments = table("alternate-exchange", text("rest"));
    let spec =
        || ExchangeSpec { arguments: arguments.clone(), ..exchange("x", ExchangeKind::Direct) };
    topology.add_exchange(spec());
    assert_eq!(topology.declare_exchange(spec()), Ok(false));
    topology.add_queue("q", 1);
    topology.add_queue("unknown", 2);
    topology.bound("x", ToQueue("q"), "k");
    assert!(topology.to("x", "other").is_empty(), "there is no such exchange yet");
    topology
        .add_exchange(ExchangeSpec { internal: true, ..exchange("rest", ExchangeKind::Fanout) });
    topology.bound("rest", ToQueue("unknown"), "");
    assert_eq!((topology.to("x", "k"), topology.to("x", "other")), (vec![1], vec![2]));
    topology.delete_exchange("rest", false).expect("a deletion");
    assert!(topology.to("x", "other").is_empty());
}

#[test]
fn bound_exchanges_and_alternates_reach_each_queue_once() {
    let mut topology = topology();
    let arguments = table("alternate-exchange", text("amq.fanout"));
    topology.add_exchange(ExchangeSpec { arguments, ..exchange("x", ExchangeKind::Topic) });
    for (name, handle) in [("a", 1), ("b", 2)] {
        topology.add_queue(name, handle);
        topology.bound("amq.fanout", ToQueue(name), "");
    }
    topology.bound("x", ToExchange("amq.fanout"), "#.red");
    topology.bound("x", ToQueue("a"), "very.*");
    topology.bound("amq.fanout", ToExchange("x"), "");
    assert_eq!(topology.to("x", "very.red"), [1, 2]);
    assert_eq!(topology.to("x", "very.blue"), [1]);
    assert_eq!(topology.to("x", "blue"), [1, 2], "by the alternate exchange");
}

#[test]
fn routes_are_stable_until_headers_matter() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    assert!(topology.stable("amq.direct") && topology.stable("") && topology.stable("amq.match"));
    let arguments = table("colour", text("red"));
    topology.bind_with("amq.headers", ToQueue("q"), "", &arguments).expect("a binding");
    assert!(!topology.stable("amq.headers") && topology.stable("amq.direct"));
    topology.bound("amq.direct", ToExchange("amq.headers"), "k");
    assert!(!topology.stable("amq.direct") && topology.stable(""), "it leads there");
    assert!(topology.reads_headers());
    let route = |topology: &Topology<u32>, colour| {
        let headers = table("colour", text(colour));
        let input = RouteInput { keys: &[b""], headers: Some(&headers), ..RouteInput::default() };
        topology.route("amq.headers", &input).map(|route| route.queues)
    };
    assert_eq!(route(&topology, "red"), Ok(vec![1]));
    assert_eq!(route(&topology, "blue"), Ok(vec![]));
    let (source, target, key) = ("amq.headers", ToQueue("q"), "");
    let spec = BindingSpec { source, target, key, arguments: &arguments };
    assert_eq!(topology.unbind(spec, ANYONE), Ok(()));
    assert!(topology.stable("amq.direct") && !topology.reads_headers());
}

#[test]
fn a_headers_exchange_that_goes_is_asked_no_more() {
    let mut topology = topology();
    let q = topology.add_queue("q", 1);
    topology.add_exchange(exchange("h", ExchangeKind::Headers));
    topology.add_exchange(auto_delete("auto", ExchangeKind::Headers));
    topology.add_exchange(exchange("recent", ExchangeKind::RecentHistory));
    let arguments = table("colour", text("red"));
    for name in ["h", "auto"] {
        topology.bind_with(name, ToQueue("q"), "", &arguments).expect("a binding");
    }
    for name in ["recent", "h"] {
        topology.delete_exchange(name, false).expect("a deletion");
        assert!(topology.reads_headers());
    }
    topology.remove_queue(q);
    assert!(!topology.reads_headers() && !topology.has_exchange("auto"));
    topology.check_books();
}

#[test]
fn histories_and_draws_make_routes_unstable() {
    let mut topology = topology();
    topology.add_exchange(exchange("random", ExchangeKind::Random));
    topology.add_exchange(exchange("recent", ExchangeKind::RecentHistory));
    topology.add_exchange(exchange("key", ExchangeKind::ConsistentHash));
    topology.add_exchange(exchange("modulus", ExchangeKind::ModulusHash));
    let arguments = table("hash-property", text("message_id"));
    let spec = exchange("property", ExchangeKind::ConsistentHash);
    topology.add_exchange(ExchangeSpec { arguments, ..spec });
    let stable = |name: &&str| topology.stable(name);
    assert!(["key", "modulus", "amq.direct"].iter().all(stable));
    assert!(!["random", "recent", "property"].iter().any(stable));
    assert!(topology.reads_headers(), "one of them keeps a message out of the history");
}

#[test]
fn what_was_published_lately_is_for_new_bindings() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    let arguments = table("x-recent-history-length", AMQPValue::LongInt(2));
    let spec = exchange("recent", ExchangeKind::RecentHistory);
    topology.add_exchange(ExchangeSpec { arguments, ..spec });
    let message = |body: &str| Builder::whole(0, b"\x06recent\0", &[0, 0], body.as_bytes(), false);
    let messages = ["1", "2", "3"].map(message);
    for message in &messages {
        let route = topology.routed("recent", &[b""]).expect("an exchange");
        topology.remember(&route.histories, message);
    }
    let arguments = FieldTable::default();
    let mut bind = |target, key| {
        let spec = BindingSpec { source: "recent", target, key, arguments: &arguments };
        topology.apply(0, Command::Bind(spec, ANYONE), |_| 0)
    };
    let last = || messages[1..].to_vec();
    assert_eq!(bind(ToQueue("q"), ""), Ok(Outcome::Replay(1, last())));
    assert_eq!(bind(ToQueue("q"), ""), Ok(Outcome::Done), "it was bound");
    assert_eq!(bind(ToQueue("q"), "other"), Ok(Outcome::Replay(1, last())));
    let through = bind(ToExchange("amq.fanout"), "");
    assert!(matches!(through, Ok(Outcome::ReplayThrough(_, messages)) if messages == last()));
}

#[test]
fn a_binding_that_makes_no_sense_changes_nothing() {
    let mut topology = topology();
    topology.add_queue("q", 1);
    let senseless = table("x-match", text("some"));
    let refusal = refused(topology.bind_with("amq.headers", ToQueue("q"), "", &senseless));
    let reason = "Invalid x-match field value <<\"some\">>; \
                  expected all, any, all-with-x, or any-with-x";
    assert_eq!(refusal, (ReplyCode::PreconditionFailed, reason.to_owned()));
    assert_eq!(topology.bindings, 0);
    topology.check_books();
}

#[test]
fn commands_give_the_same_ids_to_whoever_carries_them_out() {
    let run = || {
        let mut topology = Topology::<u64>::new("/", Arc::default());
        let mut outcomes = Vec::new();
        for name in ["a", "b", "a"] {
            let spec = QueueSpec {
                name: name.to_owned(),
                durable: false,
                owner: None,
                auto_delete: false,
                arguments: FieldTable::default(),
            };
            let declare = Command::DeclareQueue(spec);
            outcomes.push(topology.apply(7, declare, |record| record.id.0));
        }
        let gone = Command::DeleteExchange { name: "amq.direct", if_unused: false };
        outcomes.push(topology.apply(8, gone, |record| record.id.0));
        outcomes
    };
    let outcomes = run();
    assert_eq!(outcomes, run());
    let [Ok(Outcome::New(a)), Ok(Outcome::New(b)), Ok(Outcome::Found(again)), Err(_)] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert!(a == again && a != b);
}
