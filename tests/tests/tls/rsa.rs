//! RSA: what most certificates of companies are.

use super::*;

const ROOT: &str = include_str!("rsa-ca.pem");
const CERTIFICATE: &str = include_str!("rsa-server.pem");
const KEY: &str = include_str!("rsa-server.key");
/// The same key as older tools write it.
const PKCS1: &str = include_str!("rsa-server-pkcs1.key");
/// Of version 1: without extensions.
const OLD: &str = include_str!("rsa-v1.pem");

#[test]
fn certificates_may_be_rsa() {
    lepus_only!("no certificates there");
    for key in [KEY, PKCS1] {
        let (_, files) = prepare();
        files.write("server.pem", CERTIFICATE);
        files.write("server.key", key);
        let broker = Broker::with_config(&settings(&files));
        let client = TlsClient::trusting(ROOT);
        for client in [client.clone().with_tls_1_2(), client.with_tls_1_3()] {
            let mut conn = client.start(&broker.tls_address()).unwrap();
            conn.open(&Login::default());
            exchange_bodies(&mut conn);
        }
    }
}

#[test]
fn a_certificate_of_version_1_is_refused_at_the_start() {
    lepus_only!("no certificates there");
    let (_, files) = prepare();
    files.write("server.pem", OLD);
    files.write("server.key", KEY);
    let why = Broker::as_configured(&settings(&files)).expect_err("a refusal");
    assert!(why.contains("server.pem") && why.contains("X.509 version 1"), "{why}");
}
