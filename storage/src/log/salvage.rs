//! Opening a store however damaged it is: what can be read of it, and what is wrong with it.
//!
//! Recovery refuses at the first thing that is not as it was written. This goes on behind it, changes
//! nothing, and notes what a repair would have to do.

mod base;
mod disk;
mod findings;
mod missing;
mod rebuild;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checkpoint::Position;
use super::files::Files;
use super::index::{Queues, SegmentId};
use super::record::Record;
use super::recover::{Found, Listing};
use super::replay::Replay;
use super::segment::{Kind, SegmentHeader};
use super::state::{Segment, Stage};
use crate::disk::DiskFile;
use crate::{Lsn, Meta, QueueId, StoreError};

use base::{Base, Begin, Checkpoint};
pub(super) use disk::Patient;
pub(crate) use findings::Findings;
pub use findings::{Fault, Lost};
use rebuild::Rebuild;
use tail::Tail;

/// What records are applied to.
trait Sink {
    /// The lowest position that a message of the queue may take.
    fn next_of(&self, queue: QueueId) -> u64;
    /// The copy of the catalog.
    fn meta(&mut self) -> &mut Meta;
    /// Applies a record, but for changes of the catalog.
    fn apply(&mut self, segment: SegmentId, offset: u32, record: Record<'_>) -> Result<(), String>;
}

impl Sink for Replay {
    fn next_of(&self, queue: QueueId) -> u64 {
        self.index.next_of(queue)
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn apply(&mut self, segment: SegmentId, offset: u32, record: Record<'_>) -> Result<(), String> {
        self.apply_record(segment, offset, record)
    }
}

/// Reads what there is. `declared` is what the catalog has, in case that the copy of it is damaged.
///
/// # Errors
/// [`StoreError::Format`], [`StoreError::Io`]: never because of damage.
pub(super) fn salvage(
    files: &Files,
    declared: Option<Meta>,
) -> Result<(Found, Findings), StoreError> {
    let mut findings = Findings::default();
    let listing = Listing::read(files)?;
    let base = Base { files, listing: &listing, findings: &mut findings, declared };
    let mut found = match base.begin()? {
        Begin::Checkpoint(checkpoint) => {
            behind_checkpoint(files, &listing, &mut findings, *checkpoint)?
        }
        Begin::Nothing(meta) => from_the_log(files, &listing, &mut findings, meta)?,
    };
    for (id, offsets) in &findings.tables {
        found.index.put_table(super::reindex::table(*id, offsets.clone()));
    }
    let highest = listing.segments.keys().next_back().map_or(0, |id| id.0 + 1);
    let highest_big = listing.big.iter().next_back().map_or(0, |id| id + 1);
    found.next_segment = found.next_segment.max(highest);
    found.next_big = found.next_big.max(highest_big);
    Ok((found, findings))
}

fn hot(listing: &Listing, from: SegmentId) -> Vec<SegmentId> {
    let hot = listing.segments.iter().filter(|(_, kind)| **kind == Kind::Hot);
    hot.map(|(id, _)| *id).filter(|id| *id >= from).collect()
}

fn behind_checkpoint(
    files: &Files,
    listing: &Listing,
    findings: &mut Findings,
    checkpoint: Checkpoint,
) -> Result<Found, StoreError> {
    let Checkpoint { snapshot, index, meta, meta_is_good } = checkpoint;
    let segments = base::listed(files, &index, &snapshot, findings)?;
    let sink = Replay::new(index, meta, snapshot.next_big);
    let mut tail = Tail::new(files, findings, sink, segments);
    let ids = hot(listing, snapshot.at.segment);
    let (lsn, next_group) = tail.read(&ids, Some(snapshot.at))?;
    let (replay, segments) = tail.finish();
    Ok(Found {
        dirty: true,
        index: replay.index,
        meta: replay.meta,
        written_meta: snapshot.meta.filter(|_| meta_is_good),
        segments,
        lsn: Lsn(lsn),
        next_group,
        next_segment: snapshot.next_segment,
        next_big: replay.next_big,
        checkpoint: snapshot.number,
        free: Vec::new(),
        notes: Vec::new(),
    })
}

fn from_the_log(
    files: &Files,
    listing: &Listing,
    findings: &mut Findings,
    meta: Meta,
) -> Result<Found, StoreError> {
    let sink = Rebuild::new(meta);
    let mut tail = Tail::new(files, findings, sink, BTreeMap::new());
    for (id, _) in listing.segments.iter().filter(|(_, kind)| **kind == Kind::Cold) {
        tail.read_cold(*id)?;
    }
    let (lsn, next_group) = tail.read(&hot(listing, SegmentId(0)), None)?;
    let (rebuild, mut segments) = tail.finish();
    for segment in segments.values_mut() {
        segment.stage = Stage::Sealed;
    }
    let (meta, next_big) = (rebuild.meta.clone(), rebuild.next_big);
    let (image, tables) = rebuild.finish();
    let index = Queues::from_image(image).map_err(|detail| StoreError::Corrupt {
        place: files.path("").display().to_string(),
        detail,
    })?;
    findings.tables.extend(tables);
    Ok(Found {
        dirty: true,
        index,
        meta,
        written_meta: None,
        segments,
        lsn: Lsn(lsn),
        next_group,
        next_segment: 0,
        next_big,
        checkpoint: 0,
        free: Vec::new(),
        notes: Vec::new(),
    })
}

/// A segment with its header.
type Opened = (SegmentHeader, Arc<dyn DiskFile>);

/// A segment as it was found.
fn segment_of(header: SegmentHeader, used: u64, stage: Stage) -> Segment {
    Segment {
        header,
        used: used.min(u64::from(u32::MAX)) as u32,
        made: true,
        recyclable: false,
        stage,
        index_bytes: 0,
        max_lsn: 0,
    }
}

/// The place where a log without a checkpoint begins.
const BEGINNING: Position =
    Position { segment: SegmentId(0), offset: super::segment::HEADER as u32, group: 1, lsn: 0 };
