//! Arguments of `queue.declare`: what is accepted, and what is wrong with the rest.

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

/// A quorum queue with one more argument, or with other properties, is refused.
#[track_caller]
fn no_quorum_queue(arguments: FieldTable, change: queue::Declare, why: &str) {
    let mut conn = shared().connect();
    let queue = unique("quorum");
    let mut all = table([("x-queue-type", text("quorum"))]);
    for (name, value) in arguments.inner() {
        all.insert(name.clone(), value.clone());
    }
    let declare = queue::Declare { arguments: all, queue: queue.as_str().into(), ..change };
    let text = format!("PRECONDITION_FAILED - {}", why.replace('Q', &queue));
    conn.channel(1).refused(declare, 406, &text);
}

fn durable() -> queue::Declare {
    queue::Declare { durable: true, ..declare("") }
}

#[test]
fn quorum_queues_refuse_arguments_of_other_types() {
    for (name, value) in [
        ("x-max-priority", int(5)),
        ("x-max-priority", text("not a number")),
        ("x-queue-mode", text("lazy")),
        ("x-queue-version", int(2)),
        ("x-queue-master-locator", text("client-local")),
        ("x-max-age", text("1D")),
        ("x-stream-max-segment-size-bytes", int(5)),
        ("x-initial-cluster-size", int(3)),
    ] {
        let why = format!(
            "invalid arg '{name}' for queue 'Q' in vhost '/' of queue type rabbit_quorum_queue"
        );
        no_quorum_queue(table([(name, value)]), durable(), &why);
    }
}

#[test]
fn quorum_queues_are_durable_and_neither_exclusive_nor_auto_delete() {
    let refused = |change, property: &str| {
        let why = format!("invalid property '{property}' for queue 'Q' in vhost '/'");
        no_quorum_queue(table([]), change, &why);
    };
    refused(declare(""), "non-durable");
    refused(queue::Declare { exclusive: true, ..durable() }, "exclusive-owner");
    refused(queue::Declare { exclusive: true, ..declare("") }, "exclusive-owner");
    refused(queue::Declare { auto_delete: true, ..durable() }, "auto-delete");
    refused(queue::Declare { auto_delete: true, exclusive: true, ..declare("") }, "auto-delete");
}

#[test]
fn quorum_queues_validate_what_they_have_before_the_rest() {
    let invalid = |name: &str, value, why: &str| {
        let why = format!("invalid arg '{name}' for queue 'Q' in vhost '/': {why}");
        let arguments = table([(name, value), ("x-max-priority", int(5))]);
        no_quorum_queue(arguments, declare(""), &why);
    };
    invalid("x-message-ttl", text("5"), "\"expected integer, got longstr\"");
    invalid("x-dead-letter-strategy", text("nonsense"), "invalid_dlx_strategy");
    invalid("x-dead-letter-strategy", int(5), "{unacceptable_type,signedint}");
    invalid("x-dead-letter-routing-key", text("k"), "routing_key_but_no_dlx_defined");
    invalid("x-quorum-initial-group-size", text("s"), "\"expected integer, got longstr\"");
    invalid("x-quorum-initial-group-size", int(0), "{value_zero,0}");
    invalid("x-quorum-initial-group-size", int(-1), "{value_negative,-1}");
    invalid("x-queue-leader-locator", text("nonsense"), "invalid_queue_locator_arg");
    invalid("x-queue-leader-locator", int(5), "{unacceptable_type,signedint}");
    invalid("x-max-in-memory-length", int(-1), "{value_negative,-1}");
    invalid("x-max-in-memory-bytes", text("s"), "\"expected integer, got longstr\"");
    let why = "invalid arg 'x-max-priority' for queue 'Q' in vhost '/' of queue type \
               rabbit_quorum_queue";
    no_quorum_queue(table([("x-max-priority", int(5))]), declare(""), why);
}

#[test]
fn quorum_queues_accept_their_own_arguments() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = unique("quorum");
    let arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", int(5)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-quorum-initial-group-size", int(3)),
        ("x-queue-leader-locator", text("balanced")),
        ("x-max-in-memory-length", int(5)),
        ("x-max-in-memory-bytes", int(5)),
        ("x-single-active-consumer", flag(true)),
        ("x-unknown", int(1)),
    ]);
    let named = |arguments| queue::Declare { arguments, queue: queue.as_str().into(), ..durable() };
    ch.declare(named(arguments.clone()));
    let mut other = arguments.clone();
    // One of another type does not count once the queue is there.
    other.insert("x-max-priority".into(), int(5));
    ch.declare(named(other.clone()));
    other.insert("x-delivery-limit".into(), int(6));
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue '{queue}' in vhost '/': \
         received '6' but current is '5'"
    );
    ch.refused(named(other), 406, &text);
    ch.reopen();
    let _: queue::DeleteOk = ch.call(delete(&queue));
}

#[test]
fn types_are_compared_by_what_was_said() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let said = |name: &'static str| table([("x-queue-type", text(name))]);
    for (first, then, why) in [
        (
            table([]),
            said("quorum"),
            "received the value 'quorum' of type 'longstr' but current is none",
        ),
        (said("classic"), said("quorum"), "received 'quorum' but current is 'classic'"),
        (said("quorum"), said("classic"), "received 'classic' but current is 'quorum'"),
        (
            said("quorum"),
            table([]),
            "received none but current is the value 'quorum' of type 'longstr'",
        ),
    ] {
        let queue = unique("typed");
        let named =
            |arguments| queue::Declare { arguments, queue: queue.as_str().into(), ..durable() };
        ch.declare(named(first));
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{queue}' in vhost '/': {why}"
        );
        ch.refused(named(then), 406, &text);
        ch.reopen();
        let _: queue::DeleteOk = ch.call(delete(&queue));
    }
}

#[test]
fn queue_version_is_1_or_2() {
    invalid("x-queue-version", int(3), "\"unsupported queue version '3'\"");
    invalid("x-queue-version", int(0), "\"unsupported queue version '0'\"");
    invalid("x-queue-version", text("s"), "\"expected integer, got longstr\"");
    for version in [1, 2] {
        accepted(table([("x-queue-version", int(version))]));
    }
}

#[test]
fn streams_are_not_there() {
    lepus_only!("RabbitMQ has streams");
    invalid("x-queue-type", text("stream"), "\"unsupported queue type 'stream'\"");
}
