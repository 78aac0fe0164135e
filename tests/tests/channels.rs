//! Channels: opening, closing, what is ignored while they close, and contents across frames.

use std::time::Duration;

use lepus_tests::*;

#[test]
fn method_on_an_unopened_channel_is_a_channel_error() {
    let text = "CHANNEL_ERROR - expected 'channel.open'";
    shared().connect().ch(5).fatal(qos(1), 504, text);
    shared().connect().ch(5).fatal(channel::CloseOk {}, 504, text);
    let close =
        channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    shared().connect().ch(5).fatal(close, 504, text);
}

#[test]
fn content_on_an_unopened_channel_is_unexpected() {
    let text = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    for bytes in [header_frame(5, 3, &props()), body_frame(5, b"abc")] {
        let mut conn = shared().connect();
        conn.send_raw(&bytes);
        conn.expect_close(505, text, (0, 0));
    }
}

#[test]
fn method_on_a_closed_channel_is_a_channel_error() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.close();
    ch.fatal(qos(1), 504, "CHANNEL_ERROR - expected 'channel.open'");
}

#[test]
fn channel_open_twice_is_a_channel_error() {
    let mut conn = shared().connect();
    conn.channel(1).fatal(channel::Open {}, 504, "CHANNEL_ERROR - second 'channel.open' seen");
}

#[test]
fn channel_methods_on_channel_0_are_errors() {
    let text = "CHANNEL_ERROR - unexpected method in connection state running";
    shared().connect().ch(0).fatal(channel::Open {}, 504, text);
    shared().connect().ch(0).fatal(declare("q"), 504, text);
}

#[test]
fn connection_methods_on_a_channel_are_invalid() {
    let mut conn = shared().connect();
    let close =
        connection::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    conn.channel(1).fatal(close, 503, "COMMAND_INVALID - unimplemented method");
}

#[test]
fn methods_that_only_servers_send_are_invalid() {
    let text = "COMMAND_INVALID - unimplemented method";
    shared().connect().channel(1).fatal(queue::DeclareOk::default(), 503, text);
    shared().connect().channel(1).fatal(basic::QosOk {}, 503, text);
    shared().connect().channel(1).fatal(basic::GetEmpty {}, 503, text);
    shared().connect().channel(1).fatal(basic::CancelOk { consumer_tag: "t".into() }, 503, text);
    shared().connect().channel(1).fatal(channel::OpenOk {}, 503, text);
    shared().connect().channel(1).fatal(channel::CloseOk {}, 503, text);
    shared().connect().channel(1).fatal(channel::FlowOk { active: true }, 503, text);
    shared().connect().channel(1).fatal(confirm::SelectOk {}, 503, text);
    shared().connect().channel(1).fatal(tx::SelectOk {}, 503, text);
    shared().connect().channel(1).fatal(exchange::BindOk {}, 503, text);
}

#[test]
fn contents_that_only_servers_send_are_invalid() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send(basic::Deliver::default());
    ch.conn.send_raw(&header_frame(1, 0, &props()));
    ch.conn.expect_close(503, "COMMAND_INVALID - unimplemented method", (60, 60));
}

#[test]
fn flow_off_is_not_implemented() {
    let mut conn = shared().connect();
    conn.channel(1).fatal(channel::Flow { active: false }, 540, "NOT_IMPLEMENTED - active=false");
}

#[test]
fn flow_on_is_answered() {
    let mut conn = shared().connect();
    let flow: channel::FlowOk = conn.channel(1).call(channel::Flow { active: true });
    assert!(flow.active);
}

#[test]
fn access_request_is_answered() {
    let mut conn = shared().connect();
    let request =
        access::Request { realm: "/data".into(), active: true, read: true, ..Default::default() };
    let _: access::RequestOk = conn.channel(1).call(request);
}

#[test]
fn as_many_channels_as_agreed_can_be_open() {
    let mut conn = shared().login(&Login { channel_max: 3, ..Login::default() });
    for id in 1..=3 {
        conn.channel(id);
    }
    conn.send(4, channel::Open {});
    let text =
        "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)";
    conn.expect_close(530, text, (0, 0));
}

