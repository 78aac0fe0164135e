//! TLS for whatever listens: handshakes, and certificates that can be changed while it runs; and for
//! servers that are connected to.

mod client;
mod expiry;
mod facts;
mod files;
mod hosts;
mod material;
#[cfg(test)]
mod tests;
mod verifier;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use client::{client, server_name};
pub use expiry::expiry;
pub use facts::Facts;

use crate::config::Config;
use crate::config::tls::TlsOptions;
use crate::limits::{CLOSE_TIMEOUT, HANDSHAKES_MAX};
use crate::linger::linger;
use crate::node::Node;
use files::Files;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The first octet of a TLS handshake.
const HANDSHAKE: u8 = 22;

/// Why certificates are looked at.
enum Cause {
    Time,
    Asked,
    Options(TlsOptions),
}

/// Options of TLS within the configuration.
type Of = fn(&Config) -> &TlsOptions;

/// Does the handshakes of a listener.
pub struct Acceptor {
    /// What the options are called.
    name: &'static str,
    of: Of,
    options: RwLock<TlsOptions>,
    /// Protocols above TLS that a client may choose from (ALPN).
    protocols: Vec<Vec<u8>>,
    patience: Duration,
    config: RwLock<Arc<ServerConfig>>,
    places: Semaphore,
    files: Mutex<Files>,
}

impl Acceptor {
    /// Reads the certificates that the options `name` of the configuration tell of. `protocols` are
    /// those above TLS, such as `http/1.1`, that a client may choose from.
    ///
    /// # Errors
    /// A file is missing, or is not what it should be.
    pub fn new(
        config: &Config,
        (name, of): (&'static str, Of),
        protocols: &[&str],
    ) -> anyhow::Result<Arc<Self>> {
        let options = of(config).clone();
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.as_bytes().into()).collect();
        let files = Files::of(&options);
        let material = material::load(&options, &protocols).context(name)?;
        Ok(Arc::new(Self {
            name,
            of,
            options: RwLock::new(options),
            protocols,
            patience: config.ssl_handshake_timeout,
            config: RwLock::new(material),
            places: Semaphore::new(HANDSHAKES_MAX),
            files: Mutex::new(files),
        }))
    }

    /// Does the handshake with a client. `None`: it has failed; the log says why.
    pub async fn accept(
        &self,
        stream: TcpStream,
        from: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            // Never closed.
            let _place = self.places.acquire().await.ok();
            self.shake_hands(stream, from).await
        };
        match timeout(self.patience, handshake).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(refused)) => {
                if let Some(socket) = refused {
                    linger(socket, CLOSE_TIMEOUT).await;
                }
                None
            }
            Err(_) => {
                tracing::warn!(%from, "the TLS handshake took too long, closing");
                None
            }
        }
    }

    /// The error is the socket, if the peer may still be there.
    async fn shake_hands(
        &self,
        stream: TcpStream,
        from: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, Option<TcpStream>> {
        let mut first = [0; 4];
        let octets = stream.peek(&mut first).await.unwrap_or_default();
        match first.get(..octets).unwrap_or_default() {
            // It has only looked whether somebody listens.
            [] => return Err(None),
            [HANDSHAKE, ..] => {}
            b"AMQP" => {
                tracing::warn!(%from, "a client without TLS on a port with TLS, closing");
                return Err(Some(stream));
            }
            other => {
                let other = other.escape_ascii();
                tracing::warn!(%from, "not TLS on a port with TLS (\"{other}\"), closing");
                return Err(Some(stream));
            }
        }
        let config = self.config.read().clone();
        let shaken = TlsAcceptor::from(config).accept(stream).into_fallible().await;
        shaken.map_err(|(error, stream)| {
            if error.kind() == ErrorKind::UnexpectedEof {
                tracing::info!(%from, "the client left during the TLS handshake");
                return None;
            }
            tracing::warn!(%from, "TLS handshake failed: {error}");
            Some(stream)
        })
    }

    /// Has other options hold for handshakes to come when the configuration was read again, and reads
    /// the certificates again whenever a file has changed, or at SIGHUP. What is broken changes nothing
    /// but the log.
    pub async fn watch(self: Arc<Self>, node: Arc<Node>) {
        let mut reloads = node.reloads();
        // The configuration may have been read again since the acceptor was made.
        reloads.mark_changed();
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!("TLS certificates are not watched: {error}"),
        };
        let mut ticks = interval(PERIOD);
        loop {
            let cause = tokio::select! {
                _ = ticks.tick() => Cause::Time,
                _ = hangup.recv() => Cause::Asked,
                // Its sender lives as long as the node.
                _ = reloads.changed() => Cause::Options((self.of)(&node.config()).clone()),
            };
            let acceptor = self.clone();
            // A file system may be slow, or gone.
            if tokio::task::spawn_blocking(move || acceptor.look(cause)).await.is_err() {
                tracing::error!("TLS certificates could not be looked at");
            }
        }
    }

    fn look(&self, cause: Cause) {
        match cause {
            Cause::Time => self.reread(false),
            Cause::Asked => self.reread(true),
            Cause::Options(options) => {
                if let Err(error) = self.set_options(options) {
                    let name = self.name;
                    tracing::error!("{name} not changed, the former ones stay: {error:#}");
                }
            }
        }
    }

    fn set_options(&self, options: TlsOptions) -> anyhow::Result<()> {
        if *self.options.read() == options {
            return Ok(());
        }
        let files = Files::of(&options);
        let config = material::load(&options, &self.protocols)?;
        *self.files.lock() = files;
        *self.options.write() = options;
        *self.config.write() = config;
        Ok(())
    }

    /// Reads the certificates again if that is asked, or if the files have changed and then stayed so:
    /// a certificate and its key do not change at the same time.
    fn reread(&self, asked: bool) {
        let options = self.options.read().clone();
        let now = Files::of(&options);
        let settled = self.files.lock().settle(now);
        if !asked && !settled {
            return;
        }
        match material::load(&options, &self.protocols) {
            Ok(config) => {
                *self.config.write() = config;
                tracing::info!("TLS certificates read again");
            }
            Err(error) => {
                tracing::error!("TLS certificates not changed, the former ones stay: {error:#}");
            }
        }
    }
}
