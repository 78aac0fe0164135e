//! Many connections at once: nothing lost, nothing doubled, each producer's order kept.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use lepus_tests::*;

const EACH: u32 = 2_000;

fn produce(queue: &str, producer: u32) {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    for number in 0..EACH {
        ch.publish("", queue, format!("{producer} {number}"));
    }
    ch.confirmed(1, u64::from(EACH));
    conn.close();
}

/// Takes messages until one says `end`; returns them as (producer, number).
fn take(queue: &str, prefetch: u16) -> Vec<(u32, u32)> {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let _: basic::QosOk = ch.call(qos(prefetch));
    ch.consume(queue, "t");
    let mut taken = Vec::new();
    loop {
        let message = ch.delivery();
        ch.send(ack(message.method.delivery_tag));
        let Some((producer, number)) = message.text().split_once(' ') else { break };
        assert!(!message.method.redelivered);
        taken.push((producer.parse().unwrap(), number.parse().unwrap()));
    }
    let _: basic::CancelOk = settle_rest(&mut ch);
    conn.close();
    taken
}

/// Cancels; what came before the answer goes back for another consumer.
fn settle_rest(ch: &mut Chan<'_>) -> basic::CancelOk {
    ch.send(cancel("t"));
    loop {
        let frame = ch.conn.next_on(1);
        if let Some(ok) = frame.method().and_then(basic::CancelOk::find) {
            return ok;
        }
    }
}

#[test]
fn many_producers_and_consumers_share_a_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("shared"));
    let consumers = [1, 7, 50].map(|prefetch| {
        let queue = queue.clone();
        thread::spawn(move || take(&queue, prefetch))
    });
    let producers = [0, 1, 2].map(|producer| {
        let queue = queue.clone();
        thread::spawn(move || produce(&queue, producer))
    });
    for producer in producers {
        producer.join().unwrap();
    }
    ch.publish_all(&queue, ["end"; 3]);
    let mut seen = BTreeSet::new();
    for consumer in consumers {
        let mut last = BTreeMap::new();
        for (producer, number) in consumer.join().unwrap() {
            assert!(last.insert(producer, number).is_none_or(|before| before < number), "order");
            assert!(seen.insert((producer, number)), "doubled: {producer} {number}");
        }
    }
    assert_eq!(seen.len(), 3 * EACH as usize, "lost");
    let _: queue::DeleteOk = ch.call(delete(&queue));
}

#[test]
fn dropped_consumers_lose_nothing() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("dropped"));
    for number in 0..200 {
        ch.publish("", &queue, number.to_string());
    }
    for _ in 0..20 {
        let mut dropped = shared().connect();
        let mut other = dropped.channel(1);
        let _: basic::QosOk = other.call(qos(30));
        other.consume(&queue, "t");
        other.delivery();
    }
    ch.consume(&queue, "t");
    let mut seen = BTreeSet::new();
    while seen.len() < 200 {
        assert!(seen.insert(ch.delivery().text().to_string()));
    }
    let _: basic::CancelOk = ch.call(cancel("t"));
    let deleted: queue::DeleteOk = ch.call(delete(&queue));
    assert_eq!(deleted.message_count, 0);
}

#[test]
fn clients_declare_and_delete_the_same_names_at_once() {
    let (queue, exchange) = (unique("contested"), unique("contested"));
    let threads = [(); 6].map(|()| {
        let (queue, exchange) = (queue.clone(), exchange.clone());
        thread::spawn(move || {
            let mut conn = shared().connect();
            let mut ch = conn.channel(1);
            for _ in 0..20 {
                ch.queue(&queue);
                ch.exchange(&exchange, "topic");
                let _: queue::DeleteOk = ch.call(delete(&queue));
                let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
            }
            conn.close();
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn connections_come_and_go() {
    let threads = [(); 4].map(|()| {
        thread::spawn(|| {
            for _ in 0..25 {
                let mut conn = shared().connect();
                let queue = conn.channel(1).temp_queue();
                conn.ch(1).publish("", &queue, "here");
                assert_eq!(conn.ch(1).got(&queue).text(), "here");
                conn.close();
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}
