//! Queues: declaring, deleting, purging, binding.

use lepus_tests::*;

fn no_queue(name: &str) -> String {
    format!("NOT_FOUND - no queue '{name}' in vhost '/'")
}

fn no_exchange(name: &str) -> String {
    format!("NOT_FOUND - no exchange '{name}' in vhost '/'")
}

#[test]
fn declare_answers_with_the_name_and_the_counts() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("declared");
    let ok = ch.declare(declare(&name));
    assert_eq!((ok.queue.as_str(), ok.message_count, ok.consumer_count), (name.as_str(), 0, 0));
}

#[test]
fn counts_are_of_ready_messages_and_consumers() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["one", "two", "three"]);
    ch.expect_counts(&queue, (3, 0));
    ch.got(&queue);
    ch.expect_counts(&queue, (2, 0));
    let _: basic::QosOk = ch.call(qos(1));
    ch.consume(&queue, "a");
    ch.deliveries(["two"]);
    ch.consume(&queue, "b");
    ch.deliveries(["three"]);
    ch.expect_counts(&queue, (0, 2));
}

#[test]
fn server_names_a_queue_without_a_name() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    assert!(one.starts_with("amq.gen-"), "{one}");
    assert_eq!(one.len(), "amq.gen-".len() + 22, "{one}");
    assert_ne!(one, two);
}

#[test]
fn server_named_queue_can_be_declared_again_passively_only() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.temp_queue();
    ch.declare(look(&name));
    let text = format!("ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'");
    ch.refused(queue::Declare { exclusive: true, ..declare(&name) }, 403, &text);
}

#[test]
fn reserved_prefix_is_refused() {
    let mut conn = shared().connect();
    let text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'";
    conn.channel(1).refused(declare("amq.mine"), 403, text);
}

#[test]
fn passive_declare_of_a_missing_queue_is_not_found() {
    let mut conn = shared().connect();
    let name = unique("missing");
    conn.channel(1).refused(look(&name), 404, &no_queue(&name));
}

#[test]
fn passive_declare_ignores_the_other_flags() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("passive"));
    ch.declare(queue::Declare { durable: true, auto_delete: true, ..look(&name) });
}

fn inequivalent(first: queue::Declare, second: queue::Declare, why: &str) {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("inequivalent");
    ch.declare(queue::Declare { queue: name.as_str().into(), ..first });
    let second = queue::Declare { queue: name.as_str().into(), ..second };
    let text = format!("PRECONDITION_FAILED - inequivalent arg {}", why.replace('Q', &name));
    ch.refused(second, 406, &text);
    ch.reopen();
    let _: queue::DeleteOk = ch.call(delete(&name));
}

#[test]
fn declare_with_another_durability_is_refused() {
    let durable = || queue::Declare { durable: true, ..declare("") };
    let why = "'durable' for queue 'Q' in vhost '/': received 'false' but current is 'true'";
    inequivalent(durable(), declare(""), why);
    let why = "'durable' for queue 'Q' in vhost '/': received 'true' but current is 'false'";
    inequivalent(declare(""), durable(), why);
}

#[test]
fn declare_with_another_auto_delete_is_refused() {
    let why = "'auto_delete' for queue 'Q' in vhost '/': received 'true' but current is 'false'";
    inequivalent(declare(""), queue::Declare { auto_delete: true, ..declare("") }, why);
}

fn with_arguments(arguments: FieldTable) -> queue::Declare {
    queue::Declare { arguments, ..declare("") }
}

#[test]
fn declare_with_an_argument_more_is_refused() {
    let why = "'x-max-priority' for queue 'Q' in vhost '/': \
               received the value '5' of type 'signedint' but current is none";
    inequivalent(declare(""), with_arguments(table([("x-max-priority", int(5))])), why);
}

#[test]
fn declare_with_an_argument_less_is_refused() {
    let why = "'x-message-ttl' for queue 'Q' in vhost '/': \
               received none but current is the value '60000' of type 'signedint'";
    inequivalent(with_arguments(table([("x-message-ttl", int(60_000))])), declare(""), why);
}

#[test]
fn declare_with_another_argument_value_is_refused() {
    let why = "'x-dead-letter-exchange' for queue 'Q' in vhost '/': \
               received 'two' but current is 'one'";
    let first = table([("x-dead-letter-exchange", text("one"))]);
    let second = table([("x-dead-letter-exchange", text("two"))]);
    inequivalent(with_arguments(first), with_arguments(second), why);
}

