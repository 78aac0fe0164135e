//! What reached the disk, as its device counts it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Unit of the sector counts in `/sys`, whatever the device's own sectors are.
const SECTOR: u64 = 512;

/// The block device of a file system.
#[derive(Debug, Clone)]
pub(super) struct Device {
    stat: PathBuf,
}

/// Counted since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub bytes: u64,
    /// Flushes of the device's own cache.
    pub flushes: u64,
}

impl Device {
    /// The device that holds a directory.
    pub fn under(directory: &Path) -> Result<Self> {
        let place = || format!("cannot find the device under {}", directory.display());
        let (major, minor) = numbers(std::fs::metadata(directory).with_context(place)?.dev());
        let stat = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        anyhow::ensure!(stat.exists(), "{}: no block device {major}:{minor}", place());
        Ok(Self { stat })
    }

    /// What it has written so far.
    pub fn written(&self) -> Result<Written> {
        let text = std::fs::read_to_string(&self.stat);
        let text = text.with_context(|| format!("cannot read {}", self.stat.display()))?;
        parse(&text).with_context(|| format!("{} has another form", self.stat.display()))
    }
}

/// The kernel's encoding of a device's two numbers.
fn numbers(device: u64) -> (u64, u64) {
    let major = (device >> 8) & 0xFFF | (device >> 32) & 0xFFFF_F000;
    let minor = device & 0xFF | (device >> 12) & 0xFFFF_FF00;
    (major, minor)
}

fn parse(stat: &str) -> Option<Written> {
    let mut fields = stat.split_whitespace().map(str::parse::<u64>);
    let sectors = fields.nth(6)?.ok()?;
    // Kernels before 5.5 do not count flushes.
    let flushes = fields.nth(8).and_then(Result::ok).unwrap_or(0);
    Some(Written { bytes: sectors * SECTOR, flushes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_and_flushes() {
        let stat = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";
        assert_eq!(parse(stat), Some(Written { bytes: 7 * 512, flushes: 16 }));
        assert_eq!(parse("1 2"), None);
    }

    #[test]
    fn both_halves_of_both_numbers() {
        assert_eq!(numbers(0xFE00), (254, 0));
        assert_eq!(numbers(0x1234_5000_0678_9ABC), (0x1234_5000 | 0x89A, 0x6700 | 0xBC));
    }
}
