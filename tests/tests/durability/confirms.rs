//! Publisher confirms, and what they promise.

use super::*;

/// Kills the broker the moment that the last confirm is read, again and again.
#[test]
fn what_is_confirmed_is_there_after_a_kill() {
    let mut broker = durable_broker!();
    let mut random = Random::new();
    let queue = new_queue(&broker, "confirmed");
    let mut expected = Vec::new();
    for turn in 0..8 {
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        let count = 1 + random.below(200);
        for number in 0..count {
            let body = format!("{turn}/{number}/{}", "x".repeat(random.below(2_000)));
            ch.publish_with(publish("", &queue), &persistent(), &body);
            expected.push(body);
        }
        ch.confirmed(1, count as u64);
        broker.crash();
    }
    let found = drained(&broker, &queue);
    assert!(found == expected, "{} messages, not {}", found.len(), expected.len());
    tidy(&broker, &[&queue]);
}

#[test]
fn what_was_confirmed_in_part_is_there_in_part() {
    let mut broker = durable_broker!();
    let queue = new_queue(&broker, "confirmed");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    for number in 0..5_000 {
        ch.publish_with(publish("", &queue), &persistent(), number.to_string());
    }
    // The first confirm that comes; many messages are not confirmed yet, or not known to be.
    let first: basic::Ack = ch.expect();
    let confirmed = if first.multiple { first.delivery_tag } else { 1 };
    broker.crash();
    let found = drained(&broker, &queue);
    assert!(found.len() as u64 >= confirmed, "{} of {confirmed} confirmed", found.len());
    // What is there is a beginning of what was sent, without gaps.
    assert!(found.iter().zip(0..).all(|(body, number)| *body == number.to_string()));
    tidy(&broker, &[&queue]);
}

#[test]
fn mixed_messages_are_all_confirmed_once() {
    let broker = durable_broker!();
    let (lasting, transient) = (new_queue(&broker, "durable"), unique("transient"));
    let mut conn = broker.connect();
    conn.channel(2).queue(&transient);
    let mut ch = conn.channel_confirming(1);
    for number in 0..300 {
        let queue = if number % 3 == 0 { &transient } else { &lasting };
        let properties = if number % 2 == 0 { persistent() } else { props() };
        ch.publish_with(publish("", queue), &properties, number.to_string());
        if number % 10 == 0 {
            ch.publish_with(publish("", &unique("nowhere")), &persistent(), "unroutable");
        }
    }
    ch.confirmed(1, 330);
    ch.expect_silence(&lasting);
    ch.expect_counts(&lasting, (200, 0));
    tidy(&broker, &[&lasting, &transient]);
}

#[test]
fn message_in_durable_and_transient_queues_is_confirmed_once() {
    let mut broker = durable_broker!();
    let (lasting, transient) = (new_queue(&broker, "durable"), unique("transient"));
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.queue(&transient);
    for queue in [&lasting, &transient] {
        ch.bind(queue, "amq.fanout", "");
    }
    for number in 0..20 {
        ch.publish_with(publish("amq.fanout", ""), &persistent(), number.to_string());
    }
    ch.confirmed(1, 20);
    ch.expect_silence(&lasting);
    let _: queue::UnbindOk = ch.call(unbind(&lasting, "amq.fanout", ""));
    broker.crash();
    assert_eq!(drained(&broker, &lasting).len(), 20);
    tidy(&broker, &[&lasting]);
}

#[test]
fn returns_come_before_their_acks() {
    let broker = durable_broker!();
    let queue = new_queue(&broker, "routed");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let mandatory = |key: &str| basic::Publish { mandatory: true, ..publish("", key) };
    let nowhere = unique("nowhere");
    for number in 1..=30 {
        let key = if number % 3 == 0 { &nowhere } else { &queue };
        ch.publish_with(mandatory(key), &persistent(), number.to_string());
    }
    let (mut returned, mut open) = (0, (1..=30).collect::<std::collections::BTreeSet<u64>>());
    while !open.is_empty() {
        let frame = ch.conn.next_on(1);
        if let Some(ack) = frame.method().and_then(basic::Ack::find) {
            let first = if ack.multiple { 1 } else { ack.delivery_tag };
            for tag in first..=ack.delivery_tag {
                let due = tag % 3 != 0 || tag / 3 <= returned;
                assert!(due || !open.contains(&tag), "{tag} is confirmed, but did not come back");
                open.remove(&tag);
            }
        } else {
            ch.conn.put_back(frame);
            returned += 1;
            assert_eq!(ch.returned().text(), (returned * 3).to_string());
        }
    }
    assert_eq!(returned, 10);
    tidy(&broker, &[&queue]);
}

#[test]
fn messages_that_are_consumed_at_once_are_confirmed() {
    let mut broker = durable_broker!();
    let queue = new_queue(&broker, "consumed");
    let mut consumer = broker.connect();
    consumer.channel(1).consume(&queue, "t");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    for number in 1..=50 {
        ch.publish_with(publish("", &queue), &persistent(), number.to_string());
        assert_eq!(consumer.ch(1).delivery().text(), number.to_string());
        consumer.ch(1).send(ack(number));
    }
    ch.confirmed(1, 50);
    drop(consumer);
    broker.restart_by_stop();
    assert!(drained(&broker, &queue).is_empty());
    tidy(&broker, &[&queue]);
}

#[test]
fn several_publishers_are_all_confirmed_and_stay_in_order() {
    const PUBLISHERS: usize = 6;
    const MESSAGES: usize = 300;
    let mut broker = durable_broker!();
    let queue = new_queue(&broker, "shared");
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (broker, queue) = (&broker, &queue);
            scope.spawn(move || {
                let mut conn = broker.connect();
                let mut ch = conn.channel_confirming(1);
                for number in 0..MESSAGES {
                    let body = format!("{publisher}/{number}");
                    ch.publish_with(publish("", queue), &persistent(), body);
                }
                ch.confirmed(1, MESSAGES as u64);
            });
        }
    });
    broker.crash();
    let found = drained(&broker, &queue);
    for publisher in 0..PUBLISHERS {
        let prefix = format!("{publisher}/");
        let own = found.iter().filter_map(|body| body.strip_prefix(&prefix));
        assert!(own.eq((0..MESSAGES).map(|number| number.to_string())), "publisher {publisher}");
    }
    tidy(&broker, &[&queue]);
}
