//! TLS for a generator that shares sockets among threads: it speaks to this machine, and what it says
//! goes on to the broker encrypted. That costs the generator some time, and the broker none.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream as Stream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Octets on their way, each way.
const BUFFER: usize = 256 * 1024;

/// How to speak TLS to a broker.
#[derive(Clone)]
pub(super) struct Tunnel {
    host: ServerName<'static>,
    connector: TlsConnector,
    runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Tunnel {
    /// To that host, as a URI's query says: `cacertfile`, and `certfile` with `keyfile`.
    pub fn new(host: &str, query: &str) -> Result<Self> {
        let value = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == wanted).map(|(_, value)| value.to_owned())
        };
        let mut roots = RootCertStore::empty();
        let authorities = value("cacertfile").context("amqps:// needs ?cacertfile=FILE")?;
        for certificate in certificates(&authorities)? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match value("certfile") {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let key = value("keyfile").unwrap_or_else(|| file.clone());
                let key = PrivateKeyDer::from_pem_file(&key).with_context(|| key.clone())?;
                builder.with_client_auth_cert(certificates(&file)?, key)?
            }
        };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let name = name.trim_matches(['[', ']']).to_owned();
        Ok(Self {
            host: ServerName::try_from(name)?,
            connector: Arc::new(config).into(),
            runtime: Arc::new(Runtime::new()?),
        })
    }

    /// A socket that leads to the broker.
    pub fn open(&self, address: SocketAddr) -> Result<TcpStream> {
        self.runtime.block_on(async {
            let broker = Stream::connect(address).await?;
            broker.set_nodelay(true)?;
            let mut broker = self.connector.connect(self.host.clone(), broker).await?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let near = Stream::connect(listener.local_addr()?).await?;
            let (mut far, _) = listener.accept().await?;
            far.set_nodelay(true)?;
            self.runtime.spawn(async move {
                // Whichever way it ends, the generator sees it at its own end.
                drop(copy_bidirectional_with_sizes(&mut far, &mut broker, BUFFER, BUFFER).await);
            });
            let near = near.into_std()?;
            near.set_nonblocking(false)?;
            Ok(near)
        })
    }
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(file).with_context(|| file.to_owned())?;
    found.collect::<Result<_, _>>().with_context(|| file.to_owned())
}
