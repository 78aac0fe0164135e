//! What Prometheus asks for, under the names that RabbitMQ has for it, and whether all is well.

mod health;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;

use crate::config::Config;
use crate::http::{Listener, Server};
use crate::node::Node;

/// Threads for all requests.
const THREADS: usize = 1;

/// Takes the ports of the metrics.
///
/// # Errors
/// One is taken, or not this machine's, or a certificate is not in order.
pub fn listen(config: &Config) -> Result<Vec<Listener>> {
    let endpoints = config.prometheus.endpoints(config.listeners.bind);
    let protocols = ["http/prometheus", "https/prometheus"];
    Listener::open_all(&endpoints, protocols, config.ssl_handshake_timeout)
}

/// Answers requests from now on.
///
/// # Errors
/// There can be no more threads.
pub fn start(node: Arc<Node>, listeners: Vec<Listener>) -> Result<Server> {
    let app = Router::new().merge(health::routes()).with_state(node);
    Server::start("lepus-metrics", THREADS, listeners, &app)
}
