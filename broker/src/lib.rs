//! Lepus: an AMQP 0-9-1 message broker that RabbitMQ's clients work against unchanged.
//!
//! The way of a message: [`connection`] reads it from a socket, [`session`] does what a channel
//! does with it, [`routing`] says where it goes, [`queue`] keeps it until a consumer takes it.

pub mod access;
pub mod admin;
pub mod alarm;
pub mod aside;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod declared;
pub mod dedup;
pub mod definitions;
pub mod definitions_cli;
pub mod descriptors;
pub mod durability;
pub mod envelope;
pub mod error;
pub mod events;
pub mod http;
pub mod json_table;
pub mod limits;
pub mod linger;
pub mod logging;
pub mod mailbox;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod names;
pub mod node;
pub mod out;
pub mod parameters;
pub mod ping;
pub mod places;
pub mod policy;
pub mod queue;
pub mod reload;
pub mod restore;
pub mod routing;
pub mod server;
pub mod service_manager;
pub mod session;
#[cfg(test)]
mod simulation;
pub mod stats;
pub mod store_cli;
pub mod stores;
pub mod tls;
pub mod topology;
pub mod vhost;
pub mod watch;
pub mod window;
