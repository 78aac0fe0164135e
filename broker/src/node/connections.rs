//! Who is connected, for operators.

use std::sync::Arc;

use super::Node;
use crate::connection::Open;

impl Node {
    /// A connection is open: others can find it.
    pub(crate) fn opened(&self, connection: Arc<Open>) {
        self.open.insert(connection.id, connection);
        self.stats.connection_created.add(1);
    }

    /// A connection is closed: nobody finds it any more.
    pub(crate) fn closed(&self, connection: u64) {
        if self.open.remove(&connection).is_some() {
            self.stats.connection_closed.add(1);
        }
    }

    /// The open connections, the oldest first.
    pub fn connections(&self) -> Vec<Arc<Open>> {
        let mut all: Vec<_> = self.open.iter().map(|entry| entry.value().clone()).collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// An open connection by its id.
    pub fn connection(&self, id: u64) -> Option<Arc<Open>> {
        self.open.get(&id).map(|entry| entry.value().clone())
    }

    /// An open connection by its name.
    pub fn connection_named(&self, name: &str) -> Option<Arc<Open>> {
        let found = self.open.iter().find(|entry| entry.facts.is_named(name));
        found.map(|entry| entry.value().clone())
    }
}
