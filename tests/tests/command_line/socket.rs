//! The socket in the data directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use lepus_tests::*;

use super::shell::Shell;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_who_runs_the_broker_opens_it() {
    lepus_only!("RabbitMQ has no such socket");
    let shell = Shell::local();
    let directory = shell.broker.data_dir();
    assert_eq!((mode(&directory), mode(&directory.join("lepus.sock"))), (0o700, 0o600));
}

#[test]
fn it_asks_for_no_password_and_acts_as_an_administrator() {
    lepus_only!("RabbitMQ has no such socket");
    let shell = Shell::local();
    shell.ctl("delete_user guest");
    assert_eq!(shell.lepus(&["users", "ls", "--json"]).json(), serde_json::json!([]));
    shell.lepus(&["users", "set", "a", "--password", "b", "--tags", "management"]);
    // Who logs in by it as somebody is no more than that one.
    let mut socket = UnixStream::connect(shell.broker.data_dir().join("lepus.sock")).unwrap();
    let head = "GET /api/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    // a:b
    write!(socket, "{head}authorization: Basic YTpi\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[test]
fn it_goes_at_a_clean_stop_and_comes_back_after_a_crash() {
    lepus_only!("RabbitMQ has no such socket");
    let mut shell = Shell::local();
    let socket = shell.broker.data_dir().join("lepus.sock");
    shell.broker.crash();
    shell.lepus(&["status"]);
    shell.broker.kill();
    assert!(socket.exists());
    let ran = shell.run(&["status"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.err.contains("no broker answers at"), "{ran:?}");
    shell.broker.restart();
    shell.lepus(&["status"]);
    shell.broker.stop();
    assert!(!socket.exists());
    assert_eq!(shell.run(&["queues", "ls"]).code, 69);
}

#[test]
fn a_broker_is_found_by_its_directory_by_its_url_and_by_the_environment() {
    lepus_only!("RabbitMQ has no such socket");
    let shell = Shell::local();
    let directory = shell.broker.data_dir().display().to_string();
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new(lepus_binary());
        command.args(args).env_remove("LEPUS_URL").current_dir(std::env::temp_dir());
        command.output().unwrap().status.code().unwrap()
    };
    assert_eq!(command(&["status", "--data-dir", &directory]), 0);
    assert_eq!(command(&["queues", "ls", "--url", &shell.url()]), 0);
    assert_eq!(command(&["rabbitmqctl", "--data-dir", &directory, "status"]), 0);
    let wrong = shell.url().replace("guest:guest", "guest:wrong");
    assert_eq!(command(&["queues", "ls", "--url", &wrong]), 1);
    assert_eq!(command(&["queues", "ls", "--url", "http://127.0.0.1:1"]), 69);
    assert_eq!(command(&["queues", "ls", "--url", "nonsense"]), 65);
    assert_eq!(command(&["queues", "no-such-verb"]), 2);
}

#[test]
fn the_broker_is_stopped_by_it_alone() {
    lepus_only!("RabbitMQ has no such socket");
    let remote = Shell::remote();
    let (code, err) = remote.ctl_fails("stop");
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("Only by the socket"), "{err}");
    let shell = Shell::local();
    assert_eq!(shell.ctl("stop"), "Stopping and halting node rabbit@localhost ...\n");
    assert_eq!(shell.run(&["status"]).code, 69);
}
