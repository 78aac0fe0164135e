//! Messages that wait: in delayed exchanges, in queues that heed `x-delay`, and after they came back.

use std::time::{Duration, Instant};

use lepus_tests::*;

const KIND: &str = "x-delayed-message";

fn declare_delayed(name: &str, inner: &str) -> exchange::Declare {
    let arguments = table([("x-delayed-type", text(inner))]);
    exchange::Declare { arguments, ..declare_exchange(name, KIND) }
}

#[track_caller]
fn delayed_exchange(ch: &mut Chan<'_>, inner: &str) -> String {
    let name = unique("delayed");
    let _: exchange::DeclareOk = ch.call(declare_delayed(&name, inner));
    name
}

#[track_caller]
fn queue_with<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let arguments = table(arguments);
    ch.declare(queue::Declare { exclusive: true, arguments, ..declare("") }).queue.to_string()
}

fn delay(ms: i32) -> BasicProperties {
    headers([("x-delay", int(ms))])
}

fn delay_of(properties: &BasicProperties) -> Option<AMQPValue> {
    properties.headers().as_ref()?.inner().get("x-delay").cloned()
}

/// Waits for the next message of a queue.
#[track_caller]
fn next(ch: &mut Chan<'_>, queue: &str) -> Message<basic::GetOk> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(message) = ch.get(queue, false) {
            return message;
        }
        assert!(Instant::now() < end, "no message came");
    }
}

#[test]
fn a_delayed_exchange_needs_another_type() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let missing = "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing \
                   exchange type";
    ch.refused(declare_exchange("delayed-without", KIND), 406, missing);
    ch.reopen();
    let arguments = table([("x-delayed-type", int(1))]);
    let declare = exchange::Declare { arguments, ..declare_exchange("delayed-without", KIND) };
    ch.refused(declare, 406, missing);
    ch.reopen();
    let itself = "PRECONDITION_FAILED - Invalid argument, 'x-delayed-message' can't be used for \
                  'x-delayed-type'";
    ch.refused(declare_delayed("delayed-self", KIND), 406, itself);
    ch.reopen();
    let unknown = "COMMAND_INVALID - unknown exchange type 'x-other'";
    ch.fatal(declare_delayed("delayed-other", "x-other"), 503, unknown);
}

#[test]
fn every_type_can_be_wrapped() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for inner in [
        "direct",
        "fanout",
        "topic",
        "headers",
        "x-consistent-hash",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ] {
        let exchange = delayed_exchange(&mut ch, inner);
        let queue = ch.temp_queue();
        ch.bind(&queue, &exchange, "1");
        ch.publish_with(publish(&exchange, "1"), &delay(20), "late");
        assert_eq!(next(&mut ch, &queue).text(), "late", "{inner}");
    }
}

#[test]
fn messages_come_in_the_order_of_their_times() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "direct");
    let queue = ch.temp_queue();
    ch.bind(&queue, &exchange, "k");
    let begin = Instant::now();
    // In one write: all wait from the same time on.
    let mut all = Vec::new();
    for ms in [500, 100, 300, 200, 400] {
        all.extend(message_bytes(publish(&exchange, "k"), &delay(ms), ms.to_string()));
    }
    for mode in [1, 2] {
        let properties = delay(300).with_delivery_mode(mode);
        all.extend(message_bytes(publish(&exchange, "k"), &properties, "300 again"));
    }
    all.extend(message_bytes(publish(&exchange, "k"), &props(), "at once"));
    ch.conn.send_raw(&all);
    ch.consume(&queue, "c");
    ch.deliveries(["at once", "100", "200", "300", "300 again", "300 again", "400"]);
    assert!(begin.elapsed() >= Duration::from_millis(390));
    ch.deliveries(["500"]);
}

#[test]
fn the_delay_is_negated() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "fanout");
    let queue = ch.temp_queue();
    ch.bind(&queue, &exchange, "");
    for value in [int(30), long(30), text("30"), AMQPValue::Double(30.7), AMQPValue::ShortInt(30)] {
        let properties = headers([("x-delay", value), ("other", text("stays"))]);
        ch.publish_with(publish(&exchange, ""), &properties, "late");
        let message = next(&mut ch, &queue);
        assert_eq!(delay_of(&message.properties), Some(int(-30)));
        let other = message.properties.headers().as_ref().unwrap().inner().get("other").cloned();
        assert_eq!(other, Some(text("stays")));
        assert_eq!(message.method.exchange.as_str(), exchange);
    }
}

