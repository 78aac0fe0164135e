//! Which method needs which permission on what: the same answers from Lepus and from RabbitMQ.
//!
//! Another broker (`LEPUS_TEST_TARGET`) is given its users by `LEPUS_TEST_IMPORT`, a command that imports a
//! file of definitions; without it nothing is tested there. Lepus is given them over HTTP.

use std::process::Command;
use std::sync::OnceLock;

use lepus_tests::*;
use serde_json::{Value, json};

use crate::api::{Api, basic};

/// Whoever has a password has this one.
const PASSWORD: &str = "secret";

/// Its hash, with the salt 1, 2, 3, 4.
const HASH: &str = "AQIDBDB9kM21iEUzN1lZ+6VReCsdNqS0sERdAQTcY6Xs3PMz";

/// What a name ends with says what `cell` may do with the thing: configure, write, read.
fn definitions() -> Value {
    let permission = |user: &str, [configure, write, read]: [&str; 3]| json!({"user": user, "vhost": "/", "configure": configure, "write": write, "read": read});
    let user = |name: &str, tags: &[&str]| {
        let algorithm = "rabbit_password_hashing_sha256";
        json!({"name": name, "password_hash": HASH, "hashing_algorithm": algorithm, "tags": tags,
            "limits": {}})
    };
    let cell = ["-[cwr]*c[cwr]*$", "-[cwr]*w[cwr]*$", "-[cwr]*r[cwr]*$"];
    json!({
        "users": [
            user("cell", &[]), user("none", &[]), user("nothing", &[]), user("topics", &[]),
            user("actor", &["impersonator"]), user("boss", &["administrator"]),
            {"name": "without", "password_hash": "", "tags": "",
                "hashing_algorithm": "rabbit_password_hashing_sha256", "limits": {}},
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [
            permission("cell", cell),
            permission("nothing", ["", "", ""]),
            permission("topics", [".*", ".*", ".*"]),
            permission("actor", ["^amq\\.gen", "^amq\\.(gen|default)", "^amq\\.gen"]),
            permission("without", [".*", ".*", ".*"]),
        ],
        "topic_permissions": [
            {"user": "topics", "vhost": "/", "exchange": "amq.topic",
                "write": "^{username}\\.w", "read": "^{username}\\.r"},
        ],
        "parameters": [], "global_parameters": [], "policies": [], "queues": [], "exchanges": [],
        "bindings": [],
    })
}

/// A broker with the users.
struct Scene {
    address: String,
    _api: Option<Api>,
}

impl Scene {
    /// `None`: the other broker can't be given any.
    fn set() -> Option<Self> {
        if !on_target() {
            let api = started();
            return Some(Self { address: api.broker.address().to_owned(), _api: Some(api) });
        }
        let Ok(command) = std::env::var("LEPUS_TEST_IMPORT") else {
            println!("skipped: LEPUS_TEST_IMPORT does not say how to give the other broker users");
            return None;
        };
        let path = std::env::temp_dir().join(unique("definitions"));
        std::fs::write(&path, definitions().to_string()).unwrap();
        let status = Command::new(&command).arg(&path).status().expect("run LEPUS_TEST_IMPORT");
        std::fs::remove_file(&path).unwrap();
        assert!(status.success(), "{command} failed");
        Some(Self { address: std::env::var("LEPUS_TEST_TARGET").unwrap(), _api: None })
    }

    fn guest(&self) -> Conn {
        Conn::login(&self.address, &Login::default())
    }

    fn connect(&self, user: &str) -> Conn {
        Conn::login(&self.address, &login(user, PASSWORD))
    }
}

fn login(user: &str, password: &str) -> Login {
    Login { response: format!("\0{user}\0{password}").into_bytes(), ..Login::default() }
}

/// A broker of our own with the users.
fn started() -> Api {
    let api = Api::start();
    give_users(&api);
    api
}

fn give_users(api: &Api) {
    api.change("POST", "/definitions", &definitions().to_string(), 204);
}

/// A name on which `cell` has these permissions, the same for each call.
fn named(letters: &str) -> String {
    static PREFIX: OnceLock<String> = OnceLock::new();
    format!("{}-{letters}", PREFIX.get_or_init(|| unique("p").replace('-', ".")))
}

/// Reads the refusal of a resource, and opens the channel again.
#[track_caller]
fn denied(ch: &mut Chan<'_>, method: impl Method, kind: &str, name: &str, user: &str) {
    let text = format!(
        "ACCESS_REFUSED - access to {kind} '{name}' in vhost '/' refused for user '{user}'"
    );
    ch.refused(method, 403, &text);
    ch.reopen();
}

#[track_caller]
fn no_queue(ch: &mut Chan<'_>, method: impl Method, letters: &str) {
    denied(ch, method, "queue", &named(letters), "cell");
}

#[track_caller]
fn no_exchange(ch: &mut Chan<'_>, method: impl Method, letters: &str) {
    denied(ch, method, "exchange", &named(letters), "cell");
}

#[track_caller]
fn missing(ch: &mut Chan<'_>, method: impl Method, kind: &str, name: &str) {
    ch.refused(method, 404, &format!("NOT_FOUND - no {kind} '{name}' in vhost '/'"));
    ch.reopen();
}

fn dead_letters_to(name: &str, exchange: &str) -> queue::Declare {
    let arguments = table([("x-dead-letter-exchange", text(exchange))]);
    queue::Declare { arguments, ..declare(name) }
}

fn alternate(name: &str, exchange: &str) -> exchange::Declare {
    let arguments = table([("alternate-exchange", text(exchange))]);
    exchange::Declare { arguments, ..declare_exchange(name, "fanout") }
}

#[test]
fn a_virtual_host_is_open_to_those_with_any_permission_there() {
    let Some(scene) = Scene::set() else { return };
    scene.connect("nothing").close();
    let mut conn = Conn::dial(&scene.address);
    conn.start();
    conn.send(0, login("none", PASSWORD).start_ok());
    let _: connection::Tune = conn.expect(0);
    conn.send(0, Login::default().tune_ok());
    conn.send(0, connection::Open { virtual_host: "/".into() });
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'none'";
    conn.expect_close(530, text, (10, 40));
}

#[test]
fn users_without_a_password_and_blank_ones_are_refused() {
    let Some(scene) = Scene::set() else { return };
    for (user, password) in [("without", ""), ("without", "x"), ("cell", ""), ("cell", "Secret")] {
        let mut conn = Conn::dial(&scene.address);
        conn.start();
        conn.send(0, login(user, password).start_ok());
        let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                    For details see the broker logfile.";
        conn.expect_close(403, text, (0, 0));
    }
}

#[test]
fn users_and_what_they_may_do_survive_a_restart() {
    lepus_only!("users of this process");
    let mut api = started();
    api.change("DELETE", "/users/guest", "", 204);
    let all = |api: &Api| {
        let boss = basic("boss", PASSWORD);
        ["users", "permissions", "topic-permissions"].map(|what| {
            let answer = api.raw(Some(&boss), "GET", &format!("/api/{what}"), "");
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        })
    };
    let before = all(&api);
    assert_eq!(before[0].as_array().unwrap().len(), 7, "{before:?}");
    api.broker.restart_by_stop();
    // The default user is made at the first start only.
    assert_eq!(all(&api), before);
    let boss = basic("boss", PASSWORD);
    assert_eq!(api.raw(Some(&boss), "DELETE", "/api/vhosts/%2F", "").status, 204);
    let [_, permissions, topics] = all(&api);
    assert_eq!((permissions, topics), (json!([]), json!([])));
}

#[test]
fn who_is_deleted_is_sent_away() {
    lepus_only!("users of this process");
    let api = started();
    let (mut gone, mut stays) = (api.broker.connect(), api.broker.connect());
    let mut other = Conn::login(api.broker.address(), &login("cell", PASSWORD));
    api.change("DELETE", "/users/guest", "", 204);
    for conn in [&mut gone, &mut stays] {
        conn.expect_close(320, "CONNECTION_FORCED - user 'guest' is deleted", (0, 0));
    }
    let _: queue::DeclareOk = other.channel(1).call(declare(&named("c")));
}

#[test]
fn users_and_permissions_are_told_as_events() {
    lepus_only!("users of this process");
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for key in ["user.*", "user.password.*", "user.tags.*", "permission.*", "topic.#"] {
        ch.bind(&queue, "amq.rabbitmq.event", key);
    }
    give_users(&api);
    api.change("PUT", "/users/cell", r#"{"password_hash":"","tags":""}"#, 204);
    api.change("DELETE", "/permissions/%2F/cell", "", 204);
    api.change("DELETE", "/topic-permissions/%2F/topics", "", 204);
    api.change("DELETE", "/users/actor", "", 204);
    let mut told = Vec::new();
    while let Some(event) = ch.get(&queue, true) {
        let headers = event.properties.headers().clone().unwrap();
        let shown = |name: &str| match headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            Some(AMQPValue::FieldArray(array)) => format!("{} tags", array.as_slice().len()),
            _ => String::new(),
        };
        assert!(!format!("{headers:?}").contains(PASSWORD));
        let names =
            ["name", "user", "exchange", "vhost", "write", "tags", "user_who_performed_action"];
        let shown: Vec<String> =
            names.map(shown).into_iter().filter(|text| !text.is_empty()).collect();
        told.push(format!("{} {}", event.method.routing_key, shown.join(" ")));
    }
    for expected in [
        "user.created actor guest",
        "user.tags.set actor 1 tags guest",
        "permission.created topics / .* guest",
        "topic.permission.created topics amq.topic / ^{username}\\.w guest",
        "user.password.cleared cell guest",
        "permission.deleted cell / guest",
        "topic.permission.deleted topics / guest",
        "user.deleted actor guest",
    ] {
        assert!(told.iter().any(|one| one == expected), "{expected} is not among {told:#?}");
    }
}

#[test]
fn what_is_taken_away_is_gone_with_the_next_method() {
    lepus_only!("RabbitMQ's channels remember what was allowed");
    let api = started();
    let mut conn = Conn::login(api.broker.address(), &login("topics", PASSWORD));
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "1");
    assert_eq!(ch.got(&queue).text(), "1");
    let nothing = r#"{"configure":".*","write":"^$","read":".*"}"#;
    api.change("PUT", "/permissions/%2F/topics", nothing, 204);
    ch.publish("", &queue, "2");
    let text =
        "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'topics'";
    ch.expect_close(403, text, (60, 40));
}

