//! What the broker tells on the exchange `amq.rabbitmq.event`. RabbitMQ needs its plugin for that.

use lepus_tests::*;

const EXCHANGE: &str = "amq.rabbitmq.event";

/// Leaves the test where nobody tells anything.
macro_rules! events {
    ($conn:expr) => {{
        if !tells() {
            println!("skipped: LEPUS_TEST_EVENTS does not say that the other broker tells events");
            return;
        }
        let mut ch = $conn.channel(1);
        let queue = ch.temp_queue();
        ch.bind(&queue, EXCHANGE, "#");
        ch.consume_with(consume_no_ack(&queue, "events"));
        ch
    }};
}

/// Lepus always does; of another broker `LEPUS_TEST_EVENTS` says that it has the plugin.
fn tells() -> bool {
    !on_target() || std::env::var_os("LEPUS_TEST_EVENTS").is_some()
}

/// Events up to the next one of that kind that says so.
#[track_caller]
fn events_to(
    ch: &mut Chan<'_>,
    key: &str,
    name: &str,
    value: &AMQPValue,
) -> Vec<(String, FieldTable)> {
    let mut all = Vec::new();
    loop {
        let told = ch.delivery();
        let headers = told.properties.headers().clone().expect("headers");
        assert_eq!(told.method.exchange.as_str(), EXCHANGE);
        assert_eq!((told.text(), *told.properties.delivery_mode()), ("", Some(2)));
        let Some(AMQPValue::LongLongInt(ms)) = headers.inner().get("timestamp_in_ms") else {
            panic!("no time in {headers:?}");
        };
        assert_eq!(told.properties.timestamp(), &Some(*ms as u64 / 1000));
        let is_last =
            told.method.routing_key.as_str() == key && headers.inner().get(name) == Some(value);
        all.push((told.method.routing_key.to_string(), headers));
        if is_last {
            return all;
        }
    }
}

/// The headers of the next event of that kind that says so.
#[track_caller]
fn event(ch: &mut Chan<'_>, key: &str, name: &str, value: &AMQPValue) -> FieldTable {
    events_to(ch, key, name, value).pop().expect("an event").1
}

/// The headers of an event of that kind that says so.
#[track_caller]
fn one_of<'a>(
    events: &'a [(String, FieldTable)],
    key: &str,
    name: &str,
    value: &AMQPValue,
) -> &'a FieldTable {
    let said = |(of, headers): &&(String, FieldTable)| {
        of == key && headers.inner().get(name) == Some(value)
    };
    &events.iter().find(said).unwrap_or_else(|| panic!("no {key} with {name}")).1
}

/// The headers but for the time.
fn lasting(headers: &FieldTable) -> FieldTable {
    let kept = headers.into_iter().filter(|(name, _)| name.as_str() != "timestamp_in_ms");
    table(kept.map(|(name, value)| (name.as_str(), value.clone())))
}

fn names(headers: &FieldTable) -> String {
    let names = headers.inner().keys().map(|name| name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

fn by_guest<'a>(fields: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let who = [("vhost", text("/")), ("user_who_performed_action", text("guest"))];
    table(fields.into_iter().chain(who))
}

#[test]
fn what_is_declared_and_deleted_is_told() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = events!(conn);
    let mut other = broker.connect();
    let mut acting = other.channel(1);
    let (queue, exchange) = (unique("queue"), unique("exchange"));
    let arguments = table([("x-max-length", int(5))]);
    acting.declare(queue::Declare { arguments, ..declare(&queue) });
    acting.exchange(&exchange, "topic");
    acting.bind(&queue, &exchange, "a.*");
    acting.call::<queue::UnbindOk>(unbind(&queue, &exchange, "a.*"));
    acting.bind(&queue, &exchange, "b");
    acting.call::<queue::DeleteOk>(delete(&queue));
    acting.call::<exchange::DeleteOk>(delete_exchange(&exchange));

    let created = event(&mut ch, "queue.created", "name", &text(&queue));
    let expected = by_guest([
        ("name", text(&queue)),
        ("durable", flag(false)),
        ("auto_delete", flag(false)),
        ("exclusive", flag(false)),
        ("owner_pid", text("")),
        ("arguments", list([text("{<<\"x-max-length\">>,signedint,5}")])),
    ]);
    assert_eq!(lasting(&created), expected);
    let created = event(&mut ch, "exchange.created", "name", &text(&exchange));
    let expected = by_guest([
        ("name", text(&exchange)),
        ("type", text("topic")),
        ("durable", flag(false)),
        ("auto_delete", flag(false)),
        ("internal", flag(false)),
        ("arguments", list([])),
        ("policy", text("")),
    ]);
    assert_eq!(lasting(&created), expected);
    let bound = |key: &str| {
        by_guest([
            ("source_name", text(&exchange)),
            ("source_kind", text("exchange")),
            ("destination_name", text(&queue)),
            ("destination_kind", text("queue")),
            ("routing_key", text(key)),
            ("arguments", list([])),
        ])
    };
    for (kind, key) in [("created", "a.*"), ("deleted", "a.*"), ("created", "b")] {
        let told = event(&mut ch, &format!("binding.{kind}"), "source_name", &text(&exchange));
        assert_eq!(lasting(&told), bound(key), "{kind}");
    }
    let gone = event(&mut ch, "exchange.deleted", "name", &text(&exchange));
    assert_eq!(lasting(&gone), by_guest([("name", text(&exchange))]));
}