#[test]
fn two_thousand_channels_can_be_open_and_work() {
    let mut conn = shared().connect();
    let queue = conn.channel(1).temp_queue();
    let opens = (2..=2047).map(|id| (id, channel::Open {}.wrap()));
    conn.send_together(opens);
    for id in 2..=2047 {
        let _: channel::OpenOk = conn.expect(id);
    }
    conn.ch(2047).publish("", &queue, "from the last");
    assert_eq!(conn.ch(2047).got(&queue).text(), "from the last");
}

/// RabbitMQ counts channels and does not look at their numbers.
#[test]
fn channel_number_above_channel_max_opens_or_is_refused() {
    let mut conn = shared().login(&Login { channel_max: 10, ..Login::default() });
    conn.send(11, channel::Open {});
    let answer = conn.next_frame().method().unwrap();
    match connection::Close::find(answer.clone()) {
        Some(close) => assert!([504, 530].contains(&close.reply_code), "{close:?}"),
        None => assert_eq!(answer, channel::OpenOk {}.wrap()),
    }
}

#[test]
fn closed_channels_do_not_count() {
    let mut conn = shared().login(&Login { channel_max: 1, ..Login::default() });
    for _ in 0..20 {
        conn.channel(1).close();
    }
}

#[test]
fn close_ok_frees_the_number() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for _ in 0..20 {
        let missing = unique("missing");
        ch.refused(get(&missing), 404, &format!("NOT_FOUND - no queue '{missing}' in vhost '/'"));
        ch.reopen();
    }
    let queue = ch.temp_queue();
    ch.publish("", &queue, "still works");
    assert_eq!(ch.got(&queue).text(), "still works");
}

#[test]
fn frames_after_a_channel_error_are_ignored_until_close_ok() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let missing = unique("missing");
    let mut bytes = get(&missing).bytes(1);
    bytes.extend(get("another").bytes(1));
    bytes.extend(declare("").bytes(1));
    bytes.extend(message_bytes(publish("", "nowhere"), &props(), "abc"));
    ch.conn.send_raw(&bytes);
    ch.expect_close(404, &format!("NOT_FOUND - no queue '{missing}' in vhost '/'"), (60, 70));
    ch.reopen();
    let _: basic::QosOk = ch.call(qos(1));
}

#[test]
fn channel_close_while_the_server_closes_is_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let missing = unique("missing");
    let close =
        channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    ch.send_together([get(&missing).wrap(), close.wrap()]);
    let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
    let got: channel::Close = ch.expect();
    assert_eq!((got.reply_code, got.reply_text.as_str()), (404, text.as_str()));
    let _: channel::CloseOk = ch.expect();
    ch.send(channel::CloseOk {});
    ch.reopen();
}

#[test]
fn channel_error_leaves_the_other_channels() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    let missing = unique("missing");
    let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
    conn.channel(1).refused(get(&missing), 404, &text);
    assert_eq!(conn.ch(2).counts(&queue), (0, 0));
}

#[test]
fn frames_after_connection_close_are_ignored() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("after-close"));
    let close =
        connection::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
    let mut bytes = close.bytes(0);
    bytes.extend(delete(&queue).bytes(1));
    bytes.extend(get("missing").bytes(1));
    conn.send_raw(&bytes);
    let _: connection::CloseOk = conn.expect(0);
    assert_eq!(shared().connect().channel(1).counts(&queue), (0, 0));
}

/// amqp091-go takes the socket's end for a fault if it comes before it has made sense of close-ok.
#[test]
fn after_its_close_the_client_closes_the_socket() {
    let mut conn = shared().connect();
    let _: connection::CloseOk = conn.call(0, connection::Close::default());
    assert!(!conn.ends_within(Duration::from_millis(300)));
}

