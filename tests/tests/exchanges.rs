//! Exchanges: declaring, deleting, binding to each other.

use lepus_tests::*;

const DEFAULT_EXCHANGE: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";

fn no_exchange(name: &str) -> String {
    format!("NOT_FOUND - no exchange '{name}' in vhost '/'")
}

#[test]
fn every_type_can_be_declared_and_declared_again() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for kind in ["direct", "fanout", "topic", "headers"] {
        let name = unique(kind);
        ch.exchange(&name, kind);
        ch.exchange(&name, kind);
    }
}

#[test]
fn passive_declare_finds_an_exchange_whatever_the_other_arguments() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("passive");
    ch.exchange(&name, "fanout");
    let _: exchange::DeclareOk = ch.call(look_exchange(&name));
    let other =
        exchange::Declare { kind: "nonsense".into(), durable: true, ..look_exchange(&name) };
    let _: exchange::DeclareOk = ch.call(other);
}

#[test]
fn passive_declare_of_a_missing_exchange_is_not_found() {
    let mut conn = shared().connect();
    let name = unique("missing");
    conn.channel(1).refused(look_exchange(&name), 404, &no_exchange(&name));
}

#[test]
fn predeclared_exchanges_are_there() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    for name in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"] {
        let _: exchange::DeclareOk = ch.call(look_exchange(name));
    }
}

#[test]
fn predeclared_exchange_can_be_declared_as_it_is() {
    let mut conn = shared().connect();
    let declare = exchange::Declare { durable: true, ..declare_exchange("amq.topic", "topic") };
    let _: exchange::DeclareOk = conn.channel(1).call(declare);
}

fn inequivalent(change: exchange::Declare, why: &str) {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("inequivalent");
    ch.exchange(&name, "direct");
    let change = exchange::Declare { exchange: name.as_str().into(), ..change };
    let text = format!("PRECONDITION_FAILED - inequivalent arg {}", why.replace('X', &name));
    ch.refused(change, 406, &text);
}

#[test]
fn declare_with_another_type_is_refused() {
    let why = "'type' for exchange 'X' in vhost '/': received 'fanout' but current is 'direct'";
    inequivalent(declare_exchange("", "fanout"), why);
}

#[test]
fn declare_with_another_durability_is_refused() {
    let why = "'durable' for exchange 'X' in vhost '/': received 'true' but current is 'false'";
    inequivalent(exchange::Declare { durable: true, ..declare_exchange("", "direct") }, why);
}

#[test]
fn declare_with_another_auto_delete_is_refused() {
    let why = "'auto_delete' for exchange 'X' in vhost '/': received 'true' but current is 'false'";
    inequivalent(exchange::Declare { auto_delete: true, ..declare_exchange("", "direct") }, why);
}

#[test]
fn declare_with_another_internal_flag_is_refused() {
    let why = "'internal' for exchange 'X' in vhost '/': received 'true' but current is 'false'";
    inequivalent(exchange::Declare { internal: true, ..declare_exchange("", "direct") }, why);
}

#[test]
fn declare_with_another_alternate_exchange_is_refused() {
    let why = "'alternate-exchange' for exchange 'X' in vhost '/': \
               received the value 'other' of type 'longstr' but current is none";
    let arguments = table([("alternate-exchange", text("other"))]);
    inequivalent(exchange::Declare { arguments, ..declare_exchange("", "direct") }, why);
}

#[test]
fn type_is_compared_before_the_flags() {
    let why = "'type' for exchange 'X' in vhost '/': received 'topic' but current is 'direct'";
    inequivalent(
        exchange::Declare { durable: true, internal: true, ..declare_exchange("", "topic") },
        why,
    );
}

#[test]
fn unknown_arguments_are_not_compared() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("arguments");
    ch.exchange(&name, "direct");
    let arguments = table([("x-anything", int(1))]);
    let _: exchange::DeclareOk =
        ch.call(exchange::Declare { arguments, ..declare_exchange(&name, "direct") });
}

#[test]
fn unknown_type_is_a_connection_error() {
    let mut conn = shared().connect();
    let text = "COMMAND_INVALID - unknown exchange type 'nonsense'";
    conn.channel(1).fatal(declare_exchange(&unique("type"), "nonsense"), 503, text);
}

#[test]
fn alternate_exchange_must_be_a_string() {
    let mut conn = shared().connect();
    let name = unique("alternate");
    let arguments = table([("alternate-exchange", int(5))]);
    let text = format!(
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' \
         in exchange '{name}' in vhost '/'"
    );
    let declare = exchange::Declare { arguments, ..declare_exchange(&name, "direct") };
    conn.channel(1).refused(declare, 406, &text);
}

#[test]
fn reserved_prefix_is_refused() {
    let mut conn = shared().connect();
    let text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    conn.channel(1).refused(declare_exchange("amq.mine", "direct"), 403, text);
}

