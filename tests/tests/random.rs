//! Random sequences against a naive model; a failure prints the seed, `LEPUS_TEST_SEED` repeats it.

use std::collections::{BTreeMap, BTreeSet};

use lepus_tests::*;

/// A queue with one channel that gets from it: messages are their numbers.
#[derive(Default)]
struct Model {
    next: u64,
    ready: BTreeSet<u64>,
    returned: BTreeSet<u64>,
    tag: u64,
    unacked: BTreeMap<u64, u64>,
}

impl Model {
    fn get(&mut self, no_ack: bool) -> Option<(u64, u64, bool)> {
        let message = self.ready.pop_first()?;
        self.tag += 1;
        if !no_ack {
            self.unacked.insert(self.tag, message);
        }
        Some((self.tag, message, self.returned.contains(&message)))
    }

    fn settle(&mut self, tag: u64, multiple: bool, requeue: bool) {
        let tags: Vec<u64> = match (multiple, tag) {
            (true, 0) => self.unacked.keys().copied().collect(),
            (true, tag) => self.unacked.range(..=tag).map(|(tag, _)| *tag).collect(),
            (false, tag) => vec![tag],
        };
        for tag in tags {
            let message = self.unacked.remove(&tag).unwrap();
            if requeue {
                self.ready.insert(message);
                self.returned.insert(message);
            }
        }
    }
}

fn get_both(ch: &mut Chan<'_>, queue: &str, model: &mut Model, no_ack: bool) {
    let got = ch.get(queue, no_ack).map(|message| {
        let number = message.text().parse().unwrap();
        assert_eq!(message.method.message_count as usize, model.ready.len() - 1);
        (message.method.delivery_tag, number, message.method.redelivered)
    });
    assert_eq!(got, model.get(no_ack));
}

fn settle_both(ch: &mut Chan<'_>, model: &mut Model, random: &mut Random) {
    let open: Vec<u64> = model.unacked.keys().copied().collect();
    if open.is_empty() {
        return;
    }
    let tag = open[random.below(open.len())];
    match random.below(6) {
        0 => ch.send(ack(tag)),
        1 => ch.send(ack_up_to(tag)),
        2 => ch.send(reject(tag, false)),
        3 => ch.send(reject(tag, true)),
        4 => ch.send(nack_up_to(tag, true)),
        _ => ch.send(nack_up_to(0, true)),
    }
}

/// The same choice again, for the model.
fn settle_model(model: &mut Model, random: &mut Random) {
    let open: Vec<u64> = model.unacked.keys().copied().collect();
    if open.is_empty() {
        return;
    }
    let tag = open[random.below(open.len())];
    match random.below(6) {
        0 | 2 => model.settle(tag, false, false),
        1 => model.settle(tag, true, false),
        3 => model.settle(tag, false, true),
        4 => model.settle(tag, true, true),
        _ => model.settle(0, true, true),
    }
}

#[test]
fn publish_get_and_settle_in_any_order_is_as_the_model_says() {
    let mut random = Random::new();
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let mut model = Model::default();
    for _ in 0..3_000 {
        match random.below(20) {
            0..8 => {
                ch.publish("", &queue, model.next.to_string());
                model.ready.insert(model.next);
                model.next += 1;
            }
            8..14 => get_both(&mut ch, &queue, &mut model, random.below(4) == 0),
            14..19 => {
                let mut again = random.clone();
                settle_both(&mut ch, &mut model, &mut random);
                settle_model(&mut model, &mut again);
            }
            _ => {
                let _: basic::RecoverOk = ch.call(basic::Recover { requeue: true });
                model.settle(0, true, true);
            }
        }
    }
    let _: basic::RecoverOk = ch.call(basic::Recover { requeue: true });
    model.settle(0, true, true);
    let expected: Vec<String> = model.ready.iter().map(u64::to_string).collect();
    assert_eq!(ch.drain(&queue), expected);
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { vec![] } else { key.split('.').collect() }
}

fn matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            matches(rest, key) || (!key.is_empty() && matches(pattern, &key[1..]))
        }
        (["*", rest @ ..], [_, left @ ..]) => matches(rest, left),
        ([word, rest @ ..], [first, left @ ..]) => word == first && matches(rest, left),
        _ => false,
    }
}

fn random_key(random: &mut Random, alphabet: &[&str]) -> String {
    let words: Vec<&str> =
        (0..random.below(5)).map(|_| alphabet[random.below(alphabet.len())]).collect();
    words.join(".")
}

#[test]
fn random_topics_match_as_the_naive_matcher_says() {
    let mut random = Random::new();
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("topic");
    ch.exchange(&exchange, "topic");
    let mut bound: Vec<(String, Vec<String>)> = Vec::new();
    for _ in 0..20 {
        let queue = ch.temp_queue();
        let patterns: Vec<String> =
            (0..3).map(|_| random_key(&mut random, &["a", "b", "c", "*", "#", ""])).collect();
        for pattern in &patterns {
            ch.bind(&queue, &exchange, pattern);
        }
        bound.push((queue, patterns));
    }
    for (queue, patterns) in bound.iter_mut().step_by(2) {
        let pattern = patterns.pop().unwrap();
        let _: queue::UnbindOk = ch.call(unbind(queue, &exchange, &pattern));
        patterns.retain(|left| *left != pattern);
    }
    let keys: Vec<String> =
        (0..150).map(|_| random_key(&mut random, &["a", "b", "c", "d", ""])).collect();
    for key in &keys {
        ch.publish(&exchange, key, key);
    }
    for (queue, patterns) in &bound {
        let hit =
            |key: &&String| patterns.iter().any(|pattern| matches(&words(pattern), &words(key)));
        let expected: Vec<&String> = keys.iter().filter(hit).collect();
        assert_eq!(ch.drain(queue).iter().collect::<Vec<_>>(), expected, "bound with {patterns:?}");
    }
}

#[test]
fn random_bodies_through_random_frames_arrive() {
    let mut random = Random::new();
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for _ in 0..100 {
        let size = random.below(20_000);
        let body: Vec<u8> = (0..size).map(|_| random.below(256).to_be_bytes()[7]).collect();
        let mut bytes = publish("", &queue).bytes(1);
        bytes.extend(header_frame(1, size as u64, &props()));
        let mut left = &body[..];
        while !left.is_empty() {
            let (part, rest) = left.split_at(random.below(left.len() + 1));
            bytes.extend(body_frame(1, part));
            left = rest;
        }
        // Cut anywhere, so that reads end in the middle of frames.
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(1 + random.below(bytes.len()));
            ch.conn.send_raw(part);
            bytes = rest;
        }
        assert!(ch.get(&queue, true).unwrap().body == body);
    }
}
