//! Limits and alarms: message size, memory, consumers that do not read, where guest may come from.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use lepus_tests::*;

const MIB: usize = 1024 * 1024;

#[test]
fn message_over_the_configured_size_closes_the_channel() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("max_message_size = 1000\n");
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, vec![0; 1000]);
    assert_eq!(ch.get(&queue, true).unwrap().body.len(), 1000);
    ch.publish("", &queue, vec![0; 1001]);
    let text = "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000";
    ch.expect_close(406, text, (60, 40));
    ch.reopen();
    assert!(ch.get(&queue, true).is_none());
}

#[test]
fn message_size_over_128_mib_is_refused_by_its_header_alone() {
    lepus_only!("RabbitMQ takes the whole body first");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send(publish("", "nowhere"));
    ch.conn.send_raw(&header_frame(1, 134_217_729, &props()));
    ch.conn.send_raw(&body_frame(1, &[0; 1000]));
    let text =
        "PRECONDITION_FAILED - message size 134217729 is larger than configured max size 134217728";
    ch.expect_close(406, text, (60, 40));
    ch.reopen();
}

#[test]
fn announced_size_alone_takes_no_memory() {
    lepus_only!("RabbitMQ waits for the body");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send(publish("", "nowhere"));
    ch.conn.send_raw(&header_frame(1, u64::MAX, &props()));
    let text = format!(
        "PRECONDITION_FAILED - message size {} is larger than configured max size 134217728",
        u64::MAX
    );
    ch.expect_close(406, &text, (60, 40));
}

/// Publishes messages of 1 MiB, confirmed one by one, until the broker says that it is blocked;
/// returns how many were published.
fn publish_until_blocked(conn: &mut Conn, queue: &str, most: usize) -> usize {
    let body = vec![7; MIB];
    for count in 1..=most {
        conn.ch(1).publish("", queue, &body);
        let answer = conn.next_frame();
        if let Some(blocked) = answer.method().and_then(connection::Blocked::find) {
            assert_eq!(blocked.reason.as_str(), "low on memory");
            return count;
        }
        assert!(answer.method().and_then(basic::Ack::find).is_some(), "{answer:?}");
    }
    panic!("not blocked after {most} MiB");
}

#[test]
fn publisher_is_blocked_over_the_memory_watermark_and_unblocked_under_it() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 64MiB\n");
    let mut publisher = broker.connect();
    publisher.channel(1).confirm_select();
    let queue = publisher.ch(1).queue("backlog");
    let published = publish_until_blocked(&mut publisher, &queue, 200);
    let mut consumer = broker.connect();
    let mut ch = consumer.channel(1);
    ch.consume_with(consume_no_ack(&queue, "t"));
    for _ in 1..published {
        assert_eq!(ch.delivery().body.len(), MIB);
    }
    let _: connection::Unblocked = publisher.expect(0);
    assert_eq!(ch.delivery().body.len(), MIB);
    publisher.ch(1).confirmed(published as u64, published as u64);
    let _: basic::QosOk = publisher.ch(1).call(qos(1));
}

/// Publishes until the broker says that it is blocked; `send` sends some messages.
fn publish_small_until_blocked(publisher: &mut Conn, mut send: impl FnMut(&mut Conn)) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !publisher.hears_within(Duration::from_millis(1)) {
        assert!(Instant::now() < deadline, "never blocked");
        send(publisher);
    }
    let blocked: connection::Blocked = publisher.expect(0);
    assert_eq!(blocked.reason.as_str(), "low on memory");
}

#[test]
fn alarm_ends_when_a_backlog_of_small_messages_goes() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 48MiB\n");
    for size in [50, 4000] {
        let mut publisher = broker.connect();
        let queue = publisher.channel(1).queue(&unique("backlog"));
        let (body, messages) = (vec![7; size], 20_000 / (size + 100));
        publish_small_until_blocked(&mut publisher, |publisher| {
            for _ in 0..messages {
                publisher.ch(1).publish("", &queue, &body);
            }
        });
        let mut other = broker.connect();
        let _: queue::PurgeOk = other.channel(1).call(purge(&queue));
        let _: connection::Unblocked = publisher.expect(0);
    }
}

#[test]
fn unfinished_bodies_are_held_back_too() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("vm_memory_high_watermark.absolute = 256MiB\n");
    let mut publisher = broker.connect();
    for channel in 1..=100 {
        publisher.channel(channel);
        publisher.send(channel, publish("", "nowhere"));
        publisher.send_raw(&header_frame(channel, 100_000_000, &props()));
    }
    let mut channels = (1..=100).cycle();
    publish_small_until_blocked(&mut publisher, |publisher| {
        let channel = channels.next().expect("a channel");
        publisher.send_raw(&body_frame(channel, &[7; 100_000]));
    });
}

#[test]
fn clients_that_are_blocked_are_told_when_the_broker_stops() {
    lepus_only!("its process is not ours");
    let broker = low_on_memory();
    let mut publisher = broker.connect();
    publisher.channel(1);
    until_blocked(&mut publisher);
    let stop = std::thread::spawn(move || broker.signal("TERM"));
    let close = publisher.expect_close_frame();
    assert_eq!(close.reply_code, 320);
    publisher.finish_close();
    assert_eq!(stop.join().expect("a status").code(), Some(0));
}

