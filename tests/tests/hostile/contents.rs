//! Frames and contents at the border of what is allowed, and beyond it.

use lepus_tests::*;

/// Octets of frames that one turn of a hostile peer sends.
const FLOOD: usize = 4 * 1024 * 1024;

/// Sends all of it at once and waits until it is carried out.
fn flood(conn: &mut Conn, octets: &[u8]) {
    conn.send_raw(octets);
    let _: basic::QosOk = conn.ch(1).call(qos(0));
}

/// A frame header with properties that take all the room there is.
#[test]
fn huge_headers() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let queue = conn.channel(1).queue(&unique("huge"));
    let body = "x".repeat(131_072 - 8 - 14 - 4 - 2 - 5);
    let huge = headers([("a", text(&body))]);
    assert_eq!(header_frame(1, 0, &huge).len(), 131_072);
    others_go_on(&broker, || {
        for _ in 0..20 {
            conn.ch(1).publish_with(publish("", &queue), &huge, "body");
            let got = conn.ch(1).get(&queue, true).unwrap();
            assert_eq!((got.properties, got.body.as_slice()), (huge.clone(), &b"body"[..]));
        }
    });
    let mut larger = header_frame(1, 0, &huge);
    larger.splice(3..7, 131_073_u32.to_be_bytes());
    conn.send(1, publish("", &queue));
    conn.send_raw(&larger);
    let text = "FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,131073,131064}";
    conn.expect_close(501, text, (0, 0));
}

/// A table in a table in a table, as deep as a frame is long.
fn deep(levels: u32) -> Vec<u8> {
    let nested = |level: u32| [&b"\x01aF"[..], &(level * 7).to_be_bytes()].concat();
    let table: Vec<u8> = (0..levels).rev().flat_map(nested).collect();
    [&(levels * 7).to_be_bytes()[..], &table].concat()
}

#[test]
fn deep_tables() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let queue = conn.channel(1).queue(&unique("deep"));
    let table = deep(18_000);
    let arguments = |start: &[u8]| [start, &table].concat();
    let declare = arguments(b"\0\0\x01q\0");
    let bind = arguments(b"\0\0\x01q\x09amq.topic\x00\0");
    let consume = arguments(b"\0\0\x01q\x01t\0");
    let properties = arguments(&[0x20, 0]);
    others_go_on(&broker, || {
        for (class, method, arguments) in [(50, 10, &declare), (50, 20, &bind), (60, 20, &consume)]
        {
            let mut other = broker.connect();
            other.channel(1).send_bytes(class, method, arguments);
            assert_eq!(other.expect_close_frame().reply_code, 501, "{class}.{method}");
        }
        // What is not looked at goes through as it is.
        let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &properties].concat();
        conn.send(1, publish("", &queue));
        conn.send_raw(&frame(HEADER, 1, &header));
        conn.send(1, basic::Get { no_ack: true, ..get(&queue) });
        let _: basic::GetOk = conn.expect(1);
        assert_eq!(conn.next_on(1).payload, header);
    });
}

#[test]
fn endless_small_frames() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let queue = conn.channel(1).temp_queue();
    let heartbeats = frame(HEARTBEAT, 0, b"");
    let nothing = body_frame(1, b"");
    let octets = body_frame(1, b"x");
    others_go_on(&broker, || {
        flood(&mut conn, &heartbeats.repeat(FLOOD / heartbeats.len()));
        let body = FLOOD / octets.len();
        conn.send(1, publish("", &queue));
        conn.send_raw(&header_frame(1, body as u64, &props()));
        conn.send_raw(&nothing.repeat(FLOOD / nothing.len()));
        flood(&mut conn, &octets.repeat(body));
        assert_eq!(conn.ch(1).get(&queue, true).unwrap().body.len(), body);
    });
}

