//! From files and options to what rustls works with.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::hosts::Hosts;
use super::verifier::Verifier;
use crate::config::tls::{TlsOptions, TlsVersion};

/// How an encrypted private key begins (PKCS #8).
const ENCRYPTED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// As in Erlang.
pub(super) const DEPTH: u8 = 10;

/// Reads all files.
pub(super) fn load(options: &TlsOptions, protocols: &[Vec<u8>]) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(provider(options)?);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(options))
        .context("these versions and ciphers do not go together")?;
    let hosts = Arc::new(hosts(options, &provider)?);
    let builder = match verifier(options, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(hosts);
    config.ignore_client_order = options.honor_cipher_order.unwrap_or_default();
    config.alpn_protocols = protocols.to_vec();
    Ok(Arc::new(config))
}

pub(super) fn versions(options: &TlsOptions) -> Vec<&'static SupportedProtocolVersion> {
    let wanted = |version| options.versions.is_empty() || options.versions.contains(&version);
    let known = [(TlsVersion::V1_3, &TLS13), (TlsVersion::V1_2, &TLS12)];
    known.into_iter().filter(|(version, _)| wanted(*version)).map(|(_, version)| version).collect()
}

pub(super) fn provider(options: &TlsOptions) -> Result<CryptoProvider> {
    let mut provider = ring::default_provider();
    if options.ciphers.is_empty() {
        return Ok(provider);
    }
    let suites = options.ciphers.iter().map(|name| {
        let suites = provider.cipher_suites.iter();
        let name = name.to_ascii_uppercase();
        let known = suites.copied().find(|suite| {
            let iana = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            let openssl = iana.trim_start_matches("TLS_").replace("_WITH_", "_").replace('_', "-");
            let openssl = openssl.replace("AES-", "AES").replace("-POLY1305-SHA256", "-POLY1305");
            name == iana || name == openssl
        });
        known.with_context(|| format!("ciphers: {name} is unknown, or not safe"))
    });
    provider.cipher_suites = suites.collect::<Result<_>>()?;
    Ok(provider)
}

fn verifier(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Option<Arc<Verifier>>> {
    if !options.verify_peer.unwrap_or_default() {
        ensure!(
            !options.fail_if_no_peer_cert,
            "fail_if_no_peer_cert = true needs verify = verify_peer"
        );
        return Ok(None);
    }
    let file = options.cacertfile.as_deref().context("verify = verify_peer needs cacertfile")?;
    let depth = usize::from(options.depth.unwrap_or(DEPTH));
    Verifier::new(roots(file)?, provider.clone(), options.fail_if_no_peer_cert, depth).map(Some)
}

/// The authorities in a file.
pub(super) fn roots(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let reason = || format!("cacertfile {}: a certificate that is none", file.display());
        roots.add(certificate).with_context(reason)?;
    }
    Ok(roots)
}

fn hosts(options: &TlsOptions, provider: &CryptoProvider) -> Result<Hosts> {
    let key = |certfile: Option<&Path>, keyfile: Option<&Path>| {
        let certfile = certfile.context("no certfile is set")?;
        let keyfile = keyfile.unwrap_or(certfile);
        let chain = certificates(certfile)?;
        check_version(&chain).with_context(|| certfile.display().to_string())?;
        let key = private_key(keyfile, options.password.as_deref())?;
        let both = || format!("{} with the key {}", certfile.display(), keyfile.display());
        CertifiedKey::from_der(chain, key, provider).map(Arc::new).with_context(both)
    };
    let default = key(options.certfile.as_deref(), options.keyfile.as_deref())?;
    let named = options.hosts.iter().map(|(host, files)| {
        let found = key(files.certfile.as_deref(), files.keyfile.as_deref());
        Ok((host.clone(), found.with_context(|| format!("sni.{host}"))?))
    });
    Ok(Hosts { default, named: named.collect::<Result<_>>()? })
}

pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let place = || format!("cannot read certificates from {}", file.display());
    let found = CertificateDer::pem_file_iter(file).with_context(place)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().with_context(place)?;
    if found.is_empty() {
        bail!("no certificate in {}", file.display());
    }
    Ok(found)
}

/// No client takes a certificate without extensions: they say which host it is for.
fn check_version(chain: &[CertificateDer<'_>]) -> Result<()> {
    for certificate in chain {
        let (_, certificate) = X509Certificate::from_der(certificate)
            .map_err(|error| anyhow!("a certificate that is none: {error}"))?;
        let version = certificate.version();
        ensure!(
            version == X509Version::V3,
            "a certificate of X.509 version {}, which clients do not take: version 3 is needed",
            version.0 + 1
        );
    }
    Ok(())
}

pub(super) fn private_key(file: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let place = || format!("cannot read a private key from {}", file.display());
    let text = std::fs::read_to_string(file).with_context(place)?;
    match text.find(ENCRYPTED_KEY).and_then(|at| text.get(at..)) {
        Some(encrypted) => decrypted(encrypted, password).with_context(place),
        None => PrivateKeyDer::from_pem_slice(text.as_bytes()).with_context(place),
    }
}

fn decrypted(pem: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let password = password.context("it is encrypted, and no password is set")?;
    let (_, encrypted) = SecretDocument::from_pem(pem).map_err(anyhow::Error::msg)?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes());
    let encrypted = encrypted.map_err(|error| anyhow!("how it is encrypted: {error}"))?;
    let key = encrypted.decrypt(password).map_err(|_| anyhow!("the password is not right"))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
