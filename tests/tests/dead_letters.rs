//! Dead letters: why messages go, where to, and what they then say of themselves.

use lepus_tests::*;

/// A queue whose dead letters go to another, by the default exchange.
#[track_caller]
fn pair<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> (String, String) {
    let dead = ch.temp_queue();
    let to = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    let arguments = table(to.into_iter().chain(arguments));
    let queue = queue::Declare { exclusive: true, arguments, ..declare("") };
    (ch.declare(queue).queue.to_string(), dead)
}

/// The headers of the next message of a queue.
#[track_caller]
fn headers_of(ch: &mut Chan<'_>, queue: &str) -> FieldTable {
    ch.expect_counts(queue, (1, 0));
    let message = ch.get(queue, true).expect("a dead letter");
    message.properties.headers().clone().expect("headers")
}

/// The events in x-death: reason, queue, count.
fn deaths(headers: &FieldTable) -> Vec<(String, String, i64)> {
    let Some(AMQPValue::FieldArray(events)) = headers.inner().get("x-death") else {
        panic!("no x-death in {headers:?}");
    };
    let event = |event: &AMQPValue| {
        let AMQPValue::FieldTable(event) = event else { panic!("{event:?}") };
        let text = |name| match event.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        let Some(AMQPValue::LongLongInt(count)) = event.inner().get("count") else {
            panic!("{event:?}");
        };
        (text("reason"), text("queue"), *count)
    };
    events.as_slice().iter().map(event).collect()
}

#[test]
fn a_rejected_message_says_why_it_came() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, dead) = pair(&mut ch, []);
    let kept = headers([("mine", int(1))]).with_content_type("text/plain".into());
    ch.publish_with(publish("", &queue), &kept, "body");
    ch.got(&queue);
    ch.send(reject(1, false));
    ch.expect_counts(&dead, (1, 0));
    let letter = ch.get(&dead, true).unwrap();
    assert_eq!(letter.text(), "body");
    assert_eq!((letter.method.exchange.as_str(), letter.method.routing_key.as_str()), ("", &*dead));
    assert!(!letter.method.redelivered);
    assert_eq!(letter.properties.content_type().as_ref().unwrap().as_str(), "text/plain");
    let found = letter.properties.headers().clone().unwrap();
    let value = |name: &str| found.inner().get(name).cloned();
    assert_eq!(value("mine"), Some(int(1)));
    assert_eq!(value("x-first-death-reason"), Some(text("rejected")));
    assert_eq!(value("x-first-death-queue"), Some(text(&queue)));
    assert_eq!(value("x-first-death-exchange"), Some(text("")));
    let Some(AMQPValue::FieldArray(events)) = value("x-death") else { panic!("{found:?}") };
    let [AMQPValue::FieldTable(event)] = events.as_slice() else { panic!("{events:?}") };
    let value = |name: &str| event.inner().get(name).cloned();
    assert_eq!(value("count"), Some(long(1)));
    assert_eq!(value("reason"), Some(text("rejected")));
    assert_eq!(value("queue"), Some(text(&queue)));
    assert_eq!(value("exchange"), Some(text("")));
    assert_eq!(value("routing-keys"), Some(list([text(&queue)])));
    assert!(
        matches!(value("time"), Some(AMQPValue::Timestamp(seconds)) if seconds > 1_700_000_000)
    );
    assert_eq!(value("original-expiration"), None);
}

#[test]
fn an_expired_message_loses_its_expiration() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, dead) = pair(&mut ch, []);
    ch.publish_with(publish("", &queue), &props().with_expiration("20".into()), "a");
    ch.expect_counts(&dead, (1, 0));
    let letter = ch.get(&dead, true).unwrap();
    assert_eq!(letter.properties.expiration(), &None);
    let found = letter.properties.headers().clone().unwrap();
    assert_eq!(deaths(&found), [("expired".into(), queue, 1)]);
    let Some(AMQPValue::FieldArray(events)) = found.inner().get("x-death") else { panic!() };
    let [AMQPValue::FieldTable(event)] = events.as_slice() else { panic!() };
    assert_eq!(event.inner().get("original-expiration"), Some(&text("20")));
}

#[test]
fn messages_beyond_the_length_are_dead_letters() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, dead) = pair(&mut ch, [("x-max-length", int(1))]);
    ch.publish_all(&queue, ["old", "new"]);
    let found = headers_of(&mut ch, &dead);
    assert_eq!(deaths(&found), [("maxlen".into(), queue.clone(), 1)]);
    assert_eq!(ch.drain(&queue), ["new"]);
}

