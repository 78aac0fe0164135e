//! The process and its directory.

use super::*;

#[test]
fn directory_in_use_is_refused() {
    lepus_only!("RabbitMQ refuses by its node's name");
    let broker = Broker::start();
    let queue = new_queue(&broker, "in-use");
    let why = broker.start_beside().expect_err("two brokers in one directory");
    assert!(why.contains("in use"), "{why}");
    // The first one did not notice.
    put(&broker, &queue, ["one"]);
    assert_eq!(drained(&broker, &queue), ["one"]);
}

#[test]
fn directory_is_free_after_a_kill_and_after_a_stop() {
    both_ways(|broker, restart| {
        for _ in 0..5 {
            restart(broker);
        }
    });
}

/// Sockets take descriptors, and the store must have some all the same.
#[test]
fn store_goes_on_while_sockets_take_all_descriptors() {
    lepus_only!("the limit is set where it is started");
    let broker = Broker::with_descriptors(64, "storage.segment_bytes = 1MiB\n");
    let queue = new_queue(&broker, "short");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let idle: Vec<Conn> = (0..100).map(|_| broker.dial()).collect();
    let body = vec![7; 100_000];
    for number in 1..=100 {
        ch.publish_with(publish("", &queue), &persistent(), &body);
        ch.confirmed(number, number);
    }
    let late = std::thread::scope(|scope| {
        // It waits unserved until the others have gone.
        let late = scope.spawn(|| broker.connect().channel(1).declare(look(&queue)).message_count);
        drop(idle);
        late.join().unwrap()
    });
    assert_eq!(late, 100);
}

/// Kills it while it starts: it must start all the same in the end, with everything.
#[test]
fn kills_in_a_row_lose_nothing() {
    let mut broker = durable_broker!();
    let queue = new_queue(&broker, "row");
    let bodies: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    put(&broker, &queue, bodies.iter().map(String::as_str));
    for _ in 0..10 {
        broker.crash();
    }
    assert_eq!(drained(&broker, &queue), bodies);
    tidy(&broker, &[&queue]);
}

#[test]
fn stop_while_a_client_publishes_keeps_what_was_confirmed() {
    let mut broker = durable_broker!();
    let queue = new_queue(&broker, "stopped");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    for number in 0..2_000 {
        ch.publish_with(publish("", &queue), &persistent(), number.to_string());
    }
    let first: basic::Ack = ch.expect();
    let confirmed = if first.multiple { first.delivery_tag } else { 1 };
    drop(conn);
    broker.restart_by_stop();
    let found = drained(&broker, &queue);
    assert!(found.len() as u64 >= confirmed, "{} of {confirmed} confirmed", found.len());
    assert!(found.iter().zip(0..).all(|(body, number)| *body == number.to_string()));
    tidy(&broker, &[&queue]);
}
