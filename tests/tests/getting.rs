//! `basic.get`.

use lepus_tests::*;

#[test]
fn get_from_an_empty_queue_is_empty() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: basic::GetEmpty = ch.call(get(&queue));
}

#[test]
fn get_ok_counts_the_messages_left() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b", "c"]);
    for left in [2, 1, 0] {
        let message = ch.got(&queue);
        let expected = basic::GetOk {
            delivery_tag: 3 - u64::from(left),
            redelivered: false,
            exchange: "".into(),
            routing_key: queue.as_str().into(),
            message_count: left,
        };
        assert_eq!(message.method, expected);
    }
}

#[test]
fn get_without_ack_takes_the_message() {
    let mut conn = shared().connect();
    let queue = conn.channel(1).temp_queue();
    let mut ch = conn.channel(2);
    ch.publish("", &queue, "taken");
    let taken = ch.get(&queue, true).unwrap();
    assert_eq!(taken.method.delivery_tag, 1);
    ch.close();
    assert!(conn.ch(1).get(&queue, true).is_none());
}

#[test]
fn get_without_ack_uses_up_a_delivery_tag() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b"]);
    ch.get(&queue, true).unwrap();
    assert_eq!(ch.got(&queue).method.delivery_tag, 2);
    ch.refused(ack(1), 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn get_from_a_missing_queue_is_not_found() {
    let mut conn = shared().connect();
    let name = unique("missing");
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    conn.channel(1).refused(get(&name), 404, &text);
}

#[test]
fn get_does_not_count_against_the_consumers_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: basic::QosOk = ch.call(qos(1));
    ch.publish_all(&queue, ["gotten", "consumed"]);
    ch.got(&queue);
    ch.consume(&queue, "t");
    ch.deliveries(["consumed"]);
}

#[test]
fn get_passes_a_full_channel_prefetch() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let _: basic::QosOk = ch.call(qos_global(1));
    ch.publish_all(&queue, ["a", "b", "c"]);
    assert_eq!([(); 3].map(|()| ch.got(&queue).text().to_string()), ["a", "b", "c"]);
}
