//! What Prometheus is told, and the health checks beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "metrics/dashboards.rs"]
mod dashboards;
#[path = "metrics/health.rs"]
mod health;
#[path = "metrics/numbers.rs"]
mod numbers;
#[path = "metrics/objects.rs"]
mod objects;
#[path = "metrics/page.rs"]
mod page;
#[path = "metrics/tls.rs"]
mod tls;
