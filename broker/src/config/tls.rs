//! What can be set about TLS, for listeners and for clients of our own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The options below `ssl_options`, `management.ssl` and the like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// `cacertfile`: certificates of authorities, PEM.
    pub cacertfile: Option<PathBuf>,
    /// `certfile`: our certificate and those between it and the authority's, PEM.
    pub certfile: Option<PathBuf>,
    /// `keyfile`: the key of our certificate, PEM.
    pub keyfile: Option<PathBuf>,
    /// `password` of the key.
    pub password: Option<String>,
    /// `verify`: whether the peer's certificate is looked at. `None`: the default of the place, which
    /// is no for listeners and yes for clients.
    pub verify_peer: Option<bool>,
    /// `fail_if_no_peer_cert`: whether a client must have one.
    pub fail_if_no_peer_cert: bool,
    /// `depth`: certificates between the peer's and the authority's.
    pub depth: Option<u8>,
    /// `versions.N`: empty means all that are safe.
    pub versions: Vec<TlsVersion>,
    /// `ciphers.N`, by OpenSSL's or IANA's names; empty means all that are safe.
    pub ciphers: Vec<String>,
    /// `honor_cipher_order`: whether ours counts.
    pub honor_cipher_order: Option<bool>,
    /// `sni.HOST.certfile` and `sni.HOST.keyfile`, of listeners: certificates for clients that ask for
    /// that host.
    pub hosts: BTreeMap<String, HostCertificate>,
    /// `sni`, of clients: the name to ask for.
    pub sni: Option<String>,
    /// `hostname_verification`, of clients: whether the name in the certificate counts.
    pub hostname_verification: Option<bool>,
}

/// The certificate for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCertificate {
    /// `certfile`: PEM.
    pub certfile: Option<PathBuf>,
    /// `keyfile`: PEM; the key is in `certfile` if it is not given.
    pub keyfile: Option<PathBuf>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `tlsv1.2`.
    V1_2,
    /// `tlsv1.3`.
    V1_3,
}