#[test]
fn declaring_and_deleting_a_queue_needs_configure() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    let (mine, others) = (named("c"), named("wr"));
    let _: queue::DeclareOk = ch.call(declare(&mine));
    no_queue(&mut ch, declare(&others), "wr");
    guest.queue(&others);
    no_queue(&mut ch, declare(&others), "wr");
    no_queue(&mut ch, queue::Declare { durable: true, ..declare(&others) }, "wr");
    let _: queue::DeclareOk = ch.call(look(&others));
    no_queue(&mut ch, delete(&others), "wr");
    no_queue(&mut ch, delete(&named("w")), "w");
    let _: queue::DeleteOk = ch.call(delete(&named("cw")));
    let _: queue::DeleteOk = ch.call(delete(&mine));
    missing(&mut ch, look(&named("r")), "queue", &named("r"));
    let _: queue::DeleteOk = guest.call(delete(&others));
}

#[test]
fn a_dead_letter_exchange_needs_read_on_the_queue_and_write_on_the_exchange() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    no_queue(&mut ch, dead_letters_to(&named("wr"), &named("w")), "wr");
    no_queue(&mut ch, dead_letters_to(&named("cw"), &named("w")), "cw");
    no_exchange(&mut ch, dead_letters_to(&named("cr"), &named("cr")), "cr");
    denied(&mut ch, dead_letters_to(&named("cr"), ""), "exchange", "amq.default", "cell");
    let _: queue::DeclareOk = ch.call(dead_letters_to(&named("cr"), &named("w")));
    // One that is there is only compared.
    guest.declare(dead_letters_to(&named("c"), &named("r")));
    let _: queue::DeclareOk = ch.call(dead_letters_to(&named("c"), &named("r")));
    let wrong = table([("x-dead-letter-exchange", int(1))]);
    ch.send(queue::Declare { arguments: wrong, ..declare(&named("ccw")) });
    let close: channel::Close = ch.expect();
    assert_eq!(close.reply_code, 406, "{close:?}");
    ch.send(channel::CloseOk {});
    ch.reopen();
    for name in ["cr", "c"] {
        let _: queue::DeleteOk = ch.call(delete(&named(name)));
    }
}

