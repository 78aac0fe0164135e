//! Opening: the newest checkpoint, and what the log says after it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::checkpoint::{self, MetaRef, Position, SegmentRecord, Snapshot};
use super::files::{Files, parse_number};
use super::frame::{self, FrameHeader};
use super::index::{Queues, SegmentId};
use super::replay::Replay;
use super::scan::Frames;
use super::segment::{self, HEADER, Kind, SegmentHeader};
use super::state::{Segment, Stage};
use super::{leftovers, meta, reindex, snapshot};
use crate::{Lsn, Meta, QueueId, StoreError};

/// What was found in a directory.
#[derive(Debug)]
pub(super) struct Found {
    pub index: Queues,
    pub meta: Meta,
    pub written_meta: Option<MetaRef>,
    pub segments: BTreeMap<SegmentId, Segment>,
    pub lsn: Lsn,
    pub next_group: u64,
    pub next_segment: u64,
    pub next_big: u64,
    /// Of the newest checkpoint.
    pub checkpoint: u64,
    /// Files for later segments, by number.
    pub free: Vec<u64>,
    /// There is more than the checkpoint says.
    pub dirty: bool,
    pub notes: Vec<String>,
}

/// What the directory lists.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub segments: BTreeMap<SegmentId, Kind>,
    pub indexes: BTreeMap<SegmentId, Kind>,
    pub free: Vec<u64>,
    pub temporary: Vec<String>,
    pub big: BTreeSet<u64>,
}

impl Listing {
    pub fn read(files: &Files) -> io::Result<Self> {
        let (log, big) = files.list()?;
        let mut listing = Self::default();
        for name in log {
            if let Some((id, kind)) = segment::parse_name(&name, "seg") {
                listing.segments.insert(SegmentId(id), kind);
            } else if let Some((id, kind)) = segment::parse_name(&name, "idx") {
                listing.indexes.insert(SegmentId(id), kind);
            } else if let Some(number) = parse_number(&name, "free") {
                listing.free.push(number);
            } else if name.ends_with(".tmp") {
                listing.temporary.push(name);
            }
        }
        listing.big.extend(big.iter().filter_map(|name| parse_number(name, "big")));
        Ok(listing)
    }
}

/// Recovers a store whose directory is locked.
pub(super) fn recover(files: &Files, segment_bytes: u32) -> Result<Found, StoreError> {
    // What a process that was killed has done to the directory is relied upon from now on.
    files.sync()?;
    files.sync_big()?;
    let listing = Listing::read(files)?;
    let mut notes = Vec::new();
    let snapshot = newest_checkpoint(files, &listing, &mut notes)?;
    let meta = read_meta(files, snapshot.meta)?;
    let index = Queues::from_image(snapshot.index).map_err(|detail| StoreError::Corrupt {
        place: files.path(&snapshot::name(snapshot.number)).display().to_string(),
        detail,
    })?;
    let mut segments = BTreeMap::new();
    for record in &snapshot.segments {
        let sealed = record.id != snapshot.at.segment;
        let segment = listed_segment(files, &index, record, sealed)?;
        segments.insert(record.id, segment);
    }
    let replay = Replay::new(index, meta, snapshot.next_big);
    let mut tail = Tail { files, segments, replay, notes, from: snapshot.at };
    let hot = listing.segments.iter().filter(|(_, kind)| **kind == Kind::Hot);
    let ids: Vec<SegmentId> =
        hot.map(|(id, _)| *id).filter(|id| *id >= snapshot.at.segment).collect();
    let (lsn, next_group) = tail.read(&ids)?;
    let highest = listing.segments.keys().next_back().map_or(0, |id| id.0 + 1);
    let highest_big = listing.big.iter().next_back().map_or(0, |id| id + 1);
    let Tail { segments, replay, notes, .. } = tail;
    let mut found = Found {
        dirty: next_group != snapshot.at.group,
        index: replay.index,
        meta: replay.meta,
        written_meta: snapshot.meta,
        segments,
        lsn: Lsn(lsn),
        next_group,
        next_segment: snapshot.next_segment.max(highest),
        next_big: replay.next_big.max(highest_big),
        checkpoint: snapshot.number,
        free: Vec::new(),
        notes,
    };
    leftovers::clear(files, &listing, segment_bytes, &mut found)?;
    Ok(found)
}

