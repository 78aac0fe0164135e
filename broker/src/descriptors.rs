//! File descriptors: how many there may be, and who gets them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::DESCRIPTORS_KEPT;

/// Raises the limit of the process as far as it may, and returns how many connections there may be at
/// a time.
pub fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.map_or(usize::MAX, connections_max)
}

/// How many this process may have.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// How many it has.
pub fn used() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What the message store and the process itself need is kept, but not more than half.
fn connections_max(limit: u64) -> usize {
    let kept = DESCRIPTORS_KEPT.min(limit.div_ceil(2));
    usize::try_from(limit - kept).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_some() {
        let kept = [0, 1, 100, 1024, 1 << 20].map(|limit| limit - connections_max(limit) as u64);
        assert_eq!(kept, [0, 1, 50, 512, DESCRIPTORS_KEPT]);
    }
}
