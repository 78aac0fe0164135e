//! Who is connected to a virtual host.

use std::collections::HashSet;

use parking_lot::Mutex;

/// The connections of a virtual host.
#[derive(Debug, Default)]
pub struct Members(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: HashSet<u64>,
    max: Option<u64>,
    closed: bool,
}

/// Why a connection cannot come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEntry {
    /// The virtual host is gone.
    Closed,
    /// It has all the connections that it may have.
    Full(u64),
}

impl Members {
    /// One more connection.
    pub fn enter(&self, connection: u64) -> Result<(), NoEntry> {
        let mut inner = self.0.lock();
        if inner.closed {
            return Err(NoEntry::Closed);
        }
        match inner.max {
            Some(max) if inner.connections.len() as u64 >= max => Err(NoEntry::Full(max)),
            _ => {
                inner.connections.insert(connection);
                Ok(())
            }
        }
    }

    /// A connection is gone.
    pub fn leave(&self, connection: u64) {
        self.0.lock().connections.remove(&connection);
    }

    /// From now on there may be so many; those that there are stay.
    pub fn set_max(&self, max: Option<u64>) {
        self.0.lock().max = max;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().connections.len()
    }

    /// Lets nobody in any more, and says who is there.
    pub fn close(&self) -> Vec<u64> {
        let mut inner = self.0.lock();
        inner.closed = true;
        inner.connections.iter().copied().collect()
    }
}
