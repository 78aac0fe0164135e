//! What tools ask besides: logins, flags, memory, certificates, pages of other sites, plugins.

use std::io::Write;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lepus_tests::{DEADLINE, Files, consume, unique};
use serde_json::json;

use crate::api::{Api, basic};

const NODE: &str = "rabbit@localhost";

#[test]
fn a_form_logs_in() {
    let api = Api::start();
    let login = |form: &str| api.raw(None, "POST", "/api/login", form);
    let answer = login("username=guest&password=guest");
    assert_eq!((answer.status, answer.text.as_str()), (200, "\"ok\""));
    assert_eq!(answer.header("set-cookie"), "auth=Z3Vlc3Q6Z3Vlc3Q=; Version=1");
    let told = json!({"error": "not_authorized", "reason": "Login failed"});
    for form in ["username=guest&password=wrong", "username=guest", ""] {
        let answer = login(form);
        assert_eq!((answer.status, answer.json()), (401, told.clone()), "{form}");
    }
    assert_eq!(api.send("GET", "/login", "").status, 405);
    let expected = json!({"enable_uaa": false, "uaa_client_id": "", "uaa_location": ""});
    assert_eq!(api.raw(None, "GET", "/api/auth", "").json(), expected);
}

#[test]
fn a_password_is_hashed() {
    let api = Api::start();
    let hash = api.get("/auth/hash_password/foo")["ok"].as_str().unwrap().to_owned();
    let body = json!({"password_hash": hash, "tags": "management"}).to_string();
    api.change("PUT", "/users/u", &body, 201);
    let answer = api.raw(Some(&basic("u", "foo")), "GET", "/api/whoami", "");
    assert_eq!(answer.status, 200);
}

#[test]
fn flags_are_enabled() {
    let api = Api::start();
    let flags = api.get("/feature-flags");
    let flags = flags.as_array().unwrap();
    assert!(flags.iter().any(|flag| flag["name"] == "quorum_queue"));
    assert!(flags.iter().all(|flag| flag["state"] == "enabled" && flag["stability"] == "stable"));
    api.change("PUT", "/feature-flags/user_limits/enable", "{}", 204);
    let told = ("bad_request", json!("unsupported"));
    api.refused("PUT", "/feature-flags/nosuch/enable", "{}", 400, told);
    assert_eq!(api.get("/deprecated-features/used"), json!([]));
}

#[test]
fn the_node_has_what_tools_look_for() {
    let api = Api::start();
    let node = api.get(&format!("/nodes/{NODE}"));
    for number in
        ["mem_used", "fd_used", "fd_total", "sockets_total", "proc_used", "disk_free", "uptime"]
    {
        assert!(node[number].is_u64(), "{number}: {node}");
    }
    assert_eq!(node["applications"][0]["version"], api.get("/overview")["rabbitmq_version"]);
    assert!(node["enabled_plugins"].as_array().unwrap().contains(&json!("rabbitmq_management")));
    let memory = api.get(&format!("/nodes/{NODE}/memory"))["memory"].clone();
    assert_eq!(memory.as_object().unwrap().len(), 27);
    assert!(memory["total"]["rss"].as_u64() > Some(0), "{memory}");
    assert_eq!(api.get(&format!("/nodes/{NODE}/memory/relative"))["memory"]["total"], 100);
    api.missing("GET", "/nodes/nosuch/memory");
    let version = api.raw(None, "GET", "/api/version", "");
    assert_eq!(version.json(), api.get("/overview")["rabbitmq_version"]);
}

#[test]
fn the_node_names_its_files() {
    let files = Files::default();
    let api =
        Api::with_config(&format!("log.dir = {}\nlog.file = a.log\n", files.folder().display()));
    let node = &api.get("/nodes")[0];
    assert_eq!(node["log_files"], json!([files.path("a.log"), "<stderr>"]));
    assert_eq!(node["config_files"], json!([api.broker.config_file()]));
    let node = &Api::start().get("/nodes")[0];
    assert_eq!((&node["log_files"], &node["config_files"]), (&json!(["<stderr>"]), &json!([])));
}

