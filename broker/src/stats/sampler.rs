//! Takes samples of all that is counted, from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Tick;
use crate::node::Node;
use crate::vhost::Vhost;

/// Takes samples for as long as the broker runs.
pub async fn sample(node: Arc<Node>) {
    let mut before = node.now_ms();
    loop {
        let every = (node.config().statistics_interval.as_millis() as u64).max(1);
        // At round times, as whoever asks for samples means them.
        let due = (node.now_ms() / every + 1) * every;
        sleep(Duration::from_millis(due.saturating_sub(node.now_ms()))).await;
        let now = node.now_ms();
        step(&node, Tick { now, before });
        before = now;
    }
}

/// Takes one sample of everything.
fn step(node: &Node, tick: Tick) {
    node.stats().track.sample(tick, node.churn());
    for vhost in node.vhosts() {
        vhost.stats.sample(tick);
        sample_inside(&vhost, tick);
    }
    for connection in node.connections() {
        connection.stats.sample(tick);
        connection.channel_stats().iter().for_each(|channel| channel.sample(tick));
    }
}

fn sample_inside(vhost: &Vhost, tick: Tick) {
    let exchanges: Vec<_> = vhost.read(|topology| {
        let exchanges = topology.exchanges().map(|exchange| &exchange.stats);
        exchanges.chain([topology.default_stats()]).cloned().collect()
    });
    exchanges.iter().for_each(|exchange| exchange.sample(tick));
    vhost.queues().iter().for_each(|queue| queue.sample(tick));
}