#[test]
fn declaring_and_deleting_an_exchange_needs_configure() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    let (mine, others) = (named("c"), named("wr"));
    let _: exchange::DeclareOk = ch.call(declare_exchange(&mine, "direct"));
    no_exchange(&mut ch, declare_exchange(&others, "direct"), "wr");
    guest.exchange(&others, "direct");
    no_exchange(&mut ch, declare_exchange(&others, "fanout"), "wr");
    let _: exchange::DeclareOk = ch.call(look_exchange(&others));
    no_exchange(&mut ch, delete_exchange(&others), "wr");
    no_exchange(&mut ch, delete_exchange(&named("r")), "r");
    let _: exchange::DeleteOk = ch.call(delete_exchange(&mine));
    denied(&mut ch, declare_exchange("amq.x", "direct"), "exchange", "amq.x", "cell");
    denied(&mut ch, declare_exchange("amq.topic", "topic"), "exchange", "amq.topic", "cell");
    let of_all = "ACCESS_REFUSED - operation not permitted on the default exchange";
    ch.refused(declare_exchange("", "direct"), 403, of_all);
    ch.reopen();
    ch.refused(delete_exchange(""), 403, of_all);
    ch.reopen();
    let system =
        "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed";
    ch.refused(delete_exchange("amq.topic"), 403, system);
    let _: exchange::DeleteOk = guest.call(delete_exchange(&others));
}

