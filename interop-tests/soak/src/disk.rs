//! A disk of its own for the broker, which can be filled.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Enough for the log's segments and what gathers while nobody consumes.
const SIZE: &std::ffi::CStr = c"size=1g";

/// A disk in memory.
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts one there, which only root can.
    pub fn mount(place: &Path) -> Result<Self> {
        std::fs::create_dir_all(place)?;
        mount("tmpfs", place, "tmpfs", MountFlags::empty(), Some(SIZE))
            .context("mounting a disk")?;
        Ok(Self { place: place.to_owned() })
    }

    /// Leaves so many octets free, for now: the broker gives room back.
    pub fn fill(&self, leave: u64) -> Result<()> {
        let found = rustix::fs::statvfs(&self.place)?;
        let mut left = (found.f_bavail * found.f_frsize).saturating_sub(leave);
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        let zeros = vec![0; 1 << 20];
        while left > 0 {
            let octets = zeros.get(..left.min(1 << 20) as usize).unwrap_or(&zeros);
            // The broker writes meanwhile: it may be full before that.
            if ballast.write_all(octets).is_err() {
                break;
            }
            left -= octets.len() as u64;
        }
        Ok(())
    }

    /// Makes room again.
    pub fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).context("removing the ballast")
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.place, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.place.display());
        }
    }
}
