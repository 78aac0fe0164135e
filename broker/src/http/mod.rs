//! HTTP, with or without TLS, on threads of its own, so that nobody's messages wait for a long list.

mod desk;
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
use desk::Desk;
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
pub struct Server {
    runtime: Runtime,
    desk: Desk,
    /// What stops with it.
    kept: Option<Runtime>,
}

impl Server {
    /// Answers requests from now on. Handlers learn from whom they come by `ConnectInfo<Peer>`.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(
        (name, threads): (&str, usize),
        service: &'static Service,
        listeners: Vec<Listener>,
        router: Router,
        node: &Arc<Node>,
    ) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name(name).enable_all().build();
        let runtime = runtime.with_context(|| format!("cannot start the threads {name}"))?;
        let desk = Desk::new(node.clone(), service, router);
        let server = Self { runtime, desk, kept: None };
        for listener in listeners {
            let _entered = server.runtime.enter();
            if let Some(acceptor) = listener.acceptor.clone() {
                server.spawn(acceptor.watch(node.clone()));
            }
            let incoming = Incoming::new(listener.socket, listener.acceptor)?;
            server.spawn(server.desk.clone().serve(incoming));
        }
        Ok(server)
    }

    /// Answers those, too, who come by a socket in the data directory.
    ///
    /// # Errors
    /// The system does not wait for them.
    pub fn add_local(&self, local: &Local) -> Result<()> {
        let _entered = self.runtime.enter();
        let socket = tokio::net::UnixListener::from_std(local.socket()?)?;
        // Whoever runs the broker gets in, however many others there are.
        self.spawn(self.desk.with_places_of_its_own().serve(socket));
        Ok(())
    }

    /// Has its threads do something else beside, until it stops.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    /// Keeps other threads for as long.
    pub fn keep(&mut self, others: Runtime) {
        self.kept = Some(others);
    }

    /// Answers nobody any more.
    pub fn stop(self) {
        self.runtime.shutdown_background();
        if let Some(others) = self.kept {
            others.shutdown_background();
        }
    }
}
