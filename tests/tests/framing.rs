//! Frames that are wrong in themselves, or come in the wrong order.

use lepus_tests::*;

const EXPECTED_METHOD: &str =
    "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
const EXPECTED_HEADER: &str =
    "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead";
const EXPECTED_BODY: &str =
    "UNEXPECTED_FRAME - expected content body, got non content body frame instead";

/// Opens channel 1, sends these frames and expects this end.
#[track_caller]
fn breaks(frames: &[Vec<u8>], code: u16, text: &str, ids: (u16, u16)) {
    let mut conn = shared().connect();
    conn.channel(1);
    conn.send_raw(&frames.concat());
    conn.expect_close(code, text, ids);
}

fn publish_frame() -> Vec<u8> {
    publish("", "nowhere").bytes(1)
}

fn header(size: u64) -> Vec<u8> {
    header_frame(1, size, &props())
}

fn qos_frame() -> Vec<u8> {
    qos(1).bytes(1)
}

#[test]
fn wrong_frame_end_is_a_frame_error() {
    let mut bytes = channel::Open {}.bytes(1);
    *bytes.last_mut().unwrap() = 0;
    let text = "FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}";
    breaks(&[bytes], 501, text, (0, 0));
}

#[test]
fn wrong_frame_end_of_an_empty_frame_prints_no_octets() {
    let text = "FRAME_ERROR - type 8, all octets = <<>>: {invalid_frame_end_marker,7}";
    breaks(&[vec![8, 0, 0, 0, 0, 0, 0, 7]], 501, text, (0, 0));
}

#[test]
fn unknown_frame_type_is_a_frame_error_on_any_channel() {
    for channel in [0, 1, 9] {
        let text = "FRAME_ERROR - type 4, all octets = <<\"abc\">>: unknown_frame";
        breaks(&[frame(4, channel, b"abc")], 501, text, (0, 0));
    }
    let text = "FRAME_ERROR - type 255, all octets = <<>>: unknown_frame";
    breaks(&[frame(255, 1, b"")], 501, text, (0, 0));
}

#[test]
fn frame_larger_than_frame_max_is_refused_by_its_header_alone() {
    let text = "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131073,131064}";
    let header = [3, 0, 1, 0, 2, 0, 1].to_vec();
    breaks(&[header], 501, text, (0, 0));
}

#[test]
fn frame_of_4_gib_is_refused() {
    let text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}";
    breaks(&[vec![1, 0, 1, 255, 255, 255, 255]], 501, text, (0, 0));
}

#[test]
fn negotiated_frame_max_is_the_limit() {
    let mut conn = shared().login(&Login { frame_max: 4096, ..Login::default() });
    conn.send_raw(&[3, 0, 1, 0, 0, 16, 1]);
    let text = "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}";
    conn.expect_close(501, text, (0, 0));
}

#[test]
fn payload_of_frame_max_bytes_passes() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let body = vec![7; 131_072];
    let frames = [publish("", &queue).bytes(1), header(131_072), body_frame(1, &body)];
    ch.conn.send_raw(&frames.concat());
    assert_eq!(ch.got(&queue).body, body);
}

#[test]
fn method_frame_too_short_for_its_ids_is_a_frame_error() {
    let text = "FRAME_ERROR - type 1, all octets = <<0,60>>: unknown_frame";
    breaks(&[frame(METHOD, 1, &[0, 60])], 501, text, (0, 0));
    let text = "FRAME_ERROR - type 1, all octets = <<>>: unknown_frame";
    breaks(&[frame(METHOD, 0, &[])], 501, text, (0, 0));
}

#[test]
fn content_header_too_short_is_a_frame_error() {
    let text = "FRAME_ERROR - type 2, all octets = <<0,60,0,0>>: unknown_frame";
    breaks(&[publish_frame(), frame(HEADER, 1, &[0, 60, 0, 0])], 501, text, (0, 0));
}

