//! Messages that come back: how they are counted, and what becomes of those that come back too often.

use lepus_tests::*;

/// A quorum queue of its own for a test, deleted by it at the end.
#[track_caller]
fn quorum<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let name = unique("redelivery");
    let arguments = table([("x-queue-type", text("quorum"))].into_iter().chain(arguments));
    ch.declare(queue::Declare { durable: true, arguments, ..declare(&name) });
    name
}

#[track_caller]
fn remove(ch: &mut Chan<'_>, queue: &str) {
    let _: queue::DeleteOk = ch.call(delete(queue));
}

/// What a message says of how often it came back.
fn count_of<M>(message: &Message<M>) -> Option<AMQPValue> {
    message.properties.headers().as_ref()?.inner().get("x-delivery-count").cloned()
}

/// Publishes a message and waits until it is there.
#[track_caller]
fn put(ch: &mut Chan<'_>, queue: &str, properties: &BasicProperties) {
    ch.publish_with(publish("", queue), properties, "body");
    ch.expect_counts(queue, (1, 0));
}

/// Why the message that arrives in a queue is dead, and how often.
#[track_caller]
fn death(ch: &mut Chan<'_>, queue: &str) -> (AMQPValue, AMQPValue) {
    ch.expect_counts(queue, (1, 0));
    let letter = ch.get(queue, true).expect("a dead letter");
    let headers = letter.properties.headers().clone().expect("headers");
    assert_eq!(headers.inner().get("x-delivery-count"), None);
    let Some(AMQPValue::FieldArray(events)) = headers.inner().get("x-death") else {
        panic!("{headers:?}");
    };
    let [AMQPValue::FieldTable(event)] = events.as_slice() else { panic!("{events:?}") };
    let reason = event.inner()["reason"].clone();
    assert_eq!(headers.inner().get("x-first-death-reason"), Some(&reason));
    (reason, event.inner()["count"].clone())
}

#[test]
fn what_came_back_says_how_often() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for queue in [quorum(&mut ch, []), ch.temp_queue()] {
        if queue.starts_with("amq.gen") && on_target() {
            continue; // RabbitMQ's classic queues do not count.
        }
        put(&mut ch, &queue, &headers([("mine", int(1)), ("zz", int(2))]));
        for count in 0..3 {
            let got = ch.got(&queue);
            let of_a_first = queue.starts_with("lepus").then(|| long(0));
            let expected = if count == 0 { of_a_first } else { Some(long(count)) };
            assert_eq!(count_of(&got), expected);
            assert_eq!(got.method.redelivered, count > 0);
            let found = got.properties.headers().clone().unwrap();
            assert_eq!(
                (found.inner().get("mine"), found.inner().get("zz")),
                (Some(&int(1)), Some(&int(2)))
            );
            ch.send(nack(got.method.delivery_tag, true));
            ch.expect_counts(&queue, (1, 0));
        }
        ch.consume(&queue, "t");
        assert_eq!(count_of(&ch.delivery()), Some(long(3)));
        let _: basic::CancelOk = ch.call(cancel("t"));
        remove(&mut ch, &queue);
    }
}

#[test]
fn a_first_delivery_to_a_consumer_is_as_it_was_published() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for queue in [quorum(&mut ch, []), ch.temp_queue()] {
        ch.consume(&queue, "t");
        ch.publish_with(publish("", &queue), &headers([("mine", int(1))]), "body");
        let first = ch.delivery();
        assert_eq!(first.properties, headers([("mine", int(1))]));
        ch.send(ack(first.method.delivery_tag));
        ch.publish("", &queue, "bare");
        let second = ch.delivery();
        assert_eq!(second.properties, props());
        let _: basic::CancelOk = ch.call(cancel("t"));
        remove(&mut ch, &queue);
    }
}

#[test]
fn a_count_of_the_publishers_own_is_replaced() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = quorum(&mut ch, []);
    put(&mut ch, &queue, &headers([("x-delivery-count", long(77))]));
    for count in 0..2 {
        let got = ch.got(&queue);
        assert_eq!(count_of(&got), Some(long(count)));
        ch.send(nack(got.method.delivery_tag, true));
        ch.expect_counts(&queue, (1, 0));
    }
    remove(&mut ch, &queue);
}

#[test]
fn whatever_brings_a_message_back_counts() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = quorum(&mut ch, []);
    put(&mut ch, &queue, &props());
    let ways: [fn(&mut Conn, u64); 6] = [
        |conn, tag| conn.ch(1).send(nack(tag, true)),
        |conn, tag| conn.ch(1).send(reject(tag, true)),
        |conn, _| {
            let _: basic::RecoverOk = conn.ch(1).call(basic::Recover { requeue: true });
        },
        |conn, _| conn.ch(1).close(),
        |conn, _| conn.ch(1).refused(ack(99), 406, "PRECONDITION_FAILED - unknown delivery tag 99"),
        |_, _| {},
    ];
    for (count, way) in ways.iter().enumerate() {
        let mut other = shared().connect();
        let got = other.channel(1).got(&queue);
        assert_eq!(count_of(&got), Some(long(count as i64)));
        way(&mut other, got.method.delivery_tag);
        drop(other);
        ch.expect_counts(&queue, (1, 0));
    }
    remove(&mut ch, &queue);
}