#[test]
fn deleted_queues_are_told() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = events!(conn);
    let mut other = broker.connect();
    let (queue, exclusive) = (unique("queue"), unique("exclusive"));
    let mut acting = other.channel(1);
    acting.queue(&queue);
    acting.declare(queue::Declare { exclusive: true, ..declare(&exclusive) });
    acting.call::<queue::DeleteOk>(delete(&queue));
    other.close();
    let created = event(&mut ch, "queue.created", "name", &text(&exclusive));
    assert_eq!(created.inner().get("exclusive"), Some(&flag(true)));
    assert_ne!(created.inner().get("owner_pid"), Some(&text("")));
    let gone = event(&mut ch, "queue.deleted", "name", &text(&queue));
    assert_eq!(lasting(&gone), by_guest([("name", text(&queue))]));
    let gone = event(&mut ch, "queue.deleted", "name", &text(&exclusive));
    assert_eq!(gone.inner().get("user_who_performed_action"), Some(&text("rmq-internal")));
}

#[test]
fn connections_and_channels_are_told() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = events!(conn);
    let mut other = broker.connect();
    // No other test's.
    let number = 1000 + std::process::id() as u16 % 1000;
    other.channel(number).close();
    other.close();

    let told = events_to(&mut ch, "channel.created", "number", &long(number.into()));
    let opened = &told.last().expect("an event").1;
    let pid = opened.inner().get("connection").expect("a pid");
    let channel = opened.inner().get("pid").expect("a pid");
    let created = one_of(&told, "connection.created", "pid", pid);
    let expected = "auth_mechanism channel_max client_properties connected_at frame_max host name \
         node peer_cert_issuer peer_cert_subject peer_cert_validity peer_host peer_port pid port \
         protocol ssl ssl_cipher ssl_hash ssl_key_exchange ssl_protocol timeout timestamp_in_ms type \
         user user_who_performed_action vhost";
    assert_eq!(names(created), expected);
    assert_eq!(created.inner().get("peer_host"), Some(&text("{127,0,0,1}")));
    assert_eq!(created.inner().get("frame_max"), Some(&long(131_072)));
    let Some(AMQPValue::LongString(name)) = created.inner().get("name") else {
        panic!("no name in {created:?}");
    };
    let name = name.to_string();
    let login = one_of(&told, "user.authentication.success", "connection_name", &text(&name));
    let expected = "auth_mechanism connection_name connection_type host name peer_host peer_port \
         protocol ssl timestamp_in_ms";
    assert_eq!(names(login), expected);
    let expected = by_guest([
        ("name", text(&format!("{name} ({number})"))),
        ("number", long(number.into())),
        ("user", text("guest")),
        ("pid", channel.clone()),
        ("connection", pid.clone()),
    ]);
    assert_eq!(lasting(opened), expected);
    let closed = event(&mut ch, "channel.closed", "pid", channel);
    assert_eq!(names(&closed), "pid timestamp_in_ms user_who_performed_action");
    let gone = event(&mut ch, "connection.closed", "pid", pid);
    assert_eq!(names(&gone), "client_properties name node pid timestamp_in_ms");
}

#[test]
fn consumers_are_told() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = events!(conn);
    let (queue, tag) = (unique("queue"), unique("tag"));
    let mut other = broker.connect();
    let mut acting = other.channel(1);
    acting.queue(&queue);
    acting.call::<basic::QosOk>(qos(7));
    let arguments = table([("x-priority", int(3))]);
    acting.consume_with(basic::Consume { arguments, ..consume(&queue, &tag) });
    acting.call::<basic::CancelOk>(cancel(&tag));
    acting.consume_with(consume(&queue, "another"));
    acting.close();
    other.channel(1).call::<queue::DeleteOk>(delete(&queue));

    let consumer = event(&mut ch, "consumer.created", "consumer_tag", &text(&tag));
    let channel = consumer.inner().get("channel").expect("a pid").clone();
    let expected = by_guest([
        ("consumer_tag", text(&tag)),
        ("exclusive", flag(false)),
        ("ack_required", flag(true)),
        ("channel", channel.clone()),
        ("queue", text(&queue)),
        ("prefetch_count", long(7)),
        ("arguments", list([text("{<<\"x-priority\">>,signedint,3}")])),
    ]);
    assert_eq!(lasting(&consumer), expected);
    for (tag, user) in [(&*tag, "guest"), ("another", "rmq-internal")] {
        let gone = event(&mut ch, "consumer.deleted", "queue", &text(&queue));
        let expected = table([
            ("consumer_tag", text(tag)),
            ("channel", channel.clone()),
            ("queue", text(&queue)),
            ("vhost", text("/")),
            ("user_who_performed_action", text(user)),
        ]);
        assert_eq!(lasting(&gone), expected);
    }
}

#[test]
fn refused_logins_are_told() {
    let broker = Broker::start();
    let mut conn = broker.connect();
    let mut ch = events!(conn);
    let user = unique("nobody");
    let response = format!("\0{user}\0wrong").into_bytes();
    let login = Login { response, ..Login::default() };
    let mut refused = broker.dial();
    refused.start();
    refused.send(0, login.start_ok());
    let told = event(&mut ch, "user.authentication.failure", "name", &text(&user));
    assert!(told.contains_key("error") && told.contains_key("peer_host"));
}
