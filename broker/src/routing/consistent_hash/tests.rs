use std::collections::BTreeMap;

use amq_protocol::types::ShortString;
use lepus_protocol::methods::basic::AMQPProperties;
use lepus_protocol::properties;
use proptest::prelude::*;

use super::*;
use crate::routing::{ExchangeId, QueueId};

const KEYS: u64 = 4000;

fn queue(id: u64) -> Destination {
    Destination::Queue(QueueId(id))
}

/// An exchange with queues of these numbers and weights.
fn index(weights: &[(u64, u64)]) -> ConsistentHashIndex {
    let mut index = ConsistentHashIndex::new(&FieldTable::default()).unwrap();
    for (id, weight) in weights {
        index.add(queue(*id), weight.to_string().as_bytes());
    }
    index
}

fn routed(index: &ConsistentHashIndex, input: &RouteInput<'_>) -> Option<Destination> {
    let mut out = Vec::new();
    index.route(input, &mut out);
    assert!(out.len() <= 1);
    out.pop()
}

fn by_key(index: &ConsistentHashIndex, key: u64) -> Option<Destination> {
    routed(index, &RouteInput { keys: &[key.to_string().as_bytes()], ..RouteInput::default() })
}

/// Where each of many keys goes.
fn all_keys(index: &ConsistentHashIndex) -> Vec<Option<Destination>> {
    (0..KEYS).map(|key| by_key(index, key)).collect()
}

/// Queues 0, 1, … with their weights.
fn any_weights() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let weight = prop_oneof![Just(1u64), Just(10), 1..50u64];
    prop::collection::vec(weight, 1..12).prop_map(|weights| (0..).zip(weights).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn keys_are_spread_by_weight(weights in any_weights()) {
        let mut counts: BTreeMap<Destination, f64> = BTreeMap::new();
        for dest in all_keys(&index(&weights)) {
            *counts.entry(dest.unwrap()).or_default() += 1.0;
        }
        let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in weights {
            let expected = (KEYS * weight) as f64 / sum as f64;
            let count = counts.get(&queue(id)).copied().unwrap_or_default();
            // Six standard deviations of a fair choice, at least.
            let reach = 6.0 * expected.sqrt() + 1.0;
            prop_assert!((count - expected).abs() <= reach, "{}: {} of {}", id, count, expected);
        }
    }

    #[test]
    fn another_binding_takes_its_share_and_moves_nothing_else(
        mut weights in any_weights(),
        weight in 1..50u64,
    ) {
        let before = all_keys(&index(&weights));
        let id = weights.len() as u64;
        weights.push((id, weight));
        let mut grown = index(&weights);
        for (before, after) in before.iter().zip(all_keys(&grown)) {
            prop_assert!(after == *before || after == Some(queue(id)));
        }
        // And gives back just that.
        grown.remove(queue(id), weight.to_string().as_bytes());
        prop_assert_eq!(all_keys(&grown), before);
    }

    #[test]
    fn the_order_of_bindings_does_not_count(weights in any_weights(), turn in 0..12usize) {
        let mut turned = weights.clone();
        turned.rotate_left(turn % weights.len());
        prop_assert_eq!(all_keys(&index(&weights)), all_keys(&index(&turned)));
    }
}

#[test]
fn weights_of_one_destination_add_up() {
    let mut both = index(&[(0, 1), (1, 3)]);
    let before = all_keys(&both);
    both.add(queue(0), b"2");
    assert!(all_keys(&both) == all_keys(&index(&[(0, 3), (1, 3)])) && all_keys(&both) != before);
    both.remove(queue(0), b"2");
    assert_eq!(all_keys(&both), before);
    both.remove(queue(0), b"1");
    both.remove(queue(1), b"3");
    assert!(by_key(&both, 1).is_none() && both.weights.is_empty() && both.groups.is_empty());
}

#[test]
fn queues_and_exchanges_of_one_number_are_two() {
    let mut index = index(&[(7, 1)]);
    index.add(Destination::Exchange(ExchangeId(7)), b"1");
    let to_queue = all_keys(&index).iter().filter(|dest| **dest == Some(queue(7))).count() as u64;
    assert!((KEYS * 2 / 5..KEYS * 3 / 5).contains(&to_queue), "{to_queue}");
}