#[test]
fn connection_close_crossing_the_servers_is_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.send_bytes(60, 10, &[0, 0, 0, 100, 0, 1, 0]);
    let _ = ch.conn.expect_close_frame();
    let close =
        connection::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
    let _: connection::CloseOk = conn.call(0, close);
}

#[test]
fn frames_after_the_servers_connection_close_are_ignored() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.queue(&unique("after-close"));
    let mut bytes = method_frame(1, 60, 10, &[0, 0, 0, 100, 0, 1, 0]);
    bytes.extend(delete(&queue).bytes(1));
    ch.conn.send_raw(&bytes);
    conn.expect_close(540, "NOT_IMPLEMENTED - prefetch_size!=0 (100)", (60, 10));
    assert_eq!(shared().connect().channel(1).counts(&queue), (0, 0));
}

#[test]
fn empty_body_frames_are_skipped() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let mut bytes = publish("", &queue).bytes(1);
    bytes.extend(header_frame(1, 3, &props()));
    for part in [&b""[..], b"ab", b"", b"c"] {
        bytes.extend(body_frame(1, part));
    }
    ch.conn.send_raw(&bytes);
    assert_eq!(ch.got(&queue).text(), "abc");
}

#[test]
fn empty_message_has_no_body_frame() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "");
    ch.publish("", &queue, "next");
    let empty = ch.got(&queue);
    assert_eq!((empty.body.len(), empty.frames.len()), (0, 0));
    assert_eq!(ch.got(&queue).text(), "next");
}

#[test]
fn heartbeats_may_come_in_the_middle_of_a_content() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let heartbeat = frame(HEARTBEAT, 0, b"");
    let content =
        [publish("", &queue).bytes(1), header_frame(1, 3, &props()), body_frame(1, b"abc")];
    ch.conn.send_raw(&content.join(&heartbeat[..]));
    assert_eq!(ch.got(&queue).text(), "abc");
}

#[test]
fn contents_of_two_channels_may_interleave() {
    let mut conn = shared().connect();
    conn.channel(2);
    let queue = conn.channel(1).temp_queue();
    let publishes = [publish("", &queue).bytes(1), publish("", &queue).bytes(2)];
    let headers = [header_frame(2, 3, &props()), header_frame(1, 3, &props())];
    let bodies = [body_frame(1, b"one"), body_frame(2, b"two")];
    conn.send_raw(&[publishes.concat(), headers.concat(), bodies.concat()].concat());
    conn.ch(2).barrier(&queue);
    let mut bodies = conn.ch(1).drain(&queue);
    bodies.sort();
    assert_eq!(bodies, ["one", "two"]);
}

#[test]
fn large_message_is_cut_into_frames_of_the_consumers_frame_max() {
    let mut producer = shared().connect();
    let mut consumer = shared().login(&Login { frame_max: 4096, ..Login::default() });
    let mut ch = consumer.channel(1);
    let queue = ch.queue(&unique("large"));
    let body: Vec<u8> = (0..300_000_u32).map(|byte| byte.to_be_bytes()[3]).collect();
    producer.channel(1).publish("", &queue, &body);
    producer.ch(1).barrier(&queue);
    let message = ch.got(&queue);
    assert_eq!(message.body, body);
    assert!(message.frames.iter().all(|size| *size <= 4088), "{:?}", message.frames);
    let _: queue::DeleteOk = ch.call(delete(&queue));
}

#[test]
fn message_in_many_small_frames_arrives_whole() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let mut bytes = publish("", &queue).bytes(1);
    bytes.extend(header_frame(1, 5_000, &props()));
    for part in 0..5_000_u32 {
        bytes.extend(body_frame(1, &part.to_be_bytes()[3..]));
    }
    ch.conn.send_raw(&bytes);
    let message = ch.got(&queue);
    assert_eq!(message.body.len(), 5_000);
    assert_eq!(message.frames, [5_000]);
}

#[test]
fn channel_close_in_the_middle_of_nothing_is_answered() {
    let mut conn = shared().connect();
    conn.channel(7).close();
    conn.channel(7);
}
