//! Options of TLS towards those who are asked.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use lepus_tests::{Authority, DEADLINE, Files, server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::config::tls::TlsVersion;

/// Somebody on a free port who speaks TLS 1.2 and says yes, once.
fn yes(files: &Files) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = CertificateDer::pem_file_iter(files.path("server.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.collect::<Result<_, _>>().unwrap(),
            PrivateKeyDer::from_pem_file(files.path("server.key")).unwrap(),
        )
        .unwrap();
    thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), tcp);
        if stream.read(&mut [0; 4096]).is_ok() {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nyes";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn all_options_of_tls_count() {
    let (files, authority) = (Files::default(), Authority::new("root"));
    let between = authority.below("between");
    files.write("ca.pem", authority.pem());
    files.write("other.pem", Authority::new("other").pem());
    files.keep("server", &between.issue(&server(&["localhost"])));
    files.keep("client", &authority.issue(&server(&["broker"])));
    let options = |file: &str| TlsOptions {
        cacertfile: Some(files.path(file).into()),
        ..TlsOptions::default()
    };
    let ask = |host: &str, options: &TlsOptions| {
        let url = format!("https://{host}:{}/", yes(&files));
        let answer = agent(DEADLINE, DEADLINE, options).unwrap().get(url).call();
        answer.and_then(|mut answer| answer.body_mut().read_to_string())
    };
    let right = options("ca.pem");
    assert_eq!(ask("localhost", &right).unwrap(), "yes");
    assert!(ask("localhost", &options("other.pem")).is_err());
    assert!(ask("localhost", &TlsOptions::default()).is_err(), "no public authority knows it");
    assert!(ask("127.0.0.1", &right).is_err(), "it has another name");
    let nameless = TlsOptions { hostname_verification: Some(false), ..right.clone() };
    assert_eq!(ask("127.0.0.1", &nameless).unwrap(), "yes");
    let named = TlsOptions { sni: Some("localhost".into()), ..right.clone() };
    assert_eq!(ask("127.0.0.1", &named).unwrap(), "yes");
    let trusting = TlsOptions { verify_peer: Some(false), ..options("other.pem") };
    assert_eq!(ask("127.0.0.1", &trusting).unwrap(), "yes");
    assert!(ask("localhost", &TlsOptions { depth: Some(0), ..right.clone() }).is_err());
    let newer = TlsOptions { versions: vec![TlsVersion::V1_3], ..right.clone() };
    assert!(ask("localhost", &newer).is_err());

    // What cannot be used is told before anybody is asked.
    let own = |certfile: &str, keyfile: &str| TlsOptions {
        certfile: Some(files.path(certfile).into()),
        keyfile: Some(files.path(keyfile).into()),
        ..right.clone()
    };
    assert_eq!(ask("localhost", &own("client.pem", "client.key")).unwrap(), "yes");
    for wrong in [own("client.pem", "server.key"), own("client.pem", "no"), options("client.key")] {
        assert!(agent(DEADLINE, DEADLINE, &wrong).is_err(), "{wrong:?}");
    }
}
