//! AMQP over TLS.

mod rsa;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lepus_tests::*;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

/// A broker with a certificate for `localhost` by an authority, and its files.
struct Site {
    authority: Authority,
    files: Files,
    broker: Broker,
}

impl Site {
    fn new(config: &str) -> Self {
        let (authority, files) = prepare();
        let broker = Broker::with_config(&(settings(&files) + config));
        Self { authority, files, broker }
    }

    /// Clients must have a certificate.
    fn strict() -> Self {
        Self::new("ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n")
    }

    fn address(&self) -> String {
        self.broker.tls_address()
    }

    fn client(&self) -> TlsClient {
        self.authority.client()
    }

    #[track_caller]
    fn connect(&self, client: &TlsClient) -> Conn {
        let mut conn = client.start(&self.address()).unwrap();
        conn.open(&Login::default());
        conn
    }

    #[track_caller]
    fn refuses(&self, client: &TlsClient, why: &str) {
        for client in [client.clone().with_tls_1_2(), client.clone().with_tls_1_3()] {
            let refused = client.start(&self.address()).expect_err("a refusal");
            assert!(refused.contains(why), "{refused}");
        }
    }
}

fn prepare() -> (Authority, Files) {
    let (authority, files) = (Authority::new("Test root"), Files::default());
    files.write("ca.pem", authority.pem());
    files.keep("server", &authority.issue(&server(&["localhost"])));
    (authority, files)
}

fn settings(files: &Files) -> String {
    let path = |name| files.path(name);
    format!(
        "listeners.ssl.1 = 127.0.0.1:0\nssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
    )
}

/// A message there and back, larger than what sockets and buffers hold.
#[track_caller]
fn exchange_bodies(conn: &mut Conn) {
    let body: Vec<u8> = (0..3_000_000u32).map(|at| (at / 7 % 251) as u8).collect();
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    ch.publish("", &queue, &body);
    ch.publish("", &queue, "small");
    ch.consume_with(consume_no_ack(&queue, "all"));
    assert!(ch.delivery().body == body);
    assert_eq!(ch.delivery().text(), "small");
}

#[test]
fn tls_1_2_and_1_3_carry_large_bodies_both_ways() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    exchange_bodies(&mut site.connect(&site.client().with_tls_1_2()));
    exchange_bodies(&mut site.connect(&site.client().with_tls_1_3()));
    // And that without TLS, beside it.
    exchange_bodies(&mut site.broker.connect());
}

/// A client hello of that version, with the ciphers that it had.
fn client_hello(version: u8) -> Vec<u8> {
    let ciphers = [0xc0, 0x14, 0xc0, 0x13, 0xc0, 0x09, 0, 0x39, 0, 0x35, 0, 0x2f, 0, 0x0a, 0, 5];
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.extend([0, 0, ciphers.len() as u8]);
    body.extend(ciphers);
    body.extend([1, 0, 0, extensions.len() as u8]);
    body.extend(extensions);
    let length = body.len() as u8;
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat()
}

#[test]
fn older_versions_are_refused() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    for version in 0..=2 {
        let mut socket = TcpStream::connect(site.address()).unwrap();
        socket.write_all(&client_hello(version)).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        // A fatal alert: no such version, or nothing in common.
        assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, 40 | 70]), "{version}: {answer:?}");
    }
}

#[test]
fn versions_can_be_chosen() {
    lepus_only!("no certificates there");
    let site = Site::new("ssl_options.versions.1 = tlsv1.3\n");
    site.connect(&site.client().with_tls_1_3());
    assert!(site.client().with_tls_1_2().start(&site.address()).is_err());
    let site = Site::new("ssl_options.versions.1 = tlsv1.2\n");
    site.connect(&site.client().with_tls_1_2());
    assert!(site.client().with_tls_1_3().start(&site.address()).is_err());
}

