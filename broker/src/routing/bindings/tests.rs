use proptest::prelude::*;

use super::super::naive::{NaiveBindings, any_args, any_dest, any_key, any_table};
use super::*;
use crate::routing::QueueId;
use amq_protocol::types::AMQPValue;

/// Those that send a message to every binding that it matches.
const KINDS: [ExchangeKind; 5] = [
    ExchangeKind::Direct,
    ExchangeKind::Fanout,
    ExchangeKind::Topic,
    ExchangeKind::Headers,
    ExchangeKind::RecentHistory,
];

fn bindings_of(kind: ExchangeKind) -> Bindings {
    Bindings::new(kind, &FieldTable::default()).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Add(Destination, Vec<u8>, FieldTable),
    Remove(Destination, Vec<u8>, FieldTable),
    /// Removes the binding at this place of the list, if there is one.
    RemoveNth(usize),
    RemoveDestination(Destination),
    Route(Vec<u8>, Option<FieldTable>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_dest(), any_key(), any_args()).prop_map(|(d, k, a)| Step::Add(d, k, a)),
        1 => (any_dest(), any_key(), any_args()).prop_map(|(d, k, a)| Step::Remove(d, k, a)),
        3 => (0..20usize).prop_map(Step::RemoveNth),
        1 => any_dest().prop_map(Step::RemoveDestination),
        6 => (any_key(), prop::option::of(any_table())).prop_map(|(k, h)| Step::Route(k, h)),
    ]
}

/// Does the same to both and compares all that they say.
fn run(bindings: &mut Bindings, naive: &mut NaiveBindings, step: &Step) {
    match step {
        Step::Add(dest, key, args) => {
            let added = bindings.add(*dest, key, args).unwrap();
            assert_eq!(added, naive.add(*dest, key, args));
        }
        Step::Remove(dest, key, args) => {
            let removed = bindings.remove(*dest, key, args);
            assert_eq!(removed, naive.remove(*dest, key, args));
        }
        Step::RemoveNth(nth) => {
            if let Some((dest, key, args)) = naive.list.get(*nth).cloned() {
                assert!(bindings.remove(dest, &key, &args));
                naive.remove(dest, &key, &args);
            }
        }
        Step::RemoveDestination(dest) => {
            let removed = bindings.remove_destination(*dest);
            assert_eq!(removed, naive.remove_destination(*dest));
            assert!(!bindings.has_destination(*dest));
        }
        Step::Route(key, headers) => {
            let headers = headers.as_ref().filter(|_| bindings.needs_headers());
            let input = RouteInput { keys: &[key], headers, ..RouteInput::default() };
            assert_eq!(routed(bindings, &input), naive.route(&input));
        }
    }
    assert_eq!(bindings.len(), naive.list.len());
    assert_eq!(bindings.is_empty(), naive.list.is_empty());
}

fn routed(bindings: &Bindings, input: &RouteInput<'_>) -> Vec<Destination> {
    let mut out = Vec::new();
    bindings.route(input, &mut out);
    out.sort_unstable();
    out.dedup();
    out
}

proptest! {
    #[test]
    fn any_history_equals_a_naive_list(
        kind in prop::sample::select(KINDS.to_vec()),
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut bindings = bindings_of(kind);
        let mut naive = NaiveBindings::new(kind);
        for step in &steps {
            run(&mut bindings, &mut naive, step);
        }
        let mut listed: Vec<_> = bindings.iter().map(|b| (b.dest, b.key.to_vec())).collect();
        let mut expected: Vec<_> = naive.list.iter().map(|b| (b.0, b.1.clone())).collect();
        expected.sort();
        listed.sort();
        prop_assert_eq!(listed, expected);
        for dest in naive.list.iter().map(|b| b.0) {
            bindings.remove_destination(dest);
        }
        prop_assert!(bindings.is_empty() && bindings.iter().next().is_none());
        prop_assert_eq!(bindings.needs_headers(), kind == ExchangeKind::RecentHistory);
    }
}

