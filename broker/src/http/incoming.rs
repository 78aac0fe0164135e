//! Connections as they come, after their TLS handshake where there is one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::limits::HANDSHAKES_MAX;
use crate::tls::Acceptor;

/// Who sends requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// It came by the socket in the data directory, which only who runs the broker can open.
    pub is_owner: bool,
}

impl Connected<IncomingStream<'_, Incoming>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        Self { address: *stream.remote_addr(), is_owner: false }
    }
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

type Accepted = (Box<dyn Stream>, SocketAddr);

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
        let Some(acceptor) = self.acceptor.clone() else {
            return Some((Box::new(stream), from));
        };
        self.handshakes.spawn(async move {
            let stream: Box<dyn Stream> = Box::new(acceptor.accept(stream, from).await?);
            Some((stream, from))
        });
        None
    }
}

impl Listener for Incoming {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept(), if self.handshakes.len() < HANDSHAKES_MAX => accepted,
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

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