#[test]
fn what_needs_no_work_is_done_at_once() {
    let api = Api::start();
    api.user("u", "management", [".*", ".*", ".*"]);
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    for (method, path) in [
        ("POST", "/rebalance/queues"),
        ("DELETE", "/reset"),
        ("DELETE", "/reset/rabbit@localhost"),
        ("POST", "/vhosts/%2F/start/rabbit@localhost"),
    ] {
        api.change(method, path, "", 204);
        assert_eq!(api.by("u", method, path, "").status, 401, "{method} {path}");
    }
    let actions = "/queues/%2F/q/actions";
    api.change("POST", actions, r#"{"action":"sync"}"#, 204);
    let refused = |body, reason| api.refused("POST", actions, body, 400, ("bad_request", reason));
    refused(r#"{"action":"zzz"}"#, json!(["unknown", "zzz"]));
    refused("{}", json!("[{key_missing,action}]"));
    api.missing("POST", "/queues/%2F/nosuch/actions");
    let reason = json!("Request to node nosuch failed with nodedown");
    api.refused("POST", "/vhosts/%2F/start/nosuch", "", 400, ("bad_request", reason));
}

#[test]
fn what_belongs_to_plugins_is_empty() {
    let api = Api::start();
    for list in ["shovels", "federation-links", "stream/connections", "stream/consumers"] {
        assert_eq!(api.get(&format!("/{list}")), json!([]), "{list}");
        assert_eq!(api.get(&format!("/{list}/%2F")), json!([]), "{list}");
        api.missing("GET", &format!("/{list}/nosuch"));
    }
    for (path, kind) in [("top", "processes"), ("top/ets", "ets_tables")] {
        assert_eq!(api.get(&format!("/{path}/rabbit@localhost"))[kind], json!([]));
        api.missing("GET", &format!("/{path}/nosuch"));
    }
}

#[test]
fn settings_are_told_as_they_hold() {
    let api = Api::with_config("heartbeat = 17\ndefault_pass = guest\n");
    let settings = api.get("/config/effective").to_string();
    assert!(settings.contains("heartbeat") && settings.contains("17"), "{settings}");
    assert!(settings.contains("default_pass") && settings.contains("***"), "{settings}");
}

#[test]
fn requests_are_written_down() {
    let files = Files::default();
    let folder = files.folder().join("requests");
    let api = Api::with_config(&format!("management.http_log_dir = {}\n", folder.display()));
    api.ask(&[("user-agent", "a \"b\"")], "GET", "/api/whoami?x=1", "");
    api.change("PUT", "/queues/%2F/q", "{}", 201);
    let written = || -> String {
        let all = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        all.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    };
    let deadline = Instant::now() + DEADLINE;
    while written().lines().count() < 2 {
        assert!(Instant::now() < deadline, "{}", written());
        std::thread::sleep(Duration::from_millis(5));
    }
    let written = written();
    let lines: Vec<&str> = written.lines().collect();
    let begins = |line: &str, with: &str| assert!(line.starts_with(with), "{line}");
    begins(lines[0], "127.0.0.1 - - [");
    begins(lines[1], "127.0.0.1 - guest [");
    assert!(lines[0].contains("] \"GET /api/whoami?x=1 HTTP/1.1\" 401 "), "{written}");
    assert!(lines[0].ends_with(r#" "-" "a \"b\"""#), "{written}");
    assert!(lines[1].contains("] \"PUT /api/queues/%2F/q HTTP/1.1\" 201 "), "{written}");
}

#[test]
fn more_health_is_checked() {
    let api = Api::start();
    let checks = "/health/checks";
    for check in [
        "metadata-store/initialized",
        "metadata-store/initialized/with-data",
        "reached-target-cluster-size",
        "quorum-queues-without-elected-leaders/all-vhosts",
        "quorum-queues-without-elected-leaders/vhost/%2F/pattern/q",
        "certificate-expiration/1/months",
    ] {
        assert_eq!(api.get(&format!("{checks}/{check}")), json!({"status": "ok"}), "{check}");
    }
    let told = json!({"status": "ok", "connections": 0, "limit": "infinity"});
    assert_eq!(api.get(&format!("{checks}/below-node-connection-limit")), told);
    let refused = |check: &str, reason: &str| {
        let told = ("bad_request", json!(reason));
        api.refused("GET", &format!("{checks}/certificate-expiration/{check}"), "", 400, told);
    };
    refused("1/foo", "Time unit not recognised. Supported units: days, weeks, months, years.");
    refused("x/days", "Invalid expiration value.");
}

#[test]
fn pages_of_other_sites_ask_if_they_may() {
    let config = "management.cors.allow_origins.1 = https://a.example\nmanagement.cors.max_age = 9";
    let api = Api::with_config(config);
    let from = |origin| api.with_header(("origin", origin), "GET", "/api/overview");
    let answer = from("https://a.example");
    assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-max-age"), "");
    assert_eq!(from("https://b.example").header("access-control-allow-origin"), "");
    let headers =
        [("origin", "https://a.example"), ("access-control-request-headers", "authorization")];
    let asked = api.ask(&headers, "OPTIONS", "/api/queues/%2F/q", "");
    assert_eq!((asked.status, asked.header("access-control-max-age")), (200, "9"));
    assert_eq!(asked.header("access-control-allow-headers"), "authorization");
    let methods = asked.header("access-control-allow-methods");
    assert!(["GET", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
}

#[test]
fn paths_may_begin_with_something() {
    let api = Api::with_config("management.path_prefix = /rabbit");
    let answer = api.raw(Some(&basic("guest", "guest")), "GET", "/rabbit/api/whoami", "");
    assert_eq!(answer.status, 200);
    assert_eq!(api.send("GET", "/whoami", "").status, 404);
}

#[test]
fn definitions_may_come_in_a_form() {
    let api = Api::start();
    let login = basic("guest", "guest");
    let headers =
        [("authorization", login.as_str()), ("content-type", "multipart/form-data; boundary=XX")];
    let part = |name: &str, content: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    };
    let document = json!({"vhosts": [{"name": "shop"}]}).to_string();
    let form = part("file", &document) + "--XX--\r\n";
    let answer = api.ask(&headers, "POST", "/api/definitions", &form);
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(api.get("/vhosts/shop")["name"], "shop");
    let form = part("redirect", "/#/import-succeeded") + &form;
    let answer = api.ask(&headers, "POST", "/api/definitions", &form);
    assert_eq!((answer.status, answer.header("location")), (303, "/#/import-succeeded"));
    let form = part("file", "notjson") + "--XX--\r\n";
    let answer = api.ask(&headers, "POST", "/api/definitions", &form);
    assert_eq!(
        (answer.status, answer.json()["reason"].as_str()),
        (400, Some("failed_to_parse_json"))
    );
    let answer = api.ask(&headers, "POST", "/api/definitions", "no form");
    assert_eq!(answer.status, 400);
}

/// The script of RabbitMQ's own, where it is installed.
fn rabbitmqadmin(api: &Api, args: &[&str]) -> Option<Output> {
    let (host, port) = api
        .broker
        .http_address()
        .rsplit_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))?;
    let mut command = Command::new("rabbitmqadmin");
    command.args(["-H", &host, "-P", &port, "-f", "tsv"]).args(args);
    command.output().ok()
}

/// Words of the script, one line after the other, and what it says then.
const VERBS: [(&str, &str); 24] = [
    ("declare vhost name=shop", "vhost declared"),
    ("declare user name=anna password=x tags=monitoring", "user declared"),
    ("declare permission vhost=shop user=anna configure= write= read=", "permission declared"),
    ("declare queue name=jobs durable=true", "queue declared"),
    ("declare exchange name=x type=topic", "exchange declared"),
    ("declare binding source=x destination=jobs routing_key=a.#", "binding declared"),
    ("list bindings source destination properties_key", "x\tjobs\ta.%23"),
    ("publish exchange=x routing_key=a.b payload=hello", "Message published"),
    ("get queue=jobs ackmode=ack_requeue_true", "hello"),
    ("list queues name messages", "jobs\t1"),
    ("purge queue name=jobs", "queue purged"),
    (r#"declare policy name=p pattern=^j definition={"max-length":5}"#, "policy declared"),
    (
        r#"declare operator_policy name=o pattern=^j definition={"max-length":5}"#,
        "operator_policy declared",
    ),
    ("list policies name pattern", "p\t^j"),
    ("declare vhost_limit vhost=/ name=max-queues value=50", "vhost_limit declared"),
    (
        r#"declare parameter component=vhost-limits name=limits value={"max-queues":9}"#,
        "parameter declared",
    ),
    ("export FILE", "Exported definitions"),
    ("import FILE", "Uploaded definitions"),
    (
        "delete binding source=x destination_type=queue destination=jobs properties_key=a.%23",
        "binding deleted",
    ),
    ("delete exchange name=x", "exchange deleted"),
    ("delete policy name=p", "policy deleted"),
    ("delete queue name=jobs", "queue deleted"),
    ("delete user name=anna", "user deleted"),
    ("delete vhost name=shop", "vhost deleted"),
];

#[test]
fn rabbitmqadmin_does_all_that_it_can() {
    let api = Api::start();
    let mut conn = api.broker.connect();
    let mut channel = conn.channel(1);
    channel.queue("q");
    channel.consume_with(consume("q", "c1"));
    let name = api.get("/connections")[0]["name"].as_str().unwrap().to_owned();
    let Some(listed) = rabbitmqadmin(&api, &["list", "connections", "name", "user", "channels"])
    else {
        return drop(writeln!(std::io::stderr(), "no rabbitmqadmin here"));
    };
    let said = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(said, format!("name\tuser\tchannels\n{name}\tguest\t1\n"), "{listed:?}");
    for (what, expected) in [("channels", "(1)"), ("consumers", "c1"), ("queues", "q")] {
        let listed = rabbitmqadmin(&api, &["list", what]).unwrap();
        let said = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.status.success() && said.contains(expected), "{what}: {listed:?}");
    }
    for what in [&["show", "overview"][..], &["list", "nodes"], &["list", "vhosts"]] {
        let listed = rabbitmqadmin(&api, what).unwrap();
        assert!(listed.status.success(), "{what:?}: {listed:?}");
    }
    let file = std::env::temp_dir().join(unique("definitions.json"));
    for (words, said) in VERBS {
        let words = words.replace("FILE", &file.display().to_string());
        let ran = rabbitmqadmin(&api, &words.split(' ').collect::<Vec<_>>()).unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && out.contains(said), "{words}: {ran:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let closed = rabbitmqadmin(&api, &["close", "connection", &format!("name={name}")]).unwrap();
    assert!(closed.status.success(), "{closed:?}");
    conn.expect_close(320, "CONNECTION_FORCED - Closed via management plugin", (0, 0));
}
