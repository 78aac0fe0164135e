//! The process stands still for a while; the clock is set.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lepus_tests::*;

use super::{durable_queue, persistent};

/// Longer than two intervals of a heartbeat of a second.
const STANDSTILL: Duration = Duration::from_secs(4);

/// For the broker the time has passed; of those who kept sending their heartbeats nobody is taken for
/// gone, whose time was over is.
#[test]
fn a_broker_that_stood_still_goes_on() {
    lepus_only!("its process is not ours");
    let mut broker = Broker::start();
    let login = Login { heartbeat: 1, ..Login::default() };
    let (mut alive, mut silent) = (broker.login(&login), broker.login(&login));
    let queue = alive.channel_confirming(1).temp_queue();
    alive.ch(1).publish_with(publish("", &queue), &props().with_expiration("2000".into()), "over");
    alive.ch(1).publish("", &queue, "stays");
    alive.ch(1).confirmed(1, 2);
    broker.stop_still();
    let stopped = Instant::now();
    while stopped.elapsed() < STANDSTILL {
        alive.heartbeat();
        sleep(Duration::from_millis(100));
    }
    broker.tell("CONT");
    alive.ch(1).publish("", &queue, "after");
    let alive_again = Instant::now();
    alive.ch(1).confirmed(3, 3);
    assert!(alive_again.elapsed() < Duration::from_secs(5), "{:?}", alive_again.elapsed());
    assert_eq!(alive.ch(1).drain(&queue), ["stays", "after"]);
    // Before the other's time is over: it sends no more heartbeats from here on either.
    alive.close();
    silent.expect_eof();
    broker.wait_for_log("no heartbeat from the client", 1);
    broker.connect().close();
}

/// What clients send meanwhile waits for it in their sockets.
#[test]
fn a_broker_that_stands_still_keeps_what_is_sent_meanwhile() {
    lepus_only!("its process is not ours");
    let mut broker = Broker::start();
    let mut conn = broker.connect();
    conn.channel_confirming(1);
    let queue = durable_queue(&mut conn, "meanwhile");
    broker.stop_still();
    for number in 1..=100 {
        conn.ch(1).publish_with(publish("", &queue), &persistent(), number.to_string());
    }
    assert!(!conn.hears_within(Duration::from_millis(300)));
    broker.tell("CONT");
    conn.ch(1).confirmed(1, 100);
    broker.crash();
    let expected: Vec<String> = (1..=100).map(|number| number.to_string()).collect();
    assert_eq!(broker.connect().channel(1).drain(&queue), expected);
}

/// The library that gives a process another clock, by `LEPUS_FAKETIME` or where Debian has it.
fn faketime() -> Option<PathBuf> {
    let named = std::env::var_os("LEPUS_FAKETIME").map(PathBuf::from);
    let debian = Path::new("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1").to_owned();
    named.into_iter().chain([debian]).find(|path| path.is_file())
}

/// While it runs the broker goes by its own time, whatever becomes of the system's; at a start it takes
/// that one.
#[test]
fn the_clock_jumps() {
    lepus_only!("its clock is not ours");
    let Some(library) = faketime() else {
        return println!("skipped: there is no libfaketime (LEPUS_FAKETIME names it)");
    };
    let clock = std::env::temp_dir().join(unique("clock"));
    let set = |ahead: &str| std::fs::write(&clock, format!("{ahead}\n")).unwrap();
    set("+0");
    let (library, path) = (library.display().to_string(), clock.display().to_string());
    let env = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", path.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut broker = Broker::with_surroundings(&[], &env, "");
    let mut conn = broker.login(&Login { heartbeat: 30, ..Login::default() });
    let queue = durable_queue_with(&mut conn, "timed", 30_000);
    let mut ch = conn.channel_confirming(2);
    ch.publish_with(publish("", &queue), &persistent(), "in half a minute");
    ch.confirmed(1, 1);
    for (ahead, times) in [("+3600", 1), ("-3600", 2), ("+0", 3)] {
        set(ahead);
        broker.wait_for_log("the system's clock has jumped", times);
        // Nobody's time is over, and nobody is taken for gone.
        conn.heartbeat();
        conn.ch(1).expect_counts(&queue, (1, 0));
        let seconds: f64 = ahead.parse().unwrap();
        let told = broker.metric("lepus_clock_ahead_seconds");
        assert!((told - seconds).abs() < 10.0, "{told}, {ahead}");
    }
    drop(conn);
    // Started an hour too early, the broker lets the message wait longer; too late, and it is over.
    set("-3600");
    broker.crash();
    broker.connect().channel(1).expect_counts(&queue, (1, 0));
    set("+3600");
    broker.crash();
    broker.connect().channel(1).expect_counts(&queue, (0, 0));
    let _ = std::fs::remove_file(clock);
}

fn durable_queue_with(conn: &mut Conn, name: &str, ttl: i32) -> String {
    let arguments = table([("x-message-ttl", int(ttl))]);
    let queue = queue::Declare { durable: true, arguments, ..declare(name) };
    conn.channel(1).declare(queue).queue.to_string()
}
