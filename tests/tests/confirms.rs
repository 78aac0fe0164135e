//! Publisher confirms.

use lepus_tests::*;

#[test]
fn every_message_is_confirmed_once_from_one_on() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.confirm_select();
    for number in 0..100 {
        ch.publish("", &queue, number.to_string());
    }
    ch.confirmed(1, 100);
    assert_eq!(ch.drain(&queue).len(), 100);
}

#[test]
fn messages_before_confirm_select_do_not_count() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "unconfirmed");
    ch.confirm_select();
    ch.publish("", &queue, "confirmed");
    ch.confirmed(1, 1);
}

#[test]
fn unroutable_message_is_confirmed() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    ch.publish("", &unique("nowhere"), "lost");
    ch.confirmed(1, 1);
}

#[test]
fn fan_out_is_confirmed_once() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queues) = (unique("fan"), [ch.temp_queue(), ch.temp_queue(), ch.temp_queue()]);
    ch.exchange(&exchange, "fanout");
    for queue in &queues {
        ch.bind(queue, &exchange, "");
    }
    ch.confirm_select();
    ch.publish(&exchange, "", "one");
    ch.publish(&exchange, "", "two");
    ch.confirmed(1, 2);
    ch.expect_silence(&queues[0]);
}

#[test]
fn persistent_message_in_a_durable_queue_is_confirmed() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("durable");
    ch.declare(queue::Declare { durable: true, ..declare(&name) });
    ch.confirm_select();
    ch.publish_with(publish("", &name), &props().with_delivery_mode(2), "kept");
    ch.confirmed(1, 1);
    let _: queue::DeleteOk = ch.call(delete(&name));
}

#[test]
fn select_twice_is_fine_and_keeps_counting() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.confirm_select();
    ch.publish("", &queue, "one");
    ch.confirmed(1, 1);
    ch.confirm_select();
    ch.publish("", &queue, "two");
    ch.confirmed(2, 2);
}

#[test]
fn select_without_wait_is_not_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.send(confirm::Select { nowait: true });
    ch.publish("", &queue, "one");
    ch.confirmed(1, 1);
}

#[test]
fn counting_starts_again_on_a_new_channel() {
    let mut conn = shared().connect();
    for id in [1, 2] {
        let mut ch = conn.channel(id);
        let queue = ch.temp_queue();
        ch.confirm_select();
        ch.publish("", &queue, "one");
        ch.confirmed(1, 1);
    }
}

#[test]
fn confirms_come_while_the_messages_are_consumed() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    conn.ch(2).consume_with(consume_no_ack(&queue, "t"));
    let mut ch = conn.channel(1);
    ch.confirm_select();
    for number in 0..50 {
        ch.publish("", &queue, number.to_string());
    }
    ch.confirmed(1, 50);
    for number in 0..50 {
        assert_eq!(conn.ch(2).delivery().text(), number.to_string());
    }
}

#[test]
fn transaction_channel_cannot_confirm() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let _: tx::SelectOk = ch.call(tx::Select {});
    let text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode";
    ch.refused(confirm::Select { nowait: false }, 406, text);
}

#[test]
fn confirming_channel_cannot_have_transactions() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    ch.refused(tx::Select {}, 406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode");
}

#[test]
fn refused_message_is_not_confirmed() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.confirm_select();
    ch.publish("", "nowhere", "fine");
    ch.confirmed(1, 1);
    ch.publish(&unique("missing"), "key", "refused");
    let close: channel::Close = ch.expect();
    assert_eq!(close.reply_code, 404);
}
