//! Messages over Lepus's own routes: looked at without a change, moved, retried, deleted, run.

use std::collections::BTreeSet;
use std::thread;

use amq_protocol::protocol::basic;
use lepus_tests::{BasicProperties, Chan, Conn, ack, headers, int, long, publish, reject, text};
use serde_json::{Value, json};

use crate::api::Api;

const Q: &str = "/x/queues/%2F/q/messages";

fn queue(api: &Api, name: &str, arguments: Value) {
    let body = json!({"durable": true, "arguments": arguments}).to_string();
    api.change("PUT", &format!("/queues/%2F/{name}"), &body, 201);
}

fn with_queue(arguments: Value) -> Api {
    let api = Api::start();
    queue(&api, "q", arguments);
    api
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// Publishes, and waits until all is there for good.
fn fill(api: &Api, route: [&str; 2], bodies: impl IntoIterator<Item = (String, BasicProperties)>) {
    let mut conn = api.broker.connect();
    let mut ch = conn.channel_confirming(1);
    let mut last = 0;
    for (body, properties) in bodies {
        ch.publish_with(publish(route[0], route[1]), &properties, body);
        last += 1;
    }
    ch.confirmed(1, last);
}

fn numbered(count: usize) -> impl Iterator<Item = (String, BasicProperties)> {
    (0..count).map(|number| (number.to_string(), persistent()))
}

/// All pages, of so many messages each.
fn pages(api: &Api, path: &str, size: usize) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = api.get(&format!("{path}{sign}page_size={size}{after}"));
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= size, "{page}");
        all.extend(items.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

fn payloads(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["payload"].as_str().unwrap()).collect()
}

fn seen(api: &Api, path: &str) -> String {
    payloads(&pages(api, path, 100)).join(" ")
}

/// Does something with messages until no more is left: what was done in all.
fn all(api: &Api, path: &str, body: Value) -> Value {
    let mut body = body;
    let (mut done, mut skipped) = (0, json!({"gone": 0, "unroutable": 0, "never_died": 0}));
    loop {
        let answer = post(api, path, &body);
        done += answer["done"].as_u64().unwrap();
        for (name, sum) in skipped.as_object_mut().unwrap() {
            *sum = (sum.as_u64().unwrap() + answer["skipped"][name].as_u64().unwrap()).into();
        }
        if answer["next"].is_null() {
            assert_eq!(answer["left"], 0, "{answer}");
            return json!({"done": done, "skipped": skipped});
        }
        body["after"] = answer["next"].clone();
    }
}

fn post(api: &Api, path: &str, body: &Value) -> Value {
    let answer = api.send("POST", path, &body.to_string());
    assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    answer.json()
}

fn done(count: u64) -> Value {
    json!({"done": count, "skipped": {"gone": 0, "unroutable": 0, "never_died": 0}})
}

fn drained(api: &Api, queue: &str) -> Vec<(String, bool)> {
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    let mut all = Vec::new();
    while let Some(got) = ch.get(queue, true) {
        all.push((got.text().to_owned(), got.method.redelivered));
    }
    all
}

/// A consumer that has taken so many messages.
fn holder(ch: &mut Chan<'_>, queue: &str, count: usize) -> Vec<u64> {
    ch.consume(queue, "tag");
    (0..count).map(|_| ch.delivery().method.delivery_tag).collect()
}

fn held(api: &Api) -> (Conn, Vec<u64>) {
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    let _: basic::QosOk = ch.call(lepus_tests::qos(2));
    let tags = holder(&mut ch, "q", 2);
    (conn, tags)
}

