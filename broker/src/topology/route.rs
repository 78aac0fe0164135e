//! From an exchange to the queues that a message goes to.

use std::sync::Arc;

use super::Topology;
use super::schedules::held_by;
use crate::error::Refusal;
use crate::message::Message;
use crate::routing::{ExchangeId, ExchangeKind, QueueId, RouteInput, Walk, route_all};
use crate::stats::ExchangeStats;

/// Where a message goes.
#[derive(Debug)]
pub struct Route<H> {
    /// Each queue once, oldest first.
    pub queues: Vec<H>,
    /// The same exchange and routing key lead to the same queues until the topology changes, and
    /// nowhere else.
    pub stable: bool,
    /// Exchanges whose history the message belongs to: see [`Topology::remember`].
    pub histories: Vec<ExchangeId>,
    /// What counts it, if it was published to an exchange.
    pub exchange: Option<Arc<ExchangeStats>>,
    /// How much was looked at to find the queues.
    pub looked_at: usize,
}

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
            let route = self.route_to(Walk { queues, by_keys_only: true, ..Walk::default() });
            return Ok(Route { exchange: Some(self.default_stats.clone()), ..route });
        }
        let start = self.exchange(exchange)?;
        let route = self.route_from(start.id, input);
        Ok(Route { exchange: Some(start.stats.clone()), ..route })
    }

    /// The queues that a message goes to from an exchange on.
    pub fn route_from(&self, start: ExchangeId, input: &RouteInput<'_>) -> Route<H> {
        self.route_to(route_all(self, start, input))
    }

    fn route_to(&self, walk: Walk) -> Route<H> {
        let handle = |id: &QueueId| self.queue.get(id).map(|entry| entry.handle.clone());
        let held = walk.delays.into_iter().map(held_by);
        let queues = walk.queues.into_iter().chain(held).filter_map(|id| handle(&id)).collect();
        let Walk { by_keys_only: stable, histories, looked_at, .. } = walk;
        Route { queues, stable, histories, exchange: None, looked_at }
    }

    /// Keeps a message in the histories that it belongs to, before the topology may change: then a
    /// new binding gets it either from there or by its own route.
    pub fn remember(&self, histories: &[ExchangeId], message: &Message) {
        let exchanges = histories.iter().filter_map(|id| self.exchange.get(id));
        exchanges.filter_map(|exchange| exchange.history.as_ref()).for_each(|h| h.keep(message));
    }

    /// What went through the default exchange.
    pub fn default_stats(&self) -> &Arc<ExchangeStats> {
        &self.default_stats
    }

    /// Whether any exchange looks at the headers of messages.
    pub fn reads_headers(&self) -> bool {
        !self.headers_in_use.is_empty()
    }
}
