//! Exchange types: which queues a message goes to.

use lepus_tests::*;

#[test]
fn default_exchange_routes_to_the_queue_of_that_name() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.publish("", &one, "for one");
    let message = ch.got(&one);
    assert_eq!(
        (message.method.exchange.as_str(), message.method.routing_key.as_str()),
        ("", one.as_str())
    );
    assert!(ch.drain(&two).is_empty());
}

#[test]
fn direct_exchange_wants_the_same_key() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("direct");
    ch.exchange(&exchange, "direct");
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&one, &exchange, "a");
    ch.bind(&one, &exchange, "b");
    ch.bind(&two, &exchange, "b");
    for key in ["a", "b", "c", "A", "a.b", ""] {
        ch.publish(&exchange, key, key);
    }
    assert_eq!(ch.drain(&one), ["a", "b"]);
    assert_eq!(ch.drain(&two), ["b"]);
}

#[test]
fn direct_exchange_takes_wildcards_literally() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("direct"), ch.temp_queue());
    ch.exchange(&exchange, "direct");
    ch.bind(&queue, &exchange, "#");
    for key in ["a", "#"] {
        ch.publish(&exchange, key, key);
    }
    assert_eq!(ch.drain(&queue), ["#"]);
}

#[test]
fn fanout_exchange_ignores_the_key() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("fanout");
    ch.exchange(&exchange, "fanout");
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&one, &exchange, "some");
    ch.bind(&two, &exchange, "other");
    ch.publish(&exchange, "any", "all");
    assert_eq!(
        (ch.drain(&one), ch.drain(&two)),
        (vec!["all".to_string()], vec!["all".to_string()])
    );
}

#[test]
fn several_bindings_of_a_queue_give_one_copy() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (kind, keys) in [("fanout", ["a", "b"]), ("topic", ["#", "a.*"]), ("headers", ["a", "b"])] {
        let (exchange, queue) = (unique(kind), ch.temp_queue());
        ch.exchange(&exchange, kind);
        for key in keys {
            ch.bind(&queue, &exchange, key);
        }
        ch.publish(&exchange, "a.b", "once");
        assert_eq!(ch.drain(&queue), ["once"], "{kind}");
    }
}

/// An empty key has no word at all; a key of one dot has two empty words.
///
/// One row of the table of topics: a pattern, keys that match, keys that do not.
type Topic = (&'static str, &'static [&'static str], &'static [&'static str]);

const TOPICS: &[Topic] = &[
    ("a", &["a"], &["", "b", "a.", ".a", "a.a", "A"]),
    ("a.b", &["a.b"], &["a", "a.b.c", "b.a", "a..b"]),
    ("", &[""], &["a", ".", "a.b"]),
    ("*", &["a", "b", "*", "#"], &["", "a.b", "."]),
    ("*.*", &["a.b", ".", "a.", ".b"], &["a", "", "a.b.c", ".."]),
    ("a.*", &["a.b", "a."], &["a", "a.b.c", "b.a"]),
    ("*.a", &["b.a", ".a"], &["a", "c.b.a"]),
    ("a.*.b", &["a.x.b", "a..b"], &["a.b", "a.x.y.b"]),
    ("#", &["", "a", "a.b", "a.b.c", ".", ".."], &[]),
    ("a.#", &["a", "a.", "a.b", "a.b.c"], &["", "b", "b.a", "ab"]),
    ("#.a", &["a", ".a", "b.a", "c.b.a"], &["", "a.b", "ba"]),
    ("#.a.#", &["a", "a.b", "b.a", "b.a.c", "a.a"], &["", "b", "b.c"]),
    ("a.#.b", &["a.b", "a.x.b", "a.x.y.b", "a..b"], &["a", "b", "a.b.c", "x.a.b"]),
    ("#.#", &["", "a", "a.b", "a.b.c"], &[]),
    ("*.#", &["a", "a.b", "a.b.c", "."], &[""]),
    ("#.*", &["a", "a.b", "a.b.c", "."], &[""]),
    ("*.#.*", &["a.b", "a.b.c", "."], &["a", ""]),
    ("#.*.#", &["a", "a.b", "a.b.c"], &[""]),
    ("#.a.#.a", &["a.a", "x.a.a", "a.x.a", "a.a.a"], &["a", "a.a.x"]),
    ("a.b*", &["a.b*"], &["a.b", "a.bc"]),
    ("a.##", &["a.##"], &["a", "a.b"]),
    ("a..b", &["a..b"], &["a.b", "a.x.b"]),
    ("a b.c", &["a b.c"], &["a.b.c"]),
];

#[test]
fn topic_patterns_match_word_by_word() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (pattern, matching, others) in TOPICS {
        let (exchange, queue) = (unique("topic"), ch.temp_queue());
        ch.exchange(&exchange, "topic");
        ch.bind(&queue, &exchange, pattern);
        if pattern.is_empty() {
            let _: queue::UnbindOk = ch.call(unbind(&queue, &exchange, &queue));
        }
        for key in matching.iter().chain(*others) {
            ch.publish(&exchange, key, key);
        }
        assert_eq!(ch.drain(&queue), *matching, "of the pattern {pattern:?}");
    }
}

#[test]
fn topic_patterns_do_not_disturb_each_other() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("topic");
    ch.exchange(&exchange, "topic");
    let queues: Vec<String> = TOPICS.iter().map(|_| ch.temp_queue()).collect();
    for (queue, (pattern, ..)) in queues.iter().zip(TOPICS) {
        ch.bind(queue, &exchange, pattern);
    }
    for (_, matching, others) in TOPICS {
        for key in matching.iter().chain(*others) {
            ch.publish(&exchange, key, key);
        }
    }
    for (queue, (pattern, matching, others)) in queues.iter().zip(TOPICS) {
        let got = ch.drain(queue);
        assert!(matching.iter().all(|key| got.iter().any(|it| it == key)), "{pattern}: {got:?}");
        assert!(!others.iter().any(|key| got.iter().any(|it| it == key)), "{pattern}: {got:?}");
    }
}

#[test]
fn unbound_topic_pattern_does_not_match_and_others_stay() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("topic"), ch.temp_queue());
    ch.exchange(&exchange, "topic");
    for pattern in ["a.#", "a.*.c", "a.b.c"] {
        ch.bind(&queue, &exchange, pattern);
    }
    for (pattern, expected) in [("a.#", 1), ("a.b.c", 1), ("a.*.c", 0)] {
        let _: queue::UnbindOk = ch.call(unbind(&queue, &exchange, pattern));
        ch.publish(&exchange, "a.b.c", pattern);
        assert_eq!(ch.drain(&queue).len(), expected, "without {pattern}");
    }
}

