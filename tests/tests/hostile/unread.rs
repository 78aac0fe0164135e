//! Peers that ask for much and never read it.

use lepus_tests::*;

/// What one connection may make the broker keep for it, and what a broker under load needs besides.
const BOUND: f64 = 48.0 * 1024.0 * 1024.0;

/// Where nothing stops it, somebody stops here.
const STUFFING: usize = 64 * 1024 * 1024;

fn allocated(broker: &Broker) -> f64 {
    broker.metric("lepus_memory_allocated_bytes")
}

/// Sends these requests as long as they are taken; the answers are not read.
#[track_caller]
fn asks_and_does_not_read(prepare: impl Fn(&mut Conn) -> Vec<u8>) {
    let broker = Broker::start();
    let mut others = Probe::new(&broker);
    let quiet = others.trips();
    let mut conn = broker.connect();
    let requests = prepare(&mut conn);
    let many = requests.repeat(1 + 65_536 / requests.len());
    let before = allocated(&broker);
    let mut taken = 0;
    conn.stuff(&many, &mut taken, STUFFING);
    let grown = allocated(&broker) - before;
    assert!(grown < BOUND, "{grown} octets for one connection that was let send {taken}");
    others.trips().bearable_after(&quiet);
}

fn with_a_message(conn: &mut Conn) -> String {
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    (0..100).for_each(|_| ch.publish("", &queue, vec![7; 1000]));
    queue
}

#[test]
fn gets_that_are_not_read() {
    asks_and_does_not_read(|conn| {
        let queue = with_a_message(conn);
        let mut requests = basic::Get { no_ack: false, ..get(&queue) }.bytes(1);
        requests.extend(nack(0, true).bytes(1));
        requests
    });
}

#[test]
fn returns_that_are_not_read() {
    asks_and_does_not_read(|conn| {
        conn.channel(1);
        let mut request = basic::Publish { mandatory: true, ..publish("", "nowhere") }.bytes(1);
        request.extend(header_frame(1, 1000, &props()));
        request.extend(body_frame(1, &[7; 1000]));
        request
    });
}

#[test]
fn confirms_that_are_not_read() {
    asks_and_does_not_read(|conn| {
        conn.channel(1).confirm_select();
        let mut request = publish("", "nowhere").bytes(1);
        request.extend(header_frame(1, 0, &props()));
        request
    });
}

#[test]
fn answers_that_are_not_read() {
    asks_and_does_not_read(|conn| {
        let queue = conn.channel(1).temp_queue();
        let mut requests = look(&queue).bytes(1);
        requests.extend(qos(1).bytes(1));
        requests.extend(channel::Open {}.bytes(2));
        let close = channel::Close { reply_code: 200, ..channel::Close::default() };
        requests.extend(close.bytes(2));
        requests
    });
}

/// Each consumer is given what its window takes, and its connection's socket, and no more.
#[test]
fn deliveries_that_are_not_read() {
    lepus_only!("RabbitMQ goes on giving");
    let broker = Broker::start();
    let mut others = Probe::new(&broker);
    let quiet = others.trips();
    let mut publisher = broker.connect();
    let mut conns: Vec<Conn> = (0..scaled(10)).map(|_| broker.connect()).collect();
    for conn in &mut conns {
        let mut ch = conn.channel(1);
        let queue = ch.temp_queue();
        ch.bind(&queue, "amq.fanout", "");
        for number in 0..20 {
            ch.consume_with(consume_no_ack(&queue, &number.to_string()));
        }
    }
    let mut ch = publisher.channel_confirming(2);
    let (size, count) = (256 * 1024, 100);
    for _ in 0..count {
        ch.publish("amq.fanout", "", vec![7; size]);
    }
    ch.confirmed(1, count);
    let others_now = others.trips();
    others_now.bearable_after(&quiet);
    // Each message is there once, however many have it.
    let most = BOUND + (size as f64) * (count as f64);
    let now = allocated(&broker);
    assert!(now < most, "{now} octets of at most {most}");
}
