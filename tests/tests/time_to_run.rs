//! `x-consumer-timeout` and `x-time-to-run`: a message that is held for too long comes back, alone.

use lepus_tests::*;

/// RabbitMQ closes the channel instead, after minutes.
const WHY: &str = "RabbitMQ closes the channel of a consumer that is late";

#[track_caller]
fn declared<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let declare = queue::Declare { exclusive: true, arguments: table(arguments), ..declare("") };
    ch.declare(declare).queue.to_string()
}

fn late(queue: &str, tag: &str, timeout: i32) -> basic::Consume {
    basic::Consume {
        arguments: table([("x-consumer-timeout", int(timeout))]),
        ..consume(queue, tag)
    }
}

fn count_of<M>(message: &Message<M>) -> Option<AMQPValue> {
    message.properties.headers().as_ref()?.inner().get("x-delivery-count").cloned()
}

fn skipped() -> bool {
    if on_target() {
        println!("skipped against another broker: {WHY}");
    }
    on_target()
}

#[test]
fn a_late_message_comes_back_and_its_late_ack_is_nothing() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = declared(&mut ch, [("x-consumer-timeout", int(50))]);
    ch.consume(&queue, "slow");
    ch.publish("", &queue, "body");
    let first = ch.delivery();
    let second = ch.delivery();
    assert_eq!((second.text(), second.method.redelivered), ("body", true));
    assert_eq!(count_of(&second), Some(long(1)));
    // Late, and without effect: the message goes on coming back.
    ch.send(ack(first.method.delivery_tag));
    let third = ch.delivery();
    assert_eq!(count_of(&third), Some(long(2)));
    let _: basic::CancelOk = {
        ch.send(cancel("slow"));
        while ch.conn.next_on(1).method().and_then(basic::CancelOk::find).is_none() {}
        basic::CancelOk { consumer_tag: "slow".into() }
    };
    ch.expect_counts(&queue, (1, 0));
    ch.send(ack_up_to(third.method.delivery_tag));
    ch.expect_counts(&queue, (1, 0));
    // A tag is late once only.
    ch.refused(ack(first.method.delivery_tag), 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn messages_in_time_stay_with_their_consumer() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = declared(&mut ch, []);
    // As the message says, whatever the consumer says.
    ch.consume_with(late(&queue, "t", 40));
    let long_job = headers([("x-time-to-run", int(600_000))]);
    ch.publish_with(publish("", &queue), &long_job, "long");
    ch.publish("", &queue, "short");
    ch.deliveries(["long", "short", "short", "short"]);
    ch.send(ack(1));
    ch.deliveries(["short"]);
}

#[test]
fn a_late_message_leaves_its_place_in_the_prefetch() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (limit, global) in [(1, false), (1, true)] {
        let queue = declared(&mut ch, []);
        let qos = basic::Qos { prefetch_count: limit, global };
        let _: basic::QosOk = ch.call(qos);
        ch.consume(&queue, "t");
        let short = headers([("x-time-to-run", text("50"))]);
        ch.publish_with(publish("", &queue), &short, "late");
        ch.publish("", &queue, "next");
        let [first] = ch.deliveries(["late"]);
        // It comes again and again until it is settled in time.
        let next = loop {
            let delivery = ch.delivery();
            if delivery.text() == "next" {
                break delivery;
            }
            ch.send(ack(delivery.method.delivery_tag));
        };
        // The first one, late: no second place is made by it.
        ch.publish("", &queue, "waits");
        ch.send(ack(first.method.delivery_tag));
        ch.expect_silence(&queue);
        ch.send(ack(next.method.delivery_tag));
        let waited = ch.deliveries(["waits"]);
        ch.send(ack(waited[0].method.delivery_tag));
        let _: basic::CancelOk = ch.call(cancel("t"));
    }
}

#[test]
fn whoever_is_late_too_often_loses_the_message() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let dead = ch.temp_queue();
    let queue = declared(
        &mut ch,
        [
            ("x-consumer-timeout", int(20)),
            ("x-delivery-limit", int(1)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
        ],
    );
    ch.publish("", &queue, "body");
    ch.got(&queue);
    ch.expect_counts(&queue, (1, 0));
    ch.got(&queue);
    ch.expect_counts(&dead, (1, 0));
    let letter = ch.get(&dead, true).expect("a dead letter");
    let found = letter.properties.headers().clone().expect("headers");
    assert_eq!(found.inner().get("x-first-death-reason"), Some(&text("delivery_limit")));
}

#[test]
fn a_timeout_is_an_integer_from_0() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for (value, reason) in
        [(text("1"), "\"expected integer, got longstr\""), (int(-1), "{value_negative,-1}")]
    {
        let text = |queue: &str| {
            format!(
                "PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '{queue}' in vhost '/': {reason}"
            )
        };
        let arguments = || table([("x-consumer-timeout", value.clone())]);
        let consume = basic::Consume { arguments: arguments(), ..consume(&queue, "t") };
        ch.refused(consume, 406, &text(&queue));
        ch.reopen();
        let name = unique("timeout");
        let declare = queue::Declare { arguments: arguments(), exclusive: true, ..declare(&name) };
        ch.refused(declare, 406, &text(&name));
        ch.reopen();
    }
    ch.consume_with(late(&queue, "t", 0));
}

#[test]
fn an_ack_of_several_passes_over_the_late_ones() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let short = headers([("x-time-to-run", int(300))]);
    for by_get in [true, false] {
        ch.publish_with(publish("", &queue), &short, "late");
        ch.publish("", &queue, "in time");
        ch.expect_counts(&queue, (2, 0));
        let tags: Vec<u64> = if by_get {
            // In one write: the first one is not back before the second one is asked for.
            ch.send_together([get(&queue).wrap(), get(&queue).wrap()]);
            (0..2).map(|_| ch.content::<basic::GetOk>().method.delivery_tag).collect()
        } else {
            ch.consume(&queue, "t");
            let tags = ch.deliveries(["late", "in time"]).map(|of| of.method.delivery_tag);
            ch.send(cancel("t"));
            // It may have been late, and delivered again, before it was cancelled.
            while ch.conn.next_on(1).method().and_then(basic::CancelOk::find).is_none() {}
            tags.to_vec()
        };
        ch.expect_counts(&queue, (1, 0));
        ch.send(ack_up_to(tags[1]));
        assert_eq!(ch.drain(&queue), ["late"]);
        let text = format!("PRECONDITION_FAILED - unknown delivery tag {}", tags[0]);
        ch.refused(ack(tags[0]), 406, &text);
        ch.reopen();
        ch.expect_counts(&queue, (0, 0));
    }
}

#[test]
fn a_late_ack_in_a_transaction_is_nothing() {
    if skipped() {
        return;
    }
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: tx::SelectOk = ch.call(tx::Select {});
    for late_at_commit in [true, false] {
        let mut other = shared().connect();
        let short = headers([("x-time-to-run", int(30))]);
        other.channel(1).publish_with(publish("", &queue), &short, "late");
        ch.expect_counts(&queue, (1, 0));
        let tag = ch.got(&queue).method.delivery_tag;
        if late_at_commit {
            ch.send(ack(tag));
        }
        ch.expect_counts(&queue, (1, 0));
        if !late_at_commit {
            ch.send(ack(tag));
        }
        let _: tx::CommitOk = ch.call(tx::Commit {});
        assert_eq!(ch.drain(&queue), ["late"]);
    }
}
