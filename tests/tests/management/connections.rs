//! Connections, channels and consumers: what is told of them, to whom, and how they are closed.

use std::time::{Duration, Instant};

use amq_protocol::protocol::{basic, channel, confirm, connection, queue, tx};
use lepus_tests::{Conn, DEADLINE, Login, ack, consume, declare, int, qos, qos_global, table};
use serde_json::{Value, json};

use crate::api::{Api, basic};

const ALL: [&str; 3] = [".*", ".*", ".*"];

/// What RabbitMQ's `GET /api/connections/NAME` has, but for what may be missing.
const CONNECTION: &str = "auth_mechanism channel_max channels client_properties connected_at \
    frame_max garbage_collection host name node peer_cert_issuer peer_cert_subject \
    peer_cert_validity peer_host peer_port port protocol recv_cnt recv_oct recv_oct_details \
    reductions reductions_details send_cnt send_oct send_oct_details send_pend ssl ssl_cipher \
    ssl_hash ssl_key_exchange ssl_protocol state timeout type user user_who_performed_action vhost";

/// What RabbitMQ's `GET /api/channels/NAME` has.
const CHANNEL: &str = "acks_uncommitted confirm connection_details consumer_count \
    consumer_details deliveries garbage_collection global_prefetch_count message_stats \
    messages_unacknowledged messages_uncommitted messages_unconfirmed name node number \
    pending_raft_commands prefetch_count publishes reductions reductions_details state \
    transactional user user_who_performed_action vhost";

fn dial(api: &Api) -> Conn {
    api.broker.connect()
}

fn by(user: &'static str) -> Login {
    Login { response: format!("\0{user}\0{user}").into_bytes(), ..Login::default() }
}

/// The name of a connection, as it stands in a path.
fn quoted(name: &str) -> String {
    name.replace(' ', "%20").replace('>', "%3E").replace('(', "%28").replace(')', "%29")
}

fn name_of(api: &Api, conn: &Conn) -> String {
    format!("{} -> {}", conn.local_address(), api.broker.address())
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[track_caller]
fn has_all(object: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        assert!(!object[field].is_null(), "{field} is missing in {object}");
    }
}

/// Asks until the answer is as it must be some time.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_connection_is_shown_with_all_that_rabbitmq_says_of_one() {
    let api = Api::start();
    assert_eq!(api.get("/connections"), json!([]));
    let mut conn = dial(&api);
    conn.channel(1);
    let name = name_of(&api, &conn);
    let shown = api.get(&format!("/connections/{}", quoted(&name)));
    has_all(&shown, CONNECTION);
    assert_eq!((&shown["name"], &shown["state"]), (&json!(name), &json!("running")));
    assert_eq!((&shown["channels"], &shown["channel_max"]), (&json!(1), &json!(2047)));
    assert_eq!((&shown["frame_max"], &shown["timeout"]), (&json!(131_072), &json!(0)));
    assert_eq!((&shown["protocol"], &shown["type"]), (&json!("AMQP 0-9-1"), &json!("network")));
    assert_eq!((&shown["user"], &shown["vhost"]), (&json!("guest"), &json!("/")));
    assert_eq!(shown["client_properties"]["capabilities"]["connection.blocked"], true);
    assert_eq!((&shown["ssl"], &shown["ssl_protocol"]), (&json!(false), &json!("")));
    assert_eq!(shown["peer_port"], conn.local_address().port());
    assert!(shown["recv_oct"].as_u64() > Some(0) && shown["send_cnt"].as_u64() > Some(0));
    assert_eq!(names(&api.get("/connections")), [&name]);
    assert_eq!(names(&api.get("/vhosts/%2F/connections")), [&name]);
    let page = api.get("/connections?page=1&name=127&columns=name,channels");
    assert_eq!(page["items"], json!([{"name": name, "channels": 1}]));
    assert_eq!(api.get("/overview")["object_totals"]["connections"], 1);
    conn.close();
    until("it goes", || api.get("/connections") == json!([]));
    api.missing("GET", &format!("/connections/{}", quoted(&name)));
    api.missing("GET", "/connections/nosuch");
    api.missing("GET", "/vhosts/nosuch/connections");
}

