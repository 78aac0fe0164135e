//! Queues with priorities over a restart.

use super::*;

/// Declares a durable queue with priorities up to 9, and puts messages into it.
fn filled<'a>(broker: &Broker, messages: impl IntoIterator<Item = (u8, &'a str)>) -> String {
    let name = unique("priorities");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let arguments = table([("x-max-priority", int(9))]);
    ch.declare(queue::Declare { arguments, ..durable(&name) });
    put_by_priority(&mut ch, &name, messages);
    name
}

/// On a channel that confirms and has published nothing.
fn put_by_priority<'a>(
    ch: &mut Chan<'_>,
    queue: &str,
    messages: impl IntoIterator<Item = (u8, &'a str)>,
) {
    let mut count = 0;
    for (priority, body) in messages {
        ch.publish_with(publish("", queue), &persistent().with_priority(priority), body);
        count += 1;
    }
    ch.confirmed(1, count);
}

#[test]
fn priorities_and_order_survive() {
    both_ways_with_acks(|broker, restart| {
        let messages = [(0, "0a"), (9, "9a"), (3, "3a"), (9, "9b"), (0, "0b"), (3, "3b")];
        let queue = filled(broker, messages);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for _ in 0..4 {
            ch.got(&queue);
        }
        // 9a and 3b are done; 9b and 3a come back.
        ch.send(ack(1));
        ch.send(ack(4));
        fence(&mut ch, &queue);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        ch.expect_counts(&queue, (5, 0));
        let publish = publish("", &queue);
        ch.publish_with(publish, &persistent().with_priority(3), "3c");
        ch.confirmed(1, 1);
        assert_eq!(ch.drain(&queue), ["9b", "3a", "3c", "0a", "0b", "fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn what_was_handed_out_is_redelivered_whatever_its_priority() {
    both_ways(|broker, restart| {
        let queue = filled(broker, [(1, "1a"), (8, "8a"), (8, "8b"), (1, "1b"), (0, "0")]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for _ in 0..3 {
            ch.got(&queue);
        }
        fence(&mut ch, &queue);
        restart(broker);
        let expected = [
            ("8a", true),
            ("8b", true),
            ("1a", true),
            ("1b", false),
            ("0", false),
            ("fence", false),
        ];
        let found = flags(broker, &queue);
        // After a kill RabbitMQ may not know of it.
        let order: Vec<&str> = found.iter().map(|(body, _)| body.as_str()).collect();
        assert_eq!(order, expected.map(|(body, _)| body));
        if !on_target() {
            assert!(found.iter().map(|(_, redelivered)| *redelivered).eq(expected.map(|(_, r)| r)));
        }
        tidy(broker, &[&queue]);
    });
}

/// So many that most are only in the store, of priorities that alternate.
#[test]
fn a_backlog_larger_than_memory_keeps_its_order() {
    lepus_only!("the memory is set where it is started");
    let mut broker = Broker::with_config("vm_memory_high_watermark.absolute = 64MiB\n");
    let padding = "x".repeat(1000);
    let bodies: Vec<String> = (0..6000).map(|number| format!("{number} {padding}")).collect();
    let priority_of = |number: usize| (number * 7 % 5) as u8;
    let messages = bodies.iter().enumerate().map(|(n, body)| (priority_of(n), body.as_str()));
    let queue = filled(&broker, messages);
    for _ in 0..2 {
        broker.connect().channel(1).expect_counts(&queue, (6000, 0));
        broker.crash();
    }
    let mut expected: Vec<usize> = (0..6000).collect();
    expected.sort_by_key(|number| std::cmp::Reverse(priority_of(*number)));
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.consume_with(consume_no_ack(&queue, "t"));
    for number in expected {
        let found = ch.delivery();
        assert_eq!(found.text().split(' ').next(), Some(&*number.to_string()));
    }
}

#[test]
fn the_store_names_priorities() {
    lepus_only!("a command of its own");
    let mut broker = Broker::start();
    let queue = filled(&broker, [(0, "low"), (7, "high"), (7, "higher")]);
    broker.stop();
    let printed = |command, args: &[&str]| {
        let output = broker.store(command, args);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = printed("check", &[]);
    let high = format!("priority 7 of queue '{queue}' in vhost '/': 2 messages");
    let low = format!("\nqueue '{queue}' in vhost '/': 1 messages");
    assert!(text.contains(&high) && text.contains(&low), "{text}");
    let lines = printed("dump", &["--queue", &queue, "--limit", "2"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["messages"]), (3, &3.into()), "{lines:?}");
    let places = |line: &serde_json::Value| (line["level"].clone(), line["body"].clone());
    assert_eq!(places(&lines[1]), (0.into(), "low".into()));
    assert_eq!(places(&lines[2]), (7.into(), "high".into()));
}

#[test]
fn a_deleted_queue_leaves_nothing_in_the_store() {
    lepus_only!("a command of its own");
    let mut broker = Broker::start();
    let queue = filled(&broker, [(0, "low"), (7, "high")]);
    tidy(&broker, &[&queue]);
    broker.restart_by_stop();
    broker.stop();
    let output = broker.store("check", &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0 durable queues, 0 messages"), "{text}");
}
