//! Commands that ask a broker over TLS.

use lepus_tests::*;

use super::shell::Shell;

#[test]
fn a_broker_is_asked_over_tls_if_its_certificate_is_known() {
    lepus_only!("it runs Lepus' own command");
    let (authority, files) = (Authority::new("Test root"), Files::default());
    let ca = files.write("ca.pem", authority.pem());
    files.keep("server", &authority.issue(&server(&["localhost"])));
    let folder = files.folder().display();
    let broker = Broker::with_config(&format!(
        "management.ssl.port = 0\nmanagement.ssl.certfile = {folder}/server.pem\n\
         management.ssl.keyfile = {folder}/server.key\n"
    ));
    let address = broker.address_of("https");
    let (_, port) = address.rsplit_once(':').unwrap();
    let url = format!("https://guest:guest@localhost:{port}");
    let shell = Shell { broker, by_url: false };
    let ask = |more: &[&str]| shell.run(&[&["queues", "ls", "--url", &url], more].concat());
    assert_eq!(ask(&["--ca", &ca]).code, 0, "{:?}", ask(&["--ca", &ca]));
    assert_eq!(ask(&["--insecure"]).code, 0);
    let status = shell.run(&["status", "--url", &url, "--ca", &ca, "--json"]).json();
    let contexts = status["overview"]["contexts"].as_array().unwrap();
    let context = contexts.iter().find(|context| context["port"] == port).unwrap();
    assert_eq!(context["description"], "RabbitMQ Management");
    let certificate = format!("{folder}/server.pem");
    assert_eq!(context["ssl_opts"]["certfile"], certificate);
    let listeners = status["overview"]["listeners"].as_array().unwrap();
    assert!(
        listeners.iter().any(|one| one["protocol"] == "https" && one["tls"] == true),
        "{status}"
    );
    let refused = ask(&[]);
    assert!(refused.code != 0 && refused.err.contains("certificate"), "{refused:?}");
}
