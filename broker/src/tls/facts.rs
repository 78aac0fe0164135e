//! What a handshake came to, in RabbitMQ's words.

use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use crate::access::peer_certificate::PeerCertificate;

/// What operators are told of an encrypted connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `tlsv1.2` or `tlsv1.3`.
    pub protocol: &'static str,
    /// Such as `ecdhe_rsa`; `any` with TLS 1.3.
    pub key_exchange: &'static str,
    /// Such as `aes_256_gcm`.
    pub cipher: &'static str,
    /// How octets are authenticated: `aead`.
    pub hash: &'static str,
    /// The client's, if it was asked for one and has one.
    pub certificate: Option<PeerCertificate>,
}

impl Facts {
    /// What is known when the handshake is done.
    pub fn of(session: &ServerConnection) -> Self {
        let protocol = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "tlsv1.3",
            _ => "tlsv1.2",
        };
        let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
        let (key_exchange, cipher) = suite.map_or(("", ""), parts);
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.and_then(|der| {
            let unreadable = |error: &_| tracing::warn!("a client's certificate: {error}");
            PeerCertificate::read(der).inspect_err(unreadable).ok()
        });
        Self { protocol, key_exchange, cipher, hash: "aead", certificate }
    }
}

/// All that rustls has, which are all authenticated encryption.
fn parts(suite: CipherSuite) -> (&'static str, &'static str) {
    use CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_256_GCM_SHA384 => ("any", "aes_256_gcm"),
        Suite::TLS13_AES_128_GCM_SHA256 => ("any", "aes_128_gcm"),
        Suite::TLS13_CHACHA20_POLY1305_SHA256 => ("any", "chacha20_poly1305"),
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => ("ecdhe_ecdsa", "aes_256_gcm"),
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => ("ecdhe_ecdsa", "aes_128_gcm"),
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            ("ecdhe_ecdsa", "chacha20_poly1305")
        }
        Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => ("ecdhe_rsa", "aes_256_gcm"),
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => ("ecdhe_rsa", "aes_128_gcm"),
        Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => ("ecdhe_rsa", "chacha20_poly1305"),
        _ => ("", ""),
    }
}