#[test]
fn enormous_weights_are_fine() {
    let keys = ["9".repeat(255), "99999999999999999998".into()];
    let mut index = index(&[(0, 1)]);
    keys.iter().for_each(|key| index.add(queue(1), key.as_bytes()));
    assert!(all_keys(&index).iter().all(|dest| *dest == Some(queue(1))));
    keys.iter().for_each(|key| index.remove(queue(1), key.as_bytes()));
    assert_eq!(by_key(&index, 1), Some(queue(0)));
}

#[test]
fn weights_are_read_as_erlang_reads_integers() {
    let read = |key: &str| weight(key.as_bytes()).map_err(|invalid| invalid.to_string());
    assert_eq!([read("1"), read("+5"), read("007")], [Ok(1), Ok(5), Ok(7)]);
    for key in ["0", "-1", "-0", "+0"] {
        assert_eq!(read(key), Err("The binding key must be greater than 0".into()));
    }
    for (key, term) in [("", "<<>>"), (" 5", r#"<<" 5">>"#), ("1.5", r#"<<"1.5">>"#)] {
        assert_eq!(read(key), Err(format!("The binding key must be an integer: {term}")));
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// An exchange with an argument and eight queues.
fn index_by(name: &str, value: AMQPValue) -> Result<ConsistentHashIndex, String> {
    let mut args = FieldTable::default();
    args.insert(name.into(), value);
    let mut index = ConsistentHashIndex::new(&args).map_err(|invalid| invalid.to_string())?;
    (0..8).for_each(|id| index.add(queue(id), b"1"));
    Ok(index)
}

#[test]
fn a_header_may_be_hashed() {
    let index = index_by("hash-header", text("h")).unwrap();
    let reached = |value: Option<AMQPValue>, key: &[u8]| {
        let mut headers = FieldTable::default();
        if let Some(value) = value {
            headers.insert("h".into(), value);
        }
        let headers = Some(&headers);
        routed(&index, &RouteInput { keys: &[key], headers, ..RouteInput::default() })
    };
    let long = |number| Some(AMQPValue::LongInt(number));
    assert!((0..50).any(|number| reached(long(number), b"k") != reached(long(0), b"k")));
    assert_eq!(reached(long(5), b"k"), reached(Some(AMQPValue::ShortInt(5)), b"other"));
    assert_eq!(reached(None, b"k"), reached(None, b"other"));
    assert!(index.reads_headers() && index.reads_properties());
}

#[test]
fn a_property_may_be_hashed() {
    type Make = fn(ShortString) -> AMQPProperties;
    let makes: [(&str, Make); 3] = [
        ("message_id", |text| AMQPProperties::default().with_message_id(text)),
        ("correlation_id", |text| AMQPProperties::default().with_correlation_id(text)),
        ("timestamp", |text| AMQPProperties::default().with_timestamp(text.as_str().len() as u64)),
    ];
    for (name, make) in makes {
        let index = index_by("hash-property", text(name)).unwrap();
        let reached = |len: usize, key: &[u8]| {
            let octets = properties::encode(&make("x".repeat(len).into()));
            let input = RouteInput { keys: &[key], properties: &octets, ..RouteInput::default() };
            routed(&index, &input)
        };
        assert!((0..50).any(|len| reached(len, b"k") != reached(0, b"k")), "{name}");
        assert!((0..50).all(|len| reached(len, b"k") == reached(len, b"other")), "{name}");
        assert!(index.reads_properties() && !index.reads_headers());
    }
}

#[test]
fn arguments_are_refused_in_the_words_of_rabbitmq() {
    let refused = |name, value| index_by(name, value).unwrap_err();
    assert_eq!(refused("hash-property", text("app_id")), "Unsupported property: app_id");
    assert_eq!(refused("hash-property", AMQPValue::LongInt(5)), "Unsupported property: 5");
    assert_eq!(refused("hash-header", AMQPValue::Boolean(true)), "Unsupported header: true");
    let mut both = FieldTable::default();
    both.insert("hash-header".into(), text("h"));
    both.insert("hash-property".into(), text("nonsense"));
    assert_eq!(
        ConsistentHashIndex::new(&both).unwrap_err().to_string(),
        "hash-header and hash-property are mutually exclusive"
    );
}
