//! Messages: which stay, and that they stay exactly as they were.

use super::*;

#[test]
fn persistent_messages_stay_and_transient_ones_go() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "mixed");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.confirm_select();
        for (number, mode) in (1..=6).zip([Some(2), Some(1), None, Some(2), None, Some(2)]) {
            let properties = mode.map_or_else(props, |mode| props().with_delivery_mode(mode));
            ch.publish_with(publish("", &queue), &properties, number.to_string());
        }
        ch.confirmed(1, 6);
        ch.expect_counts(&queue, (6, 0));
        restart(broker);
        broker.connect().channel(1).expect_counts(&queue, (3, 0));
        assert_eq!(drained(broker, &queue), ["1", "4", "6"]);
        tidy(broker, &[&queue]);
    });
}

/// A content header's flags and values: all fourteen properties, and fields of every type, in an
/// order and with repetitions that no encoder would make.
fn odd_properties() -> Vec<u8> {
    fn short(bytes: &mut Vec<u8>, text: &str) {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    let mut table = Vec::new();
    let fields: [(&str, &[u8]); 18] = [
        ("z", b"t\x01"),
        ("a", b"b\xfb"),
        ("a", b"B\xfa"),
        ("", b"s\xfe\xd4"),
        ("u16", b"u\xea\x60"),
        ("i32", b"I\xff\xff\xff\xff"),
        ("u32", b"i\xff\xff\xff\xfe"),
        ("i64", b"l\x80\x00\x00\x00\x00\x00\x00\x01"),
        ("float", b"f\xbf\xc0\x00\x01"),
        ("double", b"d\x00\x00\x00\x00\x00\x00\x00\x07"),
        ("decimal", b"D\x02\x00\x00\x01\x3a"),
        ("text", b"S\x00\x00\x00\x03\xff\x00\xfe"),
        ("time", b"T\x00\x00\x00\x00\xff\xff\xff\xff"),
        ("void", b"V"),
        ("bytes", b"x\x00\x00\x00\x02\x00\x01"),
        ("list", b"A\x00\x00\x00\x07I\x00\x00\x00\x01t\x00"),
        ("table", b"F\x00\x00\x00\x04\x01kt\x01"),
        ("\u{e9}\u{4e16}", b"S\x00\x00\x00\x00"),
    ];
    for (name, value) in fields {
        short(&mut table, name);
        table.extend(value);
    }
    let mut bytes = vec![0xff, 0xfc];
    short(&mut bytes, "application/x-\u{fc}");
    short(&mut bytes, "");
    bytes.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    bytes.extend(&table);
    bytes.extend([2, 255]);
    for text in ["correlation \0 with a zero", "reply", "600000", "message id"] {
        short(&mut bytes, text);
    }
    bytes.extend(u64::MAX.to_be_bytes());
    for text in ["type", "guest", "app", "cluster"] {
        short(&mut bytes, text);
    }
    bytes
}

#[test]
fn properties_and_headers_stay_byte_for_byte() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "properties");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.confirm_select();
        // A time to live would change the expiration of a message that comes back; none is set here.
        let sent = [odd_properties(), vec![0x10, 0, 2], vec![0x30, 0, 0, 0, 0, 0, 2]];
        for raw in &sent {
            let mut bytes = publish("", &queue).bytes(1);
            let mut header = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4];
            header.extend(raw);
            bytes.extend(frame(HEADER, 1, &header));
            bytes.extend(body_frame(1, b"body"));
            ch.conn.send_raw(&bytes);
        }
        ch.confirmed(1, 3);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for raw in &sent {
            let message = ch.got(&queue);
            assert_eq!((&message.raw_properties, message.text()), (raw, "body"));
        }
        tidy(broker, &[&queue]);
    });
}

