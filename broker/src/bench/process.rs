//! CPU time and memory of a process, as the kernel counts them.

use std::time::Duration;

use anyhow::{Context, Result};

/// Unit of the times in /proc/PID/stat: the kernel's USER_HZ, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time (user and system, all threads) that a process has used; `None` = this process.
pub(super) fn cpu_time(pid: Option<u32>) -> Result<Duration> {
    let path = proc_file(pid, "stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} has another form than expected"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

/// Resident memory in KiB.
pub(super) fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most resident memory so far, in KiB.
pub(super) fn peak_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, field: &str) -> Result<u64> {
    let path = proc_file(Some(pid), "status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.with_context(|| format!("{path} has no {field}"))
}

fn proc_file(pid: Option<u32>, file: &str) -> String {
    pid.map_or_else(|| format!("/proc/self/{file}"), |pid| format!("/proc/{pid}/{file}"))
}

/// utime + stime. The command's name comes before them in parentheses and may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ticks_after_any_name() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn reads_this_process() {
        assert!(cpu_time(None).is_ok());
        let own = std::process::id();
        assert!(resident_kib(own).unwrap() > 100);
        assert!(peak_kib(own).unwrap() > 100);
    }
}
