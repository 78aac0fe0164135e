//! Messages that wait: looked through, cancelled, on their way while the store has no room.

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties;

use super::*;
use crate::alarm::Alarm;
use crate::clock::now_ms;
use crate::queue::state::schedule::Moved;
use crate::queue::waiting::Place;

const YEAR: i64 = 365 * 86_400_000;

fn delaying(node: &Arc<Node>) -> Arc<Queue> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-delayed".into(), AMQPValue::Boolean(true));
    durable(node, "q", arguments)
}

/// A message with a body of so many octets.
fn late(ms: i64, octets: usize, persistent: bool) -> Message {
    let mut headers = FieldTable::default();
    headers.insert("x-delay".into(), AMQPValue::LongLongInt(ms));
    let properties = properties::replace_headers(&[0, 0], &headers).expect("properties");
    Builder::whole(0, b"\0\x01q", &properties, &vec![b'x'; octets], persistent)
}

fn octets(moved: &Moved) -> usize {
    moved.message.body_len()
}

/// All pages, of so many messages each.
fn pages(queue: &Arc<Queue>, max: usize) -> Vec<Moved> {
    let (mut all, mut from): (_, Option<Place>) = (Vec::new(), None);
    loop {
        let (page, next) = queue.waiting(from, max).expect("a page");
        assert!(page.len() <= max);
        all.extend(page);
        from = next;
        if next.is_none() {
            return all;
        }
    }
}

#[test]
fn what_waits_can_be_looked_through_in_pages_and_cancelled() {
    let node = node();
    let queue = delaying(&node);
    assert!(pages(&queue, 3).is_empty());
    for number in 1..=10 {
        let ms = [YEAR, 4_000_000, 100_000][number % 3] + number as i64;
        queue.apply(Command::Publish(vec![late(ms, number, number % 5 != 0)]));
    }
    for max in 1..12 {
        let all = pages(&queue, max);
        let octets: Vec<usize> = all.iter().map(octets).collect();
        // Window by window; 5 and 10 are in memory.
        assert_eq!(octets, [2, 8, 1, 4, 7, 3, 6, 9, 5, 10], "{max} a page");
        assert!(all.iter().all(|moved| moved.pair.due() > now_ms()));
    }
    assert_eq!(queue.counts().scheduled, 10);
    for _ in 0..2 {
        let even = pages(&queue, 100).into_iter().filter(|moved| octets(moved).is_multiple_of(2));
        let places: Vec<Place> = even.map(|moved| (moved.pair.bucket(), moved.pair.seq)).collect();
        let found = places.iter().map(|place| queue.waiting_at(*place).expect("an answer"));
        let found: Vec<Moved> = found.map(|moved| moved.expect("a message")).collect();
        let again = pages(&queue, 100).into_iter().filter(|moved| octets(moved).is_multiple_of(2));
        assert_eq!(queue.cancel_waiting(found).done(), places.len());
        assert_eq!(queue.cancel_waiting(again.collect()).done(), 0);
        assert!(places.iter().all(|place| queue.waiting_at(*place).expect("an answer").is_none()));
    }
    let left: Vec<usize> = pages(&queue, 100).iter().map(octets).collect();
    assert_eq!((left, queue.counts().scheduled), (vec![1, 7, 3, 9, 5], 5));
}

/// Lets what is due come, up to so many steps.
fn settle(node: &Arc<Node>, until: impl Fn() -> bool) {
    let end = now_ms() + 20_000;
    while !until() {
        assert!(now_ms() < end, "it takes too long");
        node.timers().step(now_ms());
        node.loader().step();
    }
}

#[test]
fn what_is_due_waits_on_while_the_store_takes_nothing() {
    let node = node();
    let queue = delaying(&node);
    queue.apply(Command::Publish((1..=5).map(|ms| late(ms, 1, true)).collect()));
    node.set_alarm(Alarm::Store, true);
    let begin = now_ms();
    settle(&node, || now_ms() > begin + 30);
    let counts = queue.counts();
    assert_eq!((counts.ready, counts.scheduled), (0, 5));
    node.set_alarm(Alarm::Store, false);
    settle(&node, || queue.counts().ready == 5);
    assert_eq!(queue.counts().scheduled, 0);
    let came: Vec<bool> = drain(&queue).iter().map(|entry| entry.stored).collect();
    assert_eq!(came, [false; 5], "they were taken without acknowledgement");
}

#[test]
fn what_comes_back_while_the_store_takes_nothing_waits_in_its_place() {
    let node = node();
    let mut arguments = FieldTable::default();
    arguments.insert("x-delayed-retry-type".into(), AMQPValue::LongString("all".into()));
    arguments.insert("x-delayed-retry-min".into(), AMQPValue::LongInt(20));
    let queue = durable(&node, "q", arguments);
    for full in [true, false] {
        queue.apply(Command::Publish(vec![late(0, 1, true)]));
        let get = || queue.apply(Command::Get { no_ack: false, connection: 0 });
        let Outcome::Got(Some(entry), 0) = get() else { panic!("no message") };
        node.set_alarm(Alarm::Store, full);
        queue.apply(Command::Settle(single(entry.seq), Verdict::Requeue));
        let counts = queue.counts();
        assert_eq!((counts.ready, counts.unacked, counts.scheduled), (0, 0, 1));
        settle(&node, || queue.counts().ready == 1);
        node.set_alarm(Alarm::Store, false);
        let Outcome::Got(Some(back), 0) = get() else { panic!("no message") };
        assert_eq!((back.seq == entry.seq, back.redelivered, back.returns), (full, true, 1));
        queue.apply(Command::Settle(single(back.seq), Verdict::Ack));
        let id = queue.stored_as().expect("a durable queue");
        assert_eq!(node.store().stats(id).messages, 0);
    }
}

#[test]
fn a_queue_has_one_timer_however_often_it_is_told() {
    let node = node();
    let queue = delaying(&node);
    queue.apply(Command::Publish(vec![late(YEAR, 1, false)]));
    for come in 1..=5 {
        queue.apply(Command::Publish(vec![late(1, 1, false)]));
        assert_eq!(node.timers().count(), 1);
        settle(&node, || queue.counts().ready == come);
    }
    assert_eq!(node.timers().count(), 1);
}
