//! Listening, accepting, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::connection;
use crate::node::Node;
use crate::watch;

/// How long connections get to take leave at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the catalog may take at the end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that wait to be accepted.
const ACCEPT_BACKLOG: u32 = 1024;

/// Opens the AMQP listener.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.context("cannot make a socket")?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
    Ok(socket.listen(ACCEPT_BACKLOG)?)
}

/// Serves until `stop` resolves; then takes leave of all connections.
pub async fn run(node: Arc<Node>, listener: TcpListener, stop: impl Future<Output = ()>) {
    watch::check(&node);
    let watching = tokio::spawn(watch::watch(node.clone()));
    // On a worker: a connection accepted there is served there, without waking another thread.
    let accepting = tokio::spawn(accept(node.clone(), listener));
    stop.await;
    accepting.abort();
    watching.abort();
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

async fn accept(node: Arc<Node>, listener: TcpListener) {
    let most = node.config.connections_max.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let mut were_free = true;
    loop {
        let are_free = places.available_permits() > 0;
        if were_free && !are_free {
            tracing::error!("{most} connections are open: others wait until some end");
        }
        were_free = are_free;
        // An error would mean that it is closed, which it never is.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = node.clone();
                tokio::spawn(async move {
                    connection::serve(node, stream).await;
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
