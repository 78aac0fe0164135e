//! Descriptors that sockets of another service take: nobody counts those beforehand.

use std::net::TcpStream;

use lepus_tests::*;

use super::{durable_queue, persistent};

/// Reads confirms up to the last one; on the way the connection may be blocked for a while.
fn confirmed(conn: &mut Conn, first: u64, last: u64) {
    let mut next = first;
    while next <= last {
        let frame = conn.next_frame();
        if frame.channel == 1 {
            let ack = frame.method().and_then(basic::Ack::find).expect("a confirm");
            assert!(ack.delivery_tag >= next, "{ack:?}");
            assert!(ack.multiple || ack.delivery_tag == next, "{ack:?}");
            next = ack.delivery_tag + 1;
        }
    }
}

/// With none left the store may not get a file, which is like a full disk: it is said, publishers wait,
/// and afterwards all goes on. Nothing that was confirmed is lost.
#[test]
fn no_descriptors_are_left_under_load() {
    lepus_only!("the limit is set where it is started");
    let mut broker = Broker::with_descriptors(80, "storage.segment_bytes = 1MiB\n");
    let mut conn = broker.connect();
    conn.channel_confirming(1);
    let queue = durable_queue(&mut conn, "load");
    let body = |number: u64| [&number.to_be_bytes()[..], &[7; 50_000]].concat();
    let send = |conn: &mut Conn, number: u64| {
        conn.ch(1).publish_with(publish("", &queue), &persistent(), body(number));
    };
    for number in 1..=50 {
        send(&mut conn, number);
        conn.ch(1).confirmed(number, number);
    }
    let http = broker.http_address();
    let taken: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&http).unwrap()).collect();
    broker.wait_for_log("cannot accept a connection", 1);
    // Many times the segments that the log has prepared.
    for number in 51..=150 {
        send(&mut conn, number);
    }
    drop(taken);
    confirmed(&mut conn, 51, 150);
    wait_until("no alarm is left", || broker.api("/health/checks/alarms").0 == 200);
    drop(conn);
    broker.crash();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    for number in 1..=150_u64 {
        assert_eq!(ch.get(&queue, true).unwrap().body, body(number));
    }
    assert!(ch.get(&queue, true).is_none());
}