#[test]
fn ciphers_can_be_chosen() {
    lepus_only!("no certificates there");
    let site = Site::new(
        "ssl_options.ciphers.1 = ECDHE-ECDSA-CHACHA20-POLY1305\nssl_options.ciphers.2 = TLS_AES_128_GCM_SHA256\n",
    );
    let chosen = |client: TlsClient| {
        let mut conn = site.connect(&client);
        let suite = conn.tls().0.negotiated_cipher_suite().unwrap().suite();
        format!("{suite:?}")
    };
    let tls_1_2 = chosen(site.client().with_tls_1_2());
    assert_eq!(tls_1_2, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_eq!(chosen(site.client().with_tls_1_3()), "TLS13_AES_128_GCM_SHA256");
}

fn client_certificate(authority: &Authority) -> Issued {
    authority.issue(&named("client"))
}

#[test]
fn a_required_certificate_must_be_there_and_right() {
    lepus_only!("no certificates there");
    let site = Site::strict();
    let right = site.client().with_certificate(&client_certificate(&site.authority));
    site.connect(&right.clone().with_tls_1_2());
    site.connect(&right.with_tls_1_3());

    site.refuses(&site.client(), "CertificateRequired");
    let stranger = client_certificate(&Authority::new("Test root"));
    site.refuses(&site.client().with_certificate(&stranger), "");
    let mut old = named("client");
    old.not_before = rcgen::date_time_ymd(2020, 1, 1);
    old.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let old = site.authority.issue(&old);
    site.refuses(&site.client().with_certificate(&old), "CertificateExpired");
    let mut early = named("client");
    early.not_before = rcgen::date_time_ymd(2090, 1, 1);
    early.not_after = rcgen::date_time_ymd(2091, 1, 1);
    site.refuses(&site.client().with_certificate(&site.authority.issue(&early)), "");
    let mut for_servers = named("client");
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    site.refuses(&site.client().with_certificate(&site.authority.issue(&for_servers)), "");
    site.broker.wait_for_log("TLS handshake failed", 10);
}

#[test]
fn an_optional_certificate_must_be_right_if_it_is_there() {
    lepus_only!("no certificates there");
    let site = Site::new("ssl_options.verify = verify_peer\n");
    site.connect(&site.client());
    site.connect(&site.client().with_certificate(&client_certificate(&site.authority)));
    let stranger = client_certificate(&Authority::new("Stranger"));
    site.refuses(&site.client().with_certificate(&stranger), "");
    // Nobody is asked for one.
    let site = Site::new("");
    site.connect(&site.client().with_certificate(&stranger));
}

#[test]
fn the_depth_counts_certificates_in_between() {
    lepus_only!("no certificates there");
    let config = "ssl_options.verify = verify_peer\nssl_options.depth = 1\n";
    let site = Site::new(config);
    let below = site.authority.below("Below");
    site.connect(&site.client().with_certificate(&client_certificate(&below)));
    let further = client_certificate(&below.below("Further"));
    site.refuses(&site.client().with_certificate(&further), "");
    let site = Site::new("ssl_options.verify = verify_peer\n");
    let further = client_certificate(&site.authority.below("Below").below("Further"));
    site.connect(&site.client().with_certificate(&further));
}

#[test]
fn each_host_has_its_certificate() {
    lepus_only!("no certificates there");
    let (authority, files) = prepare();
    let other = Authority::new("Other root");
    files.keep("mq", &other.issue(&server(&["mq.example"])));
    files.keep("wild", &other.issue(&server(&["*.wild.example"])));
    let hosts = ["mq.example", "*.wild.example"].into_iter().zip(["mq", "wild"]);
    let hosts: String = hosts
        .map(|(host, name)| {
            let (chain, key) = (files.path(&format!("{name}.pem")), files.path(&format!("{name}.key")));
            format!("ssl_options.sni.{host}.certfile = {chain}\nssl_options.sni.{host}.keyfile = {key}\n")
        })
        .collect();
    let broker = Broker::with_config(&(settings(&files) + &hosts));
    let address = broker.tls_address();
    for host in ["mq.example", "MQ.Example", "a.wild.example"] {
        other.client().for_host(host).start(&address).unwrap();
        assert!(authority.client().for_host(host).start(&address).is_err());
    }
    authority.client().start(&address).unwrap();
    // Of a host that is not known, and of none at all, the default is shown.
    let refused = authority.client().for_host("else.example").start(&address).unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    let refused = authority.client().for_host("127.0.0.1").start(&address).unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[test]
fn new_certificates_are_taken_without_a_restart() {
    lepus_only!("no certificates there");
    let mut site = Site::new("");
    let address = site.address();
    let mut before = site.connect(&site.client());
    let new = Authority::new("New root");
    assert!(new.client().start(&address).is_err());

    // By itself, when the files have changed.
    site.files.keep("server", &new.issue(&server(&["localhost"])));
    site.broker.wait_for_log("TLS certificates read again", 1);
    new.client().start(&address).unwrap();
    assert!(site.client().start(&address).is_err());
    exchange_bodies(&mut before);

    // What is broken changes nothing: no certificate, a key of another one, no file.
    let key = site.files.path("server.key");
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        site.files.write("server.pem", broken);
        site.broker.tell("HUP");
        site.broker.wait_for_log("TLS certificates not changed, the former ones stay", 1);
        new.client().start(&address).unwrap();
    }
    site.files.keep("server", &site.authority.issue(&server(&["localhost"])));
    site.files.write("server.key", site.authority.issue(&server(&["localhost"])).key);
    site.broker.tell("HUP");
    site.broker.wait_for_log(&format!("with the key {key}"), 1);
    std::fs::remove_file(&key).unwrap();
    site.broker.tell("HUP");
    site.broker.wait_for_log(&format!("cannot read a private key from {key}"), 1);
    new.client().start(&address).unwrap();

    // At SIGHUP.
    let read = site.broker.log().matches("TLS certificates read again").count();
    site.files.keep("server", &site.authority.issue(&server(&["localhost"])));
    site.broker.tell("HUP");
    site.broker.wait_for_log("TLS certificates read again", read + 1);
    site.connect(&site.client());
    before.channel(2).temp_queue();
}

#[test]
fn other_files_can_be_named_without_a_restart() {
    lepus_only!("no certificates there");
    let mut site = Site::new("");
    let (address, file) = (site.address(), site.broker.config_file());
    let mut before = site.connect(&site.client());
    let new = Authority::new("New root");
    site.files.keep("new", &new.issue(&server(&["localhost"])));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("server.", "new.")).unwrap();
    site.broker.tell("HUP");
    site.broker.wait_for_log("ssl_options.certfile has changed", 1);
    let deadline = Instant::now() + DEADLINE;
    while new.client().start(&address).is_err() {
        assert!(Instant::now() < deadline, "the new certificate is not there");
    }
    assert!(site.client().start(&address).is_err());
    exchange_bodies(&mut before);

    // What is broken changes nothing.
    std::fs::write(&file, text.replace("server.", "none.")).unwrap();
    site.broker.tell("HUP");
    site.broker.wait_for_log("ssl_options not changed, the former ones stay", 1);
    new.client().start(&address).unwrap();
}

