//! The process among others: `lepus ping`, and what its service manager hears.

use std::io::Result;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use lepus_tests::*;

fn ping(args: &[&str]) -> Result<Output> {
    Command::new(lepus_binary()).arg("ping").args(args).output()
}

#[test]
fn ping_says_whether_a_broker_answers() {
    let address = shared().address();
    let answer = ping(&["--address", address]).unwrap();
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(String::from_utf8_lossy(&answer.stdout), format!("{address} answers\n"));
    let answer = ping(&["--address", address, "--json"]).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!((&told["ok"], &told["address"]), (&true.into(), &address.into()));
    // Where nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let answer = ping(&["--address", &free]).unwrap();
    assert_eq!(answer.status.code(), Some(1));
    let error = String::from_utf8_lossy(&answer.stderr);
    assert!(error.contains(&format!("no broker at {free}")), "{error}");
    let answer = ping(&["--address", &free, "--json"]).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!((answer.status.code(), &told["ok"]), (Some(1), &false.into()), "{told}");
    assert!(told["reason"].as_str().unwrap().contains("no broker at"), "{told}");
}

#[test]
fn ping_fails_where_somebody_else_listens() {
    lepus_only!("it concerns no broker");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || drop(other.accept().unwrap()));
    let answer = ping(&["--address", &address]).unwrap();
    server.join().unwrap();
    assert_eq!(answer.status.code(), Some(1));
    let error = String::from_utf8_lossy(&answer.stderr);
    assert!(error.contains("no AMQP 0-9-1 broker at"), "{error}");
}

#[test]
fn ping_looks_where_the_configuration_says() {
    lepus_only!("it is Lepus' configuration");
    let port = shared().address().rsplit(':').next().unwrap();
    let mut ping = Command::new(lepus_binary());
    ping.arg("ping").env("RABBITMQ_NODE_IP_ADDRESS", "0.0.0.0").env("RABBITMQ_NODE_PORT", port);
    let answer = ping.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        format!("127.0.0.1:{port} answers\n"),
        "{answer:?}"
    );
}

/// A broker, ended with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads what the service manager is told up to a word.
fn await_word(socket: &UnixDatagram, word: &str) -> String {
    let (begin, mut told) = (Instant::now(), String::new());
    while !told.lines().any(|line| line == word) {
        assert!(begin.elapsed() < DEADLINE, "no {word} in {told}");
        let mut room = [0; 4096];
        if let Ok(octets) = socket.recv(&mut room) {
            told += &String::from_utf8_lossy(&room[..octets]);
            told.push('\n');
        }
    }
    told
}

#[test]
fn the_service_manager_hears_of_start_and_end() {
    lepus_only!("it is about the process of Lepus");
    let directory = std::env::temp_dir().join(unique("notify"));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut broker = start(&directory, &path).unwrap();
    let told = await_word(&socket, "READY=1");
    assert!(told.starts_with("EXTEND_TIMEOUT_USEC="), "{told}");
    let pid = broker.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    await_word(&socket, "STOPPING=1");
    assert!(broker.0.wait().unwrap().success());
    std::fs::remove_dir_all(directory).unwrap();
}

fn start(directory: &Path, socket: &Path) -> Result<Started> {
    let mut command = Command::new(lepus_binary());
    command.args(["--amqp-port", "0", "--http-port", "0", "--metrics-port", "0"]);
    command.current_dir(directory).env("NOTIFY_SOCKET", socket);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Started)
}
