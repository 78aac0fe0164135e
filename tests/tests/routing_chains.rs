//! Exchanges bound to exchanges, and alternate exchanges.

use lepus_tests::*;

fn exchanges<const N: usize>(ch: &mut Chan<'_>, kinds: [&str; N]) -> [String; N] {
    kinds.map(|kind| {
        let name = unique(kind);
        ch.exchange(&name, kind);
        name
    })
}

fn with_alternate(ch: &mut Chan<'_>, kind: &str, alternate: &str) -> String {
    let name = unique("with-alternate");
    let arguments = table([("alternate-exchange", text(alternate))]);
    let declare = exchange::Declare { arguments, ..declare_exchange(&name, kind) };
    let _: exchange::DeclareOk = ch.call(declare);
    name
}

#[test]
fn message_goes_from_exchange_to_exchange_by_each_ones_rule() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [topic, direct] = exchanges(&mut ch, ["topic", "direct"]);
    let queue = ch.temp_queue();
    ch.bind_exchange(&direct, &topic, "a.#");
    ch.bind(&queue, &direct, "a.b");
    for key in ["a.b", "a.c", "b"] {
        ch.publish(&topic, key, key);
    }
    let message = ch.got(&queue);
    assert_eq!(message.text(), "a.b");
    assert_eq!(message.method.exchange.as_str(), topic);
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn two_ways_to_a_queue_give_one_copy() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [top, left, right] = exchanges(&mut ch, ["fanout", "fanout", "fanout"]);
    let queue = ch.temp_queue();
    for side in [&left, &right] {
        ch.bind_exchange(side, &top, "");
        ch.bind(&queue, side, "");
    }
    ch.bind(&queue, &top, "");
    ch.publish(&top, "", "once");
    assert_eq!(ch.drain(&queue), ["once"]);
}

#[test]
fn cycle_of_exchanges_ends() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [one, two, three] = exchanges(&mut ch, ["fanout", "fanout", "fanout"]);
    let queue = ch.temp_queue();
    ch.bind_exchange(&two, &one, "");
    ch.bind_exchange(&three, &two, "");
    ch.bind_exchange(&one, &three, "");
    ch.bind(&queue, &three, "");
    for exchange in [&one, &two, &three] {
        ch.publish(exchange, "", "round");
    }
    assert_eq!(ch.drain(&queue), ["round"; 3]);
}

#[test]
fn exchange_bound_to_itself_is_fine() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [own] = exchanges(&mut ch, ["topic"]);
    let queue = ch.temp_queue();
    ch.bind_exchange(&own, &own, "#");
    ch.bind(&queue, &own, "#");
    ch.publish(&own, "key", "once");
    assert_eq!(ch.drain(&queue), ["once"]);
}

#[test]
fn chain_of_twenty_exchanges_carries() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let names = exchanges(&mut ch, ["fanout"; 20]);
    for pair in names.windows(2) {
        ch.bind_exchange(&pair[1], &pair[0], "");
    }
    let queue = ch.temp_queue();
    ch.bind(&queue, &names[19], "");
    ch.publish(&names[0], "", "through");
    assert_eq!(ch.drain(&queue), ["through"]);
}

#[test]
fn deleted_exchange_is_out_of_the_chain() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [one, two] = exchanges(&mut ch, ["fanout", "fanout"]);
    let queue = ch.temp_queue();
    ch.bind_exchange(&two, &one, "");
    ch.bind(&queue, &two, "");
    let _: exchange::DeleteOk = ch.call(delete_exchange(&two));
    ch.publish(&one, "", "nowhere");
    ch.exchange(&two, "fanout");
    ch.publish(&one, "", "nowhere");
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn binding_twice_with_another_key_needs_two_unbinds() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [one, two] = exchanges(&mut ch, ["fanout", "fanout"]);
    let queue = ch.temp_queue();
    ch.bind(&queue, &two, "");
    ch.bind_exchange(&two, &one, "a");
    ch.bind_exchange(&two, &one, "b");
    let _: exchange::UnbindOk = ch.call(unbind_exchange(&two, &one, "a"));
    ch.publish(&one, "", "bound");
    let _: exchange::UnbindOk = ch.call(unbind_exchange(&two, &one, "b"));
    ch.publish(&one, "", "unbound");
    assert_eq!(ch.drain(&queue), ["bound"]);
}

