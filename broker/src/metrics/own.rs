//! What RabbitMQ has no name for.

use super::Metrics;
use super::page::Page;
use crate::alarm::Alarm;
use crate::clock;
use crate::memory;

/// Units of what was measured in a second.
const MICROSECONDS: f64 = 1e6;
const MILLISECONDS: f64 = 1e3;

pub(super) fn write(page: &mut Page, metrics: &Metrics) {
    times(page, metrics);
    store(page, metrics);
    pressure(page, metrics);
    if let Some(allocated) = memory::allocated() {
        let help = "Memory that is allocated, which the memory alarm goes by";
        page.gauge("memory_allocated_bytes", help, allocated as f64);
    }
    let help =
        "By how much the system's clock is ahead of the broker's, which does not follow its steps";
    let ahead = clock::ahead_ms() as f64 / MILLISECONDS;
    page.gauge("clock_ahead_seconds", help, ahead);
    let info = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauges("build_info", "The version of Lepus", &[(&info, 1.0)]);
}

fn times(page: &mut Page, metrics: &Metrics) {
    let traffic = &metrics.node.stats().traffic;
    let help = "How long messages had been in the broker when they were delivered: the first of each batch";
    page.histogram("message_wait_seconds", help, &[], &traffic.waited.get(), MILLISECONDS);
    let help = "How long consumers took to acknowledge a delivery: one at a time of each channel";
    page.histogram("message_ack_seconds", help, &[], &traffic.worked.get(), MILLISECONDS);
}

/// The message store.
fn store(page: &mut Page, metrics: &Metrics) {
    let status = metrics.node.store().status();
    let dead = status.file_bytes.saturating_sub(status.live_bytes);
    let gauges = [
        ("store_pending_bytes", "Octets that the disk has not confirmed", status.pending_bytes),
        ("store_file_bytes", "Octets of all files", status.file_bytes),
        (
            "store_live_bytes",
            "Octets of the files that hold messages which are not settled",
            status.live_bytes,
        ),
        ("store_dead_bytes", "Octets of the files that hold nothing any more", dead),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value as f64);
    }
    page.counter("store_commits_total", "Group commits", status.commits);
    let help = "How often messages left in old files were gathered in new ones";
    page.counter("store_compactions_total", help, status.compactions);
    let purposes: Vec<_> =
        status.written.iter().map(|(purpose, octets)| ([("purpose", *purpose)], *octets)).collect();
    let written: Vec<(&[(&str, &str)], f64)> =
        purposes.iter().map(|(labels, octets)| (&labels[..], *octets as f64)).collect();
    page.counters("store_written_bytes_total", "Octets written, by purpose", &written);
    if !status.commit_time.counts.is_empty() {
        let help = "How long group commits take";
        page.histogram("store_commit_seconds", help, &[], &status.commit_time, MICROSECONDS);
        let help = "How large group commits are";
        page.histogram("store_commit_bytes", help, &[], &status.commit_bytes, 1.0);
    }
}

/// Who is kept from going on, and why.
fn pressure(page: &mut Page, metrics: &Metrics) {
    let node = &metrics.node;
    let is_set = |alarm| f64::from(u8::from(node.alarms().is_set(alarm)));
    let memory = [("resource", Alarm::Memory.name())];
    let disk = [("resource", Alarm::Disk.name())];
    let store = [("resource", Alarm::Store.name())];
    page.gauges(
        "alarm",
        "Whether publishers are blocked since a resource is short",
        &[
            (&memory, is_set(Alarm::Memory)),
            (&disk, is_set(Alarm::Disk)),
            (&store, is_set(Alarm::Store)),
        ],
    );
    let now = node.now_ms();
    let mut count = [("blocked", 0_u32), ("blocking", 0), ("flow", 0), ("running", 0)];
    let alarm = node.alarms().any();
    let mut blocking_themselves = 0_u32;
    for connection in node.connections() {
        blocking_themselves += u32::from(connection.blocks_own_consumers());
        let state = connection.state(alarm, now);
        count.iter_mut().filter(|(name, _)| *name == state).for_each(|(_, count)| *count += 1);
    }
    let labels = count.map(|(name, count)| ([("state", name)], f64::from(count)));
    let values: Vec<(&[(&str, &str)], f64)> =
        labels.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    let help =
        "Connections by what holds them back: an alarm, or queues that fill faster than they drain";
    page.gauges("connections", help, &values);
    let help = "Blocked connections with consumers, whose acknowledgements are not read";
    page.gauge("connections_blocking_own_consumers", help, f64::from(blocking_themselves));
    let (traffic, to_seconds) = (&node.stats().traffic, 1e-3);
    let help = "How often publishers were left alone for the sake of a backlog";
    page.counter("publisher_pauses_total", help, traffic.pauses.get());
    let help = "For how long, all together";
    let seconds = traffic.paused_ms.get() as f64 * to_seconds;
    page.counters("publisher_pause_seconds_total", help, &[(&[], seconds)]);
}

/// RabbitMQ's names of what the message store does with the disk.
pub(super) fn persister(page: &mut Page, metrics: &Metrics) {
    let status = metrics.node.store().status();
    let written = status.written.iter().map(|(_, octets)| octets).sum();
    page.counter("io_write_bytes_total", "Total number of I/O bytes written", written);
    page.counter("io_sync_ops_total", "Total number of I/O sync operations", status.commits);
    let seconds = status.commit_time.sum as f64 / MICROSECONDS;
    page.counters("io_sync_time_seconds_total", "Total I/O sync time", &[(&[], seconds)]);
}
