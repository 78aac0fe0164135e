//! Whether files have changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::tls::TlsOptions;

/// What tells one state of a file from another: device, inode, length, time of change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The files that options name, as they are now and as they were.
pub(super) struct Files {
    now: Vec<Stamp>,
    /// As of the last time that they were taken over.
    taken: Vec<Stamp>,
}

impl Files {
    /// Looks at all of them.
    pub fn of(options: &TlsOptions) -> Self {
        let hosts = options.hosts.values().flat_map(|host| [&host.certfile, &host.keyfile]);
        let files = [&options.cacertfile, &options.certfile, &options.keyfile];
        let now: Vec<_> =
            files.into_iter().chain(hosts).flatten().map(|path| stamp(path)).collect();
        Self { taken: now.clone(), now }
    }

    /// Takes note of how they are. Whether they have changed, and not since the last look.
    pub fn settle(&mut self, found: Self) -> bool {
        let same = self.now == found.now;
        self.now = found.now;
        let settled = same && self.taken != self.now;
        if settled {
            self.taken.clone_from(&self.now);
        }
        settled
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(length: u64) -> Files {
        let now = vec![Some((0, 0, length, 0, 0))];
        Files { taken: now.clone(), now }
    }

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let mut known = files(1);
        assert!(!known.settle(files(1)));
        assert!(!known.settle(files(2)), "just changed");
        assert!(!known.settle(files(3)), "changing");
        assert!(known.settle(files(3)));
        assert!(!known.settle(files(3)), "taken over");
        assert!(!known.settle(files(4)));
        assert!(!known.settle(files(3)), "taken back before it counted");
        assert!(!known.settle(files(3)));
    }
}