#[test]
fn refused_publishes_are_dead_letters_if_asked_for() {
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let limits = [("x-max-length", int(1)), ("x-overflow", text("reject-publish-dlx"))];
    let (queue, dead) = pair(&mut ch, limits);
    ch.publish("", &queue, "in");
    ch.confirmed(1, 1);
    ch.publish("", &queue, "out");
    let nack: basic::Nack = ch.expect();
    assert_eq!(nack.delivery_tag, 2);
    let found = headers_of(&mut ch, &dead);
    assert_eq!(deaths(&found), [("maxlen".into(), queue.clone(), 1)]);
    assert_eq!(ch.drain(&queue), ["in"]);
}

#[test]
fn deaths_of_one_kind_are_counted() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, dead) = pair(&mut ch, []);
    ch.publish("", &queue, "a");
    for round in 1..=3 {
        ch.got(&queue);
        ch.send(nack(2 * round - 1, false));
        ch.expect_counts(&dead, (1, 0));
        let letter = ch.got(&dead);
        let found = letter.properties.headers().clone().unwrap();
        assert_eq!(deaths(&found), [("rejected".into(), queue.clone(), round as i64)]);
        ch.send(ack(2 * round));
        ch.publish_with(publish("", &queue), &letter.properties, "a");
    }
}

#[test]
fn the_latest_death_stands_first() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (last, dead) = pair(&mut ch, [("x-message-ttl", int(1))]);
    let to = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&last))];
    let first = queue::Declare { exclusive: true, arguments: table(to), ..declare("") };
    let first = ch.declare(first).queue.to_string();
    ch.publish("", &first, "a");
    ch.got(&first);
    ch.send(reject(1, false));
    let found = headers_of(&mut ch, &dead);
    let expected = [("expired".into(), last, 1), ("rejected".into(), first.clone(), 1)];
    assert_eq!(deaths(&found), expected);
    assert_eq!(found.inner().get("x-first-death-queue"), Some(&text(&first)));
}

#[test]
fn without_a_key_of_the_queue_the_messages_own_and_cc_count() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("dlx");
    ch.exchange(&exchange, "direct");
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&one, &exchange, "own");
    ch.bind(&two, &exchange, "copy");
    let source = unique("source");
    ch.exchange(&source, "fanout");
    let arguments = table([("x-dead-letter-exchange", text(&exchange))]);
    let queue = queue::Declare { exclusive: true, arguments, ..declare("") };
    let queue = ch.declare(queue).queue.to_string();
    ch.bind(&queue, &source, "");
    ch.publish_with(publish(&source, "own"), &headers([("CC", list([text("copy")]))]), "a");
    ch.got(&queue);
    ch.send(reject(1, false));
    for queue in [&one, &two] {
        ch.expect_counts(queue, (1, 0));
        let letter = ch.get(queue, true).unwrap();
        let route = (letter.method.exchange.as_str(), letter.method.routing_key.as_str());
        assert_eq!(route, (exchange.as_str(), "own"));
    }
    for exchange in [&exchange, &source] {
        let _: exchange::DeleteOk = ch.call(delete_exchange(exchange));
    }
}

/// The routing keys that the latest death tells.
fn keys_of(headers: &FieldTable) -> Vec<String> {
    let Some(AMQPValue::FieldArray(events)) = headers.inner().get("x-death") else { panic!() };
    let Some(AMQPValue::FieldTable(event)) = events.as_slice().first() else { panic!() };
    let Some(AMQPValue::FieldArray(keys)) = event.inner().get("routing-keys") else { panic!() };
    let key = |key: &AMQPValue| match key {
        AMQPValue::LongString(key) => key.to_string(),
        other => panic!("{other:?}"),
    };
    keys.as_slice().iter().map(key).collect()
}

#[test]
fn keys_of_bcc_lead_dead_letters_and_stay_hidden() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (first, second) = (unique("dlx"), unique("dlx"));
    for exchange in [&first, &second] {
        ch.exchange(exchange, "direct");
    }
    // By its BCC key a letter of the queue goes to `middle`, and by the same key on to `end`.
    let [queue, middle] = [&first, &second].map(|exchange| {
        let arguments = table([("x-dead-letter-exchange", text(exchange))]);
        let queue = queue::Declare { exclusive: true, arguments, ..declare("") };
        ch.declare(queue).queue.to_string()
    });
    let end = ch.temp_queue();
    ch.bind(&middle, &first, "hidden");
    ch.bind(&end, &second, "hidden");
    let copies = headers([("CC", list([text("copy")])), ("BCC", list([text("hidden")]))]);
    ch.publish_with(publish("", &queue), &copies, "a");
    for (tag, queue) in [(1, &queue), (2, &middle)] {
        ch.expect_counts(queue, (1, 0));
        ch.got(queue);
        ch.send(reject(tag, false));
    }
    let found = headers_of(&mut ch, &end);
    assert_eq!(deaths(&found).len(), 2);
    assert_eq!(keys_of(&found), [queue.as_str(), "copy"]);
    assert!(found.contains_key("CC") && !found.contains_key("BCC"));
    for exchange in [&first, &second] {
        let _: exchange::DeleteOk = ch.call(delete_exchange(exchange));
    }
}

