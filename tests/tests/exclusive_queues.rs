//! Exclusive queues, and the name `""` for the last declared queue.

use lepus_tests::*;

fn locked(name: &str) -> String {
    format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. \
         It could be originally declared on another connection or the exclusive property value \
         does not match that of the original declaration."
    )
}

fn exclusive(name: &str) -> queue::Declare {
    queue::Declare { exclusive: true, ..declare(name) }
}

#[track_caller]
fn locked_for_another_connection(method: impl FnOnce(&str) -> AMQPClass) {
    let (mut owner, mut other) = (shared().connect(), shared().connect());
    let name = unique("exclusive");
    owner.channel(1).declare(exclusive(&name));
    other.channel(1).refused(method(&name), 405, &locked(&name));
}

#[test]
fn exclusive_queue_is_locked_for_declare() {
    locked_for_another_connection(|name| declare(name).wrap());
    locked_for_another_connection(|name| exclusive(name).wrap());
}

#[test]
fn exclusive_queue_is_locked_for_passive_declare() {
    locked_for_another_connection(|name| look(name).wrap());
}

#[test]
fn exclusive_queue_is_locked_for_consume() {
    locked_for_another_connection(|name| consume(name, "a").wrap());
}

#[test]
fn exclusive_queue_is_locked_for_get() {
    locked_for_another_connection(|name| get(name).wrap());
}

#[test]
fn exclusive_queue_is_locked_for_purge() {
    locked_for_another_connection(|name| purge(name).wrap());
}

#[test]
fn exclusive_queue_is_locked_for_delete() {
    locked_for_another_connection(|name| delete(name).wrap());
}

#[test]
fn exclusive_queue_is_locked_for_bind_and_unbind() {
    locked_for_another_connection(|name| bind(name, "amq.direct", "").wrap());
    let (mut owner, mut other) = (shared().connect(), shared().connect());
    let mut ch = owner.channel(1);
    let name = ch.temp_queue();
    ch.bind(&name, "amq.direct", &name);
    other.channel(1).refused(unbind(&name, "amq.direct", &name), 405, &locked(&name));
}

#[test]
fn exclusive_queue_takes_messages_from_anyone() {
    let (mut owner, mut other) = (shared().connect(), shared().connect());
    let name = owner.channel(1).temp_queue();
    let mut ch = other.channel(1);
    ch.confirm_select();
    ch.publish("", &name, "from outside");
    ch.confirmed(1, 1);
    assert_eq!(owner.ch(1).got(&name).text(), "from outside");
}

#[test]
fn exclusive_queue_is_open_to_all_channels_of_its_connection() {
    let mut conn = shared().connect();
    let name = conn.channel(1).temp_queue();
    assert_eq!(conn.channel(2).counts(&name), (0, 0));
    conn.ch(1).close();
    assert_eq!(conn.ch(2).counts(&name), (0, 0));
}

#[test]
fn exclusive_queue_goes_when_its_connection_closes() {
    let mut owner = shared().connect();
    let name = unique("exclusive");
    owner.channel(1).declare(exclusive(&name));
    owner.close();
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    shared().connect().channel(1).refused(look(&name), 404, &text);
}

#[test]
fn durable_exclusive_queue_goes_too() {
    let mut owner = shared().connect();
    let name = unique("exclusive");
    owner.channel(1).declare(queue::Declare { durable: true, ..exclusive(&name) });
    owner.close();
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    shared().connect().channel(1).refused(look(&name), 404, &text);
}

#[test]
fn exclusive_queue_declared_without_the_flag_by_its_owner_is_locked() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("exclusive");
    ch.declare(exclusive(&name));
    ch.refused(declare(&name), 405, &locked(&name));
}

#[test]
fn shared_queue_declared_as_exclusive_is_locked() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = ch.queue(&unique("shared"));
    ch.refused(exclusive(&name), 405, &locked(&name));
}

#[test]
fn empty_name_is_the_last_declared_queue_of_the_channel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (_first, last) = (ch.temp_queue(), ch.temp_queue());
    let key = unique("key");
    ch.bind("", "amq.direct", &key);
    ch.publish("amq.direct", &key, "one");
    ch.publish("amq.direct", &key, "two");
    assert_eq!(ch.got("").text(), "one");
    let purged: queue::PurgeOk = ch.call(purge(""));
    assert_eq!(purged.message_count, 1);
    let _: queue::UnbindOk = ch.call(unbind("", "amq.direct", &key));
    ch.consume("", "tag");
    assert_eq!(ch.counts(&last), (0, 1));
    let _: basic::CancelOk = ch.call(cancel("tag"));
    let _: queue::DeleteOk = ch.call(delete(""));
    let text = format!("NOT_FOUND - no queue '{last}' in vhost '/'");
    ch.refused(look(&last), 404, &text);
}

#[test]
fn empty_routing_key_with_an_empty_queue_name_is_the_queues_name() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.bind("", "amq.direct", "");
    ch.publish("amq.direct", &queue, "by name");
    assert_eq!(ch.got(&queue).text(), "by name");
}

#[test]
fn empty_routing_key_with_a_queue_name_stays_empty() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (exchange, queue) = (unique("exchange"), ch.temp_queue());
    ch.exchange(&exchange, "direct");
    ch.bind(&queue, &exchange, "");
    ch.publish(&exchange, &queue, "by name");
    ch.publish(&exchange, "", "by empty key");
    assert_eq!(ch.drain(&queue), ["by empty key"]);
}

#[test]
fn passive_declare_makes_a_queue_the_last_one_too() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (first, _second) = (ch.temp_queue(), ch.temp_queue());
    ch.counts(&first);
    ch.publish("", &first, "of the first");
    assert_eq!(ch.got("").text(), "of the first");
}

#[test]
fn empty_name_without_a_declared_queue_is_not_found() {
    let text = "NOT_FOUND - no previously declared queue";
    let methods = [get("").wrap(), consume("", "a").wrap(), purge("").wrap(), delete("").wrap()];
    for method in methods.into_iter().chain([bind("", "amq.direct", "key").wrap()]) {
        let mut conn = shared().connect();
        conn.channel(1).refused(method, 404, text);
    }
}

#[test]
fn empty_name_in_a_passive_declare_is_no_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.temp_queue();
    ch.refused(look(""), 404, "NOT_FOUND - no queue '' in vhost '/'");
}

#[test]
fn last_declared_queue_is_forgotten_with_the_channel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    ch.temp_queue();
    ch.close();
    conn.channel(1).refused(get(""), 404, "NOT_FOUND - no previously declared queue");
}