/// The newest checkpoint that can be read; the beginning of the log if there is none.
fn newest_checkpoint(
    files: &Files,
    listing: &Listing,
    notes: &mut Vec<String>,
) -> Result<Snapshot, StoreError> {
    let mut newest: Option<Snapshot> = None;
    let mut damaged = Vec::new();
    for number in 0..2 {
        let path = files.path(&snapshot::name(number));
        let place = path.display().to_string();
        let bytes = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        match checkpoint::decode(&bytes, &place) {
            Ok(read) if newest.as_ref().is_none_or(|newest| newest.number < read.number) => {
                newest = Some(read);
            }
            Ok(_) => {}
            Err(StoreError::Corrupt { .. }) => damaged.push(place),
            Err(error) => return Err(error),
        }
    }
    let missing = damaged.is_empty();
    if newest.is_none()
        && !listing.segments.is_empty()
        && !(missing && begins_with_first(files, listing)?)
    {
        let (place, what) = if missing {
            (files.path("").display().to_string(), "both checkpoints are missing")
        } else {
            (damaged.join(" and "), "no checkpoint can be read")
        };
        // Segments in which all was settled are gone, and with them what they settled elsewhere.
        let detail = format!(
            "{what}; what is in the log can be taken over by repairing it, but messages that were \
             settled may come back"
        );
        return Err(StoreError::Corrupt { place, detail });
    }
    notes.extend(damaged.iter().map(|place| format!("{place} is damaged: the other one was used")));
    let at = Position { segment: SegmentId(0), offset: HEADER as u32, group: 1, lsn: 0 };
    Ok(newest.unwrap_or(Snapshot { at, ..Snapshot::default() }))
}

/// Whether the log is there from its first commit on, so that no checkpoint is needed.
pub(super) fn begins_with_first(files: &Files, listing: &Listing) -> Result<bool, StoreError> {
    let first = listing.segments.iter().find(|(_, kind)| **kind == Kind::Hot);
    let Some((id, kind)) = first else { return Ok(true) };
    let file = files.disk.open(&files.segment(*id, *kind))?;
    let mut bytes = [0; frame::HEADER];
    file.read_at(&mut bytes, HEADER as u64)?;
    // One that is torn is the first, too.
    Ok(FrameHeader::decode_any(&bytes).is_none_or(|header| header.group == 1))
}

pub(super) fn read_meta(files: &Files, reference: Option<MetaRef>) -> Result<Meta, StoreError> {
    let Some(reference) = reference else { return Ok(Meta::default()) };
    let path = files.path(&snapshot::meta_name(reference.file));
    let place = path.display().to_string();
    let bytes = match files.read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let detail = "the copy of the catalog is missing".to_owned();
            return Err(StoreError::Corrupt { place, detail });
        }
        read => read?,
    };
    let crc = bytes.last_chunk().map(|crc| u32::from_le_bytes(*crc));
    let meta = meta::decode(&bytes, &place)?;
    if crc == Some(reference.crc) && meta.version == reference.version {
        return Ok(meta);
    }
    let detail = "it is not the copy of the catalog that goes with the checkpoint".to_owned();
    Err(StoreError::Corrupt { place, detail })
}

/// Looks at a segment that a checkpoint needs.
fn listed_segment(
    files: &Files,
    index: &Queues,
    record: &SegmentRecord,
    sealed: bool,
) -> Result<Segment, StoreError> {
    let path = files.segment(record.id, record.kind);
    let place = path.display().to_string();
    let corrupt = |what: &str| {
        let queues = names(index.queues_of(record.id));
        let detail = format!("{what}; it has messages of {queues}");
        StoreError::Corrupt { place: place.clone(), detail }
    };
    let file = match files.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(corrupt("the segment is missing"));
        }
        opened => opened?,
    };
    let header = read_header(&*file, &place)?;
    if (header.id, header.generation) != (record.id.0, record.generation) {
        return Err(corrupt("it is another segment"));
    }
    if file.len()? < u64::from(record.used) {
        return Err(corrupt("the segment is too short"));
    }
    let mut index_bytes = 0;
    if sealed && index.usage(record.id).live > 0 {
        index_bytes = reindex::ensure(files, index, &header, file)?;
    }
    let stage = if sealed { Stage::Sealed } else { Stage::Rolled };
    let recyclable = record.recyclable;
    let (used, max_lsn) = (record.used, record.max_lsn);
    Ok(Segment { header, used, made: true, recyclable, stage, index_bytes, max_lsn })
}

pub(super) fn read_header(
    file: &dyn crate::disk::DiskFile,
    place: &str,
) -> Result<SegmentHeader, StoreError> {
    let mut bytes = [0; HEADER];
    let read = file.read_at(&mut bytes, 0)?;
    SegmentHeader::decode(bytes.get(..read).unwrap_or_default(), place)
}

