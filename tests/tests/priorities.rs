//! Queues with priorities.

use std::time::{Duration, Instant};

use lepus_tests::*;

/// Declares a queue that goes with its connection, with priorities up to `max`.
#[track_caller]
fn queue_up_to<'a>(
    ch: &mut Chan<'_>,
    max: i32,
    more: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let arguments = table([("x-max-priority", int(max))].into_iter().chain(more));
    ch.declare(queue::Declare { exclusive: true, arguments, ..declare("") }).queue.to_string()
}

fn of_priority(priority: u8) -> BasicProperties {
    props().with_priority(priority)
}

/// Publishes messages and waits until all are in the queue.
#[track_caller]
fn publish_all<'a>(
    ch: &mut Chan<'_>,
    queue: &str,
    messages: impl IntoIterator<Item = (u8, &'a str)>,
) {
    let before = ch.counts(queue).0;
    let mut count = 0;
    for (priority, body) in messages {
        ch.publish_with(publish("", queue), &of_priority(priority), body);
        count += 1;
    }
    ch.expect_counts(queue, (before + count, 0));
}

#[test]
fn higher_priorities_leave_first_each_in_order() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 5, []);
    ch.publish("", &queue, "none");
    ch.expect_counts(&queue, (1, 0));
    publish_all(
        &mut ch,
        &queue,
        [(3, "3a"), (0, "0"), (9, "9"), (5, "5"), (255, "255"), (3, "3b")],
    );
    assert_eq!(ch.drain(&queue), ["9", "5", "255", "3a", "3b", "none", "0"]);
}

#[test]
fn there_may_be_255_priorities() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 255, []);
    let bodies: Vec<String> = (0..=255u8).map(|priority| priority.to_string()).collect();
    publish_all(&mut ch, &queue, (0..=255).zip(bodies.iter().map(String::as_str)));
    assert!(ch.drain(&queue).iter().eq(bodies.iter().rev()));
}

#[test]
fn without_priorities_of_the_queue_those_of_messages_mean_nothing() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for queue in [ch.temp_queue(), queue_up_to(&mut ch, 0, [])] {
        publish_all(&mut ch, &queue, [(1, "a"), (9, "b"), (0, "c")]);
        assert_eq!(ch.drain(&queue), ["a", "b", "c"]);
    }
}

#[test]
fn a_consumer_gets_the_highest_whenever_it_has_room() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 9, []);
    let _: basic::QosOk = ch.call(qos(1));
    ch.publish_with(publish("", &queue), &of_priority(1), "first");
    ch.consume(&queue, "t");
    let [mut held] = ch.deliveries(["first"]);
    for (priority, body) in [(2, "2"), (7, "7a"), (9, "9"), (7, "7b")] {
        ch.publish_with(publish("", &queue), &of_priority(priority), body);
    }
    ch.expect_counts(&queue, (4, 1));
    for body in ["9", "7a", "7b", "2"] {
        ch.send(ack(held.method.delivery_tag));
        [held] = ch.deliveries([body]);
    }
}

#[test]
fn returned_messages_stand_at_their_places() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 3, []);
    publish_all(&mut ch, &queue, [(1, "1a"), (3, "3a"), (1, "1b"), (3, "3b"), (3, "3c")]);
    let tags: Vec<u64> = (0..4).map(|_| ch.got(&queue).method.delivery_tag).collect();
    ch.send(nack(tags[1], true));
    ch.send(nack(tags[3], true));
    ch.send(nack(tags[0], true));
    ch.expect_counts(&queue, (4, 0));
    let first = ch.got(&queue);
    assert_eq!((first.text(), first.method.redelivered), ("3a", true));
    assert_eq!(ch.drain(&queue), ["3b", "1a", "1b"]);
}

#[test]
fn all_priorities_of_a_consumer_return_at_once() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 3, []);
    publish_all(&mut ch, &queue, [(0, "a"), (2, "b"), (1, "c"), (2, "d"), (3, "e")]);
    for _ in 0..5 {
        ch.got(&queue);
    }
    ch.send(nack_up_to(5, true));
    ch.expect_counts(&queue, (5, 0));
    assert_eq!(ch.drain(&queue), ["e", "b", "d", "c", "a"]);
}

#[test]
fn all_priorities_are_counted_purged_and_deleted() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 9, []);
    publish_all(&mut ch, &queue, [(0, "a"), (4, "b"), (9, "c")]);
    let purged: queue::PurgeOk = ch.call(purge(&queue));
    assert_eq!(purged.message_count, 3);
    publish_all(&mut ch, &queue, [(1, "a"), (8, "b")]);
    ch.refused(
        queue::Delete { if_empty: true, ..delete(&queue) },
        406,
        &format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"),
    );
    let deleted: queue::DeleteOk = conn.channel(2).call(delete(&queue));
    assert_eq!(deleted.message_count, 2);
}

/// RabbitMQ drops at the head of the queue, which is where the highest priority stands.
#[test]
fn of_too_many_the_oldest_of_the_highest_priority_go() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let dead = ch.temp_queue();
    let more = [
        ("x-max-length", int(3)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
    ];
    let queue = queue_up_to(&mut ch, 5, more);
    publish_all(&mut ch, &queue, [(0, "0a"), (3, "3a"), (3, "3b")]);
    for (priority, body) in [(3, "3c"), (0, "0b"), (5, "5")] {
        ch.publish_with(publish("", &queue), &of_priority(priority), body);
    }
    ch.expect_counts(&dead, (3, 0));
    assert_eq!(ch.drain(&dead), ["3a", "3b", "5"]);
    assert_eq!(ch.drain(&queue), ["3c", "0a", "0b"]);
}

