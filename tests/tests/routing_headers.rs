//! The headers exchange.

use lepus_tests::*;

type Fields<'a> = &'a [(&'a str, AMQPValue)];

/// Whether a message with these headers reaches a queue bound with these arguments.
#[track_caller]
fn routed(arguments: Fields<'_>, message: Fields<'_>) -> bool {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("headers"), ch.temp_queue());
    ch.exchange(&exchange, "headers");
    let arguments = table(arguments.iter().cloned());
    let _: queue::BindOk = ch.call(queue::Bind { arguments, ..bind(&queue, &exchange, "") });
    ch.publish_with(publish(&exchange, "ignored"), &headers(message.iter().cloned()), "m");
    !ch.drain(&queue).is_empty()
}

fn a() -> (&'static str, AMQPValue) {
    ("a", text("1"))
}

fn b() -> (&'static str, AMQPValue) {
    ("b", int(2))
}

fn x(mode: &str) -> (&'static str, AMQPValue) {
    ("x-match", text(mode))
}

#[test]
fn all_wants_every_header() {
    let bound = [x("all"), a(), b()];
    assert!(routed(&bound, &[a(), b()]));
    assert!(routed(&bound, &[a(), b(), ("c", flag(true))]));
    assert!(!routed(&bound, &[a()]));
    assert!(!routed(&bound, &[a(), ("b", int(3))]));
    assert!(!routed(&bound, &[]));
}

#[test]
fn all_is_the_default() {
    assert!(routed(&[a(), b()], &[a(), b()]));
    assert!(!routed(&[a(), b()], &[a()]));
}

#[test]
fn any_wants_one_header() {
    let bound = [x("any"), a(), b()];
    assert!(routed(&bound, &[a()]));
    assert!(routed(&bound, &[b(), ("a", text("other"))]));
    assert!(!routed(&bound, &[("a", text("other")), ("c", int(1))]));
    assert!(!routed(&bound, &[]));
}

#[test]
fn all_ignores_headers_that_begin_with_x() {
    assert!(routed(&[x("all"), a(), ("x-other", int(1))], &[a()]));
}

#[test]
fn any_ignores_headers_that_begin_with_x() {
    assert!(!routed(&[x("any"), a(), ("x-other", int(1))], &[("x-other", int(1))]));
}

#[test]
fn all_with_x_wants_headers_that_begin_with_x() {
    let bound = [x("all-with-x"), a(), ("x-other", int(1))];
    assert!(!routed(&bound, &[a()]));
    assert!(routed(&bound, &[a(), ("x-other", int(1))]));
}

#[test]
fn any_with_x_takes_headers_that_begin_with_x() {
    let bound = [x("any-with-x"), a(), ("x-other", int(1))];
    assert!(routed(&bound, &[("x-other", int(1))]));
    assert!(routed(&bound, &[a()]));
    assert!(!routed(&bound, &[("x-other", int(2))]));
}

#[test]
fn no_arguments_match_everything() {
    assert!(routed(&[], &[]));
    assert!(routed(&[], &[a()]));
    assert!(routed(&[x("all")], &[]));
}

#[test]
fn any_of_nothing_matches_nothing() {
    assert!(!routed(&[x("any")], &[]));
    assert!(!routed(&[x("any")], &[a()]));
}

#[test]
fn void_wants_the_header_whatever_its_value() {
    let bound = [("a", AMQPValue::Void)];
    assert!(routed(&bound, &[a()]));
    assert!(routed(&bound, &[("a", int(5))]));
    assert!(!routed(&bound, &[b()]));
}

#[test]
fn values_of_another_kind_differ() {
    assert!(!routed(&[("a", text("1"))], &[("a", int(1))]));
    assert!(!routed(&[("a", flag(true))], &[("a", text("true"))]));
    assert!(!routed(&[("a", flag(true))], &[("a", int(1))]));
}

#[test]
fn numbers_are_compared_by_value_whatever_their_type() {
    for number in
        [long(1), AMQPValue::ShortShortInt(1), AMQPValue::Double(1.0), AMQPValue::Timestamp(1)]
    {
        assert!(routed(&[("a", int(1))], &[("a", number.clone())]), "{number:?}");
        assert!(routed(&[("a", number.clone())], &[("a", int(1))]), "{number:?}");
        assert!(!routed(&[("a", int(2))], &[("a", number.clone())]), "{number:?}");
    }
}

#[test]
fn strings_and_bytes_are_compared_by_value() {
    let bytes = AMQPValue::ByteArray(b"1".to_vec().into());
    assert!(routed(&[a()], &[("a", bytes)]));
}

#[test]
fn values_of_the_same_type_are_compared() {
    let nested = |n| AMQPValue::FieldTable(table([("n", int(n))]));
    for (one, two) in [
        (long(1), long(2)),
        (flag(true), flag(false)),
        (AMQPValue::Double(1.5), AMQPValue::Double(2.5)),
        (AMQPValue::Timestamp(1), AMQPValue::Timestamp(2)),
        (list([int(1)]), list([int(2)])),
        (nested(1), nested(2)),
    ] {
        assert!(routed(&[("a", one.clone())], &[("a", one.clone())]), "{one:?}");
        assert!(!routed(&[("a", one.clone())], &[("a", two)]), "{one:?}");
    }
}

#[test]
fn message_without_headers_matches_like_one_with_none() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("headers"), ch.temp_queue());
    ch.exchange(&exchange, "headers");
    ch.bind(&queue, &exchange, "");
    ch.publish(&exchange, "", "bare");
    assert_eq!(ch.drain(&queue), ["bare"]);
}

#[track_caller]
fn refused_binding(arguments: Fields<'_>, text: &str) {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let arguments = table(arguments.iter().cloned());
    ch.refused(queue::Bind { arguments, ..bind(&queue, "amq.headers", "") }, 406, text);
}

#[test]
fn x_match_must_be_one_of_four() {
    let text = "PRECONDITION_FAILED - Invalid x-match field value <<\"some\">>; \
                expected all, any, all-with-x, or any-with-x";
    refused_binding(&[x("some")], text);
}

#[test]
fn x_match_must_be_a_string() {
    let text =
        "PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr";
    refused_binding(&[("x-match", int(1))], text);
}

#[test]
fn amq_match_is_a_headers_exchange() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let key = unique("value");
    let arguments = table([("id", text(&key))]);
    let _: queue::BindOk = ch.call(queue::Bind { arguments, ..bind(&queue, "amq.match", "") });
    ch.publish_with(publish("amq.match", ""), &headers([("id", text(&key))]), "matched");
    assert_eq!(ch.drain(&queue), ["matched"]);
}

#[test]
fn bindings_are_found_again_for_unbind_by_their_arguments() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("headers"), ch.temp_queue());
    ch.exchange(&exchange, "headers");
    let arguments = table([x("any"), a(), b()]);
    let _: queue::BindOk =
        ch.call(queue::Bind { arguments: arguments.clone(), ..bind(&queue, &exchange, "") });
    let other = table([x("any"), a()]);
    let _: queue::UnbindOk =
        ch.call(queue::Unbind { arguments: other, ..unbind(&queue, &exchange, "") });
    ch.publish_with(publish(&exchange, ""), &headers([b()]), "bound");
    let _: queue::UnbindOk = ch.call(queue::Unbind { arguments, ..unbind(&queue, &exchange, "") });
    ch.publish_with(publish(&exchange, ""), &headers([b()]), "unbound");
    assert_eq!(ch.drain(&queue), ["bound"]);
}
