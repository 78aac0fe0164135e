//! Connections: a state machine without I/O, and the task that drives it over a socket.

mod entry;
mod facts;
pub(crate) mod identity;
mod io;
pub mod link;
mod open;
mod proxy_header;
mod timer;
mod transport;

pub use entry::serve;
pub use facts::Facts;
pub use open::{Open, ask_all};
