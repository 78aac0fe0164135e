//! Which certificates of clients are accepted.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The check against our authorities, and of how far a certificate is from them.
#[derive(Debug)]
pub(super) struct Verifier {
    chains: Arc<dyn ClientCertVerifier>,
    /// Certificates between the client's and the authority's.
    depth: usize,
}

impl Verifier {
    /// Trusts `roots`. Clients without a certificate may come unless one is `required`.
    pub fn new(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
        required: bool,
        depth: usize,
    ) -> anyhow::Result<Arc<Self>> {
        let chains = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let chains = if required { chains } else { chains.allow_unauthenticated() };
        Ok(Arc::new(Self { chains: chains.build()?, depth }))
    }
}

/// Refuses a chain with more certificates than `depth` between the peer's and the authority's.
pub(super) fn check_depth(others: &[CertificateDer<'_>], depth: usize) -> Result<(), Error> {
    if others.iter().filter(|other| is_between(other)).count() > depth {
        return Err(CertificateError::ApplicationVerificationFailure.into());
    }
    Ok(())
}

/// An authority that is sent along is not between.
fn is_between(certificate: &CertificateDer<'_>) -> bool {
    let parsed = X509Certificate::from_der(certificate);
    parsed.is_ok_and(|(_, parsed)| parsed.subject() != parsed.issuer())
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.chains.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chains.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_depth(others, self.depth)?;
        self.chains.verify_client_cert(certificate, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