#[test]
fn integer_arguments_are_equal_across_their_types() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("integers");
    let declare = |value| queue::Declare {
        arguments: table([("x-message-ttl", value)]),
        exclusive: true,
        ..declare(&name)
    };
    ch.declare(declare(int(1_000)));
    ch.declare(declare(long(1_000)));
    ch.declare(declare(AMQPValue::ShortInt(1_000)));
}

#[test]
fn unknown_arguments_are_accepted_and_not_compared() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("unknown");
    ch.declare(queue::Declare {
        arguments: table([("x-something-new", text("a")), ("plain", int(1))]),
        exclusive: true,
        ..declare(&name)
    });
    ch.declare(queue::Declare { exclusive: true, ..declare(&name) });
}

#[test]
fn auto_delete_queue_goes_with_its_last_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("auto");
    ch.declare(queue::Declare { auto_delete: true, ..declare(&name) });
    ch.consume(&name, "a");
    ch.consume(&name, "b");
    let _: basic::CancelOk = ch.call(cancel("a"));
    assert_eq!(ch.counts(&name), (0, 1));
    let _: basic::CancelOk = ch.call(cancel("b"));
    ch.refused(look(&name), 404, &no_queue(&name));
}

#[test]
fn auto_delete_queue_stays_until_it_had_a_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("auto");
    ch.declare(queue::Declare { auto_delete: true, ..declare(&name) });
    ch.publish("", &name, "kept");
    assert_eq!(ch.got(&name).text(), "kept");
    ch.close();
    conn.close();
    shared().connect().channel(1).expect_counts(&name, (1, 0));
}

#[test]
fn auto_delete_queue_goes_when_the_consumers_channel_closes() {
    let mut conn = shared().connect();
    let name = unique("auto");
    let mut ch = conn.channel(1);
    ch.declare(queue::Declare { auto_delete: true, ..declare(&name) });
    ch.consume(&name, "a");
    ch.close();
    conn.channel(2).refused(look(&name), 404, &no_queue(&name));
}

#[test]
fn delete_answers_with_the_number_of_messages() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("deleted"));
    ch.publish_all(&name, ["one", "two"]);
    let ok: queue::DeleteOk = ch.call(delete(&name));
    assert_eq!(ok.message_count, 2);
    ch.refused(look(&name), 404, &no_queue(&name));
}

#[test]
fn delete_of_a_missing_queue_is_fine() {
    let mut conn = shared().connect();
    let ok: queue::DeleteOk = conn.channel(1).call(delete(&unique("missing")));
    assert_eq!(ok.message_count, 0);
}

#[test]
fn delete_if_unused_refuses_a_queue_with_a_consumer() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("used"));
    ch.consume(&name, "a");
    let text = format!("PRECONDITION_FAILED - queue '{name}' in vhost '/' in use");
    let if_unused = queue::Delete { if_unused: true, ..delete(&name) };
    ch.refused(if_unused.clone(), 406, &text);
    ch.reopen();
    let _: queue::DeleteOk = ch.call(if_unused);
}

#[test]
fn delete_if_empty_refuses_a_queue_with_messages() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("full"));
    ch.publish("", &name, "one");
    let text = format!("PRECONDITION_FAILED - queue '{name}' in vhost '/' not empty");
    let if_empty = queue::Delete { if_empty: true, ..delete(&name) };
    ch.refused(if_empty.clone(), 406, &text);
    ch.reopen();
    let _: queue::PurgeOk = ch.call(purge(&name));
    let _: queue::DeleteOk = ch.call(if_empty);
}

#[test]
fn purge_answers_with_the_number_of_ready_messages() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["unacked", "one", "two"]);
    ch.got(&queue);
    let ok: queue::PurgeOk = ch.call(purge(&queue));
    assert_eq!(ok.message_count, 2);
    assert!(ch.get(&queue, true).is_none());
}

#[test]
fn purge_leaves_unacknowledged_messages() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["unacked", "purged"]);
    let unacked = ch.got(&queue).method.delivery_tag;
    let _: queue::PurgeOk = ch.call(purge(&queue));
    ch.send(reject(unacked, true));
    assert_eq!(ch.drain(&queue), ["unacked"]);
}