#[test]
fn a_full_queue_refuses_high_priorities_too() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let more = [("x-max-length", int(2)), ("x-overflow", text("reject-publish"))];
    let queue = queue_up_to(&mut ch, 5, more);
    publish_all(&mut ch, &queue, [(0, "0"), (1, "1")]);
    ch.confirm_select();
    ch.publish_with(publish("", &queue), &of_priority(5), "5");
    let refused: basic::Nack = ch.expect();
    assert_eq!(refused.delivery_tag, 1);
    assert_eq!(ch.drain(&queue), ["1", "0"]);
}

#[test]
fn what_is_over_is_not_delivered_whatever_stands_before_it() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 5, []);
    publish_all(&mut ch, &queue, [(4, "4")]);
    let expiring = of_priority(1).with_expiration("1".into());
    ch.publish_with(publish("", &queue), &expiring, "over");
    ch.publish_with(publish("", &queue), &of_priority(0), "0");
    let other = ch.temp_queue();
    ch.publish_with(publish("", &other), &expiring, "over, too");
    ch.expect_counts(&other, (0, 0));
    assert_eq!(ch.drain(&queue), ["4", "0"]);
}

#[test]
fn a_low_priority_expires_in_time_behind_a_high_one() {
    lepus_only!("RabbitMQ keeps it until what stands before it is gone");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let dead = ch.temp_queue();
    let more = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    let queue = queue_up_to(&mut ch, 5, more);
    ch.publish_with(publish("", &queue), &of_priority(5), "stays");
    let expiring = of_priority(1).with_expiration("20".into());
    ch.publish_with(publish("", &queue), &expiring, "goes");
    ch.expect_counts(&dead, (1, 0));
    assert_eq!((ch.drain(&dead), ch.drain(&queue)), (vec!["goes".into()], vec!["stays".into()]));
}

#[test]
fn dead_letters_are_sorted_into_the_priorities_of_their_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let dead = queue_up_to(&mut ch, 5, []);
    let arguments =
        table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))]);
    let plain = queue::Declare { exclusive: true, arguments, ..declare("") };
    let plain = ch.declare(plain).queue.to_string();
    publish_all(&mut ch, &plain, [(1, "1"), (4, "4"), (2, "2")]);
    for _ in 0..3 {
        ch.got(&plain);
    }
    ch.send(nack_up_to(3, false));
    ch.expect_counts(&dead, (3, 0));
    assert_eq!(ch.drain(&dead), ["4", "2", "1"]);
}

#[test]
fn weighted_priorities_take_turns() {
    lepus_only!("an argument of its own");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_up_to(&mut ch, 2, [("x-priority-mode", text("weighted"))]);
    let messages = [(2, "2"), (1, "1"), (0, "0")].into_iter().flat_map(|each| [each; 3]);
    publish_all(&mut ch, &queue, messages);
    assert_eq!(ch.drain(&queue), ["2", "2", "2", "1", "1", "0", "1", "0", "0"]);
}

#[test]
fn a_message_that_has_waited_long_enough_stands_before_a_higher_one() {
    lepus_only!("an argument of its own");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let aging = || ("x-priority-mode", text("aging"));
    let slow = queue_up_to(&mut ch, 2, [aging(), ("x-priority-aging-ms", int(3_600_000))]);
    let quick = queue_up_to(&mut ch, 2, [aging(), ("x-priority-aging-ms", int(1))]);
    let default = queue_up_to(&mut ch, 2, [aging()]);
    let queues = [slow, quick, default];
    for queue in &queues {
        publish_all(&mut ch, queue, [(0, "low")]);
    }
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(5) {
        ch.counts(&queues[0]);
    }
    for queue in &queues {
        publish_all(&mut ch, queue, [(2, "high")]);
    }
    let [slow, quick, default] = queues;
    assert_eq!(ch.drain(&slow), ["high", "low"]);
    assert_eq!(ch.drain(&quick), ["low", "high"]);
    assert_eq!(ch.drain(&default), ["high", "low"]);
}

#[test]
fn modes_are_validated() {
    lepus_only!("arguments of its own");
    let mode = |name| ("x-priority-mode", text(name));
    let max = || ("x-max-priority", int(3));
    let cases = [
        (vec![max(), mode("fair")], "x-priority-mode", "invalid_priority_mode"),
        (
            vec![max(), ("x-priority-mode", int(1))],
            "x-priority-mode",
            "{unacceptable_type,signedint}",
        ),
        (vec![mode("strict")], "x-priority-mode", "priority_mode_but_no_max_priority_defined"),
        (
            vec![max(), ("x-priority-aging-ms", int(5))],
            "x-priority-aging-ms",
            "priority_aging_but_no_priority_mode_defined",
        ),
        (
            vec![max(), mode("aging"), ("x-priority-aging-ms", int(0))],
            "x-priority-aging-ms",
            "{value_zero,0}",
        ),
    ];
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (arguments, name, reason) in cases {
        let queue = unique("mode");
        let declare = queue::Declare { arguments: table(arguments), ..declare(&queue) };
        let text = format!(
            "PRECONDITION_FAILED - invalid arg '{name}' for queue '{queue}' in vhost '/': {reason}"
        );
        ch.refused(declare, 406, &text);
        ch.reopen();
    }
}