#[test]
fn an_alternate_exchange_needs_read_on_the_exchange_and_write_on_it() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    no_exchange(&mut ch, alternate(&named("wr"), &named("w")), "wr");
    no_exchange(&mut ch, alternate(&named("cw"), &named("w")), "cw");
    no_exchange(&mut ch, alternate(&named("cr"), &named("cr")), "cr");
    denied(&mut ch, alternate(&named("cr"), ""), "exchange", "amq.default", "cell");
    let _: exchange::DeclareOk = ch.call(alternate(&named("cr"), &named("w")));
    let _: exchange::DeclareOk = guest.call(alternate(&named("c"), &named("r")));
    let _: exchange::DeclareOk = ch.call(alternate(&named("c"), &named("r")));
    for name in ["cr", "c"] {
        let _: exchange::DeleteOk = ch.call(delete_exchange(&named(name)));
    }
}

#[test]
fn binding_a_queue_needs_write_on_it_and_read_on_the_exchange() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    for letters in ["w", "cr"] {
        guest.queue(&named(letters));
    }
    for letters in ["r", "cw"] {
        guest.exchange(&named(letters), "direct");
    }
    let _: queue::BindOk = ch.call(bind(&named("w"), &named("r"), "k"));
    no_queue(&mut ch, bind(&named("cr"), &named("r"), "k"), "cr");
    no_exchange(&mut ch, bind(&named("w"), &named("cw"), "k"), "cw");
    no_queue(&mut ch, bind(&named("cr"), &named("cw"), "k"), "cr");
    no_queue(&mut ch, unbind(&named("cr"), &named("r"), "k"), "cr");
    no_exchange(&mut ch, unbind(&named("w"), &named("cw"), "k"), "cw");
    let _: queue::UnbindOk = ch.call(unbind(&named("w"), &named("r"), "k"));
    // Before what is missing is looked for.
    no_queue(&mut ch, bind(&named("crr"), &named("r"), "k"), "crr");
    no_exchange(&mut ch, bind(&named("w"), &named("cww"), "k"), "cww");
    missing(&mut ch, bind(&named("ww"), &named("r"), "k"), "queue", &named("ww"));
    missing(&mut ch, bind(&named("w"), &named("rr"), "k"), "exchange", &named("rr"));
    let of_all = "ACCESS_REFUSED - operation not permitted on the default exchange";
    ch.refused(bind(&named("w"), "", "k"), 403, of_all);
    ch.reopen();
    no_queue(&mut ch, bind(&named("cr"), "", "k"), "cr");
    for letters in ["w", "cr"] {
        let _: queue::DeleteOk = guest.call(delete(&named(letters)));
    }
    for letters in ["r", "cw"] {
        let _: exchange::DeleteOk = guest.call(delete_exchange(&named(letters)));
    }
}

