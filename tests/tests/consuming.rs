//! Consumers: tags, order, fairness, exclusivity, priorities, cancelling.

use lepus_tests::*;

#[test]
fn delivery_carries_tag_exchange_and_key() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, key) = (ch.temp_queue(), unique("key"));
    ch.bind(&queue, "amq.direct", &key);
    assert_eq!(ch.consume(&queue, "mine"), "mine");
    ch.publish("amq.direct", &key, "hello");
    let expected = basic::Deliver {
        consumer_tag: "mine".into(),
        delivery_tag: 1,
        redelivered: false,
        exchange: "amq.direct".into(),
        routing_key: key.as_str().into(),
    };
    let delivery = ch.delivery();
    assert_eq!((&delivery.method, delivery.text()), (&expected, "hello"));
}

#[test]
fn delivery_tags_count_from_one_on_each_channel() {
    let mut conn = shared().connect();
    for id in [1, 2] {
        let mut ch = conn.channel(id);
        let queue = ch.temp_queue();
        ch.publish_all(&queue, ["a", "b", "c"]);
        let tags = [(); 3].map(|()| ch.got(&queue).method.delivery_tag);
        assert_eq!(tags, [1, 2, 3]);
    }
}

#[test]
fn waiting_messages_are_delivered_in_order_to_a_new_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b", "c"]);
    ch.consume_with(consume_no_ack(&queue, "t"));
    ch.deliveries(["a", "b", "c"]);
    ch.publish_all(&queue, ["d"]);
    ch.deliveries(["d"]);
}

#[test]
fn server_makes_a_tag_when_there_is_none() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let (one, two) = (ch.consume(&queue, ""), ch.consume(&queue, ""));
    assert!(one.starts_with("amq.ctag-"), "{one}");
    assert_eq!(one.len(), "amq.ctag-".len() + 22, "{one}");
    assert_ne!(one, two);
}

#[test]
fn same_tag_twice_on_a_channel_is_a_connection_error() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "twice");
    ch.fatal(consume(&queue, "twice"), 530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'");
}

#[test]
fn same_tag_on_two_channels_is_fine() {
    let mut conn = shared().connect();
    let queue = conn.channel(1).temp_queue();
    conn.ch(1).consume(&queue, "same");
    conn.channel(2).consume(&queue, "same");
}

#[test]
fn tag_is_free_again_after_cancel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for _ in 0..3 {
        ch.consume(&queue, "again");
        let ok: basic::CancelOk = ch.call(cancel("again"));
        assert_eq!(ok.consumer_tag.as_str(), "again");
    }
}

#[test]
fn consume_of_a_missing_queue_is_not_found() {
    let mut conn = shared().connect();
    let name = unique("missing");
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    conn.channel(1).refused(consume(&name, "t"), 404, &text);
}

#[test]
fn consume_without_wait_is_not_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "at once");
    ch.send(basic::Consume { nowait: true, ..consume(&queue, "t") });
    ch.deliveries(["at once"]);
}

#[test]
fn no_local_is_accepted_and_ignored() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume_with(basic::Consume { no_local: true, ..consume(&queue, "t") });
    ch.publish("", &queue, "own");
    ch.deliveries(["own"]);
}

#[test]
fn cancel_stops_the_deliveries() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.publish("", &queue, "before");
    ch.deliveries(["before"]);
    let _: basic::CancelOk = ch.call(cancel("t"));
    ch.publish("", &queue, "after");
    ch.expect_silence(&queue);
    assert_eq!(ch.got(&queue).text(), "after");
}

#[test]
fn cancel_leaves_unacknowledged_deliveries_to_be_settled() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.publish("", &queue, "held");
    let [held] = ch.deliveries(["held"]);
    let _: basic::CancelOk = ch.call(cancel("t"));
    assert!(ch.get(&queue, true).is_none());
    ch.send(reject(held.method.delivery_tag, true));
    assert_eq!(ch.drain(&queue), ["held"]);
}

#[test]
fn cancel_of_an_unknown_tag_is_answered() {
    let mut conn = shared().connect();
    let ok: basic::CancelOk = conn.channel(1).call(cancel("unknown"));
    assert_eq!(ok.consumer_tag.as_str(), "unknown");
}

#[test]
fn cancel_without_wait_is_not_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
    ch.send(basic::Cancel { nowait: true, ..cancel("t") });
    ch.expect_counts(&queue, (0, 0));
    ch.publish("", &queue, "kept");
    assert_eq!(ch.got(&queue).text(), "kept");
}

#[test]
fn consumers_of_a_queue_take_turns() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for tag in ["a", "b", "c"] {
        ch.consume_with(consume_no_ack(&queue, tag));
    }
    let mut tags = Vec::new();
    for number in 0..6 {
        ch.publish("", &queue, number.to_string());
        tags.push(ch.delivery().method.consumer_tag.to_string());
    }
    assert_eq!(tags[..3], tags[3..]);
    tags.truncate(3);
    tags.sort();
    assert_eq!(tags, ["a", "b", "c"]);
}