/// What Celery and NServiceBus bind for delayed delivery.
#[test]
fn topic_keys_of_29_words_match() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("topic");
    ch.exchange(&exchange, "topic");
    let queues: Vec<String> = (0..28).map(|_| ch.temp_queue()).collect();
    for (level, queue) in queues.iter().enumerate() {
        ch.bind(queue, &exchange, &format!("{}1.#", "*.".repeat(level)));
    }
    let last = ch.temp_queue();
    ch.bind(&last, &exchange, &format!("#.{last}"));
    let bits: Vec<&str> = (0..28).map(|level| if level % 3 == 0 { "1" } else { "0" }).collect();
    ch.publish(&exchange, &format!("{}.{last}", bits.join(".")), "delayed");
    for (level, queue) in queues.iter().enumerate() {
        assert_eq!(ch.drain(queue).len(), usize::from(level % 3 == 0), "level {level}");
    }
    assert_eq!(ch.drain(&last).len(), 1);
}

#[test]
fn topic_key_of_many_words_against_many_hashes_is_quick() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("topic"), ch.temp_queue());
    ch.exchange(&exchange, "topic");
    ch.bind(&queue, &exchange, "#.a.#.a.#.a.#.b");
    ch.publish(&exchange, &"a.".repeat(60), "no match");
    ch.publish(&exchange, &format!("{}b", "a.".repeat(60)), "match");
    assert_eq!(ch.drain(&queue), ["match"]);
}

#[test]
fn many_bindings_of_one_queue_are_kept_apart() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("topic"), ch.temp_queue());
    ch.exchange(&exchange, "topic");
    // As many as a busy topology has; RabbitMQ is slow to bind that many.
    let count = if on_target() { 500 } else { 10_000 };
    for number in 0..count {
        ch.send(queue::Bind { nowait: true, ..bind(&queue, &exchange, &format!("k.{number}.*")) });
    }
    ch.publish(&exchange, "k.477.x", "found");
    ch.publish(&exchange, &format!("k.{count}.x"), "lost");
    assert_eq!(ch.drain(&queue), ["found"]);
}

#[test]
fn queue_is_out_of_its_bindings_when_deleted() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for kind in ["direct", "fanout", "topic", "headers"] {
        let (exchange, name) = (unique(kind), unique("gone"));
        ch.exchange(&exchange, kind);
        ch.queue(&name);
        ch.bind(&name, &exchange, "key");
        let _: queue::DeleteOk = ch.call(delete(&name));
        ch.queue(&name);
        let mandatory = basic::Publish { mandatory: true, ..publish(&exchange, "key") };
        ch.publish_with(mandatory, &props(), "back");
        assert_eq!(ch.returned().text(), "back", "{kind}");
        let _: queue::DeleteOk = ch.call(delete(&name));
    }
}
