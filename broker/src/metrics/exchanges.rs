//! What exchanges do, one by one.

use std::sync::Arc;

use super::rows::{Column, Kind, Object};
use crate::node::Node;
use crate::stats::ExchangeStats;

/// An exchange.
pub(super) struct Exchange {
    vhost: Arc<str>,
    name: String,
    stats: Arc<ExchangeStats>,
}

type Stats = Arc<ExchangeStats>;

/// All families.
pub(super) static COLUMNS: [Column<Stats>; 2] = [
    Column {
        group: "exchange_metrics",
        name: "exchange_messages_published_total",
        help: "Total number of messages published into an exchange",
        kind: Kind::Counter,
        of: |stats| stats.publish_in.get() as f64,
    },
    Column {
        group: "exchange_metrics",
        name: "lepus_exchange_messages_routed_total",
        help: "Messages that queues got of those, one for each queue",
        kind: Kind::Counter,
        of: |stats| stats.publish_out.get() as f64,
    },
];

impl Object for Exchange {
    type Numbers = Stats;

    fn labels(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("vhost", &self.vhost);
        put("exchange", &self.name);
    }

    fn numbers(&self) -> Stats {
        self.stats.clone()
    }
}

/// The exchanges of virtual hosts.
pub(super) fn of(node: &Node, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for vhost in node.vhosts().iter().filter(|vhost| is_wanted(&vhost.name)) {
        let with = |name: &str, stats: &Stats| Exchange {
            vhost: vhost.name.clone(),
            name: name.to_owned(),
            stats: stats.clone(),
        };
        vhost.read(|topology| {
            exchanges.push(with("", topology.default_stats()));
            let all = topology.exchanges();
            exchanges.extend(all.map(|exchange| with(&exchange.name, &exchange.stats)));
        });
    }
    exchanges
}
