//! Messages that are the same as others are dropped: by queues, and by exchanges of their own.

use lepus_tests::*;

const KIND: &str = "x-message-deduplication";

fn named(key: &str) -> BasicProperties {
    headers([("x-deduplication-header", text(key))]).with_delivery_mode(2)
}

#[track_caller]
fn queue_with<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let mut arguments = table(arguments);
    arguments.insert("x-message-deduplication".into(), flag(true));
    let name = unique("unique");
    ch.declare(queue::Declare { durable: true, exclusive: true, arguments, ..declare(&name) });
    name
}

#[track_caller]
fn exchange_with<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let name = unique("unique");
    let arguments = table(arguments);
    let declare = exchange::Declare { arguments, ..declare_exchange(&name, KIND) };
    let _: exchange::DeclareOk = ch.call(declare);
    name
}

/// Publishes messages with these keys and bodies to a queue, and waits for their confirms.
#[track_caller]
fn put(ch: &mut Chan<'_>, (exchange, key): (&str, &str), first: u64, messages: &[(&str, &str)]) {
    for (name, body) in messages {
        let properties = if name.is_empty() { props() } else { named(name) };
        ch.publish_with(publish(exchange, key), &properties, *body);
    }
    ch.confirmed(first, first + messages.len() as u64 - 1);
}

/// Takes all that is there and acknowledges it.
#[track_caller]
fn taken(ch: &mut Chan<'_>, queue: &str) -> Vec<String> {
    std::iter::from_fn(|| ch.get(queue, true)).map(|message| message.text().to_owned()).collect()
}

#[test]
fn a_queue_takes_a_message_once_until_it_is_acknowledged() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let queue = queue_with(&mut ch, []);
    let to = ("", queue.as_str());
    put(&mut ch, to, 1, &[("a", "1"), ("b", "2"), ("a", "3"), ("", "4"), ("", "5")]);
    let first = ch.get(&queue, false).expect("the first one");
    assert_eq!(first.text(), "1");
    put(&mut ch, to, 6, &[("a", "while it is held")]);
    ch.send(reject(first.method.delivery_tag, true));
    put(&mut ch, to, 7, &[("a", "while it is back")]);
    let again = ch.get(&queue, false).expect("the same");
    assert_eq!(again.text(), "1");
    ch.send(ack(again.method.delivery_tag));
    put(&mut ch, to, 8, &[("a", "after that")]);
    assert_eq!(taken(&mut ch, &queue), ["2", "4", "5", "after that"]);
}

#[test]
fn what_goes_otherwise_may_come_again() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let queue = queue_with(&mut ch, [("x-max-length", int(1))]);
    let to = ("", queue.as_str());
    // The first one makes room for the second.
    put(&mut ch, to, 1, &[("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(taken(&mut ch, &queue), ["3"]);
    put(&mut ch, to, 4, &[("a", "taken without ack")]);
    let _: queue::PurgeOk = ch.call(purge(&queue));
    put(&mut ch, to, 5, &[("a", "purged")]);
    assert_eq!(taken(&mut ch, &queue), ["purged"]);
}

#[test]
fn types_and_values_of_keys_count() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let queue = queue_with(&mut ch, []);
    let keys = [int(1), text("1"), flag(true), int(1), list([int(1)]), list([int(1)])];
    for (number, key) in keys.into_iter().enumerate() {
        let properties = headers([("x-deduplication-header", key)]);
        ch.publish_with(publish("", &queue), &properties, number.to_string());
    }
    ch.confirmed(1, 6);
    assert_eq!(taken(&mut ch, &queue), ["0", "1", "2", "4"]);
}

#[test]
fn a_window_outlives_its_messages_and_has_a_size() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let window = [("x-deduplication-mode", text("window")), ("x-cache-size", int(2))];
    let queue = queue_with(&mut ch, window);
    let to = ("", queue.as_str());
    put(&mut ch, to, 1, &[("a", "1")]);
    assert_eq!(taken(&mut ch, &queue), ["1"]);
    put(&mut ch, to, 2, &[("a", "2"), ("b", "3"), ("c", "4"), ("c", "5"), ("a", "6")]);
    assert_eq!(taken(&mut ch, &queue), ["3", "4", "6"]);
}

