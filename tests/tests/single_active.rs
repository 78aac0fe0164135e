//! `x-single-active-consumer`: one consumer gets messages, and another one takes over in order.

use lepus_tests::*;

/// The two types of queues, each with a single active consumer, deleted by the test.
fn queues(ch: &mut Chan<'_>) -> [String; 2] {
    ["classic", "quorum"].map(|kind| {
        let name = unique("single");
        let arguments = [("x-queue-type", text(kind)), ("x-single-active-consumer", flag(true))];
        ch.declare(queue::Declare { durable: true, arguments: table(arguments), ..declare(&name) });
        name
    })
}

#[track_caller]
fn remove(ch: &mut Chan<'_>, queue: &str) {
    let _: queue::DeleteOk = ch.call(delete(queue));
}

fn important(queue: &str, tag: &str, priority: i32) -> basic::Consume {
    basic::Consume { arguments: table([("x-priority", int(priority))]), ..consume(queue, tag) }
}

#[test]
fn messages_of_quorum_queues_are_not_got() {
    let mut conn = shared().connect();
    let [classic, quorum] = queues(&mut conn.channel(1));
    assert!(conn.ch(1).get(&classic, false).is_none());
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain access to locked queue '{quorum}' in vhost '/'. basic.get \
         operations are not supported by quorum queues with single active consumer"
    );
    conn.ch(1).refused(get(&quorum), 405, &text);
    conn.ch(1).reopen();
    [classic, quorum].iter().for_each(|queue| remove(&mut conn.ch(1), queue));
}

#[test]
fn one_consumer_gets_all_messages() {
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut others = shared().connect();
        conn.channel(2).consume(&queue, "first");
        others.channel(1).consume(&queue, "second");
        conn.ch(2).publish_all(&queue, ["1", "2", "3"]);
        for delivery in conn.ch(2).deliveries(["1", "2", "3"]) {
            assert_eq!(delivery.method.consumer_tag.as_str(), "first");
        }
        others.ch(1).expect_silence(&queue);
        conn.ch(2).close();
        remove(&mut conn.ch(1), &queue);
    }
}

#[test]
fn a_full_prefetch_does_not_let_others_in() {
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut others = shared().connect();
        let mut ch = conn.channel(2);
        let _: basic::QosOk = ch.call(qos(1));
        ch.consume(&queue, "first");
        others.channel(1).consume(&queue, "second");
        ch.publish_all(&queue, ["1", "2"]);
        ch.deliveries(["1"]);
        others.ch(1).expect_silence(&queue);
        ch.send(ack(1));
        ch.deliveries(["2"]);
        ch.close();
        remove(&mut conn.ch(1), &queue);
    }
}

#[test]
fn who_came_first_follows_a_cancelled_one_that_keeps_what_it_holds() {
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut second = shared().connect();
        let mut third = shared().connect();
        let mut ch = conn.channel(2);
        ch.consume(&queue, "first");
        ch.publish_all(&queue, ["1", "2"]);
        ch.deliveries(["1", "2"]);
        second.channel(1).consume(&queue, "second");
        third.channel(1).consume(&queue, "third");
        let _: basic::CancelOk = ch.call(cancel("first"));
        ch.publish("", &queue, "3");
        second.ch(1).deliveries(["3"]);
        third.ch(1).expect_silence(&queue);
        ch.send(nack(2, true));
        second.ch(1).deliveries(["2"]);
        ch.close();
        second.ch(1).deliveries(["1"]);
        remove(&mut conn.ch(1), &queue);
    }
}

/// What a consumer held comes back before its successor gets anything.
#[test]
fn a_takeover_begins_with_what_the_last_one_held() {
    let mut conn = shared().connect();
    let ends: [fn(Conn); 2] = [|mut conn| conn.ch(1).close(), drop];
    for end in ends {
        for queue in queues(&mut conn.channel(1)) {
            let mut first = shared().connect();
            let mut ch = first.channel(1);
            let _: basic::QosOk = ch.call(qos(3));
            ch.consume(&queue, "first");
            conn.channel(2).consume(&queue, "second");
            ch.publish_all(&queue, ["1", "2", "3", "4", "5"]);
            ch.deliveries(["1", "2", "3"]);
            ch.send(ack(2));
            ch.deliveries(["4"]);
            end(first);
            let deliveries = conn.ch(2).deliveries(["1", "3", "4", "5"]);
            let again = deliveries.map(|delivery| delivery.method.redelivered);
            assert_eq!(again, [true, true, true, false]);
            conn.ch(2).close();
            remove(&mut conn.ch(1), &queue);
        }
        conn.ch(1).close();
    }
}