#[test]
fn the_queues_own_key_replaces_those_of_bcc_for_good() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let exchange = unique("dlx");
    ch.exchange(&exchange, "direct");
    let (hidden, own) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&hidden, &exchange, "hidden");
    ch.bind(&own, &exchange, "own");
    let arguments = table([("x-dead-letter-exchange", text(&exchange))]);
    let middle = queue::Declare { exclusive: true, arguments, ..declare("") };
    let middle = ch.declare(middle).queue.to_string();
    ch.bind(&middle, &exchange, "own");
    let to =
        [("x-dead-letter-exchange", text(&exchange)), ("x-dead-letter-routing-key", text("own"))];
    let queue = queue::Declare { exclusive: true, arguments: table(to), ..declare("") };
    let queue = ch.declare(queue).queue.to_string();
    let copies = headers([("CC", list([text("copy")])), ("BCC", list([text("hidden")]))]);
    ch.publish_with(publish("", &queue), &copies, "a");
    ch.got(&queue);
    ch.send(reject(1, false));
    let found = headers_of(&mut ch, &own);
    assert_eq!(keys_of(&found), [queue.as_str(), "copy"]);
    assert!(!found.contains_key("CC") && !found.contains_key("BCC"));
    ch.expect_counts(&middle, (1, 0));
    ch.got(&middle);
    ch.send(reject(3, false));
    ch.expect_counts(&own, (1, 0));
    assert_eq!(ch.counts(&hidden), (0, 0));
    let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
}

#[test]
fn a_circle_without_rejections_ends() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("circle");
    let arguments = table([
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&name)),
        ("x-message-ttl", int(1)),
    ]);
    ch.declare(queue::Declare { exclusive: true, arguments, ..declare(&name) });
    ch.publish("", &name, "a");
    ch.expect_counts(&name, (0, 0));
}

#[test]
fn a_circle_with_rejections_goes_on() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("circle");
    let arguments =
        table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&name))]);
    ch.declare(queue::Declare { exclusive: true, arguments, ..declare(&name) });
    ch.publish("", &name, "a");
    for round in 1..=3 {
        ch.expect_counts(&name, (1, 0));
        let letter = ch.got(&name);
        assert_eq!(letter.text(), "a");
        ch.send(reject(round, false));
    }
    let found = headers_of(&mut ch, &name);
    assert_eq!(deaths(&found), [("rejected".into(), name.clone(), 3)]);
}

#[test]
fn without_the_exchange_messages_are_dropped() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let arguments = table([("x-dead-letter-exchange", text(&unique("missing")))]);
    let queue = queue::Declare { exclusive: true, arguments, ..declare("") };
    let queue = ch.declare(queue).queue.to_string();
    ch.publish("", &queue, "a");
    ch.got(&queue);
    ch.send(reject(1, false));
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn purging_and_deleting_bury_nothing() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, dead) = pair(&mut ch, []);
    ch.publish_all(&queue, ["a", "b"]);
    ch.expect_counts(&queue, (2, 0));
    let _: queue::PurgeOk = ch.call(purge(&queue));
    ch.publish("", &queue, "c");
    ch.expect_counts(&queue, (1, 0));
    let _: queue::DeleteOk = ch.call(delete(&queue));
    ch.expect_silence(&dead);
    assert_eq!(ch.counts(&dead), (0, 0));
}

#[test]
fn a_long_way_through_full_queues_is_no_danger() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let prefix = unique("hop");
    let hops = if on_target() { 20 } else { 300 };
    for hop in 0..hops {
        let arguments = table([
            ("x-max-length", int(0)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&format!("{prefix}-{}", hop + 1))),
        ]);
        let name = format!("{prefix}-{hop}");
        ch.send(queue::Declare { nowait: true, exclusive: true, arguments, ..declare(&name) });
    }
    let last = format!("{prefix}-{hops}");
    ch.declare(queue::Declare { exclusive: true, ..declare(&last) });
    ch.publish("", &format!("{prefix}-0"), "a");
    let found = headers_of(&mut ch, &last);
    assert_eq!(deaths(&found).len(), hops);
}
