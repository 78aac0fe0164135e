//! The options of TLS, which several families have.

use super::rows::{Of, Rows};
use super::{Key, Names};
use crate::config::tls::{HostCertificate, TlsOptions, TlsVersion};
use crate::config::value::{number, one_of, path, text, truth};

/// Safe versions; RabbitMQ's names of the others are refused.
const VERSIONS: &[(&str, TlsVersion)] =
    &[("tlsv1.2", TlsVersion::V1_2), ("tlsv1.3", TlsVersion::V1_3)];

const VERIFY: &[(&str, bool)] = &[("verify_peer", true), ("verify_none", false)];

/// What a listener has. It follows what is changed.
pub(super) fn listener(prefix: &'static str, whose: &'static str, of: Of<TlsOptions>) -> Vec<Key> {
    let row = Rows { prefix, whose, of };
    let mut keys = common(&row);
    keys.extend([
        row.key(
            "fail_if_no_peer_cert",
            truth(),
            "a client must have a certificate",
            |o, _, yes| {
                o.fail_if_no_peer_cert = yes;
            },
        ),
        row.key("honor_cipher_order", truth(), "our order of ciphers counts", |o, _, yes| {
            o.honor_cipher_order = Some(yes);
        }),
        row.key(
            "sni.$$host.certfile",
            path(),
            "the certificate for clients that ask for this host",
            |o, names, file| {
                host(o, names).certfile = Some(file);
            },
        ),
        row.key(
            "sni.$$host.keyfile",
            path(),
            "its key; without it: in the same file",
            |o, names, file| {
                host(o, names).keyfile = Some(file);
            },
        ),
    ]);
    keys.into_iter().map(Key::live).collect()
}

fn host<'a>(options: &'a mut TlsOptions, names: &Names<'_>) -> &'a mut HostCertificate {
    options.hosts.entry(names.concat().to_ascii_lowercase()).or_default()
}

/// What a client of our own has.
pub(super) fn client(prefix: &'static str, whose: &'static str, of: Of<TlsOptions>) -> Vec<Key> {
    let row = Rows { prefix, whose, of };
    let hostname = one_of(&[("wildcard", true), ("none", false)]);
    let mut keys = common(&row);
    keys.extend([
        row.key("peer_verification", one_of(VERIFY), "the same as `verify`", |o, _, yes| {
            o.verify_peer = Some(yes);
        }),
        row.key(
            "hostname_verification",
            hostname,
            "the name in the certificate counts",
            |o, _, yes| {
                o.hostname_verification = Some(yes);
            },
        ),
        row.key("sni", text(), "the name to ask the server for", |o, _, name| o.sni = Some(name)),
    ]);
    keys
}

fn common(row: &Rows<TlsOptions>) -> Vec<Key> {
    vec![
        row.key("cacertfile", path(), "certificates of authorities, PEM", |o, _, file| {
            o.cacertfile = Some(file);
        }),
        row.key("certfile", path(), "our certificate and its chain, PEM", |o, _, file| {
            o.certfile = Some(file);
        }),
        row.key("keyfile", path(), "the key of our certificate, PEM", |o, _, file| {
            o.keyfile = Some(file);
        }),
        row.key("password", text(), "the password of the key", |o, _, word| {
            o.password = Some(word)
        })
        .secret(),
        row.key("verify", one_of(VERIFY), "the peer's certificate is looked at", |o, _, yes| {
            o.verify_peer = Some(yes);
        }),
        row.key(
            "depth",
            number(0..=u8::MAX),
            "certificates between both ends of a chain",
            |o, _, n| {
                o.depth = Some(n);
            },
        ),
        row.key(
            "versions.$name",
            one_of(VERSIONS),
            "a version that is spoken; without any: both",
            |o, _, v| {
                o.versions.push(v);
            },
        ),
        row.key(
            "ciphers.$name",
            text(),
            "a cipher that is used; without any: all safe ones",
            |o, _, name| {
                o.ciphers.push(name);
            },
        ),
    ]
}
