//! What the queues are called that the store knows by number.

use std::collections::BTreeMap;

use lepus_storage::{Meta, QueueId};

use crate::queue::state::place::{level_of, lowest_level};
use crate::topology::record::Record;

/// The queues that are declared.
pub(super) struct Names(BTreeMap<QueueId, Declared>);

/// One of them.
pub(super) struct Declared {
    pub vhost: String,
    pub name: String,
    pub auto_delete: bool,
    /// The table of its arguments, in base64.
    pub arguments: String,
}

impl Names {
    pub fn of(meta: &Meta) -> Self {
        // A record that cannot be read has no name to tell.
        let records = meta.entries.values().filter_map(|value| Record::decode(value).ok());
        let queues = records.filter_map(|record| match record {
            Record::Queue { vhost, name, id, auto_delete, arguments, .. } => {
                Some((QueueId(id), Declared { vhost, name, auto_delete, arguments }))
            }
            _ => None,
        });
        Self(queues.collect())
    }

    /// The queue that something of the store belongs to.
    pub fn get(&self, id: QueueId) -> Option<&Declared> {
        self.0.get(&lowest_level(id))
    }

    pub fn all(&self) -> impl Iterator<Item = (QueueId, &Declared)> {
        self.0.iter().map(|(id, declared)| (*id, declared))
    }

    /// For people.
    pub fn name(&self, id: QueueId) -> String {
        let queue = match self.get(id) {
            Some(Declared { vhost, name, .. }) => format!("queue '{name}' in vhost '{vhost}'"),
            None => format!("queue number {} that is not declared", lowest_level(id).0),
        };
        match level_of(id.0) {
            0 => queue,
            priority => format!("priority {priority} of {queue}"),
        }
    }

    /// For people: at most ten.
    pub fn list(&self, ids: &[QueueId]) -> String {
        let names: Vec<String> = ids.iter().take(10).map(|id| self.name(*id)).collect();
        let more = ids.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        names.join(", ") + &more
    }
}
