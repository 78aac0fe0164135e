//! What Prometheus is told, and the health checks beside it.

mod dashboards;
mod health;
mod numbers;
mod objects;
mod page;
mod tls;