#[test]
fn new_authorities_hold_for_new_connections() {
    lepus_only!("no certificates there");
    let site = Site::strict();
    let old = site.client().with_certificate(&client_certificate(&site.authority));
    let mut open = site.connect(&old);
    let new = Authority::new("New root");
    site.files.write("ca.pem", new.pem());
    site.broker.wait_for_log("TLS certificates read again", 1);
    site.refuses(&old, "");
    site.connect(&site.client().with_certificate(&client_certificate(&new)));
    open.channel(1).temp_queue();
}

#[test]
fn a_client_without_tls_is_told_from_one_with_it() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    let mut plain = Conn::dial(&site.address());
    plain.send_raw(b"AMQP\0\0\x09\x01");
    plain.expect_eof();
    site.broker.wait_for_log("a client without TLS on a port with TLS, closing", 1);
    let mut web = Conn::dial(&site.address());
    web.send_raw(b"GET / HTTP/1.1\r\n\r\n");
    web.expect_eof();
    site.broker.wait_for_log("not TLS on a port with TLS (\"GET \"), closing", 1);

    let started = Instant::now();
    assert!(site.client().start(site.broker.address()).is_err());
    site.broker.wait_for_log("a TLS client on a port without TLS, closing", 1);
    assert!(started.elapsed() < DEADLINE);
    // As RabbitMQ, which answers what is not AMQP with its own header.
    let mut encrypted = site.broker.dial();
    encrypted.send_raw(&client_hello(3));
    assert_eq!(encrypted.expect_raw(8), b"AMQP\0\0\x09\x01");
    encrypted.expect_eof();
}

