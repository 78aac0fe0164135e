//! What delayed exchanges hold back: for each of them a queue without a name, which has the
//! exchange's id.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::{Entry, QueueRecord, QueueSpec, Topology};
use crate::policy::{Applied, Flow};
use crate::routing::deduplication::queue_arguments;
use crate::routing::{ExchangeId, ExchangeKind, QueueId};

/// What holds back the messages of an exchange. Ids of exchanges and queues are never the same.
pub(super) fn held_by(exchange: ExchangeId) -> QueueId {
    QueueId(exchange.0)
}

impl<H: Clone> Topology<H> {
    /// Gives a new exchange what it needs to hold messages back, if it is of the kind that does.
    pub(super) fn add_schedule(&mut self, name: &str, make: impl FnOnce(Arc<QueueRecord>) -> H) {
        let Ok(exchange) = self.exchange(name) else { return };
        let arguments = match exchange.spec.kind {
            ExchangeKind::Delayed => FieldTable::default(),
            ExchangeKind::Deduplication => queue_arguments(&exchange.spec.arguments),
            _ => return,
        };
        let (id, name) = (held_by(exchange.id), exchange.name.clone());
        let spec = QueueSpec {
            name: name.to_string(),
            durable: exchange.spec.durable,
            owner: None,
            auto_delete: false,
            arguments,
        };
        let record = Arc::new(QueueRecord { id, name, spec, merged: None, holds_back: true });
        let handle = make(record.clone());
        self.queue.insert(
            id,
            Entry { record, handle, applied: Applied::default(), flow: Flow::default() },
        );
    }

    /// Takes what exchanges have held back that are gone since the last call.
    pub fn take_gone(&mut self) -> Vec<H> {
        std::mem::take(&mut self.gone)
    }

    /// What a delayed exchange holds back.
    pub fn held_back(&self, exchange: &str) -> Option<H> {
        self.holder(held_by(self.exchange(exchange).ok()?.id))
    }

    /// The queue of an id, or what the exchange of that id holds back.
    pub fn holder(&self, id: QueueId) -> Option<H> {
        self.queue.get(&id).map(|entry| entry.handle.clone())
    }
}
