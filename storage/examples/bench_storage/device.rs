//! What the device under a directory has written, in the kernel's count.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Unit of the counts, whatever the device's own sectors are.
const SECTOR: u64 = 512;

/// The file with the counts.
pub struct Device(PathBuf);

impl Device {
    /// The device under a directory; none if the file system has no block device.
    pub fn under(directory: &Path) -> Result<Option<Self>> {
        let device = std::fs::metadata(directory)?.dev();
        let major = (device >> 8) & 0xFFF | (device >> 32) & 0xFFFF_F000;
        let minor = device & 0xFF | (device >> 12) & 0xFFFF_FF00;
        let stat = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        Ok(stat.exists().then_some(Self(stat)))
    }

    /// Octets written, and flushes, since the machine started.
    pub fn written(&self) -> Result<(u64, u64)> {
        let text = std::fs::read_to_string(&self.0)?;
        let fields: Vec<u64> = text.split_whitespace().filter_map(|it| it.parse().ok()).collect();
        let sectors = fields.get(6).context("no count of sectors")?;
        Ok((sectors * SECTOR, fields.get(15).copied().unwrap_or(0)))
    }
}
