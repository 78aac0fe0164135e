//! Which queues a message goes to: exchange kinds as pure functions over their bindings.
//!
//! [`Bindings`] holds the bindings of one exchange and matches a message against them, with one
//! index per kind (`direct`, `fanout`, `topic`, `headers`). [`route_all`] walks from exchange to
//! exchange. Nothing here knows names, sockets, locks or the time; no order of a hash map is ever
//! observable, so equal histories give equal results.

mod bindings;
mod direct;
mod fanout;
mod headers;
mod invalid;
#[cfg(test)]
mod naive;
mod topic;
mod value;
mod walk;
mod words;

use amq_protocol::types::FieldTable;

pub use bindings::{BindingRef, Bindings};
pub use invalid::InvalidBinding;
pub use walk::{ExchangeGraph, route_all};

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
}

impl ExchangeKind {
    /// The kind that `exchange.declare` names, if there is one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "topic" => Some(Self::Topic),
            "headers" => Some(Self::Headers),
            _ => None,
        }
    }

    /// The name that `exchange.declare` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// The part of a message that routing may look at.
#[derive(Clone, Copy, Debug)]
pub struct RouteInput<'a> {
    /// The routing key (or one key of CC or BCC): any bytes, at most 255 of them on the wire.
    pub key: &'a [u8],
    /// The `headers` property. Read only where [`Bindings::needs_headers`] says so.
    pub headers: Option<&'a FieldTable>,
}
