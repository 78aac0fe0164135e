//! Acknowledging, rejecting, requeueing: what happens to a delivered message.

use lepus_tests::*;

fn unknown_tag(tag: u64) -> String {
    format!("PRECONDITION_FAILED - unknown delivery tag {tag}")
}

/// A queue whose messages have all been delivered, unacknowledged, with tags from 1.
fn held<'a>(conn: &'a mut Conn, bodies: &[&str]) -> (Chan<'a>, String) {
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("held"));
    ch.publish_all(&queue, bodies.iter().copied());
    for body in bodies {
        assert_eq!(ch.got(&queue).text(), *body);
    }
    (ch, queue)
}

/// What another connection finds in the queue once this one is gone, as (body, redelivered).
fn left(conn: Conn, queue: &str) -> Vec<(String, bool)> {
    conn.close();
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let messages = std::iter::from_fn(|| ch.get(queue, true));
    let left = messages.map(|m| (m.text().to_string(), m.method.redelivered)).collect();
    let _: queue::DeleteOk = ch.call(delete(queue));
    left
}

fn redelivered(bodies: &[&str]) -> Vec<(String, bool)> {
    bodies.iter().map(|body| (String::from(*body), true)).collect()
}

#[test]
fn acknowledged_message_is_gone() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b", "c"]);
    ch.send(ack(2));
    assert_eq!(left(conn, &queue), redelivered(&["a", "c"]));
}

#[test]
fn multiple_ack_covers_all_up_to_its_tag() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b", "c"]);
    ch.send(ack_up_to(2));
    assert_eq!(left(conn, &queue), redelivered(&["c"]));
}

#[test]
fn multiple_ack_of_zero_covers_everything() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b", "c"]);
    ch.send(ack_up_to(0));
    assert_eq!(left(conn, &queue), []);
}

#[test]
fn multiple_ack_covers_all_queues_of_the_channel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.publish("", &one, "1");
    ch.publish("", &two, "2");
    ch.got(&one);
    ch.got(&two);
    ch.send(ack_up_to(2));
    let _: basic::RecoverOk = ch.call(basic::Recover { requeue: true });
    assert!(ch.drain(&one).is_empty() && ch.drain(&two).is_empty());
}

#[test]
fn multiple_ack_of_zero_with_nothing_to_acknowledge_is_fine() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send(ack_up_to(0));
    ch.send(nack_up_to(0, true));
    let _: basic::QosOk = ch.call(qos(1));
}

#[test]
fn ack_of_an_unknown_tag_closes_the_channel() {
    let mut conn = shared().connect();
    conn.channel(1).refused(ack(99), 406, &unknown_tag(99));
}

#[test]
fn ack_of_tag_zero_alone_is_unknown() {
    let mut conn = shared().connect();
    conn.channel(1).refused(ack(0), 406, &unknown_tag(0));
}

#[test]
fn ack_twice_is_unknown() {
    let mut conn = shared().connect();
    let (mut ch, _) = held(&mut conn, &["a"]);
    ch.send(ack(1));
    ch.refused(ack(1), 406, &unknown_tag(1));
}

#[test]
fn multiple_ack_beyond_the_last_tag_is_unknown() {
    let mut conn = shared().connect();
    let (mut ch, _) = held(&mut conn, &["a", "b"]);
    ch.refused(ack_up_to(3), 406, &unknown_tag(3));
}

#[test]
fn multiple_ack_of_settled_tags_is_unknown() {
    let mut conn = shared().connect();
    let (mut ch, _) = held(&mut conn, &["a", "b"]);
    ch.send(ack_up_to(2));
    ch.refused(ack_up_to(1), 406, &unknown_tag(1));
}

#[test]
fn multiple_ack_of_a_settled_tag_is_unknown_even_with_smaller_ones_open() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b", "c"]);
    ch.send(ack(2));
    ch.refused(ack_up_to(2), 406, &unknown_tag(2));
    assert_eq!(left(conn, &queue), redelivered(&["a", "c"]));
}

#[test]
fn nack_and_reject_of_unknown_tags_close_the_channel() {
    shared().connect().channel(1).refused(nack(5, true), 406, &unknown_tag(5));
    shared().connect().channel(1).refused(reject(6, false), 406, &unknown_tag(6));
}

#[test]
fn tag_of_another_channel_is_unknown() {
    let mut conn = shared().connect();
    let (_, queue) = held(&mut conn, &["a"]);
    conn.channel(2).refused(ack(1), 406, &unknown_tag(1));
    assert_eq!(left(conn, &queue), redelivered(&["a"]));
}

#[test]
fn error_in_an_ack_requeues_the_rest() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b"]);
    ch.send(ack(1));
    ch.refused(ack(1), 406, &unknown_tag(1));
    assert_eq!(left(conn, &queue), redelivered(&["b"]));
}

#[test]
fn reject_without_requeue_drops_the_message() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b"]);
    ch.send(reject(1, false));
    assert_eq!(left(conn, &queue), redelivered(&["b"]));
}