fn low_on_memory() -> Broker {
    Broker::with_config("vm_memory_high_watermark.absolute = 1\n")
}

/// Publishes until the broker, which looks at its memory now and then, says that it is blocked.
fn until_blocked(conn: &mut Conn) {
    let deadline = Instant::now() + DEADLINE;
    while !conn.hears_within(Duration::from_millis(50)) {
        assert!(Instant::now() < deadline, "never blocked");
        conn.ch(1).publish("", "nowhere", "more");
    }
    let blocked: connection::Blocked = conn.expect(0);
    assert_eq!(blocked.reason.as_str(), "low on memory");
}

#[test]
fn blocked_publisher_is_not_read_and_others_are() {
    lepus_only!("the setting is Lepus' here");
    let broker = low_on_memory();
    let (mut publisher, mut other) = (broker.connect(), broker.connect());
    publisher.channel(1);
    until_blocked(&mut publisher);
    publisher.send(1, qos(1));
    let mut ch = other.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.expect_silence(&queue);
    assert!(!publisher.hears_within(Duration::from_millis(300)));
}

#[test]
fn blocked_publisher_without_the_capability_is_not_told() {
    lepus_only!("the setting is Lepus' here");
    let broker = low_on_memory();
    let mut told = broker.connect();
    told.channel(1);
    until_blocked(&mut told);
    let mut publisher = broker.login(&Login { capabilities: vec![], ..Login::default() });
    let mut ch = publisher.channel(1);
    ch.publish("", "nowhere", "last");
    // What was read together with the publish may still be answered; nothing after it is.
    publisher.send(1, qos(1));
    if publisher.hears_within(Duration::from_millis(300)) {
        let _: basic::QosOk = publisher.expect(1);
        publisher.send(1, qos(1));
        assert!(!publisher.hears_within(Duration::from_millis(300)));
    }
}

#[test]
fn consumer_that_does_not_read_leaves_messages_to_others() {
    lepus_only!("RabbitMQ goes on giving");
    let broker = Broker::start();
    let (mut stuck, mut free, mut publisher) =
        (broker.connect(), broker.connect(), broker.connect());
    let queue = stuck.channel(1).queue("shared");
    stuck.ch(1).consume_with(consume_no_ack(&queue, "stuck"));
    let mut ch = publisher.channel(1);
    ch.confirm_select();
    for _ in 0..128 {
        ch.publish("", &queue, vec![7; MIB]);
    }
    ch.confirmed(1, 128);
    let mut ch = free.channel(1);
    ch.consume_with(consume_no_ack(&queue, "free"));
    for _ in 0..64 {
        assert_eq!(ch.delivery().body.len(), MIB);
    }
}

#[test]
fn consumer_that_reads_again_gets_the_rest_in_order() {
    let (mut slow, mut publisher) = (shared().connect(), shared().connect());
    let queue = slow.channel(1).temp_queue();
    slow.ch(1).consume_with(consume_no_ack(&queue, "slow"));
    let mut ch = publisher.channel(1);
    ch.confirm_select();
    for number in 0..64_u64 {
        let mut body = vec![0; MIB / 4];
        body[..8].copy_from_slice(&number.to_be_bytes());
        ch.publish("", &queue, body);
    }
    ch.confirmed(1, 64);
    for number in 0..64_u64 {
        assert_eq!(slow.ch(1).delivery().body[..8], number.to_be_bytes());
    }
}

/// An address of this machine that is not the loopback one; no packet is sent to find it.
fn outer_address(broker: &Broker) -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let port = broker.address().rsplit(':').next()?;
    Some(format!("{}:{port}", socket.local_addr().ok()?.ip()))
}

#[test]
fn guest_is_refused_from_elsewhere() {
    lepus_only!("its address is given");
    let broker = Broker::on_all_addresses("");
    let Some(address) = outer_address(&broker) else {
        return println!("skipped: this machine has the loopback address only");
    };
    let mut conn = Conn::dial(&address);
    conn.start();
    conn.send(0, Login::default().start_ok());
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                For details see the broker logfile.";
    conn.expect_close(403, text, (0, 0));
}

#[test]
fn guest_may_come_from_anywhere_when_configured() {
    lepus_only!("its address is given");
    for config in ["loopback_users.guest = false\n", "loopback_users = none\n"] {
        let broker = Broker::on_all_addresses(config);
        let Some(address) = outer_address(&broker) else {
            return println!("skipped: this machine has the loopback address only");
        };
        Conn::login(&address, &Login::default()).close();
    }
}

#[test]
fn clients_are_told_when_the_broker_stops() {
    lepus_only!("its process is not ours");
    let broker = Broker::start();
    let mut conn = broker.connect();
    conn.channel(1);
    let status = broker.signal("TERM");
    assert_eq!(status.code(), Some(0));
    let close = conn.expect_close_frame();
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    assert_eq!((close.reply_code, close.reply_text.as_str()), (320, text));
}