#[test]
fn looking_changes_nothing() {
    let api = with_queue(json!({"x-max-length": 100}));
    fill(&api, ["", "q"], numbered(7));
    let (conn, _) = held(&api);
    let before = counts(&api);
    for size in [1, 2, 3, 100] {
        let ready = pages(&api, Q, size);
        assert_eq!(payloads(&ready), ["2", "3", "4", "5", "6"], "{size} a page");
        let unacked = pages(&api, &format!("{Q}?state=unacked"), size);
        assert_eq!(payloads(&unacked), ["0", "1"]);
        assert_eq!(
            (&unacked[0]["consumer_tag"], &unacked[0]["state"]),
            (&json!("tag"), &json!("unacked"))
        );
        assert!(unacked[0]["channel"].as_str().unwrap().ends_with(" (1)"), "{}", unacked[0]);
        assert!(pages(&api, &format!("{Q}?state=scheduled"), size).is_empty());
    }
    assert_eq!(counts(&api), before);
    conn.close();
    api.broker.connect().channel(1).expect_counts("q", (7, 0));
    let found = drained(&api, "q");
    let expected = (0..7).map(|number| (number.to_string(), number < 2));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

/// What a queue has and has done, but for rates.
fn counts(api: &Api) -> Value {
    let mut queue = api.get("/queues/%2F/q");
    let fields = ["messages", "messages_ready", "messages_unacknowledged", "message_stats"];
    let mut counts: Vec<Value> = fields.iter().map(|field| queue[field].take()).collect();
    if let Some(stats) = counts[3].as_object_mut() {
        stats.retain(|name, _| !name.ends_with("_details"));
    }
    counts.into()
}

#[test]
fn a_page_says_all_of_a_message_or_a_part() {
    let api = with_queue(json!({}));
    let properties = headers([("customer", int(42))]).with_delivery_mode(2);
    fill(&api, ["", "q"], [("hello".to_owned(), properties)]);
    let page = api.get(&format!("{Q}?truncate=2"));
    let item = &page["items"][0];
    let expected = json!({
        "position": "0", "state": "ready", "exchange": "", "routing_key": "q", "redelivered": false,
        "delivery_count": 0, "arrived": item["arrived"], "payload": "he", "payload_bytes": 5,
        "payload_encoding": "string",
        "properties": {"delivery_mode": 2, "headers": {"customer": 42}},
    });
    assert_eq!((item, &page["next"]), (&expected, &Value::Null));
    assert!(item["arrived"].as_u64().unwrap() > 1_600_000_000_000);
    for (text, found) in [("42", 1), ("customer", 1), ("ell", 1), ("Ell", 0), ("q", 1), ("43", 0)] {
        assert_eq!(pages(&api, &format!("{Q}?search={text}"), 5).len(), found, "{text}");
    }
}

#[test]
fn a_long_backlog_on_the_disk_is_looked_through_and_thinned_out() {
    let mut api = Api::with_config("vm_memory_high_watermark.absolute = 64MB");
    for name in ["q", "other"] {
        queue(&api, name, json!({}));
    }
    let count = 3000;
    let body = |number: usize| format!("{number:04}{}", "x".repeat(4000));
    fill(&api, ["", "q"], (0..count).map(|number| (body(number), persistent())));
    let numbers = |api: &Api, path: &str| -> Vec<usize> {
        let items = pages(api, path, 500);
        items.iter().map(|item| item["payload"].as_str().unwrap()[..4].parse().unwrap()).collect()
    };
    assert!(numbers(&api, &format!("{Q}?truncate=4")).into_iter().eq(0..count));
    assert_eq!(numbers(&api, &format!("{Q}?truncate=4&search=2999")), [2999]);
    // Every number that has a 7 goes, every 5 of those left elsewhere.
    assert_eq!(all(&api, &format!("{Q}/delete"), json!({"search": "7", "limit": 100})), done(813));
    let moved = all(&api, &format!("{Q}/move"), json!({"search": "5", "to_queue": "other"}));
    let has = |number: &usize, digit: char| format!("{number:04}").contains(digit);
    let left = |digit: Option<char>| {
        (0..count)
            .filter(move |number| {
                !has(number, '7')
                    && digit.is_none_or(|digit| has(number, digit))
                    && (digit.is_some() || !has(number, '5'))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(moved["done"], left(Some('5')).len());
    for again in [false, true] {
        assert_eq!(
            numbers(&api, &format!("{Q}?truncate=4")),
            left(None),
            "after a restart: {again}"
        );
        let other = "/x/queues/%2F/other/messages?truncate=4";
        assert_eq!(numbers(&api, other), left(Some('5')));
        assert_eq!(api.get("/queues/%2F/q")["messages"], left(None).len());
        if !again {
            api.broker.crash();
        }
    }
    let found: Vec<usize> =
        drained(&api, "q").iter().map(|(body, _)| body[..4].parse().unwrap()).collect();
    assert_eq!(found, left(None));
}

#[test]
fn messages_are_named_by_position_and_what_somebody_has_stays() {
    let api = with_queue(json!({}));
    queue(&api, "other", json!({}));
    fill(&api, ["", "q"], numbered(6));
    let positions: Vec<Value> =
        pages(&api, Q, 100).iter().map(|item| item["position"].clone()).collect();
    let (mut conn, tags) = held(&api);
    let some = json!([positions[0], positions[3], positions[5], "99"]);
    let answer = post(&api, &format!("{Q}/move"), &json!({"positions": some, "to_queue": "other"}));
    let expected = json!({
        "done": 2, "left": 0, "next": null,
        "skipped": {"gone": 2, "unroutable": 0, "never_died": 0},
    });
    assert_eq!(answer, expected);
    assert_eq!(
        (seen(&api, Q), seen(&api, "/x/queues/%2F/other/messages")),
        ("2 4".to_owned(), "3 5".to_owned())
    );
    let some = json!({"positions": [positions[2], positions[4]], "limit": 1});
    let answer = post(&api, &format!("{Q}/delete"), &some);
    assert_eq!((&answer["done"], &answer["left"]), (&json!(1), &json!(1)));
    conn.ch(1).send(ack(tags[0]));
    conn.close();
    api.broker.connect().channel(1).expect_counts("q", (2, 0));
    assert_eq!(seen(&api, Q), "1 4");
}

#[test]
fn dead_letters_go_back_to_where_they_died() {
    let api = with_queue(json!({}));
    let dead = json!({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"});
    queue(&api, "work", dead);
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    ch.exchange("jobs", "topic");
    ch.bind("work", "jobs", "new.*");
    fill(&api, ["jobs", "new.mail"], numbered(3));
    fill(&api, ["", "q"], [("stray".to_owned(), persistent())]);
    for _ in 0..3 {
        let got = ch.got("work");
        ch.send(reject(got.method.delivery_tag, false));
    }
    ch.expect_counts("q", (4, 0));
    let answer = all(&api, &format!("{Q}/retry"), json!({"all": true}));
    assert_eq!(
        answer,
        json!({"done": 3, "skipped": {"gone": 0, "unroutable": 0, "never_died": 1}})
    );
    assert_eq!(seen(&api, Q), "stray");
    for number in 0..3 {
        let got = ch.got("work");
        let at = (got.text(), got.method.exchange.as_str(), got.method.routing_key.as_str());
        assert_eq!(at, (number.to_string().as_str(), "jobs", "new.mail"));
        assert!(!got.method.redelivered);
        ch.send(reject(got.method.delivery_tag, false));
    }
    ch.expect_counts("q", (4, 0));
    // By the exchange they go to all that are bound now.
    queue(&api, "audit", json!({}));
    ch.bind("audit", "jobs", "#");
    let answer = all(
        &api,
        &format!("{Q}/retry"),
        json!({"search": "1", "via": "exchange", "death": "first"}),
    );
    assert_eq!(answer["done"], 3, "the header has a 1: how often it died");
    for name in ["audit", "work"] {
        ch.expect_counts(name, (3, 0));
    }
}

#[test]
fn what_leads_nowhere_stays() {
    let api = with_queue(json!({}));
    fill(&api, ["", "q"], numbered(3));
    let body = json!({"all": true, "to_exchange": "amq.topic", "limit": 2});
    let answer = all(&api, &format!("{Q}/move"), body);
    assert_eq!(
        answer,
        json!({"done": 0, "skipped": {"gone": 0, "unroutable": 3, "never_died": 0}})
    );
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    queue(&api, "other", json!({}));
    ch.bind("other", "amq.topic", "a.*");
    let body =
        json!({"all": true, "to_exchange": "amq.topic", "to_routing_key": "a.b", "limit": 2});
    assert_eq!(all(&api, &format!("{Q}/move"), body), done(3));
    let got = ch.got("other");
    assert_eq!((got.text(), got.method.exchange.as_str()), ("0", "amq.topic"));
    assert_eq!(got.method.routing_key.as_str(), "a.b");
}

#[test]
fn what_waits_can_be_run_or_cancelled() {
    let api = with_queue(json!({"x-delayed": true}));
    let late = |number: i32| {
        (
            number.to_string(),
            headers([("x-delay", long(600_000))]).with_delivery_mode(if number % 3 == 0 {
                1
            } else {
                2
            }),
        )
    };
    fill(&api, ["", "q"], (0..9).map(late));
    let scheduled = format!("{Q}?state=scheduled");
    for size in [1, 4, 100] {
        let items = pages(&api, &scheduled, size);
        let found: BTreeSet<&str> = payloads(&items).into_iter().collect();
        assert_eq!(found.len(), 9, "{items:?}");
        assert!(
            items.iter().all(|item| item["due"].as_u64().is_some() && item["state"] == "scheduled")
        );
    }
    let position = |wanted: &str| {
        let items = pages(&api, &scheduled, 100);
        let item = items.iter().find(|item| item["payload"] == wanted);
        item.map(|item| item["position"].clone()).unwrap()
    };
    let some = json!({"positions": [position("3"), position("4")]});
    assert_eq!(post(&api, &format!("{Q}/run"), &some)["done"], 2);
    assert_eq!(post(&api, &format!("{Q}/run"), &some)["skipped"]["gone"], 2);
    let some = json!({"positions": [position("0"), position("1")], "state": "scheduled"});
    assert_eq!(post(&api, &format!("{Q}/delete"), &some)["done"], 2);
    let mut ready: Vec<String> = drained(&api, "q").into_iter().map(|(body, _)| body).collect();
    ready.sort_unstable();
    assert_eq!(ready, ["3", "4"]);
    assert_eq!(all(&api, &format!("{Q}/run"), json!({"all": true, "limit": 2})), done(5));
    assert_eq!(drained(&api, "q").len(), 5);
}

#[test]
fn what_a_delayed_exchange_holds_back_is_its_own() {
    let api = with_queue(json!({}));
    let exchange = json!({"type": "x-delayed-message", "durable": true, "arguments": {"x-delayed-type": "direct"}});
    api.change("PUT", "/exchanges/%2F/late", &exchange.to_string(), 201);
    api.broker.connect().channel(1).bind("q", "late", "k");
    let properties = headers([("x-delay", long(600_000))]).with_delivery_mode(2);
    fill(&api, ["late", "k"], (0..3).map(|number| (number.to_string(), properties.clone())));
    const X: &str = "/x/exchanges/%2F/late/messages";
    assert_eq!(seen(&api, X), "0 1 2");
    assert_eq!(all(&api, &format!("{X}/delete"), json!({"search": "1"})), done(1));
    assert_eq!(all(&api, &format!("{X}/run"), json!({"all": true})), done(2));
    assert_eq!((seen(&api, X), seen(&api, Q)), (String::new(), "0 2".to_owned()));
    api.missing("GET", "/x/exchanges/%2F/nothing/messages");
    let reason = json!("the exchange holds no messages back");
    api.refused("GET", "/x/exchanges/%2F/amq.topic/messages", "", 400, ("bad_request", reason));
}

#[test]
fn a_unique_message_that_is_deleted_may_come_again() {
    let api = with_queue(json!({"x-message-deduplication": true}));
    let job = || {
        let properties = headers([("x-deduplication-header", text("job"))]).with_delivery_mode(2);
        ("job".to_owned(), properties)
    };
    fill(&api, ["", "q"], [job(), job()]);
    assert_eq!(seen(&api, Q), "job");
    assert_eq!(all(&api, &format!("{Q}/delete"), json!({"all": true})), done(1));
    fill(&api, ["", "q"], [job(), job()]);
    assert_eq!(seen(&api, Q), "job");
}

#[test]
fn the_highest_priority_is_seen_first() {
    let api = with_queue(json!({"x-max-priority": 5}));
    let of = |number: u8| (number.to_string(), persistent().with_priority(number));
    fill(&api, ["", "q"], (0..6).map(of));
    for size in [1, 2, 10] {
        assert_eq!(payloads(&pages(&api, Q, size)), ["5", "4", "3", "2", "1", "0"]);
    }
    let positions: Vec<Value> =
        pages(&api, Q, 10).iter().map(|item| item["position"].clone()).collect();
    let some = json!({"positions": [positions[0], positions[3]]});
    assert_eq!(post(&api, &format!("{Q}/delete"), &some)["done"], 2);
    assert_eq!(seen(&api, Q), "4 3 1 0");
}

#[test]
fn a_rate_is_kept() {
    let api = with_queue(json!({}));
    queue(&api, "other", json!({}));
    fill(&api, ["", "q"], numbered(30));
    let begun = std::time::Instant::now();
    let body = json!({"all": true, "to_queue": "other", "rate": 30});
    assert_eq!(all(&api, &format!("{Q}/move"), body), done(30));
    assert!(begun.elapsed().as_millis() >= 950, "{:?}", begun.elapsed());
}

#[test]
fn a_kill_while_messages_move_neither_loses_nor_doubles_any() {
    let mut api = with_queue(json!({}));
    queue(&api, "other", json!({}));
    let count = 20_000;
    fill(&api, ["", "q"], numbered(count));
    for _ in 0..2 {
        let body = json!({"all": true, "to_queue": "other", "limit": 3000});
        assert!(post(&api, &format!("{Q}/move"), &body)["done"].as_u64() > Some(0));
        // Another one is in the middle of it.
        let address = api.broker.http_address();
        let asked = ureq::post(format!("http://{address}/api{Q}/move"))
            .header("authorization", crate::api::basic("guest", "guest"));
        let body = json!({"all": true, "to_queue": "other", "limit": 9000}).to_string();
        let deadline = std::time::Instant::now() + lepus_tests::DEADLINE;
        let moved = || api.get("/queues/%2F/other")["messages"].as_u64().unwrap();
        let before = moved();
        // It is cut off.
        let asking = thread::spawn(move || drop(asked.send(body)));
        while moved() == before {
            assert!(std::time::Instant::now() < deadline, "nothing moves");
        }
        api.broker.crash();
        asking.join().unwrap();
        let both = ["q", "other"].map(|name| bodies(&api, name)).concat();
        let all: Vec<usize> = both.iter().map(|body| body.parse().unwrap()).collect();
        let unique: BTreeSet<usize> = all.iter().copied().collect();
        assert_eq!((all.len(), unique.len()), (count, count));
    }
}

/// What a queue has, by a look at it.
fn bodies(api: &Api, queue: &str) -> Vec<String> {
    let items = pages(api, &format!("/x/queues/%2F/{queue}/messages"), 500);
    payloads(&items).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_cannot_be_is_refused() {
    let api = with_queue(json!({}));
    api.missing("GET", "/x/queues/%2F/nothing/messages");
    api.missing("GET", "/x/queues/nowhere/q/messages");
    api.missing("POST", "/x/queues/%2F/nothing/messages/delete");
    let refused = |path: &str, body: Value, reason: &str| {
        let body = body.to_string();
        let (method, body) = if body == "null" { ("GET", "") } else { ("POST", body.as_str()) };
        api.refused(method, &format!("{Q}{path}"), body, 400, ("bad_request", json!(reason)));
    };
    refused("?state=old", Value::Null, "state is not ready, unacked or scheduled");
    refused("?after=x", Value::Null, "after is not what a page has as next");
    refused("?page_size=501", Value::Null, "page_size is not in 1..500");
    refused("?truncate=x", Value::Null, "truncate is not a number");
    let one = "one of positions, search and all must be given";
    for body in
        [json!({}), json!({"all": true, "search": "x"}), json!({"positions": [], "all": true})]
    {
        refused("/delete", body, one);
    }
    refused("/delete", json!({"positions": "1"}), "positions is not a list of positions");
    refused("/delete", json!({"all": true, "limit": 0}), "limit is not in 1..100000");
    refused(
        "/delete",
        json!({"all": true, "state": "unacked"}),
        "somebody has the messages that are unacked",
    );
    refused("/run", json!({"all": true, "state": "ready"}), "only scheduled messages can be run");
    refused("/move", json!({"all": true}), "either to_queue or to_exchange must be given");
    refused("/move", json!({"all": true, "to_queue": "q"}), "to_queue is the queue itself");
    refused("/move", json!({"all": true, "to_queue": "nothing"}), "to_queue is no queue");
    refused("/move", json!({"all": true, "to_exchange": "nothing"}), "to_exchange is no exchange");
    refused("/retry", json!({"all": true, "death": "last"}), "death is not newest or first");
}

#[test]
fn permissions_are_those_of_the_methods_that_do_the_same() {
    let api = with_queue(json!({}));
    queue(&api, "other", json!({}));
    fill(&api, ["", "q"], numbered(4));
    api.user("reader", "management", ["", "", "^q$"]);
    api.user("mover", "management", ["", "^amq.default$", "^q$"]);
    api.user("writer", "management", ["", ".*", ""]);
    api.user("nobody", "", [".*", ".*", ".*"]);
    let to_move = json!({"all": true, "to_queue": "other", "limit": 1}).to_string();
    let delete = json!({"all": true, "limit": 1}).to_string();
    for (user, path, body, status) in [
        ("nobody", "", "", 401),
        ("writer", "", "", 401),
        ("reader", "", "", 200),
        ("reader", "/move", &*to_move, 401),
        ("writer", "/move", &*to_move, 401),
        ("mover", "/move", &*to_move, 200),
        ("writer", "/delete", &*delete, 401),
        ("reader", "/delete", &*delete, 200),
    ] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let answer = api.by(user, method, &format!("{Q}{path}"), body);
        assert_eq!(answer.status, status, "{user} {path}: {answer:?}");
    }
    assert_eq!(seen(&api, Q), "2 3");
}

#[test]
fn what_has_come_since_is_shown_once() {
    let api = with_queue(json!({"x-max-priority": 9}));
    let since = |end: &str, more: &str| {
        let page = api.get(&format!("{Q}?since={end}{more}"));
        let items = page["items"].as_array().unwrap();
        let mut seen = payloads(items);
        seen.sort_unstable();
        (seen.join(" "), page["end"].as_str().unwrap().to_owned())
    };
    let send = |name: &str, priority: u8| {
        let properties = persistent().with_priority(priority);
        fill(&api, ["", "q"], [(name.to_owned(), properties)]);
    };
    // Before anything has ever come.
    let (none, begin) = since("now", "");
    assert_eq!(none, "");
    send("a", 5);
    let (first, end) = since(&begin, "");
    assert_eq!(first, "a");
    assert_eq!(since("now", ""), (String::new(), end.clone()));
    send("low", 1);
    send("mid", 5);
    send("high", 9);
    let (all, end_of_all) = since(&end, "");
    assert_eq!(all, "high low mid");
    assert_eq!(since(&end, "&search=id").0, "mid");
    let (mut paged, mut at) = (Vec::new(), end);
    for _ in 0..3 {
        let (one, end) = since(&at, "&page_size=1");
        paged.push(one);
        at = end;
    }
    paged.sort_unstable();
    assert_eq!((paged.join(" "), &at), (all, &end_of_all));
    // What comes back has been there.
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    let held = ch.got("q");
    ch.send(reject(held.method.delivery_tag, true));
    ch.get("q", false).expect("it is back");
    assert_eq!(since(&end_of_all, "").0, "");
    // Another queue of the same name begins anew.
    api.change("DELETE", "/queues/%2F/q", "", 204);
    queue(&api, "q", json!({}));
    send("new", 0);
    assert_eq!(since(&end_of_all, "").0, "new");
    for wrong in ["since=x", "since=now&state=unacked", "since=now&after=0-0.1", "since="] {
        assert_eq!(api.send("GET", &format!("{Q}?{wrong}"), "").status, 400, "{wrong}");
    }
}
