//! Connections as they come, after their TLS handshake where there is one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::desk::Accept;
use crate::limits::HTTP_HANDSHAKES_MAX;
use crate::tls::Acceptor;

/// Who sends requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// It came by the socket in the data directory, which only who runs the broker can open.
    pub is_owner: bool,
}

/// What requests are read from and answers are written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A port.
pub(super) struct Incoming {
    socket: TcpListener,
    acceptor: Option<Arc<Acceptor>>,
    /// Handshakes that are being done: nobody waits for a slow one.
    handshakes: JoinSet<Option<Accepted>>,
}

type Accepted = (Box<dyn Stream>, Peer);

impl Incoming {
    /// To be called within the runtime that will serve it.
    pub fn new(socket: std::net::TcpListener, acceptor: Option<Arc<Acceptor>>) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        Ok(Self { socket, acceptor, handshakes: JoinSet::new() })
    }

    /// `None`: there will be a connection after its handshake, if it succeeds.
    fn take(&mut self, stream: TcpStream, from: SocketAddr) -> Option<Accepted> {
        // Answers are written as a whole.
        let _ = stream.set_nodelay(true);
        let peer = Peer { address: from, is_owner: false };
        let Some(acceptor) = self.acceptor.clone() else {
            return Some((Box::new(stream), peer));
        };
        self.handshakes.spawn(async move {
            let stream: Box<dyn Stream> = Box::new(acceptor.accept(stream, from).await?);
            Some((stream, peer))
        });
        None
    }
}

impl Accept for Incoming {
    async fn accept(&mut self) -> Accepted {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept(), if self.handshakes.len() < HTTP_HANDSHAKES_MAX => accepted,
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(accepted)) => return accepted,
                    _ => continue,
                },
            };
            match accepted {
                Ok((stream, from)) => {
                    if let Some(accepted) = self.take(stream, from) {
                        return accepted;
                    }
                }
                Err(error) => {
                    tracing::error!("cannot accept a connection for HTTP: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
