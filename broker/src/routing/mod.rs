//! Which queues a message goes to: exchange kinds as pure functions over their bindings.
//!
//! [`Bindings`] holds the bindings of one exchange and matches a message against them, with one
//! index per kind (`direct`, `fanout`, `topic`, `headers`, `consistent_hash`, and `pool` for those
//! that pick any one). [`route_all`] walks from exchange to exchange. Nothing here knows names,
//! sockets, locks, the time or chance; no order of a hash map is ever observable, so equal histories
//! give equal results.

mod bindings;
mod consistent_hash;
pub mod deduplication;
pub mod delayed;
mod direct;
mod fanout;
mod headers;
mod invalid;
#[cfg(test)]
mod naive;
mod pool;
mod recent_history;
mod topic;
mod value;
mod walk;
mod words;

use amq_protocol::types::FieldTable;

pub use bindings::{BindingRef, Bindings};
pub use invalid::Invalid;
pub use recent_history::history_length;
pub use walk::{ExchangeGraph, Walk, route_all};

/// A queue of this node. Never given to another queue, not even after a deletion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct QueueId(pub u64);

/// An exchange of this node. Never given to another exchange, not even after a deletion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExchangeId(pub u64);

/// What a binding leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Destination {
    /// Bound with `queue.bind`.
    Queue(QueueId),
    /// Bound with `exchange.bind`.
    Exchange(ExchangeId),
}

/// How an exchange compares a message with its bindings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExchangeKind {
    /// The routing key equals the binding key.
    Direct,
    /// Every binding matches.
    Fanout,
    /// The binding key is a pattern over the words of the routing key.
    Topic,
    /// The binding arguments are compared with the message's headers.
    Headers,
    /// One binding, by a hash of something of the message, in proportion to weights.
    ConsistentHash,
    /// One binding, by a hash of the routing key.
    ModulusHash,
    /// One binding, by chance.
    Random,
    /// Every binding; what was published lately goes to new bindings too.
    RecentHistory,
    /// As another kind does, but later if the message says so.
    Delayed,
    /// Every binding, unless the same message was published lately.
    Deduplication,
}

impl ExchangeKind {
    const ALL: [Self; 10] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::ModulusHash,
        Self::Random,
        Self::RecentHistory,
        Self::Delayed,
        Self::Deduplication,
    ];

    /// All kinds.
    pub fn all() -> [Self; 10] {
        Self::ALL
    }

    /// The kind that `exchange.declare` names, if there is one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that `exchange.declare` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::RecentHistory => "x-recent-history",
            Self::Delayed => "x-delayed-message",
            Self::Deduplication => "x-message-deduplication",
        }
    }
}

/// The part of a message that routing may look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteInput<'a> {
    /// The routing key, then those of CC and BCC: any bytes, at most 255 of them on the wire.
    pub keys: &'a [&'a [u8]],
    /// The `headers` property. Read only where [`Bindings::needs_headers`] says so.
    pub headers: Option<&'a FieldTable>,
    /// All properties, as flags and values.
    pub properties: &'a [u8],
    /// The exchange that it was published to has held it back, and lets it go now.
    pub released: bool,
    /// A number drawn for this message: routing itself knows no chance.
    pub draw: u64,
}

impl<'a> RouteInput<'a> {
    /// The routing key.
    fn key(&self) -> &'a [u8] {
        self.keys.first().copied().unwrap_or_default()
    }
}
