//! Behind a proxy that says for whom it connects.

use lepus_tests::*;

/// As HAProxy writes version 2: command, IPv4 over TCP, from 10.1.2.3:4567 to 10.0.0.1:5672.
fn binary(command: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, 0x11, 0, 12, 10, 1, 2, 3, 10, 0, 0, 1, 0x11, 0xd7, 0x16, 0x28]);
    header
}

const LINE: &[u8] = b"PROXY TCP4 10.1.2.3 10.0.0.1 4567 5672\r\n";
const OPEN: &str = "proxy_protocol = true\nloopback_users = none\n";

#[track_caller]
fn open_after(address: &str, header: &[u8]) -> Conn {
    let mut conn = Conn::dial(address);
    conn.send_raw(header);
    conn.start();
    conn.open(&Login::default());
    conn
}

/// The text in the header of the next event.
#[track_caller]
fn told(ch: &mut Chan<'_>, name: &str) -> String {
    let headers = ch.delivery().properties.headers().clone().expect("headers");
    match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn the_address_that_it_gives_is_the_peers() {
    lepus_only!("it would have to be configured there");
    let broker = Broker::with_config(OPEN);
    let mut watcher = open_after(broker.address(), &binary(0));
    let mut ch = watcher.channel(1);
    let queue = ch.temp_queue();
    ch.bind(&queue, "amq.rabbitmq.event", "connection.created");
    ch.consume_with(consume_no_ack(&queue, "events"));
    for header in [LINE, &binary(1)] {
        let _open = open_after(broker.address(), header);
        assert_eq!(told(&mut ch, "name"), "10.1.2.3:4567 -> 10.0.0.1:5672");
        broker.wait_for_log("from=10.1.2.3", 1);
    }
    let six = b"PROXY TCP6 2001:db8::1 2001:db8::2 4567 5672\r\n";
    let _open = open_after(broker.address(), six);
    assert_eq!(told(&mut ch, "name"), "[2001:db8::1]:4567 -> [2001:db8::2]:5672");
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_peer() {
    lepus_only!("it would have to be configured there");
    let broker = Broker::with_config("proxy_protocol = true\n");
    let mut watcher = open_after(broker.address(), &binary(0));
    let mut ch = watcher.channel(1);
    let queue = ch.temp_queue();
    ch.bind(&queue, "amq.rabbitmq.event", "connection.created");
    ch.consume_with(consume_no_ack(&queue, "events"));
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), binary(0)] {
        let open = open_after(broker.address(), &header);
        let name = format!("{} -> {}", open.local_address(), broker.address());
        assert_eq!(told(&mut ch, "name"), name);
    }
}

#[test]
fn loopback_users_come_from_this_machine_only() {
    lepus_only!("it would have to be configured there");
    let broker = Broker::with_config("proxy_protocol = true\n");
    open_after(broker.address(), b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n");
    let mut conn = broker.dial();
    conn.send_raw(LINE);
    conn.start();
    conn.send(0, Login::default().start_ok());
    assert_eq!(conn.expect_close_frame().reply_code, 403);
    broker.wait_for_log("from=10.1.2.3", 1);
}

#[test]
fn without_a_header_nobody_comes_in() {
    lepus_only!("it would have to be configured there");
    let broker = Broker::with_config("proxy_protocol = true\nhandshake_timeout = 3000\n");
    for octets in
        [&b"AMQP\0\0\x09\x01"[..], b"PROXY TCP5\r\n", b"\r\n\r\nx", b"PROXY TCP4 1 2 3 4\r\n"]
    {
        let mut conn = broker.dial();
        conn.send_raw(octets);
        conn.expect_eof();
    }
    broker.wait_for_log("no PROXY header, closing", 4);
    // Part of one, and then nothing.
    let mut conn = broker.dial();
    conn.send_raw(&LINE[..20]);
    conn.expect_eof();
    broker.wait_for_log("no PROXY header in time, closing", 1);
    // Octet by octet.
    let mut conn = broker.dial();
    for octet in binary(0) {
        conn.send_raw(&[octet]);
    }
    conn.start();
    conn.open(&Login::default());
}

#[test]
fn unasked_for_it_is_not_amqp() {
    let broker = Broker::with_config("");
    let mut conn = broker.dial();
    conn.send_raw(LINE);
    assert_eq!(conn.expect_raw(8), b"AMQP\0\0\x09\x01");
    conn.expect_eof();
}

#[test]
fn it_comes_before_tls() {
    lepus_only!("it would have to be configured there");
    let (authority, files) = (Authority::new("Test root"), Files::default());
    files.keep("server", &authority.issue(&server(&["localhost"])));
    let broker = Broker::with_config(&format!(
        "{OPEN}listeners.ssl.1 = 127.0.0.1:0\nssl_options.certfile = {}\nssl_options.keyfile = {}\n",
        files.path("server.pem"),
        files.path("server.key"),
    ));
    let mut watcher = open_after(broker.address(), &binary(0));
    let mut ch = watcher.channel(1);
    let queue = ch.temp_queue();
    ch.bind(&queue, "amq.rabbitmq.event", "connection.created");
    ch.consume_with(consume_no_ack(&queue, "events"));
    for header in [LINE, &binary(1)] {
        let mut conn = authority.client().after(header).start(&broker.tls_address()).unwrap();
        conn.open(&Login::default());
        assert_eq!(told(&mut ch, "name"), "10.1.2.3:4567 -> 10.0.0.1:5672");
    }
    assert!(authority.client().start(&broker.tls_address()).is_err());
    broker.wait_for_log("no PROXY header, closing", 1);
}