#[test]
fn exchange_and_routing_key_stay() {
    both_ways(|broker, restart| {
        let (queue, key) = (new_queue(broker, "routed"), unique("key"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.bind(&queue, "amq.topic", "#");
        ch.confirm_select();
        ch.publish_with(publish("amq.topic", &key), &persistent(), "one");
        ch.confirmed(1, 1);
        let _: queue::UnbindOk = ch.call(unbind(&queue, "amq.topic", "#"));
        restart(broker);
        let message = broker.connect().channel(1).got(&queue).method;
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("amq.topic", &*key));
        tidy(broker, &[&queue]);
    });
}

#[test]
fn bodies_of_all_sizes_stay() {
    const MIB: usize = 1024 * 1024;
    let sizes = [
        0,
        1,
        2,
        400,
        511,
        512,
        513,
        4_095,
        4_096,
        4_097,
        65_536,
        131_064,
        131_065,
        MIB - 1,
        MIB,
        MIB + 1,
        5 * MIB,
    ];
    let body = |size: usize| -> Vec<u8> {
        (0..size).map(|at| ((at >> 8) as u8) ^ (at as u8) ^ (size as u8)).collect()
    };
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "sizes");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.confirm_select();
        for size in sizes {
            ch.publish_with(publish("", &queue), &persistent(), body(size));
        }
        ch.confirmed(1, sizes.len() as u64);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for size in sizes {
            assert!(ch.got(&queue).body == body(size), "the body of {size} bytes differs");
        }
        assert!(ch.get(&queue, true).is_none());
        tidy(broker, &[&queue]);
    });
}

#[test]
fn order_and_counts_stay_over_several_restarts() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "order");
        let bodies: Vec<String> = (0..3_000).map(|number| number.to_string()).collect();
        for (turn, part) in (1..).zip(bodies.chunks(1_000)) {
            put(broker, &queue, part.iter().map(String::as_str));
            restart(broker);
            broker.connect().channel(1).expect_counts(&queue, (turn * 1_000, 0));
        }
        assert_eq!(drained(broker, &queue), bodies);
        restart(broker);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn message_in_many_queues_stays_in_each() {
    both_ways(|broker, restart| {
        let exchange = unique("fan");
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: exchange::DeclareOk = ch.call(durable_exchange(&exchange, "fanout"));
        let queues: Vec<String> = (0..5).map(|_| new_queue(broker, "fan")).collect();
        let transient = ch.queue(&unique("transient"));
        for queue in queues.iter().chain([&transient]) {
            ch.bind(queue, &exchange, "");
        }
        ch.confirm_select();
        for number in 0..20 {
            ch.publish_with(publish(&exchange, ""), &persistent(), number.to_string());
        }
        ch.confirmed(1, 20);
        // One queue has it settled: the others keep it.
        assert_eq!(drained(broker, &queues[0]).len(), 20);
        fence(&mut broker.connect().channel_confirming(1), &queues[0]);
        restart(broker);
        let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for queue in &queues[1..] {
            assert_eq!(drained(broker, queue), all);
        }
        let mut conn = broker.connect();
        let _: exchange::DeleteOk = conn.channel(1).call(delete_exchange(&exchange));
        tidy(broker, &queues.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

#[test]
fn messages_go_on_behind_those_that_stayed() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "behind");
        put(broker, &queue, ["1", "2"]);
        restart(broker);
        put(broker, &queue, ["3"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.consume(&queue, "t");
        ch.deliveries(["1", "2", "3"]);
        put(broker, &queue, ["4"]);
        ch.deliveries(["4"]);
        ch.send(ack_up_to(4));
        ch.expect_silence(&queue);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn copies_by_cc_and_bcc_stay_and_bcc_is_still_hidden() {
    both_ways(|broker, restart| {
        let queues = [(); 3].map(|()| new_queue(broker, "copy"));
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.confirm_select();
        let copies = headers([
            ("CC", list([text(&queues[1])])),
            ("BCC", list([text(&queues[2])])),
            ("other", int(7)),
        ]);
        ch.publish_with(publish("", &queues[0]), &copies.with_delivery_mode(2), "copied");
        ch.confirmed(1, 1);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for queue in &queues {
            let kept = ch.got(queue).properties.headers().clone().unwrap();
            let names: Vec<&str> = kept.inner().keys().map(ShortString::as_str).collect();
            assert_eq!(names, ["CC", "other"]);
        }
        tidy(broker, &queues.each_ref().map(String::as_str));
    });
}
