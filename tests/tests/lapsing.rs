//! Messages and queues whose time is over, and queues that have too many messages.

use lepus_tests::*;

/// Declares a queue that goes with its connection.
#[track_caller]
fn with_arguments<'a>(
    ch: &mut Chan<'_>,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let arguments = table(arguments);
    ch.declare(queue::Declare { exclusive: true, arguments, ..declare("") }).queue.to_string()
}

fn expiring(ms: &str) -> BasicProperties {
    props().with_expiration(ms.into())
}

/// Reads the confirms of the messages `first..=last`, and says which of them were refused.
#[track_caller]
fn refused(ch: &mut Chan<'_>, first: u64, last: u64) -> Vec<u64> {
    let mut open: Vec<u64> = (first..=last).collect();
    let mut refused = Vec::new();
    while !open.is_empty() {
        let frame = ch.conn.next_on(ch.id);
        let method = frame.method().expect("a method");
        let (tag, multiple, nack) = match basic::Nack::find(method.clone()) {
            Some(nack) => (nack.delivery_tag, nack.multiple, true),
            None => {
                let ack = basic::Ack::find(method).expect("a confirm");
                (ack.delivery_tag, ack.multiple, false)
            }
        };
        let meant = |open: &mut u64| *open == tag || multiple && *open < tag;
        let answered: Vec<u64> = open.extract_if(.., meant).collect();
        if nack {
            refused.extend(answered);
        }
    }
    refused.sort_unstable();
    refused
}

#[test]
fn messages_go_when_the_queues_time_is_over() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-message-ttl", int(50))]);
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn messages_go_when_their_own_time_is_over() {
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &expiring("50"), "short");
    ch.publish("", &queue, "stays");
    ch.confirmed(1, 2);
    ch.expect_counts(&queue, (1, 0));
    assert_eq!(ch.drain(&queue), ["stays"]);
}

#[test]
fn the_shorter_time_counts() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let long = with_arguments(&mut ch, [("x-message-ttl", int(600_000))]);
    ch.publish_with(publish("", &long), &expiring("1"), "short");
    ch.expect_counts(&long, (0, 0));
    let short = with_arguments(&mut ch, [("x-message-ttl", int(1))]);
    ch.publish_with(publish("", &short), &expiring("600000"), "long");
    ch.expect_counts(&short, (0, 0));
}

#[test]
fn only_the_head_of_the_queue_goes() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &expiring("600000"), "first");
    ch.publish_with(publish("", &queue), &expiring("1"), "second");
    ch.publish_with(publish("", &queue), &expiring("1"), "third");
    let other = ch.temp_queue();
    ch.publish_with(publish("", &other), &expiring("1"), "gone");
    ch.expect_counts(&other, (0, 0));
    ch.expect_counts(&queue, (3, 0));
    assert_eq!(ch.get(&queue, true).unwrap().text(), "first");
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn a_message_without_time_reaches_a_waiting_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-message-ttl", int(0))]);
    ch.publish("", &queue, "lost");
    ch.expect_counts(&queue, (0, 0));
    ch.consume_with(consume_no_ack(&queue, "t"));
    ch.publish("", &queue, "there");
    ch.deliveries(["there"]);
}

#[test]
fn a_returned_message_keeps_its_time() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-message-ttl", int(1000))]);
    ch.publish("", &queue, "a");
    ch.got(&queue);
    let other = with_arguments(&mut ch, [("x-message-ttl", int(1000))]);
    ch.publish("", &other, "b");
    ch.expect_counts(&other, (0, 0));
    // While it is held its time does not count; now it is over at once.
    ch.send(nack(1, true));
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn a_returned_message_keeps_its_own_time() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &expiring("1000"), "a");
    ch.got(&queue);
    let other = ch.temp_queue();
    ch.publish_with(publish("", &other), &expiring("1000"), "b");
    ch.expect_counts(&other, (0, 0));
    ch.send(nack(1, true));
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn an_unused_queue_goes() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("expires");
    let arguments = || table([("x-expires", int(1300))]);
    ch.declare(queue::Declare { arguments: arguments(), ..declare(&name) });
    ch.publish("", &name, "goes with it");
    ch.consume(&name, "t");
    ch.delivery();
    let other = unique("expires");
    ch.declare(queue::Declare { arguments: arguments(), ..declare(&other) });
    wait_until_gone(&other);
    assert_eq!(ch.counts(&name).1, 1, "a consumer keeps a queue");
    let _: basic::CancelOk = ch.call(cancel("t"));
    wait_until_gone(&name);
}