#[test]
fn connections_are_closed_for_a_reason() {
    let api = Api::start();
    let mut conn = dial(&api);
    let path = format!("/connections/{}", quoted(&name_of(&api, &conn)));
    api.change("DELETE", &path, "", 204);
    conn.expect_close(320, "CONNECTION_FORCED - Closed via management plugin", (0, 0));
    until("it goes", || api.get("/connections") == json!([]));
    api.missing("DELETE", &path);
    let mut conn = dial(&api);
    let path = format!("/api/connections/{}", quoted(&name_of(&api, &conn)));
    let answer = api.with_header(("x-reason", "for maintenance"), "DELETE", &path);
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    conn.expect_close(320, "CONNECTION_FORCED - for maintenance", (0, 0));
}

#[test]
fn the_connections_of_a_user_are_found_and_closed_together() {
    let api = Api::start();
    api.user("app", "management", ALL);
    let mut own: Vec<Conn> = (0..2).map(|_| api.broker.login(&by("app"))).collect();
    let other = dial(&api);
    let found = api.get("/connections/username/app");
    assert_eq!(found.as_array().unwrap().len(), 2);
    let expected = json!({
        "name": name_of(&api, &own[0]), "node": "rabbit@localhost", "user": "app", "vhost": "/",
    });
    assert!(found.as_array().unwrap().contains(&expected), "{found}");
    assert_eq!(api.get("/connections/username/nobody"), json!([]));
    let refused = api.by("app", "DELETE", "/connections/username/guest", "");
    assert_eq!(refused.json()["reason"], "User not authorised to access object");
    api.change("DELETE", "/connections/username/app", "", 204);
    for conn in &mut own {
        conn.expect_close(320, "CONNECTION_FORCED - Closed via management plugin", (0, 0));
    }
    until("they go", || names(&api.get("/connections")) == [&name_of(&api, &other)]);
}

#[test]
fn who_may_not_monitor_sees_what_is_his_own() {
    let api = Api::start();
    api.user("app", "management", ALL);
    api.user("watcher", "monitoring", ALL);
    let (mut own, mut other) = (api.broker.login(&by("app")), dial(&api));
    own.channel(1).temp_queue();
    other.channel(1).queue("q");
    other.ch(1).consume("q", "c");
    let count = |user: &str, path: &str| {
        api.by(user, "GET", path, "").json().as_array().map(Vec::len).unwrap()
    };
    for path in ["/connections", "/channels", "/vhosts/%2F/connections", "/vhosts/%2F/channels"] {
        assert_eq!((count("app", path), count("watcher", path)), (1, 2), "{path}");
    }
    assert_eq!((count("app", "/consumers"), count("watcher", "/consumers")), (0, 1));
    let name = quoted(&name_of(&api, &other));
    for path in [format!("/connections/{name}"), format!("/channels/{name}%20%281%29")] {
        let answer = api.by("app", "GET", &path, "");
        let reason = answer.json()["reason"].clone();
        assert_eq!((answer.status, reason), (401, json!("User not authorised to access object")));
        assert_eq!(api.by("watcher", "GET", &path, "").status, 200, "{path}");
    }
    let own_name = quoted(&name_of(&api, &own));
    assert_eq!(api.by("app", "DELETE", &format!("/connections/{own_name}"), "").status, 204);
    own.expect_close(320, "CONNECTION_FORCED - Closed via management plugin", (0, 0));
}

#[test]
fn a_channel_is_shown_with_all_that_rabbitmq_says_of_one() {
    let api = Api::start();
    let mut conn = dial(&api);
    let mut first = conn.channel(1);
    first.queue("q");
    first.call::<confirm::SelectOk>(confirm::Select { nowait: false });
    first.call::<basic::QosOk>(qos(7));
    first.call::<basic::QosOk>(qos_global(9));
    first.publish("", "q", "m");
    first.publish("", "nowhere", "m");
    first.expect::<basic::Ack>();
    let connection = name_of(&api, &conn);
    let name = format!("{connection} (1)");
    let path = format!("/channels/{}", quoted(&name));
    until("both are confirmed", || api.get(&path)["message_stats"]["confirm"] == 2);
    let shown = api.get(&path);
    has_all(&shown, CHANNEL);
    assert_eq!((&shown["name"], &shown["number"]), (&json!(name), &json!(1)));
    assert_eq!(shown["connection_details"]["name"], json!(connection));
    assert_eq!((&shown["confirm"], &shown["transactional"]), (&json!(true), &json!(false)));
    let limits = (&shown["prefetch_count"], &shown["global_prefetch_count"]);
    assert_eq!(limits, (&json!(7), &json!(9)));
    assert_eq!(shown["messages_unconfirmed"], 0);
    let stats = &shown["message_stats"];
    assert_eq!((&stats["publish"], &stats["drop_unroutable"]), (&json!(2), &json!(1)));
    assert_eq!(names(&api.get("/channels")), [&name]);
    assert_eq!(names(&api.get(&format!("/connections/{}/channels", quoted(&connection)))), [&name]);
    api.missing("GET", "/channels/nosuch");
    api.missing("GET", &format!("/channels/{}", quoted(&format!("{connection} (2)"))));
    conn.ch(1).close();
    assert_eq!(api.get("/channels"), json!([]));
    api.missing("GET", &path);
}

