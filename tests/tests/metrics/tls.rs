//! HTTPS, for the metrics and for the HTTP API.

use std::time::Instant;

use lepus_tests::*;

fn site(config: &str) -> (Authority, Files, Broker) {
    let (authority, files) = (Authority::new("Test root"), Files::default());
    files.write("ca.pem", authority.pem());
    files.keep("server", &authority.issue(&server(&["localhost"])));
    let folder = files.folder().display();
    let settings = ["management", "prometheus"].map(|service| {
        format!(
            "{service}.ssl.port = 0\n{service}.ssl.cacertfile = {folder}/ca.pem\n\
             {service}.ssl.certfile = {folder}/server.pem\n\
             {service}.ssl.keyfile = {folder}/server.key\n"
        )
    });
    let broker = Broker::with_config(&(settings.concat() + config));
    (authority, files, broker)
}

#[test]
fn both_services_speak_tls() {
    let (authority, _files, broker) = site("");
    for client in [authority.client().with_tls_1_2(), authority.client().with_tls_1_3()] {
        let page = client.page(&broker.address_of("https/prometheus"), "/metrics").unwrap();
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(page.contains("\nrabbitmq_identity_info{"), "{page}");
        let page = client.page(&broker.address_of("https"), "/api/overview").unwrap();
        assert!(page.starts_with("HTTP/1.1 401"), "{page}");
    }
    let stranger = Authority::new("Other root").client();
    assert!(stranger.page(&broker.address_of("https"), "/api/overview").is_err());
}

#[test]
fn who_asks_may_need_a_certificate() {
    let config = "prometheus.ssl.verify = verify_peer\nprometheus.ssl.fail_if_no_peer_cert = true\n\
                  prometheus.ssl.versions.1 = tlsv1.2\n";
    let (authority, _files, broker) = site(config);
    let address = broker.address_of("https/prometheus");
    assert!(authority.client().page(&address, "/metrics").is_err());
    let known = authority.client().with_certificate(&authority.issue(&named("scraper")));
    assert!(known.page(&address, "/metrics").unwrap().starts_with("HTTP/1.1 200"));
    assert!(known.with_tls_1_3().page(&address, "/metrics").is_err());
}

/// A client that does not finish its handshake keeps nobody waiting.
#[test]
fn a_slow_handshake_is_its_own_affair() {
    let (authority, _files, broker) = site("");
    let address = broker.address_of("https/prometheus");
    let silent: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    let page = authority.client().page(&address, "/health/live").unwrap();
    assert!(page.ends_with("{\"status\":\"ok\"}"), "{page}");
    drop(silent);
}

#[test]
fn certificates_are_read_again() {
    let (_, files, mut broker) = site("");
    let renewed = Authority::new("New root");
    files.keep("server", &renewed.issue(&server(&["localhost"])));
    broker.tell("HUP");
    let deadline = Instant::now() + DEADLINE;
    for service in ["https", "https/prometheus"] {
        while let Err(error) = renewed.client().page(&broker.address_of(service), "/health/live") {
            assert!(Instant::now() < deadline, "{service}: {error}");
        }
    }
}

/// Other options hold for the next connection once the configuration was read again.
#[test]
fn other_files_can_be_named_without_a_restart() {
    let (authority, files, mut broker) = site("");
    let renewed = Authority::new("New root");
    files.keep("new", &renewed.issue(&server(&["localhost"])));
    let config = broker.config_file();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("/server.", "/new.")).unwrap();
    broker.tell("HUP");
    let deadline = Instant::now() + DEADLINE;
    for service in ["https", "https/prometheus"] {
        let address = broker.address_of(service);
        while let Err(error) = renewed.client().page(&address, "/health/live") {
            assert!(Instant::now() < deadline, "{service}: {error}");
        }
        assert!(authority.client().page(&address, "/health/live").is_err(), "{service}");
    }
    std::fs::write(&config, text.replace("/server.", "/none.")).unwrap();
    broker.tell("HUP");
    for options in ["management.ssl", "prometheus.ssl"] {
        broker.wait_for_log(&format!("{options} not changed, the former ones stay"), 1);
    }
    renewed.client().page(&broker.address_of("https"), "/health/live").unwrap();
}
