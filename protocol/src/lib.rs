//! AMQP 0-9-1 as pure code: no sockets, no clock, no tokio.
//!
//! Bytes go in, frames and methods come out, and the other way round. The frames of the
//! hot path (publish, deliver, settle) are decoded and encoded in place; every other method
//! goes through the generated classes of [`amq_protocol`], re-exported as [`methods`].

pub mod content;
pub mod encode;
pub mod frame;
pub mod handshake;
pub mod heartbeat;
pub mod limits;
pub mod method;
pub mod octets;
pub mod properties;
pub mod reply;
pub mod table;
pub mod wire;

pub use amq_protocol::protocol as methods;
pub use amq_protocol::types;