#[test]
fn a_transaction_shows_what_waits_for_its_commit() {
    let api = Api::start();
    let mut conn = dial(&api);
    let mut channel = conn.channel(1);
    channel.queue("q");
    channel.publish_all("q", ["a", "b", "c"]);
    channel.call::<tx::SelectOk>(tx::Select {});
    channel.consume("q", "c");
    let tags = [(); 3].map(|()| channel.delivery().method.delivery_tag);
    channel.send(ack(tags[0]));
    channel.publish("", "q", "d");
    channel.publish("", "q", "e");
    channel.call::<basic::QosOk>(qos(1));
    let numbers = || {
        let shown = api.get("/channels");
        let number = |field: &str| shown[0][field].as_u64().unwrap();
        let uncommitted = (number("messages_uncommitted"), number("acks_uncommitted"));
        (uncommitted, number("messages_unacknowledged"), number("consumer_count"))
    };
    assert_eq!(numbers(), ((2, 1), 2, 1));
    channel.call::<tx::CommitOk>(tx::Commit {});
    assert_eq!(numbers().0, (0, 0));
}

#[test]
fn consumers_are_shown_with_their_channels_and_queues() {
    let api = Api::with_config("consumer_timeout = 1800000\n");
    let mut conn = dial(&api);
    let connection = name_of(&api, &conn);
    let mut channel = conn.channel(1);
    channel.queue("q");
    channel.call::<basic::QosOk>(qos(5));
    let arguments = table([("x-priority", int(3))]);
    channel.consume_with(basic::Consume { arguments, ..consume("q", "c1") });
    let peer = json!({
        "connection_name": connection, "name": format!("{connection} (1)"), "number": 1,
        "node": "rabbit@localhost", "peer_host": "127.0.0.1",
        "peer_port": channel.conn.local_address().port(), "user": "guest",
    });
    let consumer = json!([{
        "consumer_tag": "c1", "queue": {"name": "q", "vhost": "/"}, "ack_required": true,
        "exclusive": false, "prefetch_count": 5, "active": true, "activity_status": "up",
        "arguments": {"x-priority": 3}, "consumer_timeout": 1_800_000, "channel_details": peer,
    }]);
    assert_eq!(api.get("/consumers"), consumer);
    assert_eq!(api.get("/consumers/%2F"), consumer);
    assert_eq!(api.get("/queues/%2F/q")["consumer_details"], consumer);
    let path = format!("/channels/{}", quoted(&format!("{connection} (1)")));
    assert_eq!(api.get(&path)["consumer_details"], consumer);
    api.missing("GET", "/consumers/nosuch");
    channel.call::<basic::CancelOk>(lepus_tests::cancel("c1"));
    assert_eq!(api.get("/consumers"), json!([]));
    assert_eq!(api.get("/queues/%2F/q")["consumer_details"], json!([]));
}

