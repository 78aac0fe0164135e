//! What interrupted work has left in the directory.

use super::files::Files;
use super::index::{BigId, SegmentId};
use super::pool;
use super::recover::{Found, Listing};
use super::segment::HEADER;
use super::state::Stage;
use crate::StoreError;

/// Removes what nothing points to, and takes in files for later segments.
pub(super) fn clear(
    files: &Files,
    listing: &Listing,
    segment_bytes: u32,
    found: &mut Found,
) -> Result<(), StoreError> {
    for name in &listing.temporary {
        files.remove(&files.path(name))?;
    }
    forget_empty(found);
    let mut removed = 0;
    for (id, kind) in &listing.segments {
        if !found.segments.contains_key(id) {
            files.remove(&files.segment(*id, *kind))?;
            removed += 1;
        }
    }
    for (id, kind) in &listing.indexes {
        let sealed = found.segments.get(id).is_some_and(|segment| segment.stage == Stage::Sealed);
        if !sealed {
            files.remove(&files.index(*id, *kind))?;
        }
    }
    for &number in &listing.free {
        let path = files.path(&pool::name(number));
        let whole = files.disk.open(&path)?.len()? == u64::from(segment_bytes);
        if whole && found.free.len() < pool::MOST {
            found.free.push(number);
        } else {
            files.remove(&path)?;
        }
    }
    note(found, removed, "segments that nothing needed were removed");
    clear_big(files, listing, found)
}

/// Segments without any group.
fn forget_empty(found: &mut Found) {
    let empty: Vec<SegmentId> = found
        .segments
        .iter()
        .filter(|(_, segment)| segment.used <= HEADER as u32)
        .map(|(id, _)| *id)
        .collect();
    for id in empty {
        found.segments.remove(&id);
        found.index.forget_segment(id);
    }
}

fn clear_big(files: &Files, listing: &Listing, found: &mut Found) -> Result<(), StoreError> {
    let needed = found.index.big_files();
    // What the log itself has freed goes with these.
    let _ = found.index.take_freed_big();
    let mut removed = 0;
    for &id in &listing.big {
        if needed.binary_search_by_key(&BigId(id), |&(id, _)| id).is_err() {
            files.remove(&files.big(BigId(id)))?;
            removed += 1;
        }
    }
    note(found, removed, "payload files without a message were removed");
    let lost = needed.iter().filter(|(id, _)| !listing.big.contains(&id.0)).count();
    note(found, lost, "payload files are missing: their messages cannot be read");
    Ok(())
}

fn note(found: &mut Found, count: usize, what: &str) {
    if count > 0 {
        found.notes.push(format!("{count} {what}"));
    }
}
