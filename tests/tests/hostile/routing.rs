//! Few octets that make much work.

use lepus_tests::*;

/// As many as would keep every thread of a small machine's broker busy.
const PEERS: usize = 3;

/// An empty message in full.
fn message(exchange: &str, key: &str) -> Vec<u8> {
    let mut octets = publish(exchange, key).bytes(1);
    octets.extend(header_frame(1, 0, &props()));
    octets
}

/// Connections that each send these octets over and over; others must go on.
fn floods(broker: &Broker, octets: &[u8]) {
    let mut peers: Vec<(Conn, usize)> = (0..PEERS).map(|_| (broker.connect(), 0)).collect();
    for (conn, _) in &mut peers {
        conn.channel(1);
    }
    others_go_on(broker, || {
        for (conn, sent) in &mut peers {
            let most = *sent + octets.len();
            conn.stuff(octets, sent, most);
        }
    });
}

/// Queues `q0` and so on that keep one message each, bound to an exchange.
fn short_queues(ch: &mut Chan<'_>, count: usize, exchange: &str, key: &str) {
    for number in 0..count {
        let queue = format!("q{number}");
        let arguments = table([("x-max-length", int(1))]);
        ch.declare(queue::Declare { exclusive: true, arguments, ..declare(&queue) });
        ch.bind(&queue, exchange, key);
    }
}

/// Each message goes to all queues, so that a read full of them is work for seconds.
#[test]
fn messages_that_multiply() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    short_queues(&mut ch, scaled(200), "amq.fanout", "");
    floods(&broker, &message("amq.fanout", "").repeat(4_000));
}

/// Patterns of stars and words that all match the start of a key, and at the end do not: each of them
/// is followed to the end of the key.
#[test]
fn patterns_that_multiply() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let levels = 8 + scaled(1).ilog2();
    let octets: Vec<u8> = (0..1_u32 << levels)
        .flat_map(|bits| {
            let words = (0..levels).map(|level| if bits >> level & 1 == 0 { "a." } else { "*." });
            let pattern = words.chain(["#.z"]).collect::<String>();
            queue::Bind { nowait: true, ..bind(&queue, "amq.topic", &pattern) }.bytes(1)
        })
        .collect();
    ch.conn.send_raw(&octets);
    ch.expect_counts(&queue, (0, 0));
    // Another key each time, so that nobody can remember where it leads.
    let key = |number: usize| format!("{}{number}", "a.".repeat(120));
    let messages: Vec<u8> =
        (0..1_000).flat_map(|number| message("amq.topic", &key(number))).collect();
    floods(&broker, &messages);
    ch.expect_counts(&queue, (0, 0));
}

/// Each message names many keys, each of which leads to all queues.
#[test]
fn keys_that_multiply() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    short_queues(&mut ch, scaled(500), "amq.topic", "#");
    let keys = list((0..1_000).map(|key| text(&format!("k{key}"))));
    let mut octets = publish("amq.topic", "k").bytes(1);
    octets.extend(header_frame(1, 0, &headers([("CC", keys)])));
    floods(&broker, &octets.repeat(50));
    ch.expect_counts("q7", (1, 0));
}

/// Whatever comes to a queue is dead at once, and goes to twenty others, of which the same is true: there
/// is no end to it.
#[test]
fn dead_letters_that_multiply() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let levels = 18;
    for level in 0..levels {
        let (own, next) = (format!("level{level}"), format!("level{}", level + 1));
        ch.exchange(&own, "fanout");
        for number in 0..20 {
            let queue = format!("{own}.{number}");
            let dead = [("x-max-length", int(0)), ("x-dead-letter-exchange", text(&next))];
            let arguments = table(dead);
            ch.declare(queue::Declare { exclusive: true, arguments, ..declare(&queue) });
            ch.bind(&queue, &own, "");
        }
    }
    let mut peers: Vec<Conn> = (0..PEERS).map(|_| broker.connect()).collect();
    others_go_on(&broker, || {
        for conn in &mut peers {
            conn.channel(1);
            conn.send_raw(&message("level0", ""));
            // Its own connection goes on, too.
            let _: basic::QosOk = conn.ch(1).call(qos(0));
            let _: channel::CloseOk = conn.call(1, channel::Close::default());
        }
    });
    // Memory does not multiply.
    let octets = broker.metric("lepus_memory_allocated_bytes");
    assert!(octets < 256.0 * 1024.0 * 1024.0, "{octets} octets");
    conn.close();
}

/// All of them ask for the same two headers, whatever their values, and a message has one: half of them are
/// looked at.
#[test]
fn headers_that_multiply() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let octets: Vec<u8> = (0..scaled(1_000))
        .flat_map(|number| {
            let arguments = table([("a", AMQPValue::Void), ("z", AMQPValue::Void)]);
            let key = number.to_string();
            let bind = bind(&queue, "amq.headers", &key);
            queue::Bind { nowait: true, arguments, ..bind }.bytes(1)
        })
        .collect();
    ch.conn.send_raw(&octets);
    ch.expect_counts(&queue, (0, 0));
    let mut octets = publish("amq.headers", "").bytes(1);
    octets.extend(header_frame(1, 0, &headers([("a", int(1))])));
    floods(&broker, &octets.repeat(3_000));
    ch.expect_counts(&queue, (0, 0));
}