#[test]
fn multiple_nack_without_requeue_drops_all_up_to_its_tag() {
    let mut conn = shared().connect();
    let (mut ch, queue) = held(&mut conn, &["a", "b", "c"]);
    ch.send(nack_up_to(2, false));
    assert_eq!(left(conn, &queue), redelivered(&["c"]));
}

#[test]
fn rejected_message_returns_to_its_place() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    for _ in 0..3 {
        ch.got(&queue);
    }
    ch.send(reject(2, true));
    ch.send(reject(1, true));
    assert_eq!(ch.drain(&queue), ["a", "b", "d"]);
}

#[test]
fn requeued_message_goes_before_newer_ones() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["old"]);
    ch.got(&queue);
    ch.publish_all(&queue, ["new"]);
    ch.send(nack(1, true));
    let again = ch.got(&queue);
    assert_eq!((again.text(), again.method.redelivered), ("old", true));
    let new = ch.got(&queue);
    assert_eq!((new.text(), new.method.redelivered), ("new", false));
}

#[test]
fn multiple_nack_requeues_in_order() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    for _ in 0..3 {
        ch.got(&queue);
    }
    ch.send(nack_up_to(0, true));
    assert_eq!(ch.drain(&queue), ["a", "b", "c", "d"]);
}

#[test]
fn requeued_message_is_delivered_again_to_the_same_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.publish("", &queue, "again");
    for tag in 1..5 {
        let delivery = ch.delivery();
        assert_eq!((delivery.method.delivery_tag, delivery.method.redelivered), (tag, tag > 1));
        ch.send(reject(tag, true));
    }
}

#[test]
fn channel_close_requeues_in_order() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    let mut ch = conn.channel(1);
    ch.publish_all(&queue, ["a", "b", "c", "d"]);
    ch.consume_with(consume(&queue, "t"));
    ch.deliveries(["a", "b", "c", "d"]);
    ch.send(ack(2));
    ch.close();
    assert_eq!(conn.ch(2).drain(&queue), ["a", "c", "d"]);
}

#[test]
fn connection_drop_requeues_in_order() {
    let mut other = shared().connect();
    let mut ch = other.channel(1);
    let queue = ch.queue(&unique("dropped"));
    let mut conn = shared().connect();
    conn.channel(1).publish_all(&queue, ["a", "b", "c"]);
    conn.ch(1).consume(&queue, "t");
    conn.ch(1).deliveries(["a", "b", "c"]);
    drop(conn);
    ch.consume(&queue, "t");
    let again = ch.deliveries(["a", "b", "c"]);
    assert!(again.iter().all(|delivery| delivery.method.redelivered));
    let _: basic::CancelOk = ch.call(cancel("t"));
    let _: queue::DeleteOk = ch.call(delete(&queue));
}

#[test]
fn recover_requeues_everything() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.got(&queue);
    ch.got(&queue);
    let _: basic::RecoverOk = ch.call(basic::Recover { requeue: true });
    assert_eq!(ch.drain(&queue), ["a", "b", "c"]);
    ch.refused(ack(1), 406, &unknown_tag(1));
}

#[test]
fn recover_delivers_again_as_redelivered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.publish_all(&queue, ["a", "b"]);
    ch.deliveries(["a", "b"]);
    ch.send(basic::Recover { requeue: true });
    let frame = ch.conn.next_on(1);
    assert!(frame.method().and_then(basic::RecoverOk::find).is_some(), "{frame:?}");
    let again = ch.deliveries(["a", "b"]);
    assert_eq!(
        again.map(|m| (m.method.delivery_tag, m.method.redelivered)),
        [(3, true), (4, true)]
    );
}

#[test]
fn recover_with_nothing_to_recover_is_answered() {
    let mut conn = shared().connect();
    let _: basic::RecoverOk = conn.channel(1).call(basic::Recover { requeue: true });
}

#[test]
fn recover_without_requeue_is_not_implemented() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "a");
    ch.got(&queue);
    ch.fatal(basic::Recover { requeue: false }, 540, "NOT_IMPLEMENTED - requeue=false");
}

#[test]
fn recover_async_without_requeue_is_not_implemented() {
    let mut conn = shared().connect();
    conn.channel(1).fatal(
        basic::RecoverAsync { requeue: false },
        540,
        "NOT_IMPLEMENTED - requeue=false",
    );
}

#[test]
fn recover_async_requeues_without_an_answer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b"]);
    ch.got(&queue);
    ch.send(basic::RecoverAsync { requeue: true });
    assert_eq!(ch.drain(&queue), ["a", "b"]);
}

#[test]
fn first_delivery_is_not_redelivered_even_after_others_were() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b"]);
    ch.got(&queue);
    ch.send(reject(1, true));
    let flags = [ch.got(&queue), ch.got(&queue)].map(|m| m.method.redelivered);
    assert_eq!(flags, [true, false]);
}
