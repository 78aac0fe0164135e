//! Where what is published may go, and goes.

use super::{Route, Topology};
use crate::error::Refusal;
use crate::routing::{ExchangeKind, QueueId, RouteInput, Walk};

impl<H: Clone> Topology<H> {
    /// The queues that a message goes to which was published to `exchange`.
    pub fn route(&self, exchange: &str, input: &RouteInput<'_>) -> Result<Route<H>, Refusal> {
        if !exchange.is_empty() {
            self.publishable(exchange)?;
        }
        self.route_inside(exchange, input)
    }

    /// The kind of an exchange that clients may publish to; not the default one.
    pub fn publishable(&self, exchange: &str) -> Result<ExchangeKind, Refusal> {
        let start = self.exchange(exchange)?;
        if start.spec.internal {
            let what = self.what("exchange", exchange);
            return Err(Refusal::access(format_args!("cannot publish to internal {what}")));
        }
        Ok(start.spec.kind)
    }

    /// As [`Self::route`], for the broker itself: internal exchanges are open to it.
    pub fn route_inside(
        &self,
        exchange: &str,
        input: &RouteInput<'_>,
    ) -> Result<Route<H>, Refusal> {
        if exchange.is_empty() {
            let named = |key: &&[u8]| self.queues.get(std::str::from_utf8(key).ok()?).copied();
            let mut queues: Vec<QueueId> = input.keys.iter().filter_map(named).collect();
            queues.sort_unstable();
            queues.dedup();
            return Ok(self.route_to(Walk { queues, by_keys_only: true, ..Walk::default() }));
        }
        let start = self.exchange(exchange)?;
        Ok(self.route_from(start.id, input))
    }
}
