use std::time::Instant;

use proptest::prelude::*;

use super::super::naive::{any_key, topic_matches};
use super::*;
use crate::routing::QueueId;

fn queue(id: u64) -> Destination {
    Destination::Queue(QueueId(id))
}

fn index_of(patterns: &[&str]) -> TopicIndex {
    let mut index = TopicIndex::default();
    for (id, pattern) in patterns.iter().enumerate() {
        index.add(queue(id as u64), pattern.as_bytes());
    }
    index
}

fn routed(index: &TopicIndex, key: &[u8]) -> Vec<Destination> {
    let mut out = Vec::new();
    index.route(key, &mut out);
    out
}

fn matches(pattern: &str, key: &str) -> bool {
    !routed(&index_of(&[pattern]), key.as_bytes()).is_empty()
}

#[test]
fn stars_and_hashes() {
    for (pattern, key) in [
        ("", ""),
        ("#", ""),
        ("#.#", ""),
        ("#", "a.b"),
        ("*", "a"),
        ("a.*", "a."),
        ("*.*", "."),
        ("a.#", "a"),
        ("a.#.b", "a.b"),
        ("a.#.b", "a.b.b"),
        ("#.*.#", "a"),
        ("a.#.*", "a.b"),
        ("a..b", "a..b"),
        ("*", "#"),
    ] {
        assert!(matches(pattern, key), "{pattern} and {key}");
    }
    for (pattern, key) in [
        ("", "a"),
        ("*", ""),
        ("*", "a.b"),
        ("*", "."),
        ("a.#.b", "a"),
        ("a.#.*", "a"),
        ("#.*.#", ""),
        ("a.b", "a..b"),
        ("A", "a"),
        ("a*", "ab"),
    ] {
        assert!(!matches(pattern, key), "{pattern} and {key}");
    }
}

#[test]
fn two_spellings_of_one_pattern_are_removed_one_by_one() {
    let mut index = TopicIndex::default();
    index.add(queue(1), b"#.*");
    index.add(queue(1), b"*.#");
    index.remove(queue(1), b"#.*");
    assert_eq!(routed(&index, b"a.b"), [queue(1)]);
    index.remove(queue(1), b"*.#");
    assert!(routed(&index, b"a.b").is_empty());
}

#[test]
fn removal_prunes_what_leads_nowhere() {
    let patterns = ["a.b.c", "a.b", "a.#.d", "a.*.*.#", ""];
    let mut index = index_of(&patterns);
    index.remove(queue(0), b"a.b.c");
    assert_eq!(index.nodes.len() - index.free.len(), 8);
    assert!(index.words.get(b"c").is_none());
    index.remove(queue(9), b"a.b");
    index.remove(queue(0), b"a.x");
    for (id, pattern) in patterns.iter().enumerate().skip(1) {
        index.remove(queue(id as u64), pattern.as_bytes());
    }
    assert_eq!((index.nodes.len(), index.edges.len()), (1, 0));
    assert!(index.words.get(b"a").is_none());
}

#[test]
fn many_hashes_over_a_long_key_stay_cheap() {
    // 127 × `#.a.` over 128 words: billions of ways to match, and to fail to.
    let mut pattern = "#.a.".repeat(63);
    pattern.push('b');
    let key = vec!["a"; 128].join(".");
    let start = Instant::now();
    assert!(!matches(&pattern, &key));
    assert!(matches(&pattern, &format!("{}.b", &key[..251])));
    assert!(!matches(&"#.".repeat(127), &key));
    assert!(matches("#.#.#.#.a", &key));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn a_destination_bound_under_a_hash_goes_out_once() {
    let index = index_of(&["#.a.#"]);
    assert_eq!(routed(&index, b"a.a.a.a.a"), [queue(0)]);
}

#[test]
fn the_delay_scheme_of_28_levels() {
    // One queue per bit of the delay; the rest of the key is the address.
    let mut index = TopicIndex::default();
    for level in 0..28 {
        let pattern = format!("{}1.#", "*.".repeat(27 - level as usize));
        index.add(queue(level), pattern.as_bytes());
    }
    let bits = vec!["0"; 28].join(".");
    assert!(routed(&index, format!("{bits}.jobs").as_bytes()).is_empty());
    let three = format!("{}.1.1.jobs.high", vec!["0"; 26].join("."));
    assert_eq!(routed(&index, three.as_bytes()), [queue(1), queue(0)]);
}

proptest! {
    #[test]
    fn a_pattern_matches_as_the_definition_says(pattern in any_key(), key in any_key()) {
        let mut index = TopicIndex::default();
        index.add(queue(0), &pattern);
        prop_assert_eq!(!routed(&index, &key).is_empty(), topic_matches(&pattern, &key));
    }

    #[test]
    fn any_bytes_are_a_key(
        pattern in prop::collection::vec(any::<u8>(), 0..40),
        key in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut index = TopicIndex::default();
        index.add(queue(0), &pattern);
        prop_assert_eq!(!routed(&index, &key).is_empty(), topic_matches(&pattern, &key));
        index.remove(queue(0), &pattern);
        prop_assert_eq!(index.nodes.len(), 1);
    }
}
