//! Links that are broken, half-broken, or lose packets; in a network of the test's own.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lepus_tests::*;

/// Whether this process has a network of its own.
const ALONE: &str = "LEPUS_TEST_ALONE";

/// Runs the test that calls this in a network of its own, where packets can be thrown away.
fn in_a_network_of_its_own(body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let command = "ip link set lo up && iptables -L >&- && exec \"$@\"";
    let network = |args: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "sh", "-c", command, "sh"]).args(args).env(ALONE, "1");
        unshare
    };
    if !network(&["true"]).output().is_ok_and(|done| done.status.success()) {
        return println!("skipped: no network of its own, or no iptables (not root?)");
    }
    let this = std::env::current_exe().unwrap().display().to_string();
    let thread = std::thread::current();
    let test = thread.name().expect("a test's thread has its name");
    let done = network(&[&this, "--exact", test, "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "in a network of its own: {}", done.status);
    assert!(said.contains(" 1 passed"), "no test is called {test}");
}

fn iptables(rule: &str) {
    let done = Command::new("iptables").args(rule.split(' ')).status().unwrap();
    assert!(done.success(), "iptables {rule}");
}

/// Throws away all that a client sends (`sport`), or all that it is sent (`dport`).
fn cut(conn: &Conn, which: &str) {
    iptables(&format!("-A INPUT -p tcp --{which} {} -j DROP", conn.local_address().port()));
}

fn mend() {
    iptables("-F INPUT");
}

fn beating() -> Login {
    Login { heartbeat: 1, ..Login::default() }
}

/// Holds a message while its link is cut in these directions; then somebody else gets it, and the
/// operator sees why.
fn is_let_go(directions: &[&str]) {
    let broker = Broker::start();
    let mut cut_off = broker.login(&beating());
    let queue = cut_off.channel(1).queue("held");
    cut_off.ch(1).publish("", &queue, "held");
    cut_off.ch(1).consume(&queue, "t");
    cut_off.ch(1).deliveries(["held"]);
    let mut other = broker.connect();
    other.channel(1).consume(&queue, "other");
    directions.iter().for_each(|direction| cut(&cut_off, direction));
    let start = Instant::now();
    while !other.hears_within(Duration::from_millis(100)) {
        // It believes that all is well.
        cut_off.heartbeat();
        assert!(start.elapsed() < DEADLINE, "the message never came back");
    }
    let delivery = other.ch(1).delivery();
    assert_eq!((delivery.text(), delivery.method.redelivered), ("held", true));
    broker.wait_for_log("no heartbeat from the client", 1);
    broker.wait_for_metric("rabbitmq_connections", 1.0);
}

#[test]
fn a_client_beyond_a_partition_is_let_go() {
    lepus_only!("the network is not ours");
    in_a_network_of_its_own(|| {
        is_let_go(&["sport", "dport"]);
    });
}

#[test]
fn a_client_that_is_not_heard_is_let_go() {
    lepus_only!("the network is not ours");
    in_a_network_of_its_own(|| {
        is_let_go(&["sport"]);
    });
}

/// It is heard for as long as its system sends on without being answered.
#[test]
fn a_client_that_hears_nothing_is_let_go() {
    lepus_only!("the network is not ours");
    in_a_network_of_its_own(|| {
        is_let_go(&["dport"]);
    });
}

/// Shorter than the heartbeats' patience: nobody notices, and nothing is lost or comes twice.
#[test]
fn a_partition_that_heals() {
    lepus_only!("the network is not ours");
    in_a_network_of_its_own(|| {
        let broker = Broker::start();
        let mut conn = broker.login(&Login { heartbeat: 10, ..Login::default() });
        let queue = conn.channel_confirming(1).temp_queue();
        conn.channel(2).consume_with(consume_no_ack(&queue, "t"));
        ["sport", "dport"].iter().for_each(|direction| cut(&conn, direction));
        for number in 1..=100 {
            conn.ch(1).publish("", &queue, number.to_string());
        }
        sleep(Duration::from_secs(1));
        mend();
        for number in 1..=100 {
            assert_eq!(conn.ch(2).delivery().text(), number.to_string());
        }
        conn.ch(1).confirmed(1, 100);
        conn.close();
    });
}

#[test]
fn a_link_that_loses_packets() {
    lepus_only!("the network is not ours");
    in_a_network_of_its_own(|| {
        let broker = Broker::start();
        let (mut publisher, mut consumer) = (broker.connect(), broker.connect());
        publisher.channel_confirming(1);
        let queue = publisher.channel(2).queue("lossy");
        consumer.channel(1).consume(&queue, "t");
        for conn in [&publisher, &consumer] {
            for direction in ["sport", "dport"] {
                let port = conn.local_address().port();
                let some = "-m statistic --mode random --probability 0.1";
                iptables(&format!("-A INPUT -p tcp --{direction} {port} {some} -j DROP"));
            }
        }
        let body = |number: u64| [&number.to_be_bytes()[..], &[7; 5_000]].concat();
        for number in 1..=200 {
            publisher.ch(1).publish("", &queue, body(number));
        }
        for number in 1..=200 {
            assert_eq!(consumer.ch(1).delivery().body, body(number));
            consumer.ch(1).send(ack(number));
        }
        publisher.ch(1).confirmed(1, 200);
        mend();
        publisher.ch(2).expect_counts(&queue, (0, 1));
    });
}
