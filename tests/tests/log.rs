//! The log where others read it: an exchange, a syslog server.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use lepus_tests::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// What a broker warns of when somebody sends no frame.
const SAID: &str = "connection closed: FRAME_ERROR";

fn provoke(broker: &Broker) {
    cause(broker.connect());
}

fn cause(mut conn: Conn) {
    conn.send_raw(&[1, 0, 0, 0, 0, 0, 0, 0]);
    conn.close_or_eof();
}

/// A queue with all lines of some levels, by a connection that stays.
fn bound(conn: &mut Conn, key: &str) -> String {
    let mut ch = conn.ch(1);
    let queue = ch.temp_queue();
    ch.bind(&queue, "amq.rabbitmq.log", key);
    queue
}

fn next(conn: &mut Conn, queue: &str) -> Message<basic::GetOk> {
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        if let Some(got) = conn.ch(1).get(queue, true) {
            return got;
        }
        assert!(std::time::Instant::now() < deadline, "no line came");
    }
}

#[test]
fn lines_are_published_with_their_level_as_routing_key() {
    lepus_only!("not switched on there");
    let mut broker = Broker::with_config("log.exchange = true\nlog.exchange.level = warning\n");
    let mut conn = broker.connect();
    conn.channel(1);
    let queue = bound(&mut conn, "#");
    let infos = bound(&mut conn, "info");
    provoke(&broker);
    let got = next(&mut conn, &queue);
    assert_eq!(got.method.exchange.as_str(), "amq.rabbitmq.log");
    assert_eq!(got.method.routing_key.as_str(), "warning");
    assert!(got.text().contains("WARN") && got.text().contains(SAID), "{}", got.text());
    let properties = &got.properties;
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "text/plain");
    assert!(properties.timestamp().is_some());
    let expected = table([("node", text("rabbit@localhost"))]);
    assert_eq!(properties.headers().as_ref(), Some(&expected));
    let mut ch = conn.channel(2);
    ch.publish("amq.rabbitmq.log", "info", "no");
    ch.expect_close(
        403,
        "ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.log' in vhost '/'",
        (60, 40),
    );
    assert!(conn.ch(1).get(&infos, true).is_none());

    // It is there after a restart, also when nothing is published any more.
    drop(conn);
    let config = broker.config_file();
    std::fs::write(&config, "log.exchange = false\n").unwrap();
    broker.restart_by_stop();
    let mut conn = broker.connect();
    conn.channel(1);
    bound(&mut conn, "info");

    // How much comes there can change.
    std::fs::write(&config, "log.exchange = true\nlog.exchange.level = error\n").unwrap();
    broker.restart_by_stop();
    let mut conn = broker.connect();
    conn.channel(1);
    let queue = bound(&mut conn, "#");
    std::fs::write(&config, "log.exchange = true\nlog.exchange.level = info\n").unwrap();
    broker.tell("HUP");
    let line = next(&mut conn, &queue);
    assert_eq!(line.method.routing_key.as_str(), "info", "{}", line.text());
}

#[test]
fn lines_may_be_json_and_go_to_the_default_virtual_host() {
    lepus_only!("not switched on there");
    let config = "log.exchange = true\nlog.exchange.formatter = json\ndefault_vhost = home\n";
    let broker = Broker::with_config(config);
    let login = Login { vhost: "home", ..Login::default() };
    let mut conn = Conn::login(broker.address(), &login);
    conn.channel(1);
    let queue = bound(&mut conn, "warning");
    cause(Conn::login(broker.address(), &login));
    let got = next(&mut conn, &queue);
    let line: Value = serde_json::from_str(got.text()).unwrap();
    assert_eq!(line["level"], "warning");
    assert_eq!(got.properties.content_type().as_ref().unwrap().as_str(), "application/json");
}

#[test]
fn syslog_gets_datagrams() {
    lepus_only!("no such log there");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let port = server.local_addr().unwrap().port();
    let broker = Broker::with_config(&format!(
        "log.syslog = true\nlog.syslog.ip = 127.0.0.1\nlog.syslog.port = {port}\n\
         log.syslog.identity = mq\nlog.syslog.facility = local2\nlog.syslog.level = warning\n"
    ));
    provoke(&broker);
    let mut octets = [0; 65536];
    let length = server.recv(&mut octets).unwrap();
    let line = String::from_utf8_lossy(&octets[..length]).into_owned();
    // local2 is 18, a warning 4.
    assert!(line.starts_with("<148>"), "{line}");
    assert!(line.contains(" mq[") && line.contains(SAID) && !line.contains("WARN"), "{line}");
    assert!(!line.ends_with('\n'));
}

#[test]
fn a_syslog_server_may_come_later_and_come_back() {
    lepus_only!("no such log there");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let config = |protocol: &str| {
        format!(
            "log.syslog = true\nlog.syslog.transport = tcp\nlog.syslog.host = 127.0.0.1\n\
             log.syslog.port = {port}\nlog.syslog.protocol = {protocol}\nlog.syslog.level = warning\n"
        )
    };
    let broker = Broker::with_config(&config("rfc3164"));
    provoke(&broker);
    let (stream, _) = server.accept().unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("<28>") && line.contains(SAID), "{line}");
    // Nobody listens any more, then somebody does again.
    drop(server);
    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    server.set_nonblocking(true).unwrap();
    let deadline = std::time::Instant::now() + DEADLINE;
    let stream = loop {
        provoke(&broker);
        match server.accept() {
            Ok((stream, _)) => break stream,
            Err(_) => assert!(std::time::Instant::now() < deadline, "nobody came back"),
        }
    };
    drop(broker);

    // The new form counts its octets.
    server.set_nonblocking(false).unwrap();
    drop(stream);
    let broker = Broker::with_config(&config("rfc5424"));
    provoke(&broker);
    let (stream, _) = server.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = Vec::new();
    reader.read_until(b' ', &mut length).unwrap();
    let length: usize = String::from_utf8(length).unwrap().trim().parse().unwrap();
    let mut message = vec![0; length];
    reader.read_exact(&mut message).unwrap();
    let message = String::from_utf8(message).unwrap();
    assert!(message.starts_with("<28>1 ") && message.contains(" lepus "), "{message}");
    assert!(message.contains(SAID) && !message.ends_with('\n'), "{message}");
}

