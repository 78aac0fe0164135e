//! Room of the disk that is kept for the catalog, so that it can be opened when there is no other: who
//! takes messages away makes room, and nobody can before that.

use std::io;
use std::path::Path;

use crate::disk::{Disk, RealDisk, remove};

const FILE: &str = "reserve";

/// More than the embedded store writes when it is opened.
const OCTETS: u64 = 4 << 20;

/// Sets room aside, if there is any and none was yet.
pub(super) fn keep(directory: &Path) {
    let path = directory.join(FILE);
    let allocated = match RealDisk.create(&path) {
        Ok(file) => file.allocate(OCTETS),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    if allocated.is_err() {
        // On a full disk there is nothing to set aside.
        let _ = remove(&RealDisk, &path);
    }
}

/// Gives that room away; `false` if there is none.
pub(super) fn give_up(directory: &Path) -> io::Result<bool> {
    let path = directory.join(FILE);
    let was_there = path.try_exists()?;
    remove(&RealDisk, &path)?;
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn room_is_kept_until_it_is_given_up() {
        let directory = TempDir::new().unwrap();
        assert!(!give_up(directory.path()).unwrap());
        keep(directory.path());
        keep(directory.path());
        let len = RealDisk.open(&directory.path().join(FILE)).unwrap().len().unwrap();
        assert_eq!(len, OCTETS);
        assert!(give_up(directory.path()).unwrap());
        assert!(!give_up(directory.path()).unwrap());
    }
}
