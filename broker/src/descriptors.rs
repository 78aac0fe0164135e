//! File descriptors: how many there may be, and who gets them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{DESCRIPTORS_KEPT, DESCRIPTORS_OWN};

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

/// How many it has. Linux 6.2 and later say so at once; for others they are counted, which takes long if
/// there are many.
pub fn used() -> usize {
    const ALL: &str = "/proc/self/fd";
    match std::fs::metadata(ALL).map_or(0, |all| all.len()) {
        0 => std::fs::read_dir(ALL).map_or(0, Iterator::count),
        told => usize::try_from(told).unwrap_or(usize::MAX),
    }
}

/// What the message store and the process itself need is kept, but of few not more than half of what the
/// process leaves.
fn connections_max(limit: u64) -> usize {
    let left = limit.saturating_sub(DESCRIPTORS_OWN);
    usize::try_from(limit.saturating_sub(DESCRIPTORS_KEPT).max(left / 2)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_use_are_counted() {
        // Other tests of this process open and close some, too.
        let files: Vec<_> = (0..100).map(|_| std::fs::File::open("/proc/self/stat")).collect();
        let used = used();
        assert!((100..10_000).contains(&used), "{used}");
        drop(files);
    }

    #[test]
    fn the_store_keeps_some() {
        let kept = [0, 1, 100, 1024, 1 << 20].map(|limit| limit - connections_max(limit) as u64);
        assert_eq!(kept, [0, 1, 74, 536, DESCRIPTORS_KEPT]);
    }
}