#[test]
fn what_is_no_delay_is_routed_at_once_and_stays_as_it_is() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "fanout");
    let queue = ch.temp_queue();
    ch.bind(&queue, &exchange, "");
    for value in [
        int(0),
        int(-100),
        text("soon"),
        text("-5"),
        flag(true),
        long(1 << 32),
        AMQPValue::Timestamp(90_000),
    ] {
        ch.publish_with(publish(&exchange, ""), &headers([("x-delay", value.clone())]), "now");
        let message = ch.got(&queue);
        assert_eq!(delay_of(&message.properties), Some(value));
    }
}

#[test]
fn bindings_count_when_the_time_has_come() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "topic");
    let (gone, new) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&gone, &exchange, "a.*");
    ch.publish_with(publish(&exchange, "a.b"), &delay(1000), "late");
    let _: queue::UnbindOk = ch.call(unbind(&gone, &exchange, "a.*"));
    ch.bind(&new, &exchange, "#.b");
    assert_eq!(next(&mut ch, &new).text(), "late");
    assert!(ch.get(&gone, true).is_none());
}

#[test]
fn a_mandatory_message_that_waits_is_returned_and_comes_all_the_same() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let exchange = delayed_exchange(&mut ch, "fanout");
    let queue = ch.temp_queue();
    ch.bind(&queue, &exchange, "");
    let mandatory = basic::Publish { mandatory: true, ..publish(&exchange, "") };
    ch.publish_with(mandatory, &delay(50), "late");
    let returned = ch.returned();
    assert_eq!((returned.text(), returned.method.reply_code), ("late", 312));
    assert_eq!(delay_of(&returned.properties), Some(int(50)));
    ch.confirmed(1, 1);
    assert_eq!(next(&mut ch, &queue).text(), "late");
}

#[test]
fn delays_count_behind_other_exchanges_too() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (first, second) = (unique("first"), delayed_exchange(&mut ch, "fanout"));
    ch.exchange(&first, "fanout");
    ch.bind_exchange(&second, &first, "");
    let (at_once, late) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&at_once, &first, "");
    ch.bind(&late, &second, "");
    ch.publish_with(publish(&first, "k"), &delay(100), "m");
    let early = ch.got(&at_once);
    assert_eq!(delay_of(&early.properties), Some(int(100)));
    let late = next(&mut ch, &late);
    assert_eq!(delay_of(&late.properties), Some(int(-100)));
    assert_eq!(late.method.exchange.as_str(), first);
}

#[test]
fn cc_and_bcc_count_when_the_time_has_come() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "direct");
    let queues = ["key", "cc", "bcc"].map(|key| {
        let queue = ch.temp_queue();
        ch.bind(&queue, &exchange, key);
        queue
    });
    let properties =
        headers([("x-delay", int(30)), ("CC", list([text("cc")])), ("BCC", list([text("bcc")]))]);
    ch.publish_with(publish(&exchange, "key"), &properties, "m");
    for queue in queues {
        let message = next(&mut ch, &queue);
        let headers = message.properties.headers().clone().unwrap();
        assert!(headers.contains_key("CC") && !headers.contains_key("BCC"));
    }
}

#[test]
fn what_waits_goes_with_its_exchange() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = delayed_exchange(&mut ch, "fanout");
    let queue = ch.temp_queue();
    ch.bind(&queue, &name, "");
    let gone = message_bytes(publish(&name, ""), &delay(1000), "gone");
    ch.conn.send_raw(&[gone, delete_exchange(&name).bytes(1)].concat());
    let _: exchange::DeleteOk = ch.expect();
    let _: exchange::DeclareOk = ch.call(declare_delayed(&name, "fanout"));
    ch.bind(&queue, &name, "");
    ch.publish_with(publish(&name, ""), &delay(1100), "stays");
    assert_eq!(next(&mut ch, &queue).text(), "stays");
}

#[test]
fn a_time_to_live_begins_when_the_delay_is_over() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "fanout");
    let dead = ch.temp_queue();
    let arguments = [
        ("x-message-ttl", int(40)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
    ];
    let queue = queue_with(&mut ch, arguments);
    ch.bind(&queue, &exchange, "");
    let begin = Instant::now();
    ch.publish_with(publish(&exchange, ""), &delay(100), "m");
    assert_eq!(next(&mut ch, &dead).text(), "m");
    assert!(begin.elapsed() >= Duration::from_millis(139), "{:?}", begin.elapsed());
}

