//! What comes before AMQP: a PROXY header, the handshake of TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::io as driver;
use super::proxy_header;
use super::transport::Tls;
use crate::node::Node;
use crate::tls::{self, Acceptor};

/// How a TLS client begins.
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// The two ends of a connection, as the client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's.
    pub peer: SocketAddr,
    /// What it has connected to.
    pub local: SocketAddr,
}

impl Ends {
    fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self { peer: stream.peer_addr()?, local: stream.local_addr()? })
    }
}

/// Serves a socket that was just accepted to its end.
pub async fn serve(node: Arc<Node>, mut stream: TcpStream, acceptor: Option<Arc<Acceptor>>) {
    let Ok(mut ends) = Ends::of(&stream) else { return };
    let _ = stream.set_nodelay(true);
    if node.config().proxy_protocol {
        let header = Box::pin(proxy_header::read(&mut stream));
        match timeout(node.config().handshake_timeout, header).await {
            Ok(Ok(told)) => ends = told.unwrap_or(ends),
            Ok(Err(error)) => {
                tracing::warn!(from = %ends.peer, "no PROXY header, closing: {error}");
                return;
            }
            Err(_) => {
                tracing::warn!(from = %ends.peer, "no PROXY header in time, closing");
                return;
            }
        }
    }
    match acceptor {
        None => Box::pin(driver::serve(node, stream, ends, None)).await,
        Some(acceptor) => Box::pin(serve_tls(node, stream, acceptor, ends)).await,
    }
}

/// A task is as large as its largest part: what only TLS needs is boxed, so that others do without.
async fn serve_tls(node: Arc<Node>, stream: TcpStream, acceptor: Arc<Acceptor>, ends: Ends) {
    if let Some(stream) = Box::pin(acceptor.accept(stream, ends.peer)).await {
        let facts = tls::Facts::of(stream.get_ref().1);
        Box::pin(driver::serve(node, Tls::new(stream), ends, Some(facts))).await;
    }
}

/// A client begins with something else than AMQP 0-9-1.
pub(super) fn log_stranger(connection: u64, from: IpAddr, input: &[u8]) {
    if input.starts_with(&TLS_HANDSHAKE) {
        tracing::warn!(connection, %from, "a TLS client on a port without TLS, closing");
    } else {
        tracing::info!(connection, %from, "not AMQP 0-9-1");
    }
}