/// Looks now and then, without using the queue.
#[track_caller]
fn wait_until_gone(queue: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    loop {
        assert!(std::time::Instant::now() < deadline, "{queue} stays");
        // Binding finds a queue without using it.
        ch.send(bind(queue, "amq.fanout", ""));
        let frame = ch.conn.next_on(1);
        let method = frame.method().expect("a method");
        if let Some(close) = channel::Close::find(method) {
            assert_eq!(close.reply_code, 404);
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-max-length", int(2))]);
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    ch.expect_counts(&queue, (2, 0));
    assert_eq!(ch.drain(&queue), ["c", "d"]);
}

#[test]
fn the_oldest_go_when_they_are_too_large() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-max-length-bytes", int(10))]);
    ch.publish_all(&queue, ["aaaa", "bbbb", "cccc"]);
    ch.expect_counts(&queue, (2, 0));
    ch.publish("", &queue, "larger than all");
    ch.expect_counts(&queue, (0, 0));
}

#[test]
fn unacknowledged_messages_do_not_count() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = with_arguments(&mut ch, [("x-max-length", int(1))]);
    ch.publish("", &queue, "held");
    ch.got(&queue);
    ch.publish_all(&queue, ["a", "b"]);
    ch.expect_counts(&queue, (1, 0));
    ch.send(nack(1, true));
    ch.expect_counts(&queue, (1, 0));
    assert_eq!(ch.drain(&queue), ["b"], "the returned one stands first, and goes first");
}

#[test]
fn a_full_queue_refuses_publishes() {
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let limits = [("x-max-length", int(2)), ("x-overflow", text("reject-publish"))];
    let queue = with_arguments(&mut ch, limits);
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    assert_eq!(refused(&mut ch, 1, 4), [3, 4]);
    assert_eq!(ch.get(&queue, true).unwrap().text(), "a");
    ch.publish_all(&queue, ["e", "f"]);
    assert_eq!(refused(&mut ch, 5, 6), [6]);
    assert_eq!(ch.drain(&queue), ["b", "e"]);
}

#[test]
fn a_message_that_would_be_too_much_is_refused() {
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let limits = [("x-max-length-bytes", int(10)), ("x-overflow", text("reject-publish"))];
    let queue = with_arguments(&mut ch, limits);
    ch.publish_all(&queue, ["seven o", "four", "two", "one"]);
    assert_eq!(refused(&mut ch, 1, 4), [2, 4]);
    assert_eq!(ch.drain(&queue), ["seven o", "two"]);
}

#[test]
fn one_full_queue_of_several_refuses() {
    let mut conn = shared().connect();
    let mut ch = conn.channel_confirming(1);
    let full =
        with_arguments(&mut ch, [("x-max-length", int(0)), ("x-overflow", text("reject-publish"))]);
    let other = ch.temp_queue();
    let exchange = unique("two");
    ch.exchange(&exchange, "fanout");
    ch.bind(&full, &exchange, "");
    ch.bind(&other, &exchange, "");
    ch.publish(&exchange, "", "a");
    ch.publish("", &other, "b");
    assert_eq!(refused(&mut ch, 1, 2), [1]);
    ch.expect_counts(&other, (2, 0));
    ch.expect_counts(&full, (0, 0));
    let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
}
