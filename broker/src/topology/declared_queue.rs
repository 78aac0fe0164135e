//! A queue as clients declare it.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use crate::dedup;
use crate::routing::QueueId;

/// What queue.declare asks for.
#[derive(Clone, Debug)]
pub struct QueueSpec {
    /// Its name; not empty.
    pub name: String,
    /// Survives a restart.
    pub durable: bool,
    /// The one connection that may use it, and with which it goes.
    pub owner: Option<u64>,
    /// Deleted when its last consumer leaves.
    pub auto_delete: bool,
    /// Optional arguments.
    pub arguments: FieldTable,
}

/// A queue as it was declared.
#[derive(Debug)]
pub struct QueueRecord {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: Arc<str>,
    /// What was declared.
    pub spec: QueueSpec,
    /// The arguments with what policies added when the queue came to be, if they did.
    pub merged: Option<FieldTable>,
    /// It is not a queue that was declared, but what a delayed exchange holds back. Its id is the
    /// exchange's, its name too.
    pub holds_back: bool,
}

impl QueueRecord {
    /// Whether messages wait here that lead nowhere yet; a new one goes on at once from where it is
    /// only compared with others.
    pub fn delays(&self) -> bool {
        self.holds_back && !self.spec.arguments.contains_key(dedup::ARGUMENT)
    }

    /// What the queue's first rules follow from.
    pub fn arguments(&self) -> &FieldTable {
        self.merged.as_ref().unwrap_or(&self.spec.arguments)
    }
}
