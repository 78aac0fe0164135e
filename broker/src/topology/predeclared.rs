//! The exchanges that are there without being declared.

use amq_protocol::types::FieldTable;

use super::ExchangeSpec;
use crate::events;
use crate::routing::ExchangeKind;
use crate::vhost::Vhost;

/// The id of the first predeclared exchange. Ids of these never change, as bindings of a former life
/// name them.
pub(super) const FIRST_PREDECLARED: u64 = 2;

/// The exchanges that a virtual host always has.
pub fn predeclared(vhost: &str) -> impl Iterator<Item = ExchangeSpec> {
    let all = [
        ("amq.direct", ExchangeKind::Direct, false),
        ("amq.fanout", ExchangeKind::Fanout, false),
        ("amq.topic", ExchangeKind::Topic, false),
        ("amq.headers", ExchangeKind::Headers, false),
        ("amq.match", ExchangeKind::Headers, false),
        ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
        (events::EXCHANGE, ExchangeKind::Topic, true),
    ];
    let default = vhost == Vhost::DEFAULT;
    let here = all.into_iter().filter(move |(name, ..)| default || *name != events::EXCHANGE);
    here.map(|(name, kind, internal)| {
        let (name, durable, auto_delete) = (name.to_owned(), true, false);
        ExchangeSpec {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments: FieldTable::default(),
        }
    })
}