#[test]
fn exclusive_consumer_keeps_others_away() {
    let (mut conn, mut other) = (shared().connect(), shared().connect());
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("exclusive"));
    ch.consume_with(basic::Consume { exclusive: true, ..consume(&queue, "only") });
    let text = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
    let mut other = other.channel(1);
    other.refused(consume(&queue, "late"), 403, &text);
    other.reopen();
    other.refused(basic::Consume { exclusive: true, ..consume(&queue, "late") }, 403, &text);
    let _: basic::CancelOk = ch.call(cancel("only"));
    other.reopen();
    other.consume(&queue, "late");
    let _: queue::DeleteOk = ch.call(delete(&queue));
}

#[test]
fn exclusive_consumer_is_refused_when_there_are_others() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume(&queue, "first");
    let text = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
    ch.refused(basic::Consume { exclusive: true, ..consume(&queue, "only") }, 403, &text);
}

#[test]
fn get_works_beside_an_exclusive_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: basic::QosOk = ch.call(qos(1));
    ch.consume_with(basic::Consume { exclusive: true, ..consume(&queue, "only") });
    ch.publish_all(&queue, ["consumed", "gotten"]);
    ch.deliveries(["consumed"]);
    assert_eq!(ch.got(&queue).text(), "gotten");
}

fn with_priority(queue: &str, tag: &str, priority: i32) -> basic::Consume {
    basic::Consume { arguments: table([("x-priority", int(priority))]), ..consume(queue, tag) }
}

#[test]
fn higher_priority_is_served_first_until_its_prefetch_is_full() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: basic::QosOk = ch.call(qos(2));
    ch.consume_with(with_priority(&queue, "low", -1));
    ch.consume(&queue, "default");
    ch.consume_with(with_priority(&queue, "high", 10));
    let mut tags = Vec::new();
    for number in 0..6 {
        ch.publish("", &queue, number.to_string());
        tags.push(ch.delivery().method.consumer_tag.to_string());
    }
    assert_eq!(tags, ["high", "high", "default", "default", "low", "low"]);
}

#[test]
fn priority_must_be_an_integer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let arguments = table([("x-priority", text("high"))]);
    let text = format!(
        "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/': \
         \"expected integer, got longstr\""
    );
    ch.refused(basic::Consume { arguments, ..consume(&queue, "t") }, 406, &text);
}

#[test]
fn client_is_told_when_its_queue_goes() {
    let mut conn = shared().connect();
    let name = conn.channel(1).queue(&unique("deleted"));
    conn.ch(1).consume(&name, "t");
    let _: queue::DeleteOk = shared().connect().channel(1).call(delete(&name));
    let told: basic::Cancel = conn.ch(1).expect();
    assert_eq!((told.consumer_tag.as_str(), told.nowait), ("t", true));
    let _: basic::QosOk = conn.ch(1).call(qos(1));
}

#[test]
fn client_without_the_capability_is_not_told() {
    let mut conn = shared().login(&Login { capabilities: vec![], ..Login::default() });
    let name = conn.channel(1).queue(&unique("deleted"));
    let other = conn.ch(1).temp_queue();
    conn.ch(1).consume(&name, "t");
    let _: queue::DeleteOk = shared().connect().channel(1).call(delete(&name));
    conn.ch(1).expect_silence(&other);
}

#[test]
fn tag_of_a_consumer_whose_queue_went_is_free() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("deleted"));
    ch.consume(&name, "t");
    ch.send(delete(&name));
    let mut frames = [ch.conn.next_on(1), ch.conn.next_on(1)].map(|frame| frame.method().unwrap());
    frames.sort_by_key(AMQPClass::get_amqp_class_id);
    assert_eq!(frames[0], queue::DeleteOk { message_count: 0 }.wrap());
    assert_eq!(frames[1], basic::Cancel { consumer_tag: "t".into(), nowait: true }.wrap());
    let queue = ch.temp_queue();
    ch.consume(&queue, "t");
}

#[test]
fn deliveries_of_a_deleted_queue_can_still_be_acknowledged() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("deleted"));
    ch.publish("", &name, "held");
    let tag = ch.got(&name).method.delivery_tag;
    let _: queue::DeleteOk = ch.call(delete(&name));
    ch.send(ack(tag));
    let _: basic::QosOk = ch.call(qos(1));
}

#[test]
fn no_ack_deliveries_are_gone_at_once() {
    let mut conn = shared().connect();
    let queue = conn.channel(1).temp_queue();
    let mut ch = conn.channel(2);
    ch.consume_with(consume_no_ack(&queue, "t"));
    ch.publish("", &queue, "gone");
    ch.deliveries(["gone"]);
    ch.close();
    assert!(conn.ch(1).get(&queue, true).is_none());
}

#[test]
fn no_ack_deliveries_cannot_be_acknowledged() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.consume_with(consume_no_ack(&queue, "t"));
    ch.publish("", &queue, "gone");
    let [gone] = ch.deliveries(["gone"]);
    ch.refused(ack(gone.method.delivery_tag), 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn consumers_of_two_queues_share_a_channel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.consume(&one, "one");
    ch.consume(&two, "two");
    ch.publish("", &one, "1");
    assert_eq!(ch.delivery().method.consumer_tag.as_str(), "one");
    ch.publish("", &two, "2");
    assert_eq!(ch.delivery().method.consumer_tag.as_str(), "two");
}