#[test]
fn who_stops_within_the_handshake_keeps_nobody_else_waiting() {
    lepus_only!("no certificates there");
    let site = Site::new("ssl_handshake_timeout = 3000\n");
    let hello = client_hello(3);
    let silent: Vec<Conn> = (0..50)
        .map(|at| {
            let mut conn = Conn::dial(&site.address());
            conn.send_raw(&hello[..at % 10]);
            conn
        })
        .collect();
    exchange_bodies(&mut site.connect(&site.client()));
    for mut conn in silent {
        conn.expect_eof();
    }
    site.broker.wait_for_log("the TLS handshake took too long, closing", 50);
    // The time for the login counts from there on.
    site.connect(&site.client());
}

#[test]
fn garbage_within_the_handshake_is_refused() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    let mut random = Random::new();
    for _ in 0..100 {
        let mut hello = site.client().session();
        let mut octets = Vec::new();
        hello.write_tls(&mut octets).unwrap();
        for _ in 0..3 {
            let at = 9 + random.below(octets.len() - 9);
            octets[at] = random.octet();
        }
        let mut conn = Conn::dial(&site.address());
        conn.send_raw(&octets);
        drop(conn);
    }
    exchange_bodies(&mut site.connect(&site.client()));
}

#[test]
fn many_connections_at_once() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut open: Vec<Conn> = (0..25).map(|_| site.connect(&site.client())).collect();
                for conn in &mut open {
                    let mut ch = conn.channel(1);
                    let queue = ch.temp_queue();
                    ch.publish("", &queue, "one");
                    assert_eq!(ch.get(&queue, true).unwrap().text(), "one");
                }
            });
        }
    });
}

#[test]
fn keys_may_change_on_the_way() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    let mut conn = site.connect(&site.client().with_tls_1_3());
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    for _ in 0..3 {
        conn.tls().0.refresh_traffic_keys().unwrap();
        let mut ch = conn.ch(1);
        ch.publish("", &queue, "one");
        assert_eq!(ch.get(&queue, true).unwrap().text(), "one");
    }
}

#[test]
fn a_consumer_that_does_not_read_holds_little() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    let mut slow = site.connect(&site.client());
    let mut ch = slow.channel(1);
    let queue = ch.temp_queue();
    ch.consume_with(consume_no_ack(&queue, "slow"));
    let body = vec![1; 100_000];
    for _ in 0..200 {
        ch.publish("", &queue, &body);
    }
    // All of it still comes, in order, once it is read.
    for _ in 0..200 {
        assert!(ch.delivery().body == body);
    }
}