#[test]
fn a_window_may_be_of_time() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let window = [("x-deduplication-mode", text("window")), ("x-cache-ttl", int(600_000))];
    let queue = queue_with(&mut ch, window);
    let short = headers([("x-deduplication-header", text("b")), ("x-cache-ttl", int(1))]);
    put(&mut ch, ("", &queue), 1, &[("a", "1"), ("a", "2")]);
    ch.publish_with(publish("", &queue), &short, "3");
    ch.confirmed(3, 3);
    let end = std::time::Instant::now() + DEADLINE;
    let mut last = 3;
    loop {
        last += 1;
        ch.publish_with(publish("", &queue), &named("b"), "4");
        ch.confirmed(last, last);
        if ch.counts(&queue).0 == 3 {
            break;
        }
        assert!(std::time::Instant::now() < end, "the key of a ms stays");
    }
    assert_eq!(taken(&mut ch, &queue), ["1", "3", "4"]);
}

#[test]
fn an_exchange_lets_a_message_through_once() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let exchange = exchange_with(&mut ch, [("x-cache-size", int(10))]);
    let queues: Vec<String> = (0..2)
        .map(|_| {
            let queue = ch.declare(queue::Declare { exclusive: true, ..declare("") }).queue;
            ch.bind(queue.as_str(), &exchange, "whatever");
            queue.to_string()
        })
        .collect();
    let to = (exchange.as_str(), "k");
    put(&mut ch, to, 1, &[("a", "1"), ("b", "2"), ("a", "3"), ("", "4"), ("", "5")]);
    for queue in &queues {
        let mut all = Vec::new();
        let end = std::time::Instant::now() + DEADLINE;
        while all.len() < 4 {
            all.extend(taken(&mut ch, queue));
            assert!(std::time::Instant::now() < end, "{all:?}");
        }
        all.sort();
        assert_eq!(all, ["1", "2", "4", "5"]);
    }
}

#[test]
fn a_mandatory_message_is_not_returned_for_being_compared_first() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    let exchange = exchange_with(&mut ch, [("x-cache-size", int(10))]);
    let queue = ch.declare(queue::Declare { exclusive: true, ..declare("") }).queue.to_string();
    ch.bind(&queue, &exchange, "");
    let publish = basic::Publish { mandatory: true, ..publish(&exchange, "") };
    ch.publish_with(publish, &named("a"), "1");
    ch.confirmed(1, 1);
    ch.expect_counts(&queue, (1, 0));
}

#[test]
fn exchanges_need_a_size() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let size = "PRECONDITION_FAILED - Missing or invalid argument, 'x-cache-size' must be an integer \
                greater than 0";
    let ttl =
        "PRECONDITION_FAILED - Invalid argument, 'x-cache-ttl' must be an integer greater than 0";
    let place = "PRECONDITION_FAILED - Invalid argument, 'x-cache-persistence' must be either 'memory' \
                 or 'disk'";
    let one = ("x-cache-size", int(1));
    for (arguments, why) in [
        (table([]), size),
        (table([("x-cache-size", int(0))]), size),
        (table([("x-cache-size", flag(true))]), size),
        (table([one.clone(), ("x-cache-ttl", int(-1))]), ttl),
        (table([one.clone(), ("x-cache-persistence", text("tape"))]), place),
    ] {
        ch.refused(exchange::Declare { arguments, ..declare_exchange("unique", KIND) }, 406, why);
        ch.reopen();
    }
}

#[test]
fn arguments_of_queues_are_validated() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    let broker = shared();
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let on = ("x-message-deduplication", flag(true));
    let window = ("x-deduplication-mode", text("window"));
    for (arguments, name, why) in [
        (vec![("x-message-deduplication", int(1))], on.0, "{unacceptable_type,signedint}"),
        (
            vec![on.clone(), ("x-deduplication-mode", text("sometimes"))],
            window.0,
            "invalid_deduplication_mode",
        ),
        (vec![window.clone()], window.0, "deduplication_mode_but_no_message_deduplication_defined"),
        (
            vec![on.clone(), ("x-cache-size", int(1))],
            "x-cache-size",
            "cache_but_no_deduplication_mode_defined",
        ),
        (
            vec![on.clone(), window.clone(), ("x-cache-size", int(0))],
            "x-cache-size",
            "{value_zero,0}",
        ),
    ] {
        let arguments = table(arguments);
        let why = format!(
            "PRECONDITION_FAILED - invalid arg '{name}' for queue 'unique' in vhost '/': {why}"
        );
        ch.refused(queue::Declare { arguments, ..declare("unique") }, 406, &why);
        ch.reopen();
    }
}