/// Of each channel's content an octet, then of each the next one.
#[test]
fn contents_that_interleave() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    for id in 1..=2000 {
        conn.channel(id);
    }
    let queue = conn.ch(1).temp_queue();
    let mut octets = Vec::new();
    for id in 1..=2000 {
        octets.extend(publish("", &queue).bytes(id));
    }
    for id in 1..=2000 {
        octets.extend(header_frame(id, 4, &props()));
    }
    for at in 0..4 {
        for id in 1..=2000 {
            octets.extend(body_frame(id, &format!("{id:04}").as_bytes()[at..=at]));
        }
    }
    others_go_on(&broker, || {
        flood(&mut conn, &octets);
        let expected: Vec<String> = (1..=2000).map(|id| format!("{id:04}")).collect();
        assert_eq!(conn.ch(1).drain(&queue), expected);
    });
}

/// Delivery tags are a channel's own: with those of another one nothing is settled.
#[test]
fn tags_of_another_channel() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let queue = conn.channel(1).queue(&unique("tags"));
    conn.ch(1).publish_all(&queue, ["one", "two"]);
    conn.ch(1).consume(&queue, "t");
    conn.ch(1).deliveries(["one", "two"]);
    let text = "PRECONDITION_FAILED - unknown delivery tag 2";
    for method in
        [ack(2).wrap(), ack_up_to(2).wrap(), nack(2, false).wrap(), reject(2, true).wrap()]
    {
        conn.channel(2).refused(method, 406, text);
    }
    let text = "PRECONDITION_FAILED - unknown delivery tag 18446744073709551615";
    conn.channel(2).refused(ack(u64::MAX), 406, text);
    // The messages are still the first channel's, which settles them once.
    conn.ch(1).send(ack_up_to(2));
    conn.ch(1).refused(ack(2), 406, "PRECONDITION_FAILED - unknown delivery tag 2");
    conn.ch(1).reopen();
    conn.ch(1).expect_counts(&queue, (0, 0));
    let _: queue::DeleteOk = conn.ch(1).call(delete(&queue));
}

/// What is said twice is either harmless or refused; never does it count twice.
#[test]
fn everything_twice() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("twice"));
    assert_eq!(ch.queue(&queue), queue);
    for _ in 0..2 {
        ch.exchange("twice", "direct");
        ch.bind(&queue, "twice", "key");
        ch.confirm_select();
    }
    ch.publish("twice", "key", "once");
    ch.confirmed(1, 1);
    ch.expect_counts(&queue, (1, 0));
    ch.consume(&queue, "tag");
    ch.deliveries(["once"]);
    ch.fatal(consume(&queue, "tag"), 530, "NOT_ALLOWED - attempt to reuse consumer tag 'tag'");
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    // It has come back once, and is settled once.
    assert!(ch.got(&queue).method.redelivered);
    ch.send(ack(1));
    ch.refused(ack(1), 406, "PRECONDITION_FAILED - unknown delivery tag 1");
    ch.reopen();
    for _ in 0..2 {
        let _: queue::UnbindOk = ch.call(unbind(&queue, "twice", "key"));
        let _: queue::DeleteOk = ch.call(delete(&queue));
        let _: basic::CancelOk = ch.call(cancel("tag"));
    }
    ch.fatal(channel::Open {}, 504, "CHANNEL_ERROR - second 'channel.open' seen");
    handshakes_twice(&broker);
}

fn handshakes_twice(broker: &Broker) {
    let login = Login::default();
    for method in [login.start_ok().wrap(), login.tune_ok().wrap()] {
        let mut conn = broker.connect();
        conn.send(0, method);
        assert_eq!(conn.expect_close_frame().reply_code, 504);
    }
    let mut conn = broker.connect();
    conn.send(0, connection::Open { virtual_host: "/".into() });
    assert_eq!(conn.expect_close_frame().reply_code, 504);
    let mut conn = broker.connect();
    conn.send_raw(b"AMQP\0\0\x09\x01");
    assert_eq!(conn.expect_close_frame().reply_code, 501);
    let mut conn = broker.connect();
    conn.channel(1);
    let close = connection::Close { reply_code: 200, ..connection::Close::default() };
    conn.send(0, close.clone());
    conn.send(0, close);
    let _: connection::CloseOk = conn.expect(0);
    conn.expect_eof();
}
