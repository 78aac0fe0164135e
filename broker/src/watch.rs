//! Watches over memory, the disk and the message store, and sets alarms.

use std::sync::Arc;
use std::time::Duration;

use lepus_storage::Health;
use lepus_storage::disk::{Disk, RealDisk};
use tokio::time::interval;

use crate::alarm::Alarm;
use crate::limits::HOT_MIN;
use crate::memory;
use crate::node::Node;

/// How often resources are compared with their limits.
const PERIOD: Duration = Duration::from_millis(100);

/// Looks again and again.
pub async fn watch(node: Arc<Node>) {
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        check(&node);
    }
}

/// Looks once.
pub fn check(node: &Node) {
    check_memory(node);
    check_disk(node, &RealDisk);
    check_store(node);
}

fn check_memory(node: &Node) {
    let watermark = node.config().memory_watermark;
    let Some(allocated) = memory::allocated() else { return };
    // Backlogs leave memory before publishers have to wait.
    if allocated > watermark / 2 {
        node.set_hot_max(HOT_MIN);
    } else if allocated < watermark / 10 * 4 {
        node.set_hot_max(node.config().hot_max());
    }
    if node.set_alarm(Alarm::Memory, allocated > watermark) {
        let what = state(allocated > watermark);
        tracing::warn!(allocated, watermark, "memory alarm {what}");
    }
}

/// Compares the room on the disk with its limit.
pub fn check_disk(node: &Node, disk: &dyn Disk) {
    let limit = node.config().disk_free_limit;
    let config = node.config();
    let Some(directory) = &config.data_dir else { return };
    let Ok(free) = disk.free_bytes(directory) else { return };
    if free < limit {
        node.store().give_back_room();
    }
    if node.set_alarm(Alarm::Disk, free < limit) {
        tracing::warn!(free, limit, "disk alarm {}", state(free < limit));
    }
}

/// Asks the message store, and what is declared, how they are.
pub fn check_store(node: &Node) {
    let (messages, declared) = (node.store().status().health, node.declared().health());
    let health = if messages == Health::Ready { declared } else { messages };
    let ready = health == Health::Ready;
    if node.set_alarm(Alarm::Store, !ready) {
        match health {
            Health::Ready => tracing::warn!("message store takes messages again"),
            Health::Full => {
                tracing::error!("message store: no room on the disk, {}", state(true));
            }
            Health::Poisoned(why) => {
                tracing::error!("message store has failed and needs a restart: {why}");
            }
        }
    }
}

fn state(set: bool) -> &'static str {
    if set { "set: publishers are held back" } else { "cleared" }
}