#[test]
fn the_end_is_told_by_tls_too() {
    lepus_only!("no certificates there");
    let site = Site::new("");
    site.connect(&site.client()).close();
    // A refusal reaches the client before the socket goes.
    let mut conn = site.connect(&site.client());
    conn.send_raw(&[9, 0, 0, 0, 0, 0, 0, 0xce]);
    conn.expect_close_frame();
    conn.finish_close();
    // And so it does when the client ends TLS in between.
    let mut conn = site.connect(&site.client());
    let mut ch = conn.channel(1);
    let queue = ch.temp_queue();
    let (tls, socket) = conn.tls();
    tls.send_close_notify();
    tls.complete_io(socket).unwrap();
    let mut other = site.connect(&site.client());
    let deadline = Instant::now() + DEADLINE;
    loop {
        let close: channel::Close = other.channel(1).call(look(&queue));
        other.send(1, channel::CloseOk {});
        if close.reply_code == 404 {
            break;
        }
        assert!(Instant::now() < deadline, "the exclusive queue is still there: {close:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_a_listener_without_tls_nobody_logs_in_in_the_clear() {
    lepus_only!("no certificates there");
    let (authority, files) = prepare();
    let broker = Broker::as_configured(&(settings(&files) + "listeners.tcp = none\n")).unwrap();
    let listening = broker.lines().iter().filter(|line| line.starts_with("listening amqp")).count();
    assert_eq!(listening, 1, "{:?}", broker.lines());
    let mut conn = authority.client().start(&broker.tls_address()).unwrap();
    conn.open(&Login::default());
    let mut plain = Conn::dial(&broker.tls_address());
    plain.send_raw(b"AMQP\0\0\x09\x01");
    plain.expect_eof();
}

/// Keys encrypted by OpenSSL, as it does by default; the tests have no other way to make one.
#[test]
fn a_key_may_be_encrypted() {
    lepus_only!("no certificates there");
    let (authority, files) = prepare();
    let encrypted = files.path("encrypted.key");
    let made = std::process::Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:s3cret", "-in", &files.path("server.key")])
        .args(["-out", &encrypted])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: there is no openssl");
        return;
    }
    let config = settings(&files) + &format!("ssl_options.keyfile = {encrypted}\n");
    let broker = Broker::with_config(&(config.clone() + "ssl_options.password = s3cret\n"));
    authority.client().start(&broker.tls_address()).unwrap();
    for (password, why) in [
        ("", "no password is set"),
        ("ssl_options.password = wrong-one\n", "the password is not right"),
    ] {
        let refused = Broker::as_configured(&(config.clone() + password)).expect_err("a refusal");
        assert!(refused.contains(why) && !refused.contains("wrong-one"), "{refused}");
    }
}

#[test]
fn what_is_not_in_order_is_refused_at_the_start() {
    lepus_only!("no certificates there");
    let (authority, files) = prepare();
    let good = settings(&files);
    let other = authority.issue(&server(&["localhost"]));
    let other_key = files.write("other.key", &other.key);
    let empty = files.write("empty.pem", "");
    for (more, part) in [
        ("ssl_options.certfile = nowhere.pem\n".to_owned(), "nowhere.pem"),
        (format!("ssl_options.certfile = {empty}\n"), empty.as_str()),
        (format!("ssl_options.keyfile = {other_key}\n"), other_key.as_str()),
        (format!("ssl_options.keyfile = {empty}\n"), empty.as_str()),
        ("ssl_options.fail_if_no_peer_cert = true\n".to_owned(), "verify_peer"),
        (format!("ssl_options.verify = verify_peer\nssl_options.cacertfile = {empty}\n"), &empty),
        ("ssl_options.verify = maybe\n".to_owned(), "verify_none"),
        ("ssl_options.versions.1 = tlsv1.1\n".to_owned(), "tlsv1.2"),
        ("ssl_options.ciphers.1 = RC4-SHA\n".to_owned(), "RC4-SHA"),
        ("ssl_options.sni.a.example.keyfile = x\n".to_owned(), "sni.a.example"),
    ] {
        let why = Broker::as_configured(&(good.clone() + &more)).expect_err("a refusal");
        assert!(why.contains(part), "{more} {why}");
    }
    let why = Broker::as_configured("listeners.ssl.1 = 127.0.0.1:0\nlisteners.tcp = none\n");
    assert!(why.unwrap_err().contains("certfile"));
}

#[test]
fn operators_are_told_of_tls() {
    lepus_only!("no certificates there");
    let site = Site::new("ssl_options.verify = verify_peer\n");
    let mut watcher = site.broker.connect();
    let mut ch = watcher.channel(1);
    let queue = ch.temp_queue();
    ch.bind(&queue, "amq.rabbitmq.event", "connection.created");
    ch.consume_with(consume_no_ack(&queue, "events"));
    let mut params: CertificateParams = named("client");
    params.distinguished_name.push(DnType::OrganizationName, "Acme, Ltd.");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    let client = site.client().with_certificate(&site.authority.issue(&params));
    let common = [
        ("peer_cert_subject", "O=Acme\\, Ltd.,CN=client"),
        ("peer_cert_issuer", "CN=Test root"),
        ("peer_cert_validity", "2026-01-01T00:00:00Z - 2049-01-01T00:00:00Z"),
        ("ssl_hash", "aead"),
        ("ssl_cipher", "aes_256_gcm"),
    ];
    for (client, own) in [
        (
            client.clone().with_tls_1_2(),
            [("ssl_protocol", "tlsv1.2"), ("ssl_key_exchange", "ecdhe_ecdsa")],
        ),
        (client.with_tls_1_3(), [("ssl_protocol", "tlsv1.3"), ("ssl_key_exchange", "any")]),
    ] {
        let conn = site.connect(&client);
        let told = ch.delivery();
        let headers = told.properties.headers().clone().expect("headers");
        assert_eq!(headers.inner().get("ssl"), Some(&AMQPValue::Boolean(true)));
        for (name, value) in common.into_iter().chain(own) {
            let expected = AMQPValue::LongString(value.into());
            assert_eq!(headers.inner().get(name), Some(&expected), "{name}");
        }
        drop(conn);
    }
}

fn external() -> Login {
    Login { mechanism: "EXTERNAL", response: Vec::new(), ..Login::default() }
}

#[test]
fn a_certificate_is_a_login() {
    lepus_only!("no certificates there");
    let mechanisms = "auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n";
    let site = Site::new(&format!("ssl_options.verify = verify_peer\n{mechanisms}"));
    // guest is who the default user is.
    let known = site.client().with_certificate(&site.authority.issue(&named("guest")));
    for client in [known.clone().with_tls_1_2(), known.with_tls_1_3()] {
        let mut conn = client.start(&site.address()).unwrap();
        conn.open(&external());
    }
    let unknown = site.client().with_certificate(&site.authority.issue(&named("nobody")));
    for client in [unknown, site.client()] {
        let mut conn = client.start(&site.address()).unwrap();
        conn.send(0, external().start_ok());
        assert_eq!(conn.expect_close_frame().reply_code, 403);
    }
    // Without TLS it is not offered.
    let start = site.broker.dial().start();
    assert!(!start.mechanisms.to_string().contains("EXTERNAL"), "{}", start.mechanisms);
}

#[test]
fn a_certificate_logs_its_user_in() {
    lepus_only!("no certificates there");
    let site = Site::new(
        "ssl_options.verify = verify_peer\nssl_cert_login_from = common_name\n\
         auth_mechanisms.1 = EXTERNAL\nauth_mechanisms.2 = PLAIN\ndefault_user = client\n",
    );
    let external = Login { mechanism: "EXTERNAL", response: Vec::new(), ..Login::default() };
    let known = site.client().with_certificate(&client_certificate(&site.authority));
    let mut conn = known.start(&site.address()).unwrap();
    conn.open(&external);
    conn.channel(1).temp_queue();
    let stranger = site.client().with_certificate(&site.authority.issue(&named("stranger")));
    for client in [site.client(), stranger] {
        let mut conn = client.start(&site.address()).unwrap();
        conn.send(0, external.start_ok());
        let text = "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. \
                    For details see the broker logfile.";
        conn.expect_close(403, text, (0, 0));
    }
    // Without TLS it is not offered.
    assert_eq!(site.broker.dial().start().mechanisms.as_bytes(), b"PLAIN");
}