#[test]
fn binding_an_exchange_needs_write_on_the_one_and_read_on_the_other() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    for letters in ["w", "cr", "r", "cw"] {
        guest.exchange(&named(letters), "direct");
    }
    let _: exchange::BindOk = ch.call(bind_exchange(&named("w"), &named("r"), "k"));
    no_exchange(&mut ch, bind_exchange(&named("cr"), &named("r"), "k"), "cr");
    no_exchange(&mut ch, bind_exchange(&named("w"), &named("cw"), "k"), "cw");
    no_exchange(&mut ch, unbind_exchange(&named("cr"), &named("r"), "k"), "cr");
    no_exchange(&mut ch, unbind_exchange(&named("w"), &named("cw"), "k"), "cw");
    let _: exchange::UnbindOk = ch.call(unbind_exchange(&named("w"), &named("r"), "k"));
    denied(&mut ch, bind_exchange("", &named("r"), "k"), "exchange", "amq.default", "cell");
    for letters in ["w", "cr", "r", "cw"] {
        let _: exchange::DeleteOk = guest.call(delete_exchange(&named(letters)));
    }
}

#[test]
fn getting_consuming_and_purging_need_read() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    for letters in ["r", "cw"] {
        guest.queue(&named(letters));
    }
    let _: basic::GetEmpty = ch.call(get(&named("r")));
    let _: basic::ConsumeOk = ch.call(consume(&named("r"), "t"));
    let _: basic::CancelOk = ch.call(cancel("t"));
    let _: queue::PurgeOk = ch.call(purge(&named("r")));
    for letters in ["cw", "c"] {
        let name = named(letters);
        no_queue(&mut ch, get(&name), letters);
        no_queue(&mut ch, consume(&name, "t"), letters);
        no_queue(&mut ch, purge(&name), letters);
    }
    missing(&mut ch, get(&named("rr")), "queue", &named("rr"));
    // Replies go through no queue.
    let _: basic::ConsumeOk = ch.call(consume_no_ack("amq.rabbitmq.reply-to", "t"));
    let _: basic::CancelOk = ch.call(cancel("t"));
    for letters in ["r", "cw"] {
        let _: queue::DeleteOk = guest.call(delete(&named(letters)));
    }
}

