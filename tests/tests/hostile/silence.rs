//! Peers of whom nothing is heard, or hardly anything.

use std::thread::sleep;
use std::time::Duration;

use lepus_tests::*;

/// Somebody who holds a message of a queue, which somebody else wants.
fn holder(broker: &Broker, login: &Login) -> (Conn, String) {
    let mut conn = broker.login(login);
    let queue = conn.channel(1).queue(&unique("held"));
    conn.ch(1).publish("", &queue, "held");
    conn.ch(1).consume(&queue, "holder");
    assert_eq!(conn.ch(1).delivery().text(), "held");
    (conn, queue)
}

fn gets_it(broker: &Broker, queue: &str) {
    let mut other = broker.connect();
    let mut ch = other.channel(1);
    ch.consume(queue, "other");
    let delivery = ch.delivery();
    assert_eq!((delivery.text(), delivery.method.redelivered), ("held", true));
    let _: queue::DeleteOk = ch.call(delete(queue));
}

#[test]
fn who_falls_silent_gives_back_what_it_holds() {
    let broker = Broker::start();
    let (conn, queue) = holder(&broker, &Login { heartbeat: 1, ..Login::default() });
    gets_it(&broker, &queue);
    drop(conn);
}

/// It could still be sent to, but there is nothing that it could say.
#[test]
fn who_ends_one_way_of_its_connection_has_ended_it() {
    let broker = Broker::start();
    let (mut conn, queue) = holder(&broker, &Login::default());
    conn.end_sending();
    conn.expect_eof();
    gets_it(&broker, &queue);
}

/// Every octet is a sign of life.
#[test]
fn a_message_may_come_an_octet_at_a_time() {
    let broker = Broker::start();
    let mut slow = broker.login(&Login { heartbeat: 4, ..Login::default() });
    let queue = slow.channel(1).queue(&unique("slow"));
    let octets = message_bytes(publish("", &queue), &props(), "slow");
    // Some of them a second apart; all together they take more than two intervals of its heartbeat.
    let pause = Duration::from_secs(5) / u32::try_from(octets.len()).unwrap();
    let mut octets = octets.chunks(1).zip(0..);
    others_go_on(&broker, || {
        for (octet, number) in octets.by_ref() {
            slow.send_raw(octet);
            sleep(if number < 5 { Duration::from_secs(1) } else { pause });
        }
    });
    assert_eq!(slow.ch(1).get(&queue, true).unwrap().text(), "slow");
}