#[test]
fn the_next_one_begins_at_once() {
    lepus_only!("RabbitMQ's classic queues wait for the next event after basic.cancel");
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut ch = conn.channel(2);
        let _: basic::QosOk = ch.call(qos(1));
        ch.consume(&queue, "first");
        let mut other = shared().connect();
        other.channel(1).consume(&queue, "second");
        ch.publish_all(&queue, ["1", "2"]);
        ch.deliveries(["1"]);
        let _: basic::CancelOk = ch.call(cancel("first"));
        other.ch(1).deliveries(["2"]);
        ch.close();
        remove(&mut conn.ch(1), &queue);
    }
}

#[test]
fn a_higher_priority_is_next_but_does_not_take_over() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (queue, of_the_type) in queues(&mut ch).into_iter().zip([
        ["low", "high", "high too", "low too"],
        // RabbitMQ 3.10.8's quorum queues know of no priorities here.
        ["low", "low too", "high", "high too"],
    ]) {
        for (tag, priority) in [("low", 0), ("low too", 0), ("high", 5), ("high too", 5)] {
            ch.consume_with(important(&queue, tag, priority));
        }
        let by_priority = ["low", "high", "high too", "low too"];
        for tag in if on_target() { of_the_type } else { by_priority } {
            ch.publish("", &queue, "body");
            let delivery = ch.delivery();
            assert_eq!(delivery.method.consumer_tag.as_str(), tag);
            ch.send(ack(delivery.method.delivery_tag));
            let _: basic::CancelOk = ch.call(cancel(tag));
        }
        remove(&mut ch, &queue);
    }
}

#[test]
fn an_exclusive_consumer_is_refused() {
    let mut conn = shared().connect();
    for (queue, kind) in queues(&mut conn.channel(1)).into_iter().zip(["classic", "quorum"]) {
        if kind == "classic" || !on_target() {
            // RabbitMQ 3.10.8's quorum queues take it for a plain one.
            let refusal = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
            let mut ch = conn.channel(2);
            let exclusive = || basic::Consume { exclusive: true, ..consume(&queue, "t") };
            ch.refused(exclusive(), 403, &refusal);
            ch.reopen();
            ch.consume(&queue, "t");
            ch.refused(basic::Consume { consumer_tag: "u".into(), ..exclusive() }, 403, &refusal);
        }
        remove(&mut conn.ch(1), &queue);
    }
}

#[test]
fn all_consumers_hear_that_the_queue_goes() {
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut other = shared().connect();
        conn.channel(2).consume(&queue, "first");
        other.channel(1).consume(&queue, "second");
        remove(&mut conn.ch(1), &queue);
        for (conn, number, tag) in [(&mut conn, 2, "first"), (&mut other, 1, "second")] {
            let heard: basic::Cancel = conn.ch(number).expect();
            assert_eq!(heard.consumer_tag.as_str(), tag);
        }
        conn.ch(2).close();
    }
}

#[test]
fn consumers_under_a_channel_wide_limit_take_over_too() {
    lepus_only!("quorum queues of RabbitMQ refuse a channel-wide prefetch");
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let mut first = shared().connect();
        let mut other = shared().connect();
        for (conn, tag) in [(&mut first, "first"), (&mut other, "second")] {
            let mut ch = conn.channel(1);
            let _: basic::QosOk = ch.call(qos_global(2));
            ch.consume(&queue, tag);
        }
        conn.ch(1).publish_all(&queue, ["1", "2", "3"]);
        first.ch(1).deliveries(["1", "2"]);
        other.ch(1).expect_silence(&queue);
        first.ch(1).close();
        other.ch(1).deliveries(["1", "2"]);
        other.ch(1).send(ack_up_to(2));
        other.ch(1).deliveries(["3"]);
        remove(&mut conn.ch(1), &queue);
    }
}

/// Consumers that come and go while messages come: all are taken in order, and none twice.
#[test]
fn takeovers_keep_the_order_while_messages_come() {
    const MESSAGES: usize = 3000;
    let mut conn = shared().connect();
    for queue in queues(&mut conn.channel(1)) {
        let name = queue.clone();
        let publisher = std::thread::spawn(move || {
            let mut conn = shared().connect();
            let mut ch = conn.channel_confirming(1);
            for number in 0..MESSAGES {
                ch.publish("", &name, number.to_string());
            }
            ch.confirmed(1, MESSAGES as u64);
        });
        let join = || {
            let mut conn = shared().connect();
            let mut ch = conn.channel(1);
            let _: basic::QosOk = ch.call(qos(20));
            ch.consume(&queue, "t");
            conn
        };
        let mut random = Random::new();
        let (mut active, mut next) = (join(), 0);
        while next < MESSAGES {
            let waiting = join();
            let most = MESSAGES - next;
            for _ in 0..(1 + random.below(200)).min(most) {
                let delivery = active.ch(1).delivery();
                assert_eq!(delivery.text(), next.to_string());
                active.ch(1).send(ack(delivery.method.delivery_tag));
                next += 1;
            }
            active.ch(1).close();
            active = waiting;
        }
        publisher.join().expect("a publisher that has published");
        active.ch(1).close();
        remove(&mut conn.ch(1), &queue);
    }
}