#[test]
fn arguments_are_part_of_the_identity() {
    let queue = Destination::Queue(QueueId(1));
    let mut args = FieldTable::default();
    args.insert("note".into(), AMQPValue::LongInt(1));
    for kind in [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic] {
        let mut bindings = bindings_of(kind);
        assert_eq!(bindings.kind(), kind);
        assert_eq!(bindings.add(queue, b"k", &FieldTable::default()), Ok(true));
        assert_eq!(bindings.add(queue, b"k", &args), Ok(true));
        assert_eq!(bindings.add(queue, b"k", &args), Ok(false));
        assert_eq!(bindings.len(), 2);
        assert!(bindings.remove(queue, b"k", &args));
        assert!(!bindings.remove(queue, b"k", &args));
        let input = RouteInput { keys: &[b"k"], ..RouteInput::default() };
        assert_eq!(routed(&bindings, &input), [queue]);
    }
}

/// A message may name as many keys as its header holds.
#[test]
fn many_keys_and_many_bindings_do_not_multiply() {
    for (kind, pattern) in [(ExchangeKind::Topic, "#"), (ExchangeKind::Direct, "k")] {
        let mut bindings = bindings_of(kind);
        for number in 0..500 {
            let queue = Destination::Queue(QueueId(number));
            bindings.add(queue, pattern.as_bytes(), &FieldTable::default()).unwrap();
        }
        let input = RouteInput { keys: &[b"k".as_slice(); 500], ..RouteInput::default() };
        let mut out = Vec::new();
        bindings.route(&input, &mut out);
        assert_eq!(out.len(), 500, "{kind:?}");
    }
}

#[test]
fn a_refused_binding_changes_nothing() {
    let queue = Destination::Queue(QueueId(1));
    let mut args = FieldTable::default();
    args.insert("x-match".into(), AMQPValue::LongString("foo".into()));
    let mut bindings = bindings_of(ExchangeKind::Headers);
    let refusal = bindings.add(queue, b"", &args).unwrap_err();
    assert_eq!(
        refusal.text(),
        "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x"
    );
    assert!(bindings.is_empty() && !bindings.has_destination(queue));
    // The other kinds do not read the argument.
    let mut bindings = bindings_of(ExchangeKind::Direct);
    assert_eq!(bindings.add(queue, b"", &args), Ok(true));
}

#[test]
fn names_of_kinds() {
    for kind in ExchangeKind::ALL {
        assert_eq!(ExchangeKind::parse(kind.name()), Some(kind));
    }
    assert_eq!(ExchangeKind::parse("x-other"), None);
    assert_eq!(ExchangeKind::parse("Direct"), None);
}

#[test]
fn exchanges_that_choose_one_do_not_care_for_the_order() {
    for kind in [ExchangeKind::ConsistentHash, ExchangeKind::ModulusHash, ExchangeKind::Random] {
        let (mut straight, mut around) = (bindings_of(kind), bindings_of(kind));
        let none = FieldTable::default();
        let mut list: Vec<_> = (0..20u64)
            .map(|id| (Destination::Queue(QueueId(id)), (id % 5 + 1).to_string()))
            .collect();
        for (dest, key) in &list {
            straight.add(*dest, key.as_bytes(), &none).unwrap();
        }
        let gone = Destination::Exchange(crate::routing::ExchangeId(1));
        around.add(gone, b"7", &none).unwrap();
        list.reverse();
        for (dest, key) in &list {
            around.add(*dest, key.as_bytes(), &none).unwrap();
            around.add(*dest, b"9", &none).unwrap();
        }
        around.remove_destination(gone);
        for (dest, _) in &list {
            assert!(around.remove(*dest, b"9", &none));
        }
        for number in 0..1000u64 {
            let key = number.to_string();
            let (keys, draw) = ([key.as_bytes(), b"CC"], number << 54);
            let input = RouteInput { keys: &keys, draw, ..RouteInput::default() };
            let chosen = routed(&straight, &input);
            assert_eq!((chosen.len(), &chosen), (1, &routed(&around, &input)));
        }
    }
}