#[test]
fn purge_of_a_missing_queue_is_not_found() {
    let mut conn = shared().connect();
    let name = unique("missing");
    conn.channel(1).refused(purge(&name), 404, &no_queue(&name));
}

#[test]
fn bind_to_a_missing_exchange_is_not_found() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, missing) = (ch.temp_queue(), unique("missing"));
    ch.refused(bind(&queue, &missing, ""), 404, &no_exchange(&missing));
}

#[test]
fn bind_of_a_missing_queue_is_not_found() {
    let mut conn = shared().connect();
    let missing = unique("missing");
    conn.channel(1).refused(bind(&missing, "amq.direct", ""), 404, &no_queue(&missing));
}

#[test]
fn bind_of_a_missing_queue_to_a_missing_exchange_names_the_exchange() {
    let mut conn = shared().connect();
    let (queue, exchange) = (unique("queue"), unique("exchange"));
    conn.channel(1).refused(bind(&queue, &exchange, ""), 404, &no_exchange(&exchange));
}

#[test]
fn bind_twice_is_one_binding() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, key) = (ch.temp_queue(), unique("key"));
    ch.bind(&queue, "amq.direct", &key);
    ch.bind(&queue, "amq.direct", &key);
    ch.publish("amq.direct", &key, "once");
    assert_eq!(ch.drain(&queue), ["once"]);
    let _: queue::UnbindOk = ch.call(unbind(&queue, "amq.direct", &key));
    ch.publish("amq.direct", &key, "nowhere");
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn bindings_with_other_arguments_are_others() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, key) = (ch.temp_queue(), unique("key"));
    let arguments = table([("n", int(1))]);
    ch.bind(&queue, "amq.direct", &key);
    let _: queue::BindOk =
        ch.call(queue::Bind { arguments: arguments.clone(), ..bind(&queue, "amq.direct", &key) });
    let _: queue::UnbindOk = ch.call(unbind(&queue, "amq.direct", &key));
    ch.publish("amq.direct", &key, "still bound");
    assert_eq!(ch.drain(&queue), ["still bound"]);
    let _: queue::UnbindOk =
        ch.call(queue::Unbind { arguments, ..unbind(&queue, "amq.direct", &key) });
    ch.publish("amq.direct", &key, "unbound");
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn unbind_of_a_missing_binding_exchange_or_queue_is_fine() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (queue, missing) = (ch.temp_queue(), unique("missing"));
    let _: queue::UnbindOk = ch.call(unbind(&queue, "amq.direct", &missing));
    let _: queue::UnbindOk = ch.call(unbind(&queue, &missing, ""));
    let _: queue::UnbindOk = ch.call(unbind(&missing, "amq.direct", ""));
}

#[test]
fn nowait_methods_are_done_and_not_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, key) = (unique("nowait"), unique("key"));
    ch.send(queue::Declare { nowait: true, ..declare(&name) });
    ch.send(queue::Bind { nowait: true, ..bind(&name, "amq.direct", &key) });
    ch.publish("amq.direct", &key, "one");
    ch.expect_counts(&name, (1, 0));
    ch.send(queue::Purge { nowait: true, ..purge(&name) });
    ch.expect_counts(&name, (0, 0));
    ch.send(queue::Delete { nowait: true, ..delete(&name) });
    ch.refused(look(&name), 404, &no_queue(&name));
}

#[test]
fn classic_is_the_type_of_a_queue_without_one() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let arguments = table([("x-queue-type", text("classic"))]);
    let name = ch.queue(&unique("type"));
    ch.declare(queue::Declare { arguments: arguments.clone(), ..declare(&name) });
    let _: queue::DeleteOk = ch.call(delete(&name));
    ch.declare(queue::Declare { arguments, ..declare(&name) });
    ch.declare(declare(&name));
    let _: queue::DeleteOk = ch.call(delete(&name));
}

#[test]
fn long_reply_text_ends_with_an_ellipsis() {
    let (mut owner, mut other) = (shared().connect(), shared().connect());
    let name = format!("{}{}", unique("long"), "x".repeat(150));
    let exclusive = queue::Declare { exclusive: true, ..declare(&name) };
    owner.channel(1).declare(exclusive);
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. \
         It could be originally declared on another connection or the exclusive property value \
         does not match that of the original declaration."
    );
    other.channel(1).refused(look(&name), 405, &format!("{}...", &text[..252]));
}