#[test]
fn a_transaction_has_its_messages_wait_from_its_commit_on() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_with(&mut ch, [("x-delayed", flag(true))]);
    let _: tx::SelectOk = ch.call(tx::Select {});
    ch.publish_with(publish("", &queue), &delay(20), "dropped");
    let _: tx::RollbackOk = ch.call(tx::Rollback {});
    ch.publish_with(publish("", &queue), &delay(60), "late");
    ch.publish("", &queue, "now");
    let _: tx::CommitOk = ch.call(tx::Commit {});
    assert_eq!(ch.got(&queue).text(), "now");
    assert_eq!(next(&mut ch, &queue).text(), "late");
}

#[test]
fn a_queue_heeds_delays_if_it_is_asked_to() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let heeds = queue_with(&mut ch, [("x-delayed", flag(true))]);
    let does_not = ch.temp_queue();
    // In one write, with the look before any of them is due.
    let mut all = Vec::new();
    for queue in [&heeds, &does_not] {
        all.extend(message_bytes(publish("", queue), &delay(1200), "1200"));
        all.extend(message_bytes(
            publish("", queue),
            &headers([("x-delay", text("1000"))]),
            "1000",
        ));
        all.extend(message_bytes(publish("", queue), &props(), "none"));
    }
    all.extend(look(&heeds).bytes(1));
    ch.conn.send_raw(&all);
    let looked: queue::DeclareOk = ch.expect();
    assert_eq!((looked.message_count, looked.consumer_count), (1, 0));
    assert_eq!(ch.drain(&does_not), ["1200", "1000", "none"]);
    ch.consume_with(consume_no_ack(&heeds, "c"));
    let [_, late, _] = ch.deliveries(["none", "1000", "1200"]);
    assert_eq!((delay_of(&late.properties), late.method.redelivered), (Some(int(-1000)), false));
}

#[test]
fn what_waits_in_a_queue_is_purged_and_keeps_it_from_being_empty() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = queue_with(&mut ch, [("x-delayed", flag(true))]);
    ch.publish_with(publish("", &queue), &delay(600_000), "late");
    ch.expect_counts(&queue, (0, 0));
    let if_empty = queue::Delete { if_empty: true, ..delete(&queue) };
    let text = format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty");
    ch.refused(if_empty.clone(), 406, &text);
    ch.reopen();
    let purged: queue::PurgeOk = ch.call(purge(&queue));
    assert_eq!(purged.message_count, 1);
    let deleted: queue::DeleteOk = ch.call(if_empty);
    assert_eq!(deleted.message_count, 0);
}

fn retrying<'a>(kind: &str, min: i32) -> [(&'a str, AMQPValue); 3] {
    [
        ("x-delayed-retry-type", text(kind)),
        ("x-delayed-retry-min", int(min)),
        ("x-delayed-retry-max", int(600)),
    ]
}

#[test]
fn what_is_rejected_comes_back_later_each_time() {
    lepus_only!("RabbitMQ has delayed retries from 4.3 on");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for mode in [1, 2] {
        let name = unique("retrying");
        let arguments = table(retrying("all", 240));
        ch.declare(queue::Declare { durable: true, arguments, ..declare(&name) });
        let properties = props().with_delivery_mode(mode);
        ch.publish_with(publish("", &name), &properties, "again");
        ch.publish_with(publish("", &name), &properties, "other");
        let mut message = ch.got(&name);
        for least in [240, 480, 600] {
            let begin = Instant::now();
            let back = reject(message.method.delivery_tag, true);
            if least == 240 {
                // In one write: it cannot be back before they are looked for.
                ch.send_together([back.wrap(), get(&name).wrap(), look(&name).wrap()]);
                let other: Message<basic::GetOk> = ch.content();
                let looked: queue::DeclareOk = ch.expect();
                let counts = (looked.message_count, looked.consumer_count);
                assert_eq!((other.text(), counts), ("other", (0, 0)));
                ch.send(ack(other.method.delivery_tag));
            } else {
                ch.send(back);
            }
            message = next(&mut ch, &name);
            assert_eq!((message.text(), message.method.redelivered), ("again", true));
            // The broker's clock counts whole milliseconds.
            assert!(begin.elapsed() >= Duration::from_millis(least - 1), "{:?}", begin.elapsed());
        }
        ch.send(ack(message.method.delivery_tag));
        ch.expect_counts(&name, (0, 0));
        let _: queue::DeleteOk = ch.call(delete(&name));
    }
}