#[test]
fn header_without_a_method_is_unexpected() {
    breaks(&[header(3)], 505, EXPECTED_METHOD, (0, 0));
}

#[test]
fn body_without_a_method_is_unexpected() {
    breaks(&[body_frame(1, b"abc")], 505, EXPECTED_METHOD, (0, 0));
}

#[test]
fn body_after_the_whole_body_is_unexpected() {
    let frames = [publish_frame(), header(3), body_frame(1, b"abc"), body_frame(1, b"")];
    breaks(&frames, 505, EXPECTED_METHOD, (0, 0));
}

#[test]
fn body_instead_of_a_header_is_unexpected() {
    breaks(&[publish_frame(), body_frame(1, b"abc")], 505, EXPECTED_HEADER, (60, 40));
}

#[test]
fn method_instead_of_a_header_is_unexpected() {
    breaks(&[publish_frame(), qos_frame()], 505, EXPECTED_HEADER, (60, 40));
}

#[test]
fn method_in_the_middle_of_a_body_is_unexpected() {
    breaks(&[publish_frame(), header(3), qos_frame()], 505, EXPECTED_BODY, (60, 40));
    let frames = [publish_frame(), header(3), body_frame(1, b"a"), qos_frame()];
    breaks(&frames, 505, EXPECTED_BODY, (60, 40));
}

#[test]
fn second_header_is_unexpected() {
    breaks(&[publish_frame(), header(3), header(3)], 505, EXPECTED_BODY, (60, 40));
}

#[test]
fn channel_close_in_the_middle_of_a_body_is_unexpected() {
    let close =
        channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    breaks(&[publish_frame(), header(3), close.bytes(1)], 505, EXPECTED_BODY, (60, 40));
}

#[test]
fn header_of_another_class_is_unexpected() {
    let mut payload = vec![0, 50, 0, 0];
    payload.extend([0; 10]);
    let text =
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead";
    breaks(&[publish_frame(), frame(HEADER, 1, &payload)], 505, text, (60, 40));
}

#[test]
fn header_with_a_weight_is_unexpected() {
    let mut payload = vec![0, 60, 0, 1];
    payload.extend([0; 10]);
    breaks(&[publish_frame(), frame(HEADER, 1, &payload)], 505, EXPECTED_HEADER, (60, 40));
}

/// Sends frames and expects the connection's end with one of these codes.
#[track_caller]
fn breaks_with_one_of(frames: &[Vec<u8>], codes: &[u16]) {
    let mut conn = shared().connect();
    conn.channel(1);
    conn.send_raw(&frames.concat());
    let close = conn.expect_close_frame();
    assert!(codes.contains(&close.reply_code), "{close:?}");
    conn.finish_close();
}

fn raw_properties(properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend([0; 8]);
    payload.extend(properties);
    frame(HEADER, 1, &payload)
}

#[test]
fn truncated_properties_break_the_connection() {
    breaks_with_one_of(&[publish_frame(), raw_properties(b"\x80\x00\x10ab")], &[501, 541]);
}

#[test]
fn bytes_after_the_properties_break_the_connection() {
    breaks_with_one_of(&[publish_frame(), raw_properties(b"\x00\x00zzz")], &[501, 541]);
}

#[test]
fn second_word_of_property_flags_breaks_the_connection() {
    breaks_with_one_of(&[publish_frame(), raw_properties(&[0, 1, 0, 0])], &[501, 541]);
}

#[test]
fn body_longer_than_announced_is_a_frame_error() {
    lepus_only!("RabbitMQ 3.10 goes on to wait for more");
    breaks_with_one_of(&[publish_frame(), header(3), body_frame(1, b"abcd")], &[501]);
    let frames = [publish_frame(), header(3), body_frame(1, b"ab"), body_frame(1, b"cd")];
    breaks_with_one_of(&frames, &[501]);
}

