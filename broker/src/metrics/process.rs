//! What the process takes of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use lepus_storage::disk::{Disk, RealDisk};

use super::Metrics;
use super::page::Page;
use crate::{descriptors, memory};

/// What is used now.
pub(super) fn coarse(page: &mut Page, metrics: &Metrics) {
    let node = &metrics.node;
    let files = descriptors::used() as f64;
    let sockets = node.connection_count() as f64;
    page.gauge("process_open_fds", "Open file descriptors", files);
    page.gauge("process_open_tcp_sockets", "Open TCP sockets", sockets);
    if let Some(resident) = memory::resident() {
        page.gauge("process_resident_memory_bytes", "Memory used in bytes", resident as f64);
    }
    if let Some(directory) = &node.config().data_dir
        && let Ok(free) = RealDisk.free_bytes(directory)
    {
        page.gauge("disk_space_available_bytes", "Disk space available in bytes", free as f64);
    }
}

/// How much of it there may be.
pub(super) fn limits(page: &mut Page, metrics: &Metrics) {
    let config = metrics.node.config();
    let files = descriptors::limit().map_or(f64::INFINITY, |most| most as f64);
    let sockets = match config.connections_max {
        usize::MAX => files,
        most => most as f64,
    };
    let (memory, disk) = (config.memory_watermark as f64, config.disk_free_limit as f64);
    page.gauge("process_max_fds", "Open file descriptors limit", files);
    page.gauge("process_max_tcp_sockets", "Open TCP sockets limit", sockets);
    page.gauge("resident_memory_limit_bytes", "Memory high watermark in bytes", memory);
    let help = "Free disk space low watermark in bytes";
    page.gauge("disk_space_available_limit_bytes", help, disk);
    let uptime = metrics.started.elapsed().as_secs_f64();
    page.gauge("erlang_uptime_seconds", "Node uptime", uptime);
}

/// When the process began, by the name that every exporter has for it.
pub(super) fn start_time(page: &mut Page, metrics: &Metrics) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = now.saturating_sub(metrics.started.elapsed()).as_secs();
    let help = "Start time of the process since unix epoch in seconds.";
    page.gauge("process_start_time_seconds", help, began as f64);
}
