//! TLS towards servers that the broker itself connects to.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::material::{DEPTH, certificates, private_key, provider, roots, versions};
use super::verifier::check_depth;
use crate::config::tls::TlsOptions;

/// The name to ask for if none is to be asked for.
const NO_NAME: &str = "none";

/// Reads the files that the options name. Who is connected to is verified unless they say otherwise, by the
/// public authorities if they name none.
///
/// # Errors
/// A file is missing, or is not what it should be.
pub fn client(options: &TlsOptions) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(provider(options)?);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(options))
        .context("these versions and ciphers do not go together")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier(options, provider)?));
    let mut config = match (options.certfile.as_deref(), options.keyfile.as_deref()) {
        (None, _) => builder.with_no_client_auth(),
        (Some(certfile), keyfile) => {
            let keyfile = keyfile.unwrap_or(certfile);
            let key = private_key(keyfile, options.password.as_deref())?;
            let both = || format!("{} with the key {}", certfile.display(), keyfile.display());
            builder.with_client_auth_cert(certificates(certfile)?, key).with_context(both)?
        }
    };
    config.enable_sni = options.sni.as_deref() != Some(NO_NAME);
    Ok(Arc::new(config))
}

/// The name of the server at `host`, as its certificate should have it.
///
/// # Errors
/// It is neither a name nor an address.
pub fn server_name(options: &TlsOptions, host: &str) -> Result<ServerName<'static>> {
    let name = options.sni.as_deref().filter(|name| *name != NO_NAME).unwrap_or(host);
    ServerName::try_from(name.to_owned()).with_context(|| format!("'{name}' is no name of a host"))
}

fn verifier(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Verifier> {
    let algorithms = provider.signature_verification_algorithms;
    let depth = usize::from(options.depth.unwrap_or(DEPTH));
    let by_name = options.hostname_verification.unwrap_or(true);
    if options.verify_peer == Some(false) {
        return Ok(Verifier { chains: None, algorithms, depth, by_name });
    }
    let roots = match options.cacertfile.as_deref() {
        Some(file) => roots(file)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let chains = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
    Ok(Verifier { chains: Some(chains), algorithms, depth, by_name })
}

/// The check of a server's certificate.
#[derive(Debug)]
struct Verifier {
    /// `None`: any will do.
    chains: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Certificates between the server's and the authority's.
    depth: usize,
    /// Whether its name counts.
    by_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        check_depth(others, self.depth)?;
        match chains.verify_server_cert(certificate, others, name, ocsp, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.by_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