#[test]
fn alternate_exchange_takes_what_has_no_route() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [fallback] = exchanges(&mut ch, ["fanout"]);
    let main = with_alternate(&mut ch, "direct", &fallback);
    let (routed, unrouted) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&routed, &main, "known");
    ch.bind(&unrouted, &fallback, "");
    ch.publish(&main, "known", "1");
    ch.publish(&main, "unknown", "2");
    assert_eq!(ch.drain(&routed), ["1"]);
    let message = ch.got(&unrouted);
    assert_eq!(message.text(), "2");
    assert_eq!(
        (message.method.exchange.as_str(), message.method.routing_key.as_str()),
        (main.as_str(), "unknown")
    );
    assert!(ch.drain(&unrouted).is_empty());
}

#[test]
fn alternate_exchanges_chain() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [last] = exchanges(&mut ch, ["fanout"]);
    let middle = with_alternate(&mut ch, "direct", &last);
    let first = with_alternate(&mut ch, "direct", &middle);
    let queue = ch.temp_queue();
    ch.bind(&queue, &last, "");
    ch.publish(&first, "key", "fell through");
    assert_eq!(ch.drain(&queue), ["fell through"]);
}

#[test]
fn cycle_of_alternate_exchanges_ends_and_the_message_comes_back() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let second = unique("second");
    let first = with_alternate(&mut ch, "direct", &second);
    let arguments = table([("alternate-exchange", text(&first))]);
    let declare = exchange::Declare { arguments, ..declare_exchange(&second, "direct") };
    let _: exchange::DeclareOk = ch.call(declare);
    ch.publish_with(basic::Publish { mandatory: true, ..publish(&first, "key") }, &props(), "back");
    assert_eq!(ch.returned().text(), "back");
}

#[test]
fn message_that_the_alternate_exchange_routes_does_not_come_back() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [fallback] = exchanges(&mut ch, ["fanout"]);
    let main = with_alternate(&mut ch, "direct", &fallback);
    let queue = ch.temp_queue();
    ch.bind(&queue, &fallback, "");
    ch.publish_with(basic::Publish { mandatory: true, ..publish(&main, "key") }, &props(), "kept");
    assert_eq!(ch.drain(&queue), ["kept"]);
    ch.expect_silence(&queue);
}

#[test]
fn missing_alternate_exchange_is_as_none() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let main = with_alternate(&mut ch, "direct", &unique("missing"));
    ch.publish_with(basic::Publish { mandatory: true, ..publish(&main, "key") }, &props(), "back");
    assert_eq!(ch.returned().text(), "back");
}

#[test]
fn exchange_in_a_chain_falls_back_on_its_own_alternate() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [outer, fallback] = exchanges(&mut ch, ["fanout", "fanout"]);
    let inner = with_alternate(&mut ch, "direct", &fallback);
    let (routed, unrouted) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&routed, &outer, "");
    ch.bind_exchange(&inner, &outer, "");
    ch.bind(&unrouted, &fallback, "");
    ch.publish(&outer, "key", "both");
    assert_eq!(ch.drain(&routed), ["both"]);
    assert_eq!(ch.drain(&unrouted), ["both"]);
}

#[test]
fn cc_keys_count_as_routes_before_the_alternate_exchange() {
    let mut conn = shared().connect();
    let mut ch = conn.channel(1);
    let [fallback] = exchanges(&mut ch, ["fanout"]);
    let main = with_alternate(&mut ch, "direct", &fallback);
    let (routed, unrouted) = (ch.temp_queue(), ch.temp_queue());
    ch.bind(&routed, &main, "copy");
    ch.bind(&unrouted, &fallback, "");
    let properties = headers([("CC", list([text("copy")]))]);
    ch.publish_with(publish(&main, "unknown"), &properties, "m");
    assert_eq!(ch.drain(&routed), ["m"]);
    assert!(ch.drain(&unrouted).is_empty());
}
