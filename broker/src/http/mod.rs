//! HTTP, with or without TLS, on threads of its own, so that nobody's messages wait for a long list.

mod incoming;
mod local;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::config::management::Service;
use crate::node::Node;
use crate::tls::Acceptor;
use incoming::Incoming;
pub use incoming::Peer;
pub use local::{Local, socket_in};

/// A port that requests come to.
pub struct Listener {
    socket: TcpListener,
    /// What does the handshakes of TLS, if clients are to speak it.
    acceptor: Option<Arc<Acceptor>>,
    protocol: &'static str,
}

impl Listener {
    /// Takes the ports of a service.
    ///
    /// # Errors
    /// One is taken, or not this machine's, or a certificate is not in order.
    pub fn open_all(config: &Config, service: &Service) -> Result<Vec<Self>> {
        let [plain, encrypted] = service.protocols;
        let endpoints = (service.endpoints)(config);
        let mut listeners = Vec::new();
        if let Some(address) = endpoints.plain {
            listeners.push(Self::open(address, plain, None)?);
        }
        if let Some(address) = endpoints.encrypted {
            let acceptor = Acceptor::new(config, service.tls, &["http/1.1"])?;
            listeners.push(Self::open(address, encrypted, Some(acceptor))?);
        }
        Ok(listeners)
    }

    fn open(
        address: SocketAddr,
        protocol: &'static str,
        acceptor: Option<Arc<Acceptor>>,
    ) -> Result<Self> {
        let socket = TcpListener::bind(address);
        let socket = socket.with_context(|| format!("cannot listen on {address} for HTTP"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, acceptor, protocol })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// What clients speak there, by RabbitMQ's name.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }
}

/// A service at work.
pub struct Server(Runtime);

impl Server {
    /// Answers requests from now on. Handlers learn from whom they come by `ConnectInfo<Peer>`.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(
        name: &str,
        threads: usize,
        listeners: Vec<Listener>,
        router: &Router,
        node: &Arc<Node>,
    ) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name(name).enable_all().build();
        let runtime = runtime.with_context(|| format!("cannot start the threads {name}"))?;
        for listener in listeners {
            let _entered = runtime.enter();
            if let Some(acceptor) = listener.acceptor.clone() {
                drop(runtime.spawn(acceptor.watch(node.clone())));
            }
            let incoming = Incoming::new(listener.socket, listener.acceptor)?;
            let service = router.clone().into_make_service_with_connect_info::<Peer>();
            // It ends with its runtime only.
            drop(runtime.spawn(async move { axum::serve(incoming, service).await }));
        }
        Ok(Self(runtime))
    }

    /// Answers those, too, who come by a socket in the data directory.
    ///
    /// # Errors
    /// The system does not wait for them.
    pub fn add_local(&self, local: &Local, router: &Router) -> Result<()> {
        let _entered = self.0.enter();
        let socket = tokio::net::UnixListener::from_std(local.socket()?)?;
        let service = router.clone().into_make_service_with_connect_info::<Peer>();
        self.spawn(async move { drop(axum::serve(socket, service).await) });
        Ok(())
    }

    /// Has its threads do something else beside, until it stops.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(work));
    }

    /// Answers nobody any more.
    pub fn stop(self) {
        self.0.shutdown_background();
    }
}
