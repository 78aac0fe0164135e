//! `basic.qos`: how many unacknowledged messages a consumer or a channel may hold.

use lepus_tests::*;

fn set(ch: &mut Chan<'_>, qos: basic::Qos) {
    let _: basic::QosOk = ch.call(qos);
}

#[test]
fn prefetch_size_is_not_implemented() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send_bytes(60, 10, &[0, 0, 0, 100, 0, 1, 0]);
    ch.conn.expect_close(540, "NOT_IMPLEMENTED - prefetch_size!=0 (100)", (60, 10));
}

#[test]
fn consumer_gets_as_many_as_its_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos(2));
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    ch.consume(&queue, "t");
    ch.deliveries(["a", "b"]);
    ch.expect_silence(&queue);
    ch.send(ack(1));
    ch.deliveries(["c"]);
    ch.send(ack_up_to(3));
    ch.deliveries(["d"]);
}

#[test]
fn reject_and_nack_make_room_too() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos(1));
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.consume(&queue, "t");
    ch.deliveries(["a"]);
    ch.send(reject(1, false));
    ch.deliveries(["b"]);
    ch.send(nack(2, false));
    ch.deliveries(["c"]);
}

#[test]
fn prefetch_is_of_each_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos(1));
    ch.consume(&queue, "a");
    ch.consume(&queue, "b");
    ch.publish_all(&queue, ["1", "2", "3"]);
    let [one, two] = ch.deliveries(["1", "2"]);
    assert_ne!(one.method.consumer_tag, two.method.consumer_tag);
    ch.expect_silence(&queue);
    ch.send(ack(two.method.delivery_tag));
    let [three] = ch.deliveries(["3"]);
    assert_eq!(three.method.consumer_tag, two.method.consumer_tag);
}

#[test]
fn prefetch_of_new_consumers_leaves_older_ones_alone() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    set(&mut ch, qos(1));
    ch.consume(&one, "one");
    set(&mut ch, qos(2));
    ch.consume(&two, "two");
    ch.publish_all(&one, ["a", "b", "c"]);
    ch.deliveries(["a"]);
    ch.expect_silence(&one);
    ch.publish_all(&two, ["d", "e", "f"]);
    ch.deliveries(["d", "e"]);
    ch.expect_silence(&two);
}

#[test]
fn zero_prefetch_is_unlimited() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos(1));
    set(&mut ch, qos(0));
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.consume(&queue, "t");
    ch.deliveries(["a", "b", "c"]);
}

#[test]
fn no_ack_consumer_has_no_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos(1));
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.consume_with(consume_no_ack(&queue, "t"));
    ch.deliveries(["a", "b", "c"]);
}

#[test]
fn channel_prefetch_is_of_all_consumers_together() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    set(&mut ch, qos_global(2));
    ch.consume(&one, "one");
    ch.consume(&two, "two");
    ch.publish("", &one, "a");
    ch.deliveries(["a"]);
    ch.publish("", &two, "b");
    ch.deliveries(["b"]);
    ch.publish("", &one, "c");
    ch.expect_silence(&one);
    ch.send(ack(2));
    ch.deliveries(["c"]);
}

#[test]
fn channel_and_consumer_prefetch_hold_both() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    set(&mut ch, qos(2));
    set(&mut ch, qos_global(3));
    ch.publish_all(&one, ["a", "b", "c"]);
    ch.consume(&one, "one");
    ch.deliveries(["a", "b"]);
    ch.expect_silence(&one);
    ch.publish_all(&two, ["d", "e"]);
    ch.consume(&two, "two");
    ch.deliveries(["d"]);
    ch.expect_silence(&two);
}

#[test]
fn prefetch_of_new_consumers_lifts_the_channel_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos_global(1));
    set(&mut ch, qos(2));
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.consume(&queue, "t");
    ch.deliveries(["a", "b"]);
    ch.expect_silence(&queue);
}

fn limited(ch: &mut Chan<'_>, limit: u16) -> String {
    let queue = ch.temp_queue();
    set(ch, qos_global(limit));
    ch.consume(&queue, "t");
    ch.publish_all(&queue, ["a", "b", "c"]);
    queue
}

