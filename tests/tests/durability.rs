//! What survives a restart of the broker, and what does not: after SIGKILL and after SIGTERM alike.

mod bindings;
mod confirms;
mod damage;
mod deduplication;
mod delays;
mod dump;
mod lapsing;
mod messages;
mod priorities;
mod process;
mod returns;
mod settling;
mod topology;
mod transactions;

use lepus_tests::*;

/// Ends a broker in one of the two ways and starts it again.
type Restart = fn(&mut Broker);

/// Runs a test with a broker that is killed, and with another one that is stopped.
#[track_caller]
fn both_ways(test: impl Fn(&mut Broker, Restart)) {
    for (name, restart) in [("kill", Broker::crash as Restart), ("stop", Broker::restart_by_stop)] {
        println!("restart by {name}");
        let mut broker = durable_broker!();
        test(&mut broker, restart);
    }
}

/// As [`both_ways`], but another broker is only stopped: RabbitMQ does not wait until acks are
/// stored, not even with tx.commit, so that a kill brings messages back.
#[track_caller]
fn both_ways_with_acks(test: impl Fn(&mut Broker, Restart)) {
    if can_restart() && on_target() {
        test(&mut Broker::start(), Broker::restart_by_stop);
    } else {
        both_ways(test);
    }
}

/// `queue.declare` of a durable queue.
fn durable(name: &str) -> queue::Declare {
    queue::Declare { durable: true, ..declare(name) }
}

/// `exchange.declare` of a durable exchange.
fn durable_exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare { durable: true, ..declare_exchange(name, kind) }
}

/// Properties that make a message persistent.
fn persistent() -> BasicProperties {
    props().with_delivery_mode(2)
}

/// Declares a durable queue of its own for a test.
fn new_queue(broker: &Broker, label: &str) -> String {
    let name = unique(label);
    broker.connect().channel(1).declare(durable(&name));
    name
}

/// Publishes persistent messages to a queue and returns when all are confirmed.
#[track_caller]
fn put<'a>(broker: &Broker, queue: &str, bodies: impl IntoIterator<Item = &'a str>) {
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    let mut count = 0;
    for body in bodies {
        ch.publish_with(publish("", queue), &persistent(), body);
        count += 1;
    }
    ch.confirmed(1, count);
    conn.close();
}

/// Publishes one more message on a channel that confirms, and waits for its confirm, the first one
/// of this channel: what the channel did before is then as safe as the message.
#[track_caller]
fn fence(ch: &mut Chan<'_>, queue: &str) {
    ch.publish_with(publish("", queue), &persistent(), "fence");
    ch.confirmed(1, 1);
}

/// Takes every message of a queue.
#[track_caller]
fn drained(broker: &Broker, queue: &str) -> Vec<String> {
    broker.connect().channel(1).drain(queue)
}

/// The bodies and the redelivered flags of a queue's messages, which are put back.
#[track_caller]
fn flags(broker: &Broker, queue: &str) -> Vec<(String, bool)> {
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    std::iter::from_fn(|| ch.get(queue, false))
        .map(|message| (message.text().to_string(), message.method.redelivered))
        .collect()
}

/// The queue must not exist; the channel is open afterwards.
#[track_caller]
fn no_queue(ch: &mut Chan<'_>, name: &str) {
    ch.refused(look(name), 404, &format!("NOT_FOUND - no queue '{name}' in vhost '/'"));
    ch.reopen();
}

/// The exchange must not exist; the channel is open afterwards.
#[track_caller]
fn no_exchange(ch: &mut Chan<'_>, name: &str) {
    let text = format!("NOT_FOUND - no exchange '{name}' in vhost '/'");
    ch.refused(look_exchange(name), 404, &text);
    ch.reopen();
}

/// Deletes queues, which another broker would otherwise keep.
fn tidy(broker: &Broker, queues: &[&str]) {
    let mut conn = broker.connect();
    for queue in queues {
        let _: queue::DeleteOk = conn.channel(1).call(delete(queue));
        conn.ch(1).close();
    }
}
