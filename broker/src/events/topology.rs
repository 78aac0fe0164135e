//! What comes and goes in a virtual host, as events.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::{Event, fields};
use crate::topology::{ExchangeSpec, QueueRecord};

/// Something in a topology came or went.
#[derive(Clone, Debug)]
pub enum Happened {
    /// An exchange was declared.
    ExchangeCreated(ExchangeSpec),
    /// An exchange is gone.
    ExchangeDeleted(Arc<str>),
    /// A queue was declared.
    QueueCreated(Arc<QueueRecord>),
    /// A queue is gone.
    QueueDeleted(Arc<str>),
    /// A binding was made.
    BindingCreated(Bound),
    /// A binding is gone.
    BindingDeleted(Bound),
}

/// A binding.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The exchange that messages come from.
    pub source: Arc<str>,
    /// The queue or exchange that they go to.
    pub destination: Arc<str>,
    /// Whether that is a queue.
    pub to_queue: bool,
    /// The routing key or pattern.
    pub key: String,
    /// Optional arguments.
    pub arguments: FieldTable,
}

impl Happened {
    /// The event. `owner` names the connection that has an exclusive queue.
    pub fn event(&self, vhost: &str, user: &str, owner: impl Fn(u64) -> String) -> Event {
        let event = match self {
            Self::ExchangeCreated(spec) => Event::new("exchange.created")
                .text("name", &spec.name)
                .text("type", spec.kind.name())
                .flag("durable", spec.durable)
                .flag("auto_delete", spec.auto_delete)
                .flag("internal", spec.internal)
                .with("arguments", fields(&spec.arguments))
                .text("policy", ""),
            Self::ExchangeDeleted(name) => Event::new("exchange.deleted").text("name", name),
            Self::QueueCreated(record) => Event::new("queue.created")
                .text("name", &record.name)
                .flag("durable", record.spec.durable)
                .flag("auto_delete", record.spec.auto_delete)
                .with("arguments", fields(&record.spec.arguments))
                .text("owner_pid", &record.spec.owner.map(owner).unwrap_or_default())
                .flag("exclusive", record.spec.owner.is_some()),
            Self::QueueDeleted(name) => Event::new("queue.deleted").text("name", name),
            Self::BindingCreated(bound) => bound.event("binding.created"),
            Self::BindingDeleted(bound) => bound.event("binding.deleted"),
        };
        event.by(vhost, user)
    }
}

impl Bound {
    fn event(&self, key: &'static str) -> Event {
        Event::new(key)
            .text("source_name", &self.source)
            .text("source_kind", "exchange")
            .text("destination_name", &self.destination)
            .text("destination_kind", if self.to_queue { "queue" } else { "exchange" })
            .text("routing_key", &self.key)
            .with("arguments", fields(&self.arguments))
    }
}