#[test]
fn channel_prefetch_can_be_raised() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = limited(&mut ch, 1);
    ch.deliveries(["a"]);
    ch.expect_silence(&queue);
    set(&mut ch, qos_global(2));
    ch.deliveries(["b"]);
    ch.expect_silence(&queue);
}

#[test]
fn channel_prefetch_can_be_lowered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = limited(&mut ch, 2);
    ch.deliveries(["a", "b"]);
    set(&mut ch, qos_global(1));
    ch.expect_silence(&queue);
    ch.send(ack(1));
    ch.expect_silence(&queue);
    ch.send(ack(2));
    ch.deliveries(["c"]);
}

#[test]
fn channel_prefetch_can_be_lifted() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = limited(&mut ch, 1);
    ch.deliveries(["a"]);
    ch.expect_silence(&queue);
    set(&mut ch, qos_global(0));
    ch.deliveries(["b", "c"]);
}

#[test]
fn channel_prefetch_can_be_set_after_consume() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    set(&mut ch, qos_global(1));
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.deliveries(["a"]);
    ch.expect_silence(&queue);
}

#[test]
fn channel_prefetch_counts_what_was_unacknowledged_before_it() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.publish("", &queue, "a");
    ch.deliveries(["a"]);
    set(&mut ch, qos_global(2));
    ch.publish_all(&queue, ["b", "c"]);
    ch.deliveries(["b"]);
    ch.expect_silence(&queue);
    ch.send(ack(1));
    ch.deliveries(["c"]);
}

#[test]
fn channel_prefetch_counts_gotten_messages_or_not_as_rabbitmq_does() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos_global(1));
    ch.publish_all(&queue, ["gotten", "a", "b"]);
    ch.got(&queue);
    ch.consume(&queue, "t");
    ch.deliveries(["a"]);
    ch.expect_silence(&queue);
    ch.send(ack(1));
    ch.expect_silence(&queue);
    ch.send(ack(2));
    ch.deliveries(["b"]);
}

#[test]
fn no_ack_consumer_waits_for_a_full_channel_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    set(&mut ch, qos_global(1));
    ch.consume(&one, "one");
    ch.publish("", &one, "held");
    ch.deliveries(["held"]);
    ch.consume_with(consume_no_ack(&two, "two"));
    ch.publish_all(&two, ["free", "free too"]);
    ch.expect_silence(&two);
    ch.send(ack(1));
    ch.deliveries(["free", "free too"]);
}

#[test]
fn recover_makes_room() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    set(&mut ch, qos_global(1));
    ch.consume(&queue, "t");
    ch.publish("", &queue, "a");
    ch.deliveries(["a"]);
    let _: basic::RecoverOk = ch.call(basic::Recover { requeue: true });
    ch.deliveries(["a"]);
    ch.publish("", &queue, "b");
    ch.expect_silence(&queue);
}

#[test]
fn cancel_keeps_its_unacknowledged_messages_in_the_channel_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = limited(&mut ch, 1);
    ch.deliveries(["a"]);
    let _: basic::CancelOk = ch.call(cancel("t"));
    ch.consume(&queue, "next");
    ch.expect_silence(&queue);
    ch.send(ack(1));
    ch.deliveries(["b"]);
}

#[test]
fn channel_prefetches_are_apart() {
    let mut conn = shared().connect();
    let queue = {
        let mut ch = conn.channel(1);
        let queue = limited(&mut ch, 1);
        ch.deliveries(["a"]);
        queue
    };
    let mut ch = conn.channel(2);
    ch.consume(&queue, "t");
    ch.deliveries(["b", "c"]);
}

#[test]
fn other_consumers_get_what_a_full_one_cannot_take() {
    let (mut full, mut free) = (shared().connect(), shared().connect());
    let mut full = full.channel(1);
    let queue = full.queue(&unique("shared"));
    set(&mut full, qos(1));
    full.consume(&queue, "full");
    full.publish("", &queue, "first");
    full.deliveries(["first"]);
    let mut free = free.channel(1);
    free.consume(&queue, "free");
    full.publish_all(&queue, ["a", "b", "c"]);
    free.deliveries(["a", "b", "c"]);
    let _: queue::DeleteOk = full.call(delete(&queue));
}
