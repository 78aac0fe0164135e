//! A virtual host goes, with all that it has.

use super::Topology;
use super::record;
use crate::error::Refusal;
use crate::policy::Kind;
use crate::routing::{ExchangeId, QueueId};
use lepus_protocol::reply::ReplyCode;

impl<H: Clone> Topology<H> {
    /// Takes all away, for good: nothing can be declared here any more. Returns the queues that there
    /// were, and what exchanges have held back, the oldest first.
    pub fn close(&mut self) -> Vec<H> {
        self.closed = true;
        let mut queues: Vec<QueueId> = self.queues.values().copied().collect();
        queues.sort_unstable();
        let mut handles: Vec<H> =
            queues.into_iter().filter_map(|id| self.remove_queue(id)).collect();
        let mut exchanges: Vec<ExchangeId> = self.exchange.keys().copied().collect();
        exchanges.sort_unstable();
        for id in exchanges {
            self.remove_exchange(id);
        }
        handles.append(&mut self.gone);
        let policies = std::mem::take(&mut self.policies);
        for kind in [Kind::User, Kind::Operator] {
            let names = policies.of(kind).iter().map(|policy| &policy.name);
            self.changes.extend(names.map(|name| record::remove_policy(&self.vhost, kind, name)));
        }
        self.set_tracing(false);
        handles
    }

    /// Refuses what comes when the virtual host is gone.
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        if !self.closed {
            return Ok(());
        }
        Err(deleted(&self.vhost))
    }
}

/// What the connections of a virtual host are told that is deleted.
pub fn deleted(vhost: &str) -> Refusal {
    let text = format_args!("vhost '{vhost}' is deleted");
    Refusal::new(ReplyCode::ConnectionForced, text).without_method()
}
