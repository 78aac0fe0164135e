//! Figures of queues with rules, printed: `cargo nextest run -E 'test(feature_figures::)' --run-ignored only --no-capture`.

use std::time::{Duration, Instant};

use lepus_tests::*;

const BATCH: u64 = 1000;

fn published(queue: &str, properties: &BasicProperties, body: &[u8]) -> Vec<u8> {
    message_bytes(publish("", queue), properties, body)
}

fn declared<'a>(
    ch: &mut Chan<'_>,
    durable: bool,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let (name, arguments) = (unique("figures"), table(arguments));
    ch.declare(queue::Declare { durable, arguments, ..declare(&name) });
    name
}

/// Waits until a queue has so many messages.
fn wait_for(ch: &mut Chan<'_>, queue: &str, messages: u32) {
    while ch.counts(queue).0 < messages {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn expire(durable: bool) {
    const TOTAL: u64 = 1_000_000;
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let dead = declared(&mut ch, durable, []);
    let to = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    let queue = declared(&mut ch, durable, to);
    let mode = if durable { 2 } else { 1 };
    let lasting = props().with_delivery_mode(mode);
    // All are over behind the first one.
    let due = Instant::now() + Duration::from_secs(20);
    ch.conn.send_raw(&published(
        &queue,
        &lasting.clone().with_expiration("20000".into()),
        b"first",
    ));
    let one = published(&queue, &lasting.with_expiration("1".into()), &[b'x'; 16]);
    let batch = one.repeat(BATCH as usize);
    let mut confirmed = 0;
    for number in 0..TOTAL / BATCH {
        ch.conn.send_raw(&batch);
        while number * BATCH > confirmed + 50_000 {
            confirmed = ch.expect::<basic::Ack>().delivery_tag;
        }
    }
    while confirmed < TOTAL {
        confirmed = ch.expect::<basic::Ack>().delivery_tag;
    }
    assert_eq!(ch.counts(&dead).0, 0, "the first was over too early");
    wait_for(&mut ch, &dead, TOTAL as u32 + 1);
    let seconds = due.elapsed().as_secs_f64();
    println!(
        "durable {durable}: {TOTAL} messages became dead letters in {seconds:.2} s, {:.0}/s",
        TOTAL as f64 / seconds
    );
}

#[test]
#[ignore = "it takes long and judges nothing"]
fn a_million_messages_expire() {
    expire(false);
    expire(true);
}

#[test]
#[ignore = "it judges nothing"]
fn dead_letters_go_through_a_chain_of_28_queues() {
    const HOPS: usize = 28;
    let broker = Broker::start();
    for durable in [false, true] {
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let end = declared(&mut ch, durable, []);
        let mut next = end.clone();
        for _ in 0..HOPS {
            next = declared(
                &mut ch,
                durable,
                [
                    ("x-message-ttl", int(0)),
                    ("x-dead-letter-exchange", text("")),
                    ("x-dead-letter-routing-key", text(&next)),
                ],
            );
        }
        let properties = props().with_delivery_mode(if durable { 2 } else { 1 });
        let one = published(&next, &properties, &[b'x'; 16]);
        let mut alone = Vec::new();
        for number in 1..=200 {
            let begin = Instant::now();
            ch.conn.send_raw(&one);
            while ch.counts(&end).0 < number {}
            alone.push(begin.elapsed());
        }
        alone.sort();
        let (begin, many) = (Instant::now(), 5000u32);
        ch.conn.send_raw(&one.repeat(many as usize));
        wait_for(&mut ch, &end, 200 + many);
        let each = begin.elapsed() / many / HOPS as u32;
        println!(
            "durable {durable}: {HOPS} hops, one message alone p50 {:?}; {many} at once {each:?} a hop",
            alone[100]
        );
    }
}
