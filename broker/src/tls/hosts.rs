//! Which certificate a client is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by the host that a client asks for.
#[derive(Debug)]
pub(super) struct Hosts {
    /// For those who ask for no host, or for another one.
    pub default: Arc<CertifiedKey>,
    /// By host in lower case; `*.example.com` stands for one label.
    pub named: BTreeMap<String, Arc<CertifiedKey>>,
}

impl Hosts {
    fn find(&self, host: &str) -> &Arc<CertifiedKey> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let above = host.split_once('.').map(|(_, above)| format!("*.{above}"));
        let named = self.named.get(&host).or_else(|| self.named.get(&above?));
        named.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Hosts {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(client.server_name().unwrap_or_default()).clone())
    }
}
