//! Listening, accepting, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::config::listeners::SocketOptions;
use crate::connection;
use crate::node::Node;
use crate::tls::Acceptor;
use crate::watch;

/// How long connections get to take leave at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the catalog may take at the end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

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
    pub fn open(
        address: SocketAddr,
        options: &SocketOptions,
        acceptor: Option<Arc<Acceptor>>,
    ) -> Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.context("cannot make a socket")?;
        socket.set_reuseaddr(true)?;
        // Accepted sockets have them from the one that listens.
        socket.set_keepalive(options.keepalive)?;
        options.sndbuf.map(|octets| socket.set_send_buffer_size(octets)).transpose()?;
        options.recbuf.map(|octets| socket.set_recv_buffer_size(octets)).transpose()?;
        socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
        Ok(Self { socket: socket.listen(options.backlog)?, acceptor })
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
    let open = |address, acceptor| Listener::open(address, &config.socket, acceptor);
    let plain = config.listeners.tcp_addresses().into_iter();
    let mut listeners = plain.map(|address| open(address, None)).collect::<Result<Vec<_>>>()?;
    let encrypted = config.listeners.tls_addresses();
    if !encrypted.is_empty() {
        let acceptor = Acceptor::new(config, ("ssl_options", |config| &config.tls), &[])?;
        for address in encrypted {
            listeners.push(open(address, Some(acceptor.clone()))?);
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
        tasks.spawn(acceptor.watch(node.clone()));
    }
    let places = Arc::new(Places::new(&node.config()));
    for listener in listeners {
        // On a worker: a connection accepted there is served there, without waking another thread.
        tasks.spawn(accept(node.clone(), listener, places.clone()));
    }
    stop.await;
    node.begin_to_stop();
    tasks.abort_all();
    node.close_all();
    let all_gone = async {
        while node.connection_count() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(STOP_TIMEOUT, all_gone).await.is_err() {
        tracing::warn!("{} connections did not take leave in time", node.connection_count());
    }
}

/// How many more connections there may be.
struct Places {
    free: Arc<Semaphore>,
    most: usize,
    were_free: AtomicBool,
}

impl Places {
    fn new(config: &Config) -> Self {
        let most = config.connections_max.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(most)), most, were_free: AtomicBool::new(true) }
    }

    /// Waits for one. An error would mean that there are none any more, which never is.
    async fn take(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        let are_free = self.free.available_permits() > 0;
        if self.were_free.swap(are_free, Ordering::Relaxed) && !are_free {
            tracing::error!("{} connections are open: others wait until some end", self.most);
        }
        self.free.clone().acquire_owned().await
    }
}

async fn accept(node: Arc<Node>, listener: Listener, places: Arc<Places>) {
    while let Ok(place) = places.take().await {
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

/// Ends the stores. A disk that takes nothing more must not keep the process: of what it has not
/// taken nobody was told that it is durable.
pub async fn close(node: &Node) -> Result<()> {
    if timeout(SETTLE_TIMEOUT, node.declared().settled()).await.is_err() {
        tracing::error!("the latest declarations could not be written to the catalog");
    }
    let pending = node.store().status().pending_bytes;
    let lost = || format!("the message store was not closed well: {pending} octets not confirmed");
    node.store().close().with_context(lost)
}