#[test]
fn the_retry_type_says_what_waits() {
    lepus_only!("RabbitMQ has delayed retries from 4.3 on");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for (kind, rejected, nacked) in [
        ("disabled", false, false),
        ("failed", true, false),
        ("returned", false, true),
        ("all", true, true),
    ] {
        let arguments =
            [("x-delayed-retry-type", text(kind)), ("x-delayed-retry-min", int(600_000))];
        let queue = queue_with(&mut ch, arguments);
        ch.publish_all(&queue, ["rejected", "nacked"]);
        let [first, second] = [ch.got(&queue), ch.got(&queue)].map(|got| got.method.delivery_tag);
        ch.send(reject(first, true));
        ch.send(nack(second, true));
        let mut expected = vec!["rejected", "nacked"];
        expected.retain(|body| if *body == "rejected" { !rejected } else { !nacked });
        assert_eq!(ch.drain(&queue), expected, "{kind}");
    }
}

#[test]
fn what_a_channel_held_when_it_ended_has_failed() {
    lepus_only!("RabbitMQ has delayed retries from 4.3 on");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let arguments = [("x-delayed-retry-type", text("failed")), ("x-delayed-retry-min", int(80))];
    let queue = queue_with(&mut ch, arguments);
    ch.publish("", &queue, "m");
    ch.got(&queue);
    let begin = Instant::now();
    ch.close();
    ch.reopen();
    let message = next(&mut ch, &queue);
    assert!(message.method.redelivered && begin.elapsed() >= Duration::from_millis(79));
}

#[test]
fn messages_come_back_in_the_order_of_their_times() {
    lepus_only!("RabbitMQ has delayed retries from 4.3 on");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let mut arguments = retrying("all", 300).to_vec();
    arguments.push(("x-delayed-retry-multiplier", AMQPValue::Double(2.0)));
    let queue = queue_with(&mut ch, arguments);
    ch.publish_all(&queue, ["twice", "once"]);
    let (twice, once) = (ch.got(&queue), ch.got(&queue));
    ch.send(reject(twice.method.delivery_tag, true));
    let twice = next(&mut ch, &queue);
    // In one write: both wait from the same time on.
    let rejects = [twice, once].map(|message| reject(message.method.delivery_tag, true).wrap());
    ch.send_together(rejects);
    ch.consume(&queue, "c");
    ch.deliveries(["once", "twice"]);
}

#[test]
fn arguments_are_validated() {
    lepus_only!("RabbitMQ knows some of them from 4.3 on");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("refused");
    for (argument, value, reason) in [
        ("x-delayed", int(1), "{unacceptable_type,signedint}"),
        ("x-delayed-retry-type", text("some"), "invalid_delayed_retry_type"),
        ("x-delayed-retry-min", int(-1), "{value_negative,-1}"),
        ("x-delayed-retry-max", text("1"), "\"expected integer, got longstr\""),
        ("x-delayed-retry-multiplier", int(0), "\"expected 1 to 1000, got 0\""),
        ("x-delayed-retry-jitter", AMQPValue::Double(1.5), "\"expected 0 to 1, got 1.5\""),
        ("x-delayed-retry-jitter", text("1"), "{unacceptable_type,longstr}"),
    ] {
        let arguments = table([(argument, value)]);
        let declare = queue::Declare { arguments, ..declare(&name) };
        let text = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/': {reason}"
        );
        ch.refused(declare, 406, &text);
        ch.reopen();
    }
}

#[test]
fn the_alternate_exchange_gets_what_is_unroutable_when_it_is_due() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, other) = (unique("delayed"), unique("other"));
    ch.exchange(&other, "fanout");
    let arguments =
        table([("x-delayed-type", text("direct")), ("alternate-exchange", text(&other))]);
    let _: exchange::DeclareOk =
        ch.call(exchange::Declare { arguments, ..declare_exchange(&name, KIND) });
    let queue = ch.temp_queue();
    ch.bind(&queue, &other, "");
    let begin = Instant::now();
    ch.publish_with(publish(&name, "nowhere"), &delay(60), "late");
    assert_eq!(next(&mut ch, &queue).text(), "late");
    assert!(begin.elapsed() >= Duration::from_millis(59));
    ch.expect_silence(&queue);
}

#[test]
fn dead_letters_wait_too() {
    lepus_only!("RabbitMQ has delays in a plugin");
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = delayed_exchange(&mut ch, "fanout");
    let back = queue_with(&mut ch, [("x-dead-letter-exchange", text(&exchange))]);
    ch.bind(&back, &exchange, "");
    ch.publish_with(publish("", &back), &delay(60), "again");
    let first = ch.got(&back);
    let begin = Instant::now();
    ch.send(reject(first.method.delivery_tag, false));
    let again = next(&mut ch, &back);
    assert!(begin.elapsed() >= Duration::from_millis(59));
    assert_eq!((again.text(), delay_of(&again.properties)), ("again", Some(int(-60))));
    // It has waited once.
    ch.send(reject(again.method.delivery_tag, false));
    assert_eq!(next(&mut ch, &back).text(), "again");
}
