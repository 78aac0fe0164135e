//! Options that change while nobody looks.

use std::time::Instant;

use lepus_tests::{Authority, DEADLINE, Files, server};

use super::*;

/// A configuration with that certificate for AMQP.
fn config(files: &Files, authority: &Authority, name: &str) -> Config {
    files.keep(name, &authority.issue(&server(&["localhost"])));
    let certfile = Some(files.path(&format!("{name}.pem")).into());
    let keyfile = Some(files.path(&format!("{name}.key")).into());
    let tls = TlsOptions { certfile, keyfile, ..TlsOptions::default() };
    Config { tls, ..Config::default() }
}

/// The threads of a listener may begin long after it was said that all is ready.
#[tokio::test]
async fn what_was_read_again_before_it_is_watched_counts() {
    let (files, authority) = (Files::default(), Authority::new("Test root"));
    let node = Node::in_memory(config(&files, &authority, "old"));
    let options = ("ssl_options", (|config| &config.tls) as Of);
    let acceptor = Acceptor::new(&node.config(), options, &[]).unwrap();
    let next = config(&files, &authority, "new");
    node.reconfigure(next.clone());
    let watching = tokio::spawn(acceptor.clone().watch(node));
    let deadline = Instant::now() + DEADLINE;
    while *acceptor.options.read() != next.tls {
        assert!(Instant::now() < deadline, "the former options still hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watching.abort();
}
