//! How much memory there is, and how much of it this process uses.

/// Octets of memory of the machine, or of the control group that limits this process.
pub fn total() -> u64 {
    let machine = kib_of("/proc/meminfo", "MemTotal:").unwrap_or(4 << 30);
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    limit.map_or(machine, |limit| limit.min(machine))
}

/// Octets that this process has allocated. Resident memory may be more for some seconds after
/// memory was freed; an alarm by that would not end when queues are emptied.
pub fn allocated() -> Option<u64> {
    tikv_jemalloc_ctl::epoch::advance().ok()?;
    tikv_jemalloc_ctl::stats::allocated::read().ok().map(|octets| octets as u64)
}

/// Octets of this process that are in memory.
pub fn resident() -> Option<u64> {
    kib_of("/proc/self/status", "VmRSS:")
}

/// How many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// A line `name value kB` of one of the kernel's files, in octets.
fn kib_of(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