#[test]
fn a_queue_tells_whose_it_is_and_which_consumer_is_served() {
    let api = Api::start();
    let mut conn = dial(&api);
    let connection = name_of(&api, &conn);
    let mut channel = conn.channel(1);
    let exclusive = queue::Declare { exclusive: true, ..declare("mine") };
    channel.declare(exclusive);
    assert_eq!(api.get("/queues/%2F/mine")["owner_pid_details"]["name"], json!(connection));
    let arguments = table([("x-single-active-consumer", lepus_tests::flag(true))]);
    channel.declare(queue::Declare { arguments, ..declare("one") });
    channel.consume("one", "a");
    channel.consume("one", "b");
    let consumers = api.get("/consumers?columns=consumer_tag,active,activity_status");
    let expected = json!([
        {"consumer_tag": "a", "active": true, "activity_status": "single_active"},
        {"consumer_tag": "b", "active": false, "activity_status": "waiting"},
    ]);
    assert_eq!(consumers, expected);
    let served = |name: &str| {
        let shown = api.get(&format!("/queues/%2F/{name}"));
        ["single_active_consumer_tag", "exclusive_consumer_tag"].map(|tag| shown[tag].clone())
    };
    assert_eq!(served("one"), [json!("a"), Value::Null]);
    channel.consume_with(basic::Consume { exclusive: true, ..consume("mine", "alone") });
    assert_eq!(served("mine"), [Value::Null, json!("alone")]);
    let listed = api.get("/queues?columns=name,owner_pid_details.name");
    let of_mine = json!({"name": "mine", "owner_pid_details": {"name": connection}});
    assert_eq!(listed, json!([of_mine, {"name": "one"}]));
    api.change(
        "PUT",
        "/queues/%2F/safe",
        r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#,
        201,
    );
    let safe = api.get("/queues/%2F/safe?columns=leader,members,online");
    let node = "rabbit@localhost";
    assert_eq!(safe, json!({"leader": node, "members": [node], "online": [node]}));
}

#[test]
fn a_connection_that_publishes_under_an_alarm_is_blocked() {
    let api = Api::with_config("vm_memory_high_watermark.absolute = 1KiB\n");
    let mut conn = dial(&api);
    let path = format!("/connections/{}", quoted(&name_of(&api, &conn)));
    conn.channel(1).queue("q");
    until("the alarm is set", || api.get(&path)["state"] == "blocking");
    conn.ch(1).publish("", "q", "m");
    until("it is blocked", || api.get(&path)["state"] == "blocked");
    conn.expect::<connection::Blocked>(0);
}

#[test]
fn a_channel_that_was_refused_something_is_gone() {
    let api = Api::start();
    let mut conn = dial(&api);
    conn.channel(1);
    conn.channel(2);
    conn.ch(1).send(lepus_tests::look("nosuch"));
    let close = conn.expect::<channel::Close>(1);
    assert_eq!(close.reply_code, 404);
    let channels = api.get("/channels?columns=number");
    assert_eq!(channels, json!([{"number": 2}]));
}

#[test]
fn those_who_log_in_are_counted() {
    let api = Api::start();
    let node = "/auth/attempts/rabbit@localhost";
    let _conn = dial(&api);
    api.raw(Some(&basic("guest", "wrong")), "GET", "/api/whoami", "");
    let counted = api.get(node);
    let find = |protocol: &str| {
        let all = counted.as_array().unwrap();
        all.iter().find(|item| item["protocol"] == protocol).unwrap().clone()
    };
    let amqp = json!({
        "protocol": "amqp091", "auth_attempts": 1, "auth_attempts_failed": 0,
        "auth_attempts_succeeded": 1,
    });
    assert_eq!(find("amqp091"), amqp);
    assert_eq!(find("http")["auth_attempts_failed"], 1);
    assert_eq!(api.get(&format!("{node}/source")), json!([]));
    api.change("DELETE", node, "", 204);
    assert!(!api.get(node).as_array().unwrap().iter().any(|item| item["protocol"] == "amqp091"));
    api.missing("GET", "/auth/attempts/nosuch");
}

#[test]
fn channels_are_told_of_as_they_are_however_often_they_are_asked() {
    let api = Api::start();
    let mut conn = dial(&api);
    let mut channel = conn.channel(1);
    let seen = || api.get("/channels")[0].clone();
    for prefetch in 1..20 {
        channel.call::<basic::QosOk>(qos(prefetch));
        assert_eq!(seen()["prefetch_count"], prefetch);
        assert_eq!(seen()["prefetch_count"], prefetch);
    }
}

#[test]
fn lists_have_no_value_for_tls_where_there_is_none() {
    let api = Api::start();
    let conn = dial(&api);
    let one = api.get(&format!("/connections/{}", quoted(&name_of(&api, &conn))));
    let listed = &api.get("/connections")[0];
    for field in ["ssl_cipher", "ssl_protocol", "peer_cert_subject"] {
        assert_eq!((&one[field], &listed[field]), (&json!(""), &json!(null)), "{field}");
    }
}