/// For people: at most ten queues.
fn names(queues: impl IntoIterator<Item = QueueId>) -> String {
    let mut names: Vec<_> = queues.into_iter().map(|queue| queue.0.to_string()).collect();
    let more = names.len().saturating_sub(10);
    names.truncate(10);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if names.is_empty() {
        "no queue that is known".to_owned()
    } else {
        format!("queues {}{more}", names.join(", "))
    }
}

/// The log behind a checkpoint.
struct Tail<'a> {
    files: &'a Files,
    segments: BTreeMap<SegmentId, Segment>,
    replay: Replay,
    notes: Vec<String>,
    from: Position,
}

impl Tail<'_> {
    /// Reads segments, first to see what is whole, then to apply it: which transactions are
    /// finished is known only at the end. Returns the last batch, and the number of the next group.
    fn read(&mut self, ids: &[SegmentId]) -> Result<(u64, u64), StoreError> {
        let (mut lsn, mut group) = (self.from.lsn, self.from.group);
        let mut ends = Vec::new();
        let mut open: Option<(Frames, SegmentId)> = None;
        for &id in ids {
            let mut frames = self.frames(id)?;
            if frames.peek()?.is_some_and(|header| header.group != group) {
                // What comes before it is missing.
                let (mut damaged, id) = open.unwrap_or((frames, id));
                return Err(self.damage(&mut damaged, id)?);
            }
            while frames.peek()?.is_some_and(|header| header.group == group) {
                let Some((header, body)) = frames.next()? else { break };
                self.replay.note_finished(body);
                (lsn, group) = (header.last_lsn, group + 1);
            }
            if frames.later(group)?.is_some() {
                return Err(self.damage(&mut frames, id)?);
            }
            ends.push((id, frames.at));
            open = Some((frames, id));
        }
        if let Some((mut frames, id)) = open {
            self.note_torn(&mut frames, id)?;
        }
        for (id, end) in ends {
            self.apply(id, end)?;
        }
        Ok((lsn, group))
    }

    fn frames(&self, id: SegmentId) -> Result<Frames, StoreError> {
        let path = self.files.segment(id, Kind::Hot);
        let file = self.files.disk.open(&path)?;
        let place = path.display().to_string();
        let header = read_header(&*file, &place)?;
        if header.id != id.0 {
            let detail = format!("it says that it is segment {}", header.id);
            return Err(StoreError::Corrupt { place, detail });
        }
        let from = (id == self.from.segment).then_some(self.from.offset);
        Ok(Frames::new(header, file, from)?)
    }

    /// The error for a frame that is not whole although there are later ones.
    fn damage(&self, frames: &mut Frames, id: SegmentId) -> Result<StoreError, StoreError> {
        let path = self.files.segment(id, Kind::Hot);
        let place = format!("{} at {}", path.display(), frames.at);
        let mut queues = frames.queues()?;
        queues.extend(self.replay.index.queues_of(id));
        let detail = format!(
            "a group commit is damaged, and there are later ones; the segment has messages of {}",
            names(queues)
        );
        Ok(StoreError::Corrupt { place, detail })
    }

    /// A frame was begun that is not whole: nobody was told that it is durable.
    fn note_torn(&mut self, frames: &mut Frames, id: SegmentId) -> Result<(), StoreError> {
        if frames.peek()?.is_some() {
            let path = self.files.segment(id, Kind::Hot);
            self.notes.push(format!(
                "{}: a torn group commit at {} was cut off",
                path.display(),
                frames.at
            ));
        }
        Ok(())
    }

    fn apply(&mut self, id: SegmentId, end: u64) -> Result<(), StoreError> {
        let mut frames = self.frames(id)?;
        let header = frames.header;
        while frames.at < end {
            let (at, base) = (frames.at, frames.at as u32 + frame::HEADER as u32);
            let Some((_, body)) = frames.next_again()? else { break };
            self.replay.apply(id, base, body).map_err(|detail| StoreError::Corrupt {
                place: format!("{} at {at}", self.files.segment(id, Kind::Hot).display()),
                detail,
            })?;
        }
        // What was found need not have been durable: it is from now on. Nothing is ever written
        // behind what may have been torn.
        let file = self.files.disk.open(&self.files.segment(id, Kind::Hot))?;
        file.set_len(end)?;
        file.sync_data()?;
        let known = self.segments.entry(id).or_insert(Segment {
            header,
            used: 0,
            made: true,
            recyclable: false,
            stage: Stage::Rolled,
            index_bytes: 0,
            max_lsn: 0,
        });
        known.used = end as u32;
        known.recyclable = false;
        Ok(())
    }
}
