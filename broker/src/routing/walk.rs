//! From exchange to exchange: exchange-to-exchange bindings and alternate exchanges.

use std::collections::BTreeSet;

use super::{Bindings, Destination, ExchangeId, ExchangeKind, QueueId, RouteInput, recent_history};

/// What a walk needs to know of the exchanges.
pub trait ExchangeGraph {
    /// The bindings of an exchange; `None` if there is no such exchange.
    fn bindings(&self, id: ExchangeId) -> Option<&Bindings>;

    /// Where an exchange sends what none of its bindings matched. It need not exist.
    fn alternate(&self, id: ExchangeId) -> Option<ExchangeId>;
}

/// Where a message got to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The queues, sorted, each once.
    pub queues: Vec<QueueId>,
    /// Exchanges on the way that hold the message back.
    pub delays: Vec<ExchangeId>,
    /// Exchanges on the way that are to keep the message in their history.
    pub histories: Vec<ExchangeId>,
    /// Whatever else a message with the same keys is like, it goes the same way, until a binding or
    /// an exchange comes or goes.
    pub by_keys_only: bool,
    /// How much was looked at: nodes of patterns, conditions on headers, destinations.
    pub looked_at: usize,
}

/// Routes a message that was published to `start`.
///
/// `headers` may be `None` where no exchange on the way [`needs them`](Bindings::needs_headers). An
/// exchange is visited once, however many bindings lead to it and whether or not they form a cycle.
/// An exchange that holds the message back is not left. The alternate exchange serves an exchange of
/// which no binding matched, by any of the keys; a binding that leads to an exchange visited before, or to one that routes the message nowhere, has
/// matched nevertheless.
pub fn route_all(graph: &impl ExchangeGraph, start: ExchangeId, input: &RouteInput<'_>) -> Walk {
    let mut walk = Walk { by_keys_only: true, ..Walk::default() };
    let mut matched = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo = Vec::new();
    let mut at = Some(start);
    while let Some(id) = at {
        if let Some(bindings) = graph.bindings(id) {
            walk.by_keys_only &= bindings.needs_keys_only();
            let released = input.released && id == start;
            if !released && bindings.holds_back(input.headers) {
                walk.delays.push(id);
                at = todo.pop();
                continue;
            }
            if bindings.kind() == ExchangeKind::RecentHistory
                && recent_history::is_kept(input.headers)
            {
                walk.histories.push(id);
            }
            walk.looked_at += bindings.route(input, &mut matched);
            if matched.is_empty() {
                matched.extend(graph.alternate(id).map(Destination::Exchange));
            }
        }
        walk.looked_at += matched.len();
        for dest in matched.drain(..) {
            match dest {
                Destination::Queue(queue) => walk.queues.push(queue),
                Destination::Exchange(next) if next == start => {}
                Destination::Exchange(next) => {
                    if seen.insert(next) {
                        todo.push(next);
                    }
                }
            }
        }
        at = todo.pop();
    }
    walk.queues.sort_unstable();
    walk.queues.dedup();
    walk
}

#[cfg(test)]
mod tests;