#[test]
fn default_exchange_cannot_be_declared() {
    let mut conn = shared().connect();
    conn.channel(1).refused(declare_exchange("", "direct"), 403, DEFAULT_EXCHANGE);
}

#[test]
fn default_exchange_cannot_be_declared_passively() {
    let mut conn = shared().connect();
    conn.channel(1).refused(look_exchange(""), 403, DEFAULT_EXCHANGE);
}

#[test]
fn default_exchange_cannot_be_deleted() {
    let mut conn = shared().connect();
    conn.channel(1).refused(delete_exchange(""), 403, DEFAULT_EXCHANGE);
}

#[test]
fn default_exchange_cannot_be_bound_to_an_exchange() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("bound");
    ch.exchange(&name, "fanout");
    ch.refused(bind_exchange("", &name, ""), 403, DEFAULT_EXCHANGE);
    ch.reopen();
    ch.refused(bind_exchange(&name, "", ""), 403, DEFAULT_EXCHANGE);
    ch.reopen();
    ch.refused(unbind_exchange(&name, "", ""), 403, DEFAULT_EXCHANGE);
}

#[test]
fn default_exchange_cannot_be_bound_to_a_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.refused(bind(&queue, "", "key"), 403, DEFAULT_EXCHANGE);
    ch.reopen();
    ch.refused(unbind(&queue, "", &queue), 403, DEFAULT_EXCHANGE);
}

#[test]
fn system_exchange_cannot_be_deleted() {
    let mut conn = shared().connect();
    let text = "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed";
    conn.channel(1).refused(delete_exchange("amq.direct"), 403, text);
}

#[test]
fn delete_of_a_missing_exchange_is_fine() {
    let mut conn = shared().connect();
    let _: exchange::DeleteOk = conn.channel(1).call(delete_exchange(&unique("missing")));
}

#[test]
fn delete_removes_the_exchange_and_its_bindings() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, queue) = (unique("deleted"), ch.temp_queue());
    ch.exchange(&name, "fanout");
    ch.bind(&queue, &name, "");
    let _: exchange::DeleteOk = ch.call(delete_exchange(&name));
    ch.exchange(&name, "fanout");
    ch.publish(&name, "", "unbound");
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn delete_if_unused_refuses_an_exchange_with_a_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, queue) = (unique("used"), ch.temp_queue());
    ch.exchange(&name, "direct");
    ch.bind(&queue, &name, "key");
    let text = format!("PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use");
    let if_unused = exchange::Delete { if_unused: true, ..delete_exchange(&name) };
    ch.refused(if_unused.clone(), 406, &text);
    ch.reopen();
    let _: queue::UnbindOk = ch.call(unbind(&queue, &name, "key"));
    let _: exchange::DeleteOk = ch.call(if_unused);
    ch.refused(look_exchange(&name), 404, &no_exchange(&name));
}

#[test]
fn delete_if_unused_counts_bindings_to_exchanges_as_a_source_only() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (source, destination) = (unique("source"), unique("destination"));
    ch.exchange(&source, "fanout");
    ch.exchange(&destination, "fanout");
    ch.bind_exchange(&destination, &source, "");
    let text = format!("PRECONDITION_FAILED - exchange '{source}' in vhost '/' in use");
    ch.refused(exchange::Delete { if_unused: true, ..delete_exchange(&source) }, 406, &text);
    ch.reopen();
    let _: exchange::DeleteOk =
        ch.call(exchange::Delete { if_unused: true, ..delete_exchange(&destination) });
}

#[test]
fn publish_to_a_missing_exchange_closes_the_channel() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("missing");
    ch.publish(&name, "key", "lost");
    ch.expect_close(404, &no_exchange(&name), (60, 40));
}

#[test]
fn publish_to_an_internal_exchange_is_refused() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("internal");
    let _: exchange::DeclareOk =
        ch.call(exchange::Declare { internal: true, ..declare_exchange(&name, "fanout") });
    ch.publish(&name, "", "lost");
    let text =
        format!("ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'");
    ch.expect_close(403, &text, (60, 40));
}

#[test]
fn internal_exchange_routes_what_comes_from_another_exchange() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (outer, inner, queue) = (unique("outer"), unique("inner"), ch.temp_queue());
    ch.exchange(&outer, "fanout");
    let _: exchange::DeclareOk =
        ch.call(exchange::Declare { internal: true, ..declare_exchange(&inner, "fanout") });
    ch.bind_exchange(&inner, &outer, "");
    ch.bind(&queue, &inner, "");
    ch.publish(&outer, "", "through");
    assert_eq!(ch.got(&queue).text(), "through");
}

fn auto_delete(ch: &mut Chan<'_>, label: &str) -> String {
    let name = unique(label);
    let declare = exchange::Declare { auto_delete: true, ..declare_exchange(&name, "fanout") };
    let _: exchange::DeclareOk = ch.call(declare);
    name
}

