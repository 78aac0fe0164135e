//! What one commit costs without a broker: a write and an fdatasync.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::args::BenchArgs;
use super::latency::Latencies;
use super::report::RawCommits;

/// Commits stand at multiples of this, as with anything that must not touch what is safe already.
const SECTOR: usize = 512;
/// Octets of the file that is written before the measurement.
const RECYCLED: u64 = 64 << 20;

/// Measures commits of one message each, into a file that was written before and at the end of one
/// that grows, in turn.
pub(super) fn commits(args: &BenchArgs, directory: &Path) -> Result<RawCommits> {
    let size = (args.size as usize).next_multiple_of(SECTOR).max(SECTOR);
    let paths = ["recycled", "appended"]
        .map(|name| directory.join(format!("lepus-bench-{}-{name}", std::process::id())));
    let measured = measure(args, &paths[0], &paths[1], &vec![0x5A; size]);
    for path in &paths {
        // Whatever is left lies where the caller said.
        drop(std::fs::remove_file(path));
    }
    measured
}

fn measure(args: &BenchArgs, recycled: &Path, appended: &Path, block: &[u8]) -> Result<RawCommits> {
    let recycled = filled(recycled)?;
    let appended = create(appended)?;
    let (mut over, mut behind) = (Latencies::new()?, Latencies::new()?);
    let (start, mut at) = (Instant::now(), 0);
    let (warm_up, end) = (args.warm_up, args.warm_up + args.duration);
    while start.elapsed() < Duration::from_secs_f64(end) {
        let times = [
            timed(|| recycled.write_all_at(block, at), &recycled)?,
            timed(|| (&appended).write_all(block), &appended)?,
        ];
        at = (at + block.len() as u64) % (RECYCLED - block.len() as u64) / 512 * 512;
        if start.elapsed().as_secs_f64() >= warm_up {
            over.record(0, times[0]);
            behind.record(0, times[1]);
        }
    }
    Ok(RawCommits { confirm_us: over.percentiles(), appended_us: behind.percentiles() })
}

fn timed(write: impl FnOnce() -> std::io::Result<()>, file: &File) -> Result<u64> {
    let start = Instant::now();
    write()?;
    file.sync_data()?;
    Ok(start.elapsed().as_nanos() as u64)
}

fn create(path: &Path) -> Result<File> {
    File::create_new(path).with_context(|| format!("cannot create {}", path.display()))
}

fn filled(path: &Path) -> Result<File> {
    let mut file = create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..RECYCLED >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}
