//! Clients that are slow, silent, or many: none keeps others from being answered.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::api::{Api, basic};

/// As many as there may be at a time.
const MOST: usize = 256;

/// How long the broker gets to do what it is to do.
const DEADLINE: Duration = Duration::from_secs(30);

fn dial(api: &Api) -> TcpStream {
    let stream = TcpStream::connect(api.broker.http_address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn head(method: &str, path: &str, more: &str) -> String {
    let login = basic("guest", "guest");
    format!("{method} {path} HTTP/1.1\r\nHost: lepus\r\nAuthorization: {login}\r\n{more}\r\n")
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(head("GET", "/api/version", "").as_bytes()).unwrap();
}

/// Reads up to the end of a short answer.
fn answered(stream: &mut TcpStream) {
    let mut read = Vec::new();
    let mut some = [0; 4096];
    while !read.ends_with(b"\"4.2.3\"") {
        let octets = stream.read(&mut some).unwrap();
        assert!(octets > 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&some[..octets]);
    }
}

/// What still comes before the broker closes the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    if let Err(error) = stream.read_to_string(&mut text) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    text
}

#[test]
fn a_request_that_does_not_come_is_not_waited_for() {
    let api = Api::with_config("management.tcp.request_timeout = 2000\n");
    let mut silent = dial(&api);
    let mut slow = dial(&api);
    slow.write_all(b"GET /api/version HTTP/1.1\r\nHost: le").unwrap();
    assert_eq!((rest(&mut silent), rest(&mut slow)), (String::new(), String::new()));
    // One after another a connection has as many requests as it likes.
    let mut idle = dial(&api);
    for _ in 0..3 {
        ask(&mut idle);
        answered(&mut idle);
    }
    assert_eq!(rest(&mut idle), "");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let api = Api::with_config("management.tcp.idle_timeout = 200\n");
    let mut slow = dial(&api);
    let head = head("PUT", "/api/queues/%2F/slow", "Content-Length: 100\r\n");
    slow.write_all((head + "{\"durable\":").as_bytes()).unwrap();
    let answer = rest(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("does not come\"}"), "{answer}");
    assert_eq!(api.send("GET", "/queues/%2F/slow", "").status, 404);
}

#[test]
fn answers_that_nobody_takes_are_not_kept() {
    let api = Api::with_config("management.tcp.idle_timeout = 200\n");
    let mut deaf = dial(&api);
    let request = head("GET", "/api/definitions", "");
    let most = 1 << 28;
    let sent = (0..most / request.len()).find(|_| deaf.write_all(request.as_bytes()).is_err());
    assert!(sent.is_some(), "{most} octets of requests were taken");
    assert_eq!(api.send("GET", "/whoami", "").status, 200);
}

#[test]
fn heads_of_requests_are_bounded() {
    let api = Api::start();
    let mut stream = dial(&api);
    // It may be closed while this is written.
    let long = head("GET", "/api/version", &format!("X-Long: {}\r\n", "x".repeat(1 << 20)));
    let _ = stream.write_all(long.as_bytes());
    let mut status = [0; 12];
    match stream.read_exact(&mut status) {
        Ok(()) => assert_eq!(&status, b"HTTP/1.1 431"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn of_too_many_some_wait_until_others_end() {
    let api = Api::start();
    let mut open: Vec<TcpStream> = (0..MOST).map(|_| dial(&api)).collect();
    for stream in &mut open {
        ask(stream);
        answered(stream);
    }
    api.broker.wait_for_log("256 connections for http are open: others wait until some end", 1);
    let mut late = dial(&api);
    ask(&mut late);
    late.set_nonblocking(true).unwrap();
    let unanswered = late.read(&mut [0; 1]).unwrap_err();
    assert_eq!(unanswered.kind(), ErrorKind::WouldBlock);
    late.set_nonblocking(false).unwrap();
    drop(open.pop());
    answered(&mut late);
}