#[test]
fn auto_delete_exchange_goes_with_its_last_queue_binding() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, one, two) = (auto_delete(&mut ch, "auto"), ch.temp_queue(), ch.temp_queue());
    ch.bind(&one, &name, "");
    ch.bind(&two, &name, "");
    let _: queue::UnbindOk = ch.call(unbind(&one, &name, ""));
    let _: exchange::DeclareOk = ch.call(look_exchange(&name));
    let _: queue::UnbindOk = ch.call(unbind(&two, &name, ""));
    ch.refused(look_exchange(&name), 404, &no_exchange(&name));
}

#[test]
fn auto_delete_exchange_stays_until_it_was_bound_once() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, queue) = (auto_delete(&mut ch, "auto"), ch.temp_queue());
    let _: queue::UnbindOk = ch.call(unbind(&queue, &name, ""));
    let _: exchange::DeclareOk = ch.call(look_exchange(&name));
}

#[test]
fn auto_delete_exchange_goes_with_the_deleted_queue() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, queue) = (auto_delete(&mut ch, "auto"), ch.temp_queue());
    ch.bind(&queue, &name, "");
    let _: queue::DeleteOk = ch.call(delete(&queue));
    ch.refused(look_exchange(&name), 404, &no_exchange(&name));
}

#[test]
fn auto_delete_exchange_goes_with_its_last_binding_to_an_exchange() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (source, destination) = (auto_delete(&mut ch, "source"), unique("destination"));
    ch.exchange(&destination, "fanout");
    ch.bind_exchange(&destination, &source, "");
    let _: exchange::UnbindOk = ch.call(unbind_exchange(&destination, &source, ""));
    ch.refused(look_exchange(&source), 404, &no_exchange(&source));
}

#[test]
fn auto_delete_exchange_stays_when_it_loses_bindings_as_a_destination() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (source, destination) = (unique("source"), auto_delete(&mut ch, "destination"));
    ch.exchange(&source, "fanout");
    ch.bind_exchange(&destination, &source, "");
    let _: exchange::DeleteOk = ch.call(delete_exchange(&source));
    let _: exchange::DeclareOk = ch.call(look_exchange(&destination));
}

#[test]
fn chain_of_auto_delete_exchanges_goes_together() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (auto_delete(&mut ch, "one"), auto_delete(&mut ch, "two"));
    let queue = ch.temp_queue();
    ch.bind_exchange(&two, &one, "");
    ch.bind(&queue, &two, "");
    let _: queue::DeleteOk = ch.call(delete(&queue));
    ch.refused(look_exchange(&two), 404, &no_exchange(&two));
    ch.reopen();
    ch.refused(look_exchange(&one), 404, &no_exchange(&one));
}

#[test]
fn binding_to_or_from_a_missing_exchange_is_not_found() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (name, missing) = (unique("there"), unique("missing"));
    ch.exchange(&name, "fanout");
    ch.refused(bind_exchange(&name, &missing, ""), 404, &no_exchange(&missing));
    ch.reopen();
    ch.refused(bind_exchange(&missing, &name, ""), 404, &no_exchange(&missing));
}

#[test]
fn unbinding_what_is_not_bound_is_fine() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two) = (unique("one"), unique("two"));
    ch.exchange(&one, "fanout");
    ch.exchange(&two, "fanout");
    let _: exchange::UnbindOk = ch.call(unbind_exchange(&one, &two, "nothing"));
}

#[test]
fn nowait_methods_are_done_and_not_answered() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let (one, two, queue) = (unique("one"), unique("two"), ch.temp_queue());
    for name in [&one, &two] {
        ch.send(exchange::Declare { nowait: true, ..declare_exchange(name, "fanout") });
    }
    ch.send(exchange::Bind { nowait: true, ..bind_exchange(&two, &one, "") });
    ch.send(queue::Bind { nowait: true, ..bind(&queue, &two, "") });
    ch.publish(&one, "", "bound");
    assert_eq!(ch.got(&queue).text(), "bound");
    ch.send(exchange::Unbind { nowait: true, ..unbind_exchange(&two, &one, "") });
    ch.publish(&one, "", "unbound");
    assert!(ch.drain(&queue).is_empty());
    ch.send(exchange::Delete { nowait: true, ..delete_exchange(&one) });
    ch.refused(look_exchange(&one), 404, &no_exchange(&one));
}

#[test]
fn error_of_a_nowait_method_closes_the_channel() {
    let mut conn = shared().connect();
    let declare = exchange::Declare { nowait: true, ..declare_exchange("amq.mine", "direct") };
    let text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    conn.channel(1).refused(declare, 403, text);
}

#[test]
fn exchange_name_may_hold_any_character() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let name = unique("ünïcödé #*/?'\" ");
    ch.exchange(&name, "direct");
    let _: exchange::DeclareOk = ch.call(look_exchange(&name));
}
