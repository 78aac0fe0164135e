//! What the queues are called that the store knows by number.

use std::collections::BTreeMap;

use lepus_storage::{Meta, QueueId};

use crate::queue::state::place::{is_keys, level_of, lowest_level};
use crate::queue::state::schedule::Bucket;
use crate::routing::ExchangeKind;
use crate::topology::record::Record;

/// The queues that are declared, and the exchanges that hold messages back.
pub(super) struct Names {
    queues: BTreeMap<QueueId, Declared>,
    exchanges: BTreeMap<QueueId, Declared>,
}

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
        let mut names = Self { queues: BTreeMap::new(), exchanges: BTreeMap::new() };
        for record in records {
            match record {
                Record::Queue { vhost, name, id, auto_delete, arguments, .. } => {
                    let declared = Declared { vhost, name, auto_delete, arguments };
                    names.queues.insert(QueueId(id), declared);
                }
                Record::Exchange {
                    vhost, name, id, auto_delete, arguments, exchange_type, ..
                } if holds_back(&exchange_type) => {
                    let declared = Declared { vhost, name, auto_delete, arguments };
                    names.exchanges.insert(QueueId(id), declared);
                }
                _ => {}
            }
        }
        names
    }

    /// The queue that something of the store belongs to, or the exchange whose messages wait there.
    pub fn get(&self, id: QueueId) -> Option<&Declared> {
        let owner = lowest_level(id);
        self.queues.get(&owner).or_else(|| self.exchanges.get(&owner))
    }

    pub fn all(&self) -> impl Iterator<Item = (QueueId, &Declared)> {
        self.queues.iter().map(|(id, declared)| (*id, declared))
    }

    /// For people.
    pub fn name(&self, id: QueueId) -> String {
        let owner = self.owner(lowest_level(id));
        match (Bucket::parse(id), level_of(id.0)) {
            _ if is_keys(id) => format!("keys of messages in {owner}"),
            (Some(_), _) => format!("messages that wait for a time in {owner}"),
            (None, 0) => owner,
            (None, priority) => format!("priority {priority} of {owner}"),
        }
    }

    fn owner(&self, id: QueueId) -> String {
        match (self.queues.get(&id), self.exchanges.get(&id)) {
            (Some(Declared { vhost, name, .. }), _) => {
                format!("queue '{name}' in vhost '{vhost}'")
            }
            (_, Some(Declared { vhost, name, .. })) => {
                format!("exchange '{name}' in vhost '{vhost}'")
            }
            _ => format!("queue number {} that is not declared", id.0),
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

/// Whether exchanges of a type may have messages in the store.
fn holds_back(kind: &str) -> bool {
    [ExchangeKind::Delayed, ExchangeKind::Deduplication].iter().any(|holds| holds.name() == kind)
}