#[test]
fn a_cancelled_consumer_keeps_what_it_holds_until_its_channel_goes() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = quorum(&mut ch, []);
    put(&mut ch, &queue, &props());
    {
        let mut other = shared().connect();
        let mut held = other.channel(1);
        held.consume(&queue, "t");
        assert_eq!(count_of(&held.delivery()), None);
        let _: basic::CancelOk = held.call(cancel("t"));
        assert!(ch.get(&queue, false).is_none());
    }
    ch.expect_counts(&queue, (1, 0));
    assert_eq!(count_of(&ch.got(&queue)), Some(long(1)));
    remove(&mut ch, &queue);
}

#[test]
fn messages_that_come_back_too_often_are_dead_letters() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for limit in 0..3 {
        let dead = ch.temp_queue();
        let queue = quorum(
            &mut ch,
            [
                ("x-delivery-limit", int(limit)),
                ("x-dead-letter-exchange", text("")),
                ("x-dead-letter-routing-key", text(&dead)),
            ],
        );
        put(&mut ch, &queue, &headers([("mine", int(1))]));
        for count in 0..=limit {
            ch.expect_counts(&queue, (1, 0));
            let got = ch.got(&queue);
            assert_eq!(count_of(&got), Some(long(i64::from(count))));
            ch.send(nack(got.method.delivery_tag, true));
        }
        assert_eq!(death(&mut ch, &dead), (text("delivery_limit"), long(1)));
        ch.expect_counts(&queue, (0, 0));
        // Who does not want it back says so itself.
        put(&mut ch, &queue, &props());
        let got = ch.got(&queue);
        ch.send(nack(got.method.delivery_tag, false));
        assert_eq!(death(&mut ch, &dead), (text("rejected"), long(1)));
        remove(&mut ch, &queue);
    }
}

#[test]
fn messages_that_come_back_too_often_are_dropped_if_there_is_nowhere_to_go() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = quorum(&mut ch, [("x-delivery-limit", int(1))]);
    put(&mut ch, &queue, &props());
    for _ in 0..2 {
        ch.expect_counts(&queue, (1, 0));
        let got = ch.got(&queue);
        ch.send(reject(got.method.delivery_tag, true));
    }
    ch.expect_counts(&queue, (0, 0));
    assert!(ch.get(&queue, true).is_none());
    remove(&mut ch, &queue);
}

#[test]
fn a_limit_that_is_no_number_is_none() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for limit in [text("0"), long(99_999_999_999)] {
        let queue = quorum(&mut ch, [("x-delivery-limit", limit)]);
        put(&mut ch, &queue, &props());
        for _ in 0..3 {
            let got = ch.got(&queue);
            ch.send(nack(got.method.delivery_tag, true));
            ch.expect_counts(&queue, (1, 0));
        }
        remove(&mut ch, &queue);
    }
}

/// How often a queue hands a message out that always comes back; no more than `most`.
#[track_caller]
fn deliveries(ch: &mut Chan<'_>, queue: &str, most: usize) -> usize {
    put(ch, queue, &props());
    let mut count = 0;
    while count < most
        && let Some(got) = ch.get(queue, false)
    {
        ch.send(nack(got.method.delivery_tag, true));
        count += 1;
    }
    count
}

#[test]
fn limits_are_those_of_rabbitmq_4() {
    lepus_only!("quorum queues of RabbitMQ 3.10 have no limit of their own, and -1 is less than 0");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (arguments, expected) in [(None, 21), (Some(int(-1)), 50), (Some(int(2)), 3)] {
        let arguments = arguments.map(|limit| ("x-delivery-limit", limit));
        let queue = quorum(&mut ch, arguments);
        assert_eq!(deliveries(&mut ch, &queue, 50), expected);
        remove(&mut ch, &queue);
    }
}

#[test]
fn classic_queues_have_a_limit_if_they_say_so() {
    lepus_only!("classic queues of RabbitMQ refuse x-delivery-limit");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (limit, expected) in [(None, 50), (Some(int(-1)), 50), (Some(int(3)), 4)] {
        let arguments = table(limit.map(|limit| ("x-delivery-limit", limit)));
        let queue = queue::Declare { exclusive: true, arguments, ..declare("") };
        let queue = ch.declare(queue).queue.to_string();
        assert_eq!(deliveries(&mut ch, &queue, 50), expected);
    }
}
