//! Asking others by HTTP, with the certificates that are configured.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::config::tls::TlsOptions;

/// One who asks, and waits for the connection and for the whole answer only so long.
///
/// # Errors
/// A file that can't be read.
pub fn agent(connection: Duration, answer: Duration, tls: &TlsOptions) -> Result<Agent> {
    let mut config = TlsConfig::builder()
        .use_sni(tls.sni.as_deref() != Some("none"))
        .disable_verification(tls.verify_peer == Some(false));
    if let Some(path) = &tls.cacertfile {
        let pem = fs::read(path).with_context(|| path.display().to_string())?;
        config = config.root_certs(RootCerts::new_with_certs(&certificates(&pem)));
    }
    if let (Some(certificate), Some(key)) = (&tls.certfile, &tls.keyfile) {
        let chain = fs::read(certificate).with_context(|| certificate.display().to_string())?;
        let pem = fs::read(key).with_context(|| key.display().to_string())?;
        let key = PrivateKey::from_pem(&pem).with_context(|| key.display().to_string())?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&certificates(&chain), key)));
    }
    let agent = Agent::config_builder()
        .tls_config(config.build())
        .timeout_connect(Some(connection))
        .timeout_global(Some(answer))
        .http_status_as_error(false)
        .proxy(None);
    Ok(agent.build().new_agent())
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(Result::ok);
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    items.filter_map(certificate).collect()
}