#[test]
fn content_frames_on_channel_0_are_unexpected() {
    let text = "UNEXPECTED_FRAME - type 3, all octets = <<\"a\">>";
    breaks(&[body_frame(0, b"a")], 505, text, (0, 0));
    let text = "UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,3,0,0>>";
    breaks(&[header_frame(0, 3, &props())], 505, text, (0, 0));
}

#[test]
fn heartbeat_on_another_channel_is_unexpected() {
    for channel in [1, 9] {
        let text = "UNEXPECTED_FRAME - type 8, all octets = <<>>";
        breaks(&[frame(HEARTBEAT, channel, b"")], 505, text, (0, 0));
    }
}

#[test]
fn heartbeat_with_a_payload_is_a_frame_error() {
    let text = "FRAME_ERROR - type 8, all octets = <<\"abc\">>: unknown_frame";
    breaks(&[frame(HEARTBEAT, 0, b"abc")], 501, text, (0, 0));
}

#[test]
fn truncated_arguments_are_a_frame_error() {
    let text = "FRAME_ERROR - cannot decode <<0,0>>";
    breaks(&[method_frame(1, 60, 10, &[0, 0])], 501, text, (60, 10));
    let text = "FRAME_ERROR - cannot decode <<0,0,32,97,98,99>>";
    breaks(&[method_frame(1, 50, 10, b"\0\0\x20abc")], 501, text, (50, 10));
}

#[test]
fn bytes_after_the_arguments_are_a_frame_error() {
    let text = "FRAME_ERROR - cannot decode <<0,0,0,0,0,1,0,122,122>>";
    breaks(&[method_frame(1, 60, 10, b"\0\0\0\0\0\x01\0zz")], 501, text, (60, 10));
}

#[test]
fn table_longer_than_its_method_is_a_frame_error() {
    let text = "FRAME_ERROR - cannot decode <<0,0,1,113,0,0,0,0,100,97,98,99>>";
    breaks(&[method_frame(1, 50, 10, b"\0\0\x01q\0\0\0\0\x64abc")], 501, text, (50, 10));
}

#[test]
fn truncated_arguments_on_channel_0_break_the_connection() {
    breaks_with_one_of(&[method_frame(0, 10, 50, &[0])], &[501, 541]);
}

/// RabbitMQ drops the socket; a reply is better.
#[track_caller]
fn breaks_somehow(frames: &[Vec<u8>], codes: &[u16]) {
    let mut conn = shared().connect();
    conn.channel(1);
    conn.send_raw(&frames.concat());
    let Some(close) = conn.close_or_eof() else { return };
    assert!(codes.contains(&close.reply_code), "{close:?}");
    conn.finish_close();
}

#[test]
fn unknown_class_breaks_the_connection() {
    breaks_somehow(&[method_frame(1, 77, 10, b"")], &[501, 503, 540, 541]);
    breaks_somehow(&[method_frame(0, 77, 10, b"")], &[501, 503, 540, 541]);
}

#[test]
fn unknown_method_breaks_the_connection() {
    breaks_somehow(&[method_frame(1, 60, 99, b"")], &[501, 503, 540, 541]);
    breaks_somehow(&[method_frame(0, 10, 99, b"")], &[501, 503, 540, 541]);
}

#[test]
fn unknown_field_type_in_arguments_breaks_the_connection() {
    let arguments = b"\0\0\x01q\x08\0\0\0\x06\x01k?abc";
    breaks_somehow(&[method_frame(1, 50, 10, arguments)], &[501, 502, 541]);
}

#[test]
fn broken_frame_after_the_servers_close_ends_the_connection() {
    lepus_only!("RabbitMQ says it again");
    let mut conn = shared().connect();
    conn.channel(1);
    conn.send_raw(&frame(4, 0, b"abc"));
    conn.expect_close_frame();
    conn.send_raw(&frame(4, 0, b"abc"));
    conn.expect_eof();
}
