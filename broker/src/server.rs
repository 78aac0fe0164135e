//! Listening, accepting, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::connection;
use crate::node::Node;
use crate::tls::Acceptor;
use crate::watch;

/// How long connections get to take leave at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that wait to be accepted.
const ACCEPT_BACKLOG: u32 = 1024;

/// A port that clients come to.
pub struct Listener {
    socket: TcpListener,
    /// What does the handshakes of TLS, if clients are to speak it.
    acceptor: Option<Arc<Acceptor>>,
}

impl Listener {
    /// Listens for AMQP; over TLS where there is an acceptor.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub fn open(address: SocketAddr, acceptor: Option<Arc<Acceptor>>) -> Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.context("cannot make a socket")?;
        socket.set_reuseaddr(true)?;
        socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
        Ok(Self { socket: socket.listen(ACCEPT_BACKLOG)?, acceptor })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// What clients speak there.
    pub fn protocol(&self) -> &'static str {
        if self.acceptor.is_some() { "amqps" } else { "amqp" }
    }
}

/// Opens all listeners that are configured.
///
/// # Errors
/// One cannot be opened, or a certificate is not in order.
pub fn listen(config: &Config) -> Result<Vec<Listener>> {
    let plain = config.listeners.tcp_addresses();
    let mut listeners: Vec<Listener> =
        plain.into_iter().map(|address| Listener::open(address, None)).collect::<Result<_>>()?;
    let encrypted = config.listeners.tls_addresses();
    if !encrypted.is_empty() {
        let acceptor = Acceptor::new(config.tls.clone(), &[], config.ssl_handshake_timeout);
        let acceptor = acceptor.context("ssl_options")?;
        for address in encrypted {
            listeners.push(Listener::open(address, Some(acceptor.clone()))?);
        }
    }
    Ok(listeners)
}

/// Serves until `stop` resolves; then takes leave of all connections.
pub async fn run(node: Arc<Node>, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
    watch::check(&node);
    let mut tasks = JoinSet::new();
    tasks.spawn(watch::watch(node.clone()));
    // All of them share one acceptor.
    if let Some(acceptor) = listeners.iter().find_map(|listener| listener.acceptor.clone()) {
        tasks.spawn(acceptor.watch());
    }
    let most = node.config.connections_max.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    for listener in listeners {
        // On a worker: a connection accepted there is served there, without waking another thread.
        tasks.spawn(accept(node.clone(), listener, places.clone()));
    }
    stop.await;
    tasks.abort_all();
    node.close_all("broker forced connection closure with reason 'shutdown'");
    let all_gone = async {
        while node.connection_count() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(STOP_TIMEOUT, all_gone).await.is_err() {
        tracing::warn!("{} connections did not take leave in time", node.connection_count());
    }
}

async fn accept(node: Arc<Node>, listener: Listener, places: Arc<Semaphore>) {
    let most = node.config.connections_max;
    let mut were_free = true;
    loop {
        let are_free = places.available_permits() > 0;
        if were_free && !are_free {
            tracing::error!("{most} connections are open: others wait until some end");
        }
        were_free = are_free;
        // An error would mean that it is closed, which it never is.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.socket.accept().await {
            Ok((stream, _)) => {
                let (node, acceptor) = (node.clone(), listener.acceptor.clone());
                tokio::spawn(async move {
                    connection::serve(node, stream, acceptor).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Those that are open live on.
                tracing::error!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