#[test]
fn publishing_needs_write_on_the_exchange() {
    let Some(scene) = Scene::set() else { return };
    let (mut guest, mut conn) = (scene.guest(), scene.connect("cell"));
    let (mut guest, mut ch) = (guest.channel(1), conn.channel(1));
    let queue = guest.queue(&named("r"));
    for letters in ["w", "cr"] {
        guest.exchange(&named(letters), "fanout");
        guest.bind(&queue, &named(letters), "");
    }
    ch.publish(&named("w"), "", "1");
    assert_eq!(ch.get(&queue, true).expect("a message").text(), "1");
    for (exchange, shown) in [
        (named("cr"), named("cr")),
        (named("crr"), named("crr")),
        (String::new(), "amq.default".to_owned()),
    ] {
        ch.publish(&exchange, &queue, "2");
        let text = format!(
            "ACCESS_REFUSED - access to exchange '{shown}' in vhost '/' refused for user 'cell'"
        );
        ch.expect_close(403, &text, (60, 40));
        ch.reopen();
    }
    ch.publish(&named("ww"), "", "3");
    let text = format!("NOT_FOUND - no exchange '{}' in vhost '/'", named("ww"));
    ch.expect_close(404, &text, (60, 40));
    guest.expect_counts(&queue, (0, 0));
    let _: queue::DeleteOk = guest.call(delete(&queue));
    for letters in ["w", "cr"] {
        let _: exchange::DeleteOk = guest.call(delete_exchange(&named(letters)));
    }
}

#[test]
fn a_queue_named_by_the_broker_is_checked_by_that_name() {
    let Some(scene) = Scene::set() else { return };
    let mut conn = scene.connect("actor");
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "1");
    assert_eq!(ch.got(&queue).text(), "1");
    let mut conn = scene.connect("nothing");
    let mut ch = conn.channel(1);
    ch.send(queue::Declare { exclusive: true, ..declare("") });
    let close: channel::Close = ch.expect();
    let text = close.reply_text.as_str();
    assert!(text.starts_with("ACCESS_REFUSED - access to queue 'amq.gen-"), "{text}");
    assert!(text.ends_with("' in vhost '/' refused for user 'nothing'"), "{text}");
}

#[test]
fn topic_exchanges_are_open_to_some_keys() {
    let Some(scene) = Scene::set() else { return };
    let mut conn = scene.connect("topics");
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let refusal = |key: &str| {
        format!(
            "ACCESS_REFUSED - access to topic '{key}' in exchange 'amq.topic' in vhost '/' \
                 refused for user 'topics'"
        )
    };
    ch.bind(&queue, "amq.topic", "topics.r.#");
    ch.refused(bind(&queue, "amq.topic", "#"), 403, &refusal("#"));
    ch.reopen();
    ch.refused(unbind(&queue, "amq.topic", "topics.w"), 403, &refusal("topics.w"));
    ch.reopen();
    ch.publish("amq.topic", "topics.w.1", "1");
    ch.publish("amq.topic", "topics.r.1", "2");
    ch.expect_close(403, &refusal("topics.r.1"), (60, 40));
    ch.reopen();
    // Other exchanges are no concern of it.
    ch.bind(&queue, "amq.direct", "any");
    ch.publish("amq.direct", "any", "3");
    assert_eq!(ch.got(&queue).text(), "3");
}

#[test]
fn a_message_names_its_own_user_unless_an_impersonator_sends_it() {
    let Some(scene) = Scene::set() else { return };
    let named = |user: &str| props().with_user_id(user.into());
    let mut conn = scene.connect("actor");
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &named("somebody else"), "1");
    assert_eq!(ch.got(&queue).text(), "1");
    let mut conn = scene.connect("topics");
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish_with(publish("", &queue), &named("topics"), "1");
    assert_eq!(ch.got(&queue).text(), "1");
    ch.publish_with(publish("", &queue), &named("cell"), "2");
    let text =
        "PRECONDITION_FAILED - user_id property set to 'cell' but authenticated user was 'topics'";
    ch.expect_close(406, text, (60, 40));
    ch.reopen();
    // What is refused anyway is refused first.
    ch.publish_with(publish("no such exchange", ""), &named("cell"), "3");
    let text = "NOT_FOUND - no exchange 'no such exchange' in vhost '/'";
    ch.expect_close(404, text, (60, 40));
}
