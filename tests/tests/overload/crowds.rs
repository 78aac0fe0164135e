//! Many messages, many connections, many queues; and some that are louder than others.

use std::time::{Duration, Instant};

use lepus_tests::*;

const MIB: f64 = 1024.0 * 1024.0;

fn allocated(broker: &Broker) -> f64 {
    broker.metric("lepus_memory_allocated_bytes")
}

fn durable_queue(conn: &mut Conn, name: &str) -> String {
    let queue = queue::Declare { durable: true, ..declare(name) };
    conn.ch(1).declare(queue).queue.to_string()
}

fn persistent() -> BasicProperties {
    props().with_delivery_mode(2)
}

/// Most of a long queue is on the disk only; who takes its messages one by one gets them in order.
#[test]
fn a_long_queue_and_a_slow_consumer() {
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 128MiB\n");
    let mut publisher = broker.connect();
    let mut ch = publisher.channel_confirming(1);
    let before = allocated(&broker);
    durable_queue(ch.conn, "long");
    let (batch, batches) = (1_000, scaled(100));
    for number in 0..batches as u64 {
        for at in 0..batch {
            let body = (number * batch + at).to_be_bytes();
            ch.publish_with(publish("", "long"), &persistent(), [&body[..], &[0; 200]].concat());
        }
        ch.confirmed(number * batch + 1, (number + 1) * batch);
    }
    // More than 20 MiB of bodies; what is beyond `vm_memory_high_watermark` / 32 is on the disk only.
    let grown = allocated(&broker) - before;
    assert!(grown < 40.0 * MIB, "{grown} octets for {batches} thousand messages on the disk");
    let mut consumer = broker.connect();
    let mut ch = consumer.channel(1);
    let _: basic::QosOk = ch.call(qos(1));
    ch.consume("long", "slow");
    let mut next = 0_u64;
    others_go_on(&broker, || {
        for _ in 0..100 {
            let delivery = ch.delivery();
            assert_eq!(delivery.body[..8], next.to_be_bytes());
            next += 1;
            ch.send(ack(next));
        }
    });
    let _: queue::PurgeOk = publisher.ch(1).call(purge("long"));
    publisher.ch(1).expect_counts("long", (0, 1));
}

#[test]
fn many_connections_at_work() {
    let broker = Broker::start();
    let mut conns: Vec<Conn> = (0..scaled(1_000)).map(|_| broker.connect()).collect();
    let queues: Vec<String> = conns
        .iter_mut()
        .map(|conn| {
            let mut ch = conn.channel(1);
            let queue = ch.temp_queue();
            ch.consume_with(consume_no_ack(&queue, "t"));
            queue
        })
        .collect();
    others_go_on(&broker, || {
        // Each sends to the next one.
        for (at, conn) in conns.iter_mut().enumerate() {
            conn.ch(1).publish("", &queues[(at + 1) % queues.len()], at.to_string());
        }
        for (at, conn) in conns.iter_mut().enumerate() {
            let from = (at + queues.len() - 1) % queues.len();
            assert_eq!(conn.ch(1).delivery().text(), from.to_string());
        }
    });
}

#[test]
fn a_hot_queue_beside_idle_ones() {
    let broker = Broker::start();
    let mut idle = broker.connect();
    let mut ch = idle.channel(1);
    for number in 0..scaled(1_000) {
        ch.queue(&format!("idle{number}"));
    }
    let (mut publisher, mut consumer) = (broker.connect(), broker.connect());
    let hot = publisher.channel_confirming(1).queue("hot");
    consumer.channel(1).consume_with(consume_no_ack(&hot, "t"));
    let mut last = 0;
    others_go_on(&broker, || {
        (0..2_000).for_each(|_| publisher.ch(1).publish("", &hot, [7; 100]));
        (0..2_000).for_each(|_| assert_eq!(consumer.ch(1).delivery().body, [7; 100]));
        publisher.ch(1).confirmed(last + 1, last + 2_000);
        last += 2_000;
    });
    // Those that nobody used are as they were.
    ch.publish("", "idle7", "not lost");
    assert_eq!(ch.drain("idle7"), ["not lost"]);
}

/// Somebody stores all that the disk takes; who stores a little waits for one commit or two, not for
/// the other's messages.
#[test]
fn who_stores_little_does_not_wait_for_who_stores_much() {
    let broker = Broker::start();
    let mut bulk = broker.connect();
    bulk.channel_confirming(1);
    let queue = durable_queue(&mut bulk, "bulk");
    let body = vec![7; 64 * 1024];
    let mut last = 0;
    goes_on(Probe::durable(&broker), || {
        (0..100).for_each(|_| bulk.ch(1).publish_with(publish("", &queue), &persistent(), &body));
        bulk.ch(1).confirmed(last + 1, last + 100);
        last += 100;
    });
}

/// Somebody streams into a queue whose consumer cannot keep up, and is held back for that; who
/// publishes elsewhere is not.
#[test]
fn who_is_not_the_cause_of_a_backlog_is_not_held_back() {
    let broker = Broker::start();
    let (mut loud, mut slow) = (broker.connect(), broker.connect());
    let queue = loud.channel(1).queue("backlog");
    let _: basic::QosOk = slow.channel(1).call(qos(1));
    slow.ch(1).consume(&queue, "t");
    let octets: Vec<u8> = (0..4 * 1024)
        .flat_map(|_| message_bytes(publish("", &queue), &props(), [7; 4096]))
        .collect();
    loud.send_raw(&octets);
    let start = Instant::now();
    others_go_on(&broker, || loud.send_raw(&octets[..octets.len() / 4]));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(broker.metric("lepus_publisher_pauses_total") > 0.0);
}
