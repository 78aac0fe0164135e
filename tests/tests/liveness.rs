//! Heartbeats and timeouts: a peer that falls silent is let go.

use std::time::{Duration, Instant};

use lepus_tests::*;

fn heartbeat_every_second() -> Login {
    heartbeat_every(1)
}

fn heartbeat_every(seconds: u16) -> Login {
    Login { heartbeat: seconds, ..Login::default() }
}

#[test]
fn server_sends_heartbeats_at_least_at_the_agreed_interval() {
    let mut conn = shared().login(&heartbeat_every_second());
    let started = Instant::now();
    for _ in 0..4 {
        conn.heartbeat();
        assert_eq!(conn.next_frame(), Frame { kind: HEARTBEAT, channel: 0, payload: vec![] });
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn silent_client_is_closed_after_two_intervals() {
    let started = Instant::now();
    let mut conn = shared().login(&heartbeat_every_second());
    conn.expect_eof();
    let silence = started.elapsed();
    assert!(
        silence > Duration::from_millis(1_500) && silence < Duration::from_secs(8),
        "{silence:?}"
    );
}

#[test]
fn any_frame_counts_as_a_heartbeat() {
    let mut conn = shared().login(&heartbeat_every(2));
    let mut ch = conn.channel(1);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        let _: basic::QosOk = ch.call(qos(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    conn.close();
}

#[test]
fn client_that_sends_heartbeats_only_stays() {
    let mut conn = shared().login(&heartbeat_every(2));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        conn.heartbeat();
        std::thread::sleep(Duration::from_millis(100));
    }
    conn.close();
}

#[test]
fn without_a_heartbeat_nobody_is_closed() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("heartbeat = 1\n");
    let mut conn = broker.connect();
    let mut other = broker.login(&heartbeat_every_second());
    other.expect_eof();
    conn.channel(1);
}

#[test]
fn heartbeat_setting_is_offered() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("heartbeat = 7\nframe_max = 8192\nchannel_max = 5\n");
    let mut conn = broker.dial();
    conn.start();
    let tune: connection::Tune = conn.call(0, Login::default().start_ok());
    assert_eq!((tune.channel_max, tune.frame_max, tune.heartbeat), (5, 8192, 7));
}

#[test]
fn silence_in_the_handshake_ends_at_the_timeout() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("handshake_timeout = 2000\n");
    let started = Instant::now();
    let (mut nothing, mut half, mut header) = (broker.dial(), broker.dial(), broker.dial());
    half.send_raw(b"AMQP");
    header.start();
    for conn in [&mut nothing, &mut half, &mut header] {
        conn.expect_eof();
    }
    let took = started.elapsed();
    assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn handshake_timeout_does_not_touch_open_connections() {
    lepus_only!("the setting is Lepus' here");
    let broker = Broker::with_config("handshake_timeout = 2000\n");
    let mut conn = broker.connect();
    broker.dial().expect_eof();
    conn.channel(1);
}

#[test]
fn silence_in_the_handshake_ends_after_ten_seconds_by_default() {
    let started = Instant::now();
    shared().dial().expect_eof();
    assert!(started.elapsed() > Duration::from_secs(9), "{:?}", started.elapsed());
}

#[test]
fn broker_prints_its_listener_and_then_ready() {
    lepus_only!("its process is not ours");
    let broker = Broker::start();
    let lines = broker.lines();
    assert_eq!(lines.last().map(String::as_str), Some("ready"));
    let listener = format!("listening amqp {}", broker.address());
    assert!(lines.contains(&listener), "{lines:?}");
}

#[test]
fn broker_stops_cleanly_at_sigterm_and_sigint() {
    lepus_only!("its process is not ours");
    for signal in ["TERM", "INT"] {
        let status = Broker::start().signal(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
    }
}
