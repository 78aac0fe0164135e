//! Connections: a state machine without I/O, and the task that drives it over a socket.

mod facts;
mod identity;
mod io;
pub(crate) mod link;

pub use io::serve;
