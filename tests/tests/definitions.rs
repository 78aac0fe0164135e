//! Definitions from outside: at the start, and by the command.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use lepus_tests::*;
use serde_json::{Value, json};

/// RabbitMQ's hash of `guest`.
const GUEST: &str = "2O3QZRgpdU58OkNTWKlC0bi1rk9G+i5KORgTwjj8c/IEcZAK";

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(unique("definitions"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A virtual host, somebody who may use it, and a queue with a binding.
fn shop() -> Value {
    json!({
        "rabbit_version": "3.12.1",
        "users": [{
            "name": "app", "password_hash": GUEST, "tags": ["management"],
            "hashing_algorithm": "rabbit_password_hashing_sha256",
        }],
        "vhosts": [{"name": "shop"}],
        "permissions": [
            {"user": "app", "vhost": "shop", "configure": "^orders$", "write": ".*", "read": ".*"},
        ],
        "queues": [{"name": "orders", "vhost": "shop", "arguments": {"x-max-length": 7}}],
        "exchanges": [{"name": "sales", "vhost": "shop", "type": "topic"}],
        "bindings": [{
            "source": "sales", "vhost": "shop", "destination": "orders",
            "destination_type": "queue", "routing_key": "eu.#", "arguments": {},
        }],
    })
}

fn app() -> Login {
    Login { vhost: "shop", response: b"\0app\0guest".to_vec(), ..Login::default() }
}

fn load(path: &Path) -> String {
    format!("load_definitions = {}\n", path.display())
}

#[test]
fn what_a_file_declares_is_there_from_the_first_start_on() {
    lepus_only!("it starts Lepus with a file");
    let directory = Directory::new();
    let path = directory.write("shop.json", &shop().to_string());
    let mut broker = Broker::with_config(&load(&path));
    for _ in 0..2 {
        let mut conn = broker.login(&app());
        let mut ch = conn.channel_confirming(1);
        ch.publish("sales", "eu.fr", "paid");
        ch.confirmed(1, 1);
        assert_eq!(ch.get("orders", true).unwrap().text(), "paid");
        conn.close();
        broker.restart_by_stop();
    }
    // Neither the default user nor the default virtual host was made.
    let mut conn = broker.dial();
    conn.start();
    conn.send(0, Login::default().start_ok());
    assert_eq!(conn.expect_close_frame().reply_code, 403);
    let mut conn = broker.dial();
    conn.start();
    conn.send(0, app().start_ok());
    let _: connection::Tune = conn.expect(0);
    conn.send(0, app().tune_ok());
    conn.send(0, connection::Open { virtual_host: "/".into() });
    conn.expect_close(530, "NOT_ALLOWED - vhost / not found", (10, 40));
}

#[test]
fn a_directory_of_files_is_imported_by_name() {
    lepus_only!("it starts Lepus with files");
    let directory = Directory::new();
    directory.write("1-shop.json", &shop().to_string());
    let second = json!({"queues": [{"name": "orders", "vhost": "shop", "durable": false},
        {"name": "more", "vhost": "shop"}]});
    directory.write("2-more.json", &second.to_string());
    directory.write("notes.txt", "not definitions");
    let broker = Broker::with_config(&load(&directory.0));
    let mut conn = broker.login(&app());
    let mut ch = conn.channel(1);
    assert_eq!((ch.counts("orders"), ch.counts("more")), ((0, 0), (0, 0)));
}

#[test]
fn a_faulty_file_keeps_the_broker_from_starting() {
    lepus_only!("it starts Lepus with a file");
    let directory = Directory::new();
    let mut faulty = shop();
    faulty["queues"][0]["arguments"] = json!({"x-max-length": "many"});
    let path = directory.write("shop.json", &faulty.to_string());
    let config = format!("listeners.tcp.default = 127.0.0.1:0\n{}", load(&path));
    let Err(said) = Broker::as_configured(&config) else { panic!("it started") };
    assert!(said.contains("shop.json"), "{said}");
    let expected = "queue \"orders\" in vhost \"shop\": invalid arg 'x-max-length'";
    assert!(said.contains(expected), "{said}");
    let config = "listeners.tcp.default = 127.0.0.1:0\nload_definitions = /nonexistent/x.json\n";
    let Err(said) = Broker::as_configured(config) else { panic!("it started") };
    assert!(said.contains("cannot read the definitions in /nonexistent/x.json"), "{said}");
}

#[test]
fn definitions_may_come_from_a_server() {
    lepus_only!("it starts Lepus with a URL");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/definitions", server.local_addr().unwrap());
    let body = shop().to_string();
    let serving = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let mut request = Vec::new();
        let mut octets = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let read = client.read(&mut octets).unwrap();
            assert!(read > 0, "a request without an end");
            request.extend_from_slice(&octets[..read]);
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        client.write_all((head + &body).as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let broker = Broker::with_config(&format!("definitions.https.url = {url}\n"));
    assert!(serving.join().unwrap().starts_with("GET /definitions HTTP/1.1\r\n"));
    let mut conn = broker.login(&app());
    assert_eq!(conn.channel(1).counts("orders"), (0, 0));
}

#[test]
fn the_same_definitions_may_be_imported_once_only() {
    lepus_only!("it starts Lepus with a file");
    let directory = Directory::new();
    let path = directory.write("shop.json", &shop().to_string());
    let config = load(&path) + "definitions.skip_if_unchanged = true\n";
    let mut broker = Broker::with_config(&config);
    let mut conn = broker.login(&app());
    let _: queue::DeleteOk = conn.channel(1).call(delete("orders"));
    conn.close();
    broker.restart_by_stop();
    let mut conn = broker.login(&app());
    let text = "NOT_FOUND - no queue 'orders' in vhost 'shop'";
    conn.channel(1).refused(look("orders"), 404, text);
    broker.stop();
    let mut other = shop();
    other["queues"][0]["arguments"] = json!({});
    fs::write(&path, other.to_string()).unwrap();
    broker.restart();
    let mut conn = broker.login(&app());
    assert_eq!(conn.channel(1).counts("orders"), (0, 0));
}

/// Runs `lepus definitions`: its exit code, and what it printed.
fn definitions(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(lepus_binary()).arg("definitions").args(args).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_imports_exports_and_compares() {
    lepus_only!("it runs Lepus' own command");
    let directory = Directory::new();
    let shop = directory.write("shop.json", &shop().to_string()).display().to_string();
    let path = |name: &str| directory.0.join(name).display().to_string();
    let (data, whole, alone) = (path("data"), path("whole.json"), path("alone.json"));
    let (code, out, err) = definitions(&["import", "--data-dir", &data, &shop]);
    assert_eq!((code, &*out), (0, ""), "{err}");
    let (code, _, err) = definitions(&["export", "--data-dir", &data, &whole]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(definitions(&["diff", &shop, &whole]), (0, String::new(), String::new()));
    let more = json!({"users": [{"name": "app", "tags": []}]}).to_string();
    let more = directory.write("more.json", &more).display().to_string();
    let (code, out, _) = definitions(&["diff", &more, &whole]);
    assert_eq!(code, 1);
    for line in ["~ users \"app\": tags: [] -> [\"management\"]", "+ vhosts \"shop\""] {
        assert!(out.lines().any(|found| found == line), "{out}");
    }
    let (code, out, _) = definitions(&["diff", "--json", &more, &whole]);
    let changes: Value = serde_json::from_str(&out).unwrap();
    let tags = json!({
        "change": "changed", "part": "users", "key": "\"app\"", "field": "tags", "from": [],
        "to": ["management"],
    });
    assert!(code == 1 && changes.as_array().unwrap().contains(&tags), "{out}");
    let one = ["export", "--data-dir", &data, "--vhost", "shop", &alone];
    assert_eq!(definitions(&one).0, 0);
    let second = json!({"vhosts": [{"name": "second"}]}).to_string();
    let second = directory.write("second.json", &second).display().to_string();
    assert_eq!(definitions(&["import", "--data-dir", &data, &second]).0, 0);
    let other = ["import", "--data-dir", &data, "--vhost", "second", &alone];
    assert_eq!(definitions(&other).0, 0);
    let (_, out, _) = definitions(&["export", "--data-dir", &data, "--vhost", "second"]);
    let exported: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exported["queues"][0]["name"], "orders");
    assert_eq!(exported["queues"][0].get("vhost"), None);
}

#[test]
fn the_command_says_what_it_cannot_do() {
    lepus_only!("it runs Lepus' own command");
    let directory = Directory::new();
    let broken = directory.write("broken.json", "{").display().to_string();
    let data = directory.0.join("data").display().to_string();
    let (code, _, err) = definitions(&["export", "--data-dir", &data]);
    assert_eq!(code, 2);
    assert!(err.contains("is not the data directory of a broker"), "{err}");
    let (code, _, err) = definitions(&["import", "--data-dir", &data, &broken]);
    assert_eq!(code, 2);
    assert!(err.contains("broken.json: the definitions are not JSON"), "{err}");
    let empty = directory.write("empty.json", "{}").display().to_string();
    assert_eq!(definitions(&["import", "--data-dir", &data, &empty]).0, 0);
    let (code, _, err) = definitions(&["export", "--data-dir", &data, "--vhost", "none"]);
    assert_eq!(code, 2);
    assert!(err.contains("no such vhost: \"none\""), "{err}");

    let broker = Broker::start();
    let data = broker.data_dir().display().to_string();
    // The broker that has the directory is asked itself; without its socket nobody has the directory.
    let (code, out, _) = definitions(&["export", "--data-dir", &data]);
    assert!(code == 0 && out.contains("\"vhosts\""), "{out}");
    fs::remove_file(broker.data_dir().join("lepus.sock")).unwrap();
    let (code, _, err) = definitions(&["export", "--data-dir", &data]);
    assert_eq!(code, 2, "a running broker's directory");
    assert!(err.contains("in use") || err.contains("lock"), "{err}");
}
