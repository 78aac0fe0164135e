//! The HTTP API: who may ask, what is answered, and how it is refused. Statuses and bodies are those
//! that RabbitMQ 3.10.8 gave to the same requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "management/access.rs"]
mod access;
#[path = "management/api.rs"]
mod api;
#[path = "management/broker.rs"]
mod broker;
#[path = "management/browse.rs"]
mod browse;
#[path = "management/connections.rs"]
mod connections;
#[path = "management/document.rs"]
mod document;
#[path = "management/live.rs"]
mod live;
#[path = "management/messages.rs"]
mod messages;
#[path = "management/patience.rs"]
mod patience;
#[path = "management/stats.rs"]
mod stats;
#[path = "management/tools.rs"]
mod tools;
#[path = "management/topology.rs"]
mod topology;
#[path = "management/users.rs"]
mod users;