/// A syslog server with TLS, which asks for certificates: what it is told first, or why not.
fn first_line(
    server: &TcpListener,
    files: &Files,
    authority: &Authority,
) -> Result<String, String> {
    let chain = CertificateDer::pem_file_iter(files.path("server.pem")).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(files.path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let (tcp, _) = server.accept().unwrap();
    tcp.set_read_timeout(Some(DEADLINE)).unwrap();
    let session = ServerConnection::new(Arc::new(config)).unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(StreamOwned::new(session, tcp));
    let read = reader.read_line(&mut line).map_err(|error| error.to_string());
    read.map(|_| line)
}

#[test]
fn syslog_may_go_over_tls() {
    lepus_only!("no such log there");
    let (files, authority) = (Files::default(), Authority::new("root"));
    files.write("ca.pem", authority.pem());
    files.write("other.pem", Authority::new("other").pem());
    files.keep("server", &authority.issue(&server(&["localhost"])));
    files.keep("client", &authority.issue(&named("broker")));
    let config = |port: u16, options: &[(&str, &str)]| {
        let keys = [("certfile", "client.pem"), ("keyfile", "client.key")];
        let options = keys.iter().chain(options).map(|(key, value)| {
            let value = if value.contains('.') { files.path(value) } else { (*value).to_owned() };
            format!("log.syslog.ssl_options.{key} = {value}\n")
        });
        let options: String = options.collect();
        format!(
            "log.syslog = true\nlog.syslog.transport = tls\nlog.syslog.host = 127.0.0.1\n\
             log.syslog.port = {port}\nlog.syslog.level = warning\n{options}"
        )
    };
    let said = |options: &[(&str, &str)]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Broker::with_config(&config(port, options));
        provoke(&broker);
        first_line(&listener, &files, &authority)
    };
    let line = said(&[("cacertfile", "ca.pem"), ("sni", "localhost")]).unwrap();
    assert!(line.starts_with("<28>") && line.contains(SAID), "{line}");
    let line = said(&[("cacertfile", "ca.pem"), ("hostname_verification", "none")]).unwrap();
    assert!(line.contains(SAID), "{line}");
    assert!(said(&[("verify", "verify_none")]).unwrap().contains(SAID));
    // Another name than in the certificate, and another authority.
    assert!(said(&[("cacertfile", "ca.pem")]).unwrap_err().contains("alert"));
    let other = said(&[("cacertfile", "other.pem"), ("hostname_verification", "none")]);
    assert!(other.unwrap_err().contains("alert"));

    let refused =
        |options: &[(&str, &str)]| Broker::as_configured(&config(1, options)).unwrap_err();
    let why = refused(&[("cacertfile", "no.pem")]);
    assert!(why.contains("log.syslog.ssl_options") && why.contains("no.pem"), "{why}");
}

#[test]
fn a_syslog_server_that_takes_nothing_holds_nobody_up() {
    lepus_only!("no such log there");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    drop(server);
    let broker = Broker::with_config(&format!(
        "log.syslog = true\nlog.syslog.transport = tcp\nlog.syslog.ip = 127.0.0.1\nlog.syslog.port = {port}\n"
    ));
    broker.wait_for_log("the log cannot be sent to syslog at 127.0.0.1", 1);
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "one");
    assert_eq!(ch.got(&queue).text(), "one");
}

/// The line that says this, once it is there.
fn line(broker: &Broker, said: &str) -> Value {
    broker.wait_for_log(said, 1);
    let log = broker.log();
    let line = log.lines().find(|line| line.contains(said) && line.ends_with('}'));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no whole line: {log}"))).unwrap()
}

#[test]
fn connections_are_followed_from_their_beginning_to_their_end() {
    lepus_only!("the texts are Lepus' own");
    let broker = Broker::with_config("log.console.formatter = json\nhandshake_timeout = 4000\n");
    let home = |line: &Value| {
        let who = (&line["user"], &line["vhost"]);
        assert_eq!(who, (&"guest".into(), &"/".into()), "{line}");
        let from = line["from"].as_str().unwrap().to_owned();
        assert!(from.starts_with("127.0.0.1:"), "{line}");
        (line["connection"].as_u64().unwrap(), from)
    };
    broker.connect().close();
    let came = home(&line(&broker, "connected"));
    let closed = line(&broker, "closed by the client");
    assert_eq!((home(&closed), &closed["level"]), (came, &"info".into()));
    drop(broker.connect());
    let left = line(&broker, "the client has left without closing the connection");
    home(&left);
    assert_eq!(left["level"], "warning");
    let mut silent = broker.dial();
    silent.expect_eof();
    let late = line(&broker, "not open in time, closing");
    assert_eq!((&late["user"], &late["vhost"]), (&Value::Null, &Value::Null), "{late}");
    cause(broker.connect());
    home(&line(&broker, SAID));
    assert_eq!(broker.log().matches("without closing").count(), 1, "{}", broker.log());
}
