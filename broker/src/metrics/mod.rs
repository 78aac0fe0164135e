//! What Prometheus asks for, under the names that RabbitMQ has for it, and whether all is well.
//!
//! `/metrics` adds up, `/metrics/per-object` has rows for each queue, connection and channel, and
//! `/metrics/detailed` those that are asked for.

mod connections;
mod exchanges;
mod global;
mod health;
mod node;
mod own;
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
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::config::Config;
use crate::config::management::METRICS;
use crate::http::{Listener, Server};
use crate::node::Node;

/// Threads for all requests.
const THREADS: usize = 1;

/// By how much messages go before them. Long answers take what is left of the machine.
const NICE: i32 = 10;

/// What requests are answered from.
struct Metrics {
    node: Arc<Node>,
    started: Instant,
    /// The runtime of those whose messages go before.
    broker: Handle,
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
    let metrics = Arc::new(Metrics {
        node: node.clone(),
        started: Instant::now(),
        broker: Handle::current(),
    });
    let compress = CompressionLayer::new().quality(CompressionLevel::Fastest);
    let app = Router::new()
        .merge(scrape::routes(&metrics).layer(compress).with_state(metrics))
        .merge(health::routes().with_state(node.clone()));
    let server = Server::start("lepus-metrics", THREADS, listeners, &app, &node)?;
    // On Linux it is about the thread that asks for it, and there is only one.
    server.spawn(async {
        // Where it is refused all goes on as before.
        let _ = rustix::process::nice(NICE);
    });
    Ok(server)
}
