//! Watches over memory, the disk and the message store, and sets alarms.

use std::sync::Arc;
use std::time::Duration;

use lepus_storage::Health;
use lepus_storage::disk::{Disk, RealDisk};
use tokio::time::interval;

use crate::alarm::Alarm;
use crate::clock;
use crate::limits::HOT_MIN;
use crate::memory;
use crate::node::Node;

/// How often resources are compared with their limits.
const PERIOD: Duration = Duration::from_millis(100);

/// A step of the system's clock that is worth a word.
const CLOCK_JUMP: Duration = Duration::from_secs(1);

/// Looks again and again.
pub async fn watch(node: Arc<Node>) {
    let mut ticks = interval(PERIOD);
    let mut ahead = 0;
    loop {
        ticks.tick().await;
        check(&node);
        ahead = check_clock(ahead, clock::ahead_ms());
    }
}

/// Says so if the system's clock jumps: the broker does not follow it until it starts again. Returns
/// by how much that clock is ahead, milliseconds, as far as it was said.
fn check_clock(said: i64, ahead: i64) -> i64 {
    if said.abs_diff(ahead) < CLOCK_JUMP.as_millis() as u64 {
        return said;
    }
    tracing::warn!(
        ahead_ms = ahead,
        "the system's clock has jumped: the broker goes on with its own until it starts again"
    );
    ahead
}

/// Looks once.
pub fn check(node: &Node) {
    if let Some(allocated) = memory::allocated() {
        fit_backlogs(node, allocated);
        check_memory(node, allocated);
    }
    check_disk(node, &RealDisk);
    check_files(node);
    check_store(node);
}

/// Backlogs leave memory before publishers have to wait.
fn fit_backlogs(node: &Node, allocated: u64) {
    let watermark = node.config().memory_watermark;
    if allocated > watermark / 2 {
        node.set_hot_max(HOT_MIN);
    } else if allocated < watermark / 10 * 4 {
        node.set_hot_max(node.config().hot_max());
    }
}

/// Compares the octets that are in use with their limit.
pub fn check_memory(node: &Node, allocated: u64) {
    let watermark = node.config().memory_watermark;
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

/// Nobody is to be told that something is safe which would not be found again.
fn check_files(node: &Node) {
    let config = node.config();
    let Some(directory) = &config.data_dir else { return };
    let missing = lepus_storage::missing(directory, config.storage_engine.kind());
    if let Some(missing) = missing.or_else(|| node.store().missing()) {
        let why = format!("{} is no longer there", missing.display());
        node.store().fail(&why);
        node.declared().fail(&why);
    }
}

/// How the message store is, and what is declared.
pub fn health(node: &Node) -> Health {
    let (messages, declared) = (node.store().status().health, node.declared().health());
    match (&messages, &declared) {
        (Health::Poisoned(_), _) | (_, Health::Ready) => messages,
        _ => declared,
    }
}

/// Asks them, and tells.
pub fn check_store(node: &Node) {
    let health = health(node);
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
