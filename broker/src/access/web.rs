//! Asking others by HTTP, with the certificates that are configured.

mod encrypted;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Result;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

use crate::config::tls::TlsOptions;
use encrypted::Tls;

/// One who asks, and waits for the connection and for the whole answer only so long.
///
/// # Errors
/// A file that can't be read, or is not what it should be.
pub fn agent(connection: Duration, answer: Duration, tls: &TlsOptions) -> Result<Agent> {
    let config = Agent::config_builder()
        .timeout_connect(Some(connection))
        .timeout_global(Some(answer))
        .http_status_as_error(false)
        .proxy(None);
    let connector = TcpConnector::default().chain(Tls::new(tls)?);
    Ok(Agent::with_parts(config.build(), connector, DefaultResolver::default()))
}
