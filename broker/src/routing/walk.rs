//! From exchange to exchange: exchange-to-exchange bindings and alternate exchanges.

use std::collections::BTreeSet;

use amq_protocol::types::FieldTable;

use super::{Bindings, Destination, ExchangeId, QueueId, RouteInput};

/// What a walk needs to know of the exchanges.
pub trait ExchangeGraph {
    /// The bindings of an exchange; `None` if there is no such exchange.
    fn bindings(&self, id: ExchangeId) -> Option<&Bindings>;

    /// Where an exchange sends what none of its bindings matched. It need not exist.
    fn alternate(&self, id: ExchangeId) -> Option<ExchangeId>;
}

/// Sets `out` to the queues that a message published to `start` goes to, sorted, each once.
///
/// `keys` are the routing key and then those of CC and BCC. `headers` may be `None` where no
/// exchange on the way [`needs them`](Bindings::needs_headers). An exchange is visited once, however
/// many bindings lead to it and whether or not they form a cycle. The alternate exchange serves an
/// exchange of which no binding matched, by any of the keys; a binding that leads to an exchange
/// visited before, or to one that routes the message nowhere, has matched nevertheless.
pub fn route_all(
    graph: &impl ExchangeGraph,
    start: ExchangeId,
    keys: &[&[u8]],
    headers: Option<&FieldTable>,
    out: &mut Vec<QueueId>,
) {
    out.clear();
    let mut matched = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo = Vec::new();
    let mut at = Some(start);
    while let Some(id) = at {
        if let Some(bindings) = graph.bindings(id) {
            route_one(bindings, keys, headers, &mut matched);
            if matched.is_empty() {
                matched.extend(graph.alternate(id).map(Destination::Exchange));
            }
        }
        for dest in matched.drain(..) {
            match dest {
                Destination::Queue(queue) => out.push(queue),
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
    out.sort_unstable();
    out.dedup();
}

fn route_one(
    bindings: &Bindings,
    keys: &[&[u8]],
    headers: Option<&FieldTable>,
    matched: &mut Vec<Destination>,
) {
    if !bindings.needs_key() {
        return bindings.route(&RouteInput { key: b"", headers }, matched);
    }
    for key in keys {
        bindings.route(&RouteInput { key, headers }, matched);
    }
}

#[cfg(test)]
mod tests;
