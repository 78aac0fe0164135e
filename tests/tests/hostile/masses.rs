//! Everything in masses, made by one user and left behind at once.

use lepus_tests::*;

/// Sends all of it at once, and waits until it is carried out.
fn carried_out(conn: &mut Conn, octets: &[u8]) {
    conn.send_raw(octets);
    synced(conn);
}

/// What was sent before is carried out when this returns.
fn synced(conn: &mut Conn) {
    let _: basic::QosOk = conn.ch(1).call(qos(0));
}

fn opened(conn: &mut Conn, channels: std::ops::RangeInclusive<u16>) {
    let octets: Vec<u8> =
        channels.clone().flat_map(|channel| channel::Open {}.bytes(channel)).collect();
    conn.send_raw(&octets);
    for channel in channels {
        let _: channel::OpenOk = conn.expect(channel);
    }
}

#[test]
fn masses_of_channels_come_and_go() {
    let broker = Broker::start();
    others_go_on(&broker, || {
        let mut conns: Vec<Conn> = (0..scaled(5)).map(|_| broker.connect()).collect();
        conns.iter_mut().for_each(|conn| opened(conn, 1..=2000));
    });
    broker.wait_for_metric("rabbitmq_channels", 0.0);
}

#[test]
fn one_connection_with_all_channels_that_there_are_comes_and_goes() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("channel_max = 0\n");
    others_go_on(&broker, || {
        let mut conn = broker.login(&Login { channel_max: 65_535, ..Login::default() });
        opened(&mut conn, 1..=65_535);
    });
    broker.wait_for_metric("rabbitmq_channels", 0.0);
}

#[test]
fn masses_of_consumers_come_and_go() {
    let broker = Broker::start();
    let mut publisher = broker.connect();
    let queue = publisher.channel(1).queue("many");
    others_go_on(&broker, || {
        let mut conn = broker.connect();
        conn.channel(1);
        conn.channel(2);
        let consume = |number: usize| {
            let tag = format!("t{number}");
            // A channel may not have more than 65,536.
            let channel = if number < 50_000 { 1 } else { 2 };
            basic::Consume { nowait: true, ..consume_no_ack(&queue, &tag) }.bytes(channel)
        };
        let octets: Vec<u8> = (0..scaled(10_000)).flat_map(consume).collect();
        carried_out(&mut conn, &octets);
        for _ in 0..100 {
            publisher.ch(1).publish("", &queue, "to one of them");
            assert_eq!(conn.ch(1).delivery().text(), "to one of them");
        }
    });
    broker.wait_for_metric("rabbitmq_consumers", 0.0);
}

fn masses_of_bindings(exchange: &str) {
    let broker = Broker::start();
    others_go_on(&broker, || {
        let mut conn = broker.connect();
        let queue = conn.channel(1).temp_queue();
        let key = |number: usize| format!("{number}.words.#");
        let octets = (0..scaled(10_000)).flat_map(|number| {
            queue::Bind { nowait: true, ..bind(&queue, exchange, &key(number)) }.bytes(1)
        });
        carried_out(&mut conn, &octets.collect::<Vec<u8>>());
        conn.ch(1).publish(exchange, &key(7), "once");
        synced(&mut conn);
        assert_eq!(conn.ch(1).drain(&queue), ["once"]);
    });
}

#[test]
fn masses_of_bindings_come_and_go() {
    masses_of_bindings("amq.direct");
}

#[test]
fn masses_of_bindings_of_patterns_come_and_go() {
    masses_of_bindings("amq.topic");
}

#[test]
fn masses_of_bindings_without_keys_come_and_go() {
    masses_of_bindings("amq.fanout");
}

#[test]
fn masses_of_queues_come_and_go() {
    let broker = Broker::start();
    others_go_on(&broker, || {
        let mut conn = broker.connect();
        conn.channel(1);
        let octets = (0..scaled(10_000)).flat_map(|number| {
            let name = format!("q{number}");
            queue::Declare { exclusive: true, nowait: true, ..declare(&name) }.bytes(1)
        });
        carried_out(&mut conn, &octets.collect::<Vec<u8>>());
        conn.ch(1).expect_counts("q7", (0, 0));
        conn.close();
    });
    broker.wait_for_metric("rabbitmq_queues", 0.0);
}
