//! What a killed broker has left on the disk, kept for whoever looks into a failure.

use std::path::Path;

use anyhow::{Context, Result};

/// Replaces `to` by a copy of the directory `from`.
pub fn keep(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &place)?;
        } else if kind.is_file() {
            // The other thing is the command line's socket, which is nothing without a process.
            std::fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Files of gathered messages: there are some if the broker was compacting its log.
pub fn cold_segments(data: &Path) -> usize {
    let cold = |entry: &std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with('c') && name.ends_with(".seg")
    };
    let entries = std::fs::read_dir(data.join("log")).into_iter().flatten();
    entries.filter_map(Result::ok).filter(cold).count()
}
