//! How much memory there is, and how much this process holds.

/// Octets of memory of the machine, or of the control group that limits this process.
pub fn total() -> u64 {
    let machine = kib_of("/proc/meminfo", "MemTotal:").unwrap_or(4 << 30);
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    limit.map_or(machine, |limit| limit.min(machine))
}

/// A line `name value kB` of one of the kernel's files, in octets.
fn kib_of(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Octets of resident memory of this process.
pub fn resident() -> Option<u64> {
    kib_of("/proc/self/status", "VmRSS:")
}
