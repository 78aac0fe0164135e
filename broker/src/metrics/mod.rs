//! What Prometheus asks for, under the names that RabbitMQ has for it, and whether all is well.
//!
//! `/metrics` adds up, `/metrics/per-object` has rows for each queue, connection and channel, and
//! `/metrics/detailed` those that are asked for.

mod aside;
mod connections;
mod exchanges;
mod global;
mod health;
mod node;
mod own;
mod pace;
mod page;
mod process;
mod queues;
mod rows;
mod scrape;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use tokio::runtime::Handle;

use crate::config::Config;
use crate::config::management::METRICS;
use crate::http::{Listener, Server};
use crate::node::Node;

/// Threads for all requests.
const THREADS: usize = 1;

/// What requests are answered from.
struct Metrics {
    node: Arc<Node>,
    started: Instant,
    /// The runtime of those whose messages go before.
    broker: Handle,
    /// What long answers are made by.
    aside: Handle,
}

/// Takes the ports of the metrics.
///
/// # Errors
/// One is taken, or not this machine's, or a certificate is not in order.
pub fn listen(config: &Config) -> Result<Vec<Listener>> {
    Listener::open_all(config, &METRICS)
}

/// Answers requests from now on.
///
/// # Errors
/// There can be no more threads.
///
/// # Panics
/// It is not called in the broker's runtime.
pub fn start(node: Arc<Node>, listeners: Vec<Listener>) -> Result<Server> {
    let aside = aside::start()?;
    let metrics = Arc::new(Metrics {
        node: node.clone(),
        started: Instant::now(),
        broker: Handle::current(),
        aside: aside.handle().clone(),
    });
    let app = Router::new()
        .merge(scrape::routes(&metrics).with_state(metrics))
        .merge(health::routes().with_state(node.clone()));
    let mut server = Server::start(("lepus-metrics", THREADS), &METRICS, listeners, app, &node)?;
    server.keep(aside);
    Ok(server)
}
