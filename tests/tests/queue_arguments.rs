//! Arguments of `queue.declare`: what is accepted, and what is wrong with the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lepus_tests::*;

#[track_caller]
fn invalid(name: &str, value: AMQPValue, why: &str) {
    let mut conn = shared().connect();
    let queue = unique("invalid");
    let arguments = table([(name, value)]);
    let text = format!(
        "PRECONDITION_FAILED - invalid arg '{name}' for queue '{queue}' in vhost '/': {why}"
    );
    conn.channel(1).refused(queue::Declare { arguments, ..declare(&queue) }, 406, &text);
}

#[track_caller]
fn accepted(arguments: FieldTable) {
    let mut conn = shared().connect();
    let queue = unique("accepted");
    conn.channel(1).declare(queue::Declare { arguments, exclusive: true, ..declare(&queue) });
}

#[test]
fn integers_must_be_integers() {
    for name in
        ["x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority"]
    {
        invalid(name, text("5"), "\"expected integer, got longstr\"");
    }
}

#[test]
fn negative_numbers_are_refused() {
    for name in ["x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes"] {
        invalid(name, int(-1), "{value_negative,-1}");
    }
}

#[test]
fn expires_must_not_be_zero() {
    invalid("x-expires", int(0), "{value_zero,0}");
}

#[test]
fn times_beyond_ten_years_are_refused() {
    for name in ["x-message-ttl", "x-expires"] {
        invalid(name, long(315_360_000_001), "{value_too_large,315360000001}");
    }
}

#[test]
fn max_priority_is_at_most_255() {
    invalid("x-max-priority", int(256), "{max_value_exceeded,256}");
    invalid("x-max-priority", int(-1), "{value_negative,-1}");
}

#[test]
fn dead_letter_exchange_must_be_a_string() {
    let mut conn = shared().connect();
    let queue = unique("invalid");
    let arguments = table([("x-dead-letter-exchange", int(1))]);
    let text = format!(
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' \
         in queue '{queue}' in vhost '/'"
    );
    conn.channel(1).refused(queue::Declare { arguments, ..declare(&queue) }, 406, &text);
}

#[test]
fn dead_letter_routing_key_must_be_a_string() {
    let mut conn = shared().connect();
    let queue = unique("invalid");
    let arguments =
        table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", int(1))]);
    let text = format!(
        "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '{queue}' in vhost '/': \
         {{unacceptable_type,signedint}}"
    );
    conn.channel(1).refused(queue::Declare { arguments, ..declare(&queue) }, 406, &text);
}

#[test]
fn dead_letter_routing_key_needs_an_exchange() {
    invalid("x-dead-letter-routing-key", text("key"), "routing_key_but_no_dlx_defined");
}

#[test]
fn overflow_is_one_of_three() {
    invalid("x-overflow", text("nonsense"), "invalid_overflow");
    invalid("x-overflow", int(1), "{unacceptable_type,signedint}");
    for value in ["drop-head", "reject-publish", "reject-publish-dlx"] {
        accepted(table([("x-overflow", text(value))]));
    }
}

#[test]
fn queue_mode_is_default_or_lazy() {
    invalid("x-queue-mode", text("nonsense"), "\"unsupported queue mode 'nonsense'\"");
    for value in ["default", "lazy"] {
        accepted(table([("x-queue-mode", text(value))]));
    }
}

#[test]
fn single_active_consumer_is_a_boolean() {
    invalid("x-single-active-consumer", text("true"), "{unacceptable_type,longstr}");
    accepted(table([("x-single-active-consumer", flag(true))]));
}

#[test]
fn queue_type_must_be_known() {
    invalid("x-queue-type", text("nonsense"), "\"unsupported queue type 'nonsense'\"");
    accepted(table([("x-queue-type", text("classic"))]));
}

#[test]
fn usual_arguments_are_accepted() {
    accepted(table([
        ("x-message-ttl", int(0)),
        ("x-expires", int(60_000)),
        ("x-max-length", int(0)),
        ("x-max-length-bytes", long(1 << 40)),
        ("x-max-priority", AMQPValue::ShortShortInt(10)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("")),
    ]));
    accepted(table([("x-message-ttl", long(315_360_000_000))]));
    accepted(table([("x-expires", AMQPValue::LongUInt(60_000))]));
}
