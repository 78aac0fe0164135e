//! The log from a place on, with whatever is damaged in it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::carve::{Carved, Stretch};
use super::super::checkpoint::Position;
use super::super::files::Files;
use super::super::frame::{self, FrameHeader, SECTOR};
use super::super::index::SegmentId;
use super::super::record::Record;
use super::super::recover;
use super::super::scan::{self, Frames};
use super::super::segment::{Kind, SegmentHeader};
use super::super::state::{Segment, Stage};
use super::missing::{Damage, Missing};
use super::{Findings, Opened, Sink, segment_of};
use crate::disk::DiskFile;
use crate::{QueueId, StoreError};

pub(super) struct Tail<'a, S> {
    files: &'a Files,
    findings: &'a mut Findings,
    sink: S,
    segments: BTreeMap<SegmentId, Segment>,
    missing: Missing,
    /// Transactions whose end was found, or may have been in a damaged part.
    finished: HashSet<(u64, u64)>,
    begun: HashSet<(u64, u64)>,
}

/// What is to be applied of one segment.
struct Part {
    id: SegmentId,
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    stretches: Vec<Stretch>,
    end: u64,
}

impl<'a, S: Sink> Tail<'a, S> {
    pub fn new(
        files: &'a Files,
        findings: &'a mut Findings,
        sink: S,
        segments: BTreeMap<SegmentId, Segment>,
    ) -> Self {
        Self {
            files,
            findings,
            sink,
            segments,
            missing: Missing::default(),
            finished: HashSet::new(),
            begun: HashSet::new(),
        }
    }

    pub fn finish(self) -> (S, BTreeMap<SegmentId, Segment>) {
        self.missing.tell(self.findings);
        (self.sink, self.segments)
    }

    /// The messages of a cold segment.
    pub fn read_cold(&mut self, id: SegmentId) -> Result<(), StoreError> {
        let Some((header, file)) = self.open(id, Kind::Cold)? else { return Ok(()) };
        let mut frames = Frames::new(header, file.clone(), None)?;
        let stretches = frames.stretches(0)?;
        let part = Part { id, header, file, stretches, end: frames.at };
        self.apply(&part)
    }

    /// Reads hot segments from a place on; without one, whatever they begin with. Returns the last
    /// batch, and the number of the next group.
    pub fn read(
        &mut self,
        ids: &[SegmentId],
        from: Option<Position>,
    ) -> Result<(u64, u64), StoreError> {
        let (mut lsn, mut group) = from.map_or((0, 0), |from| (from.lsn, from.group));
        let mut parts: Vec<Part> = Vec::new();
        for &id in ids {
            let Some((header, file)) = self.open(id, Kind::Hot)? else { continue };
            let begin = from.filter(|from| from.segment == id).map(|from| from.offset);
            let mut frames = Frames::new(header, file.clone(), begin)?;
            let stretches = frames.stretches(group)?;
            let first = stretches.first().and_then(|first| first.frame);
            if let Some(first) = first.filter(|first| first.group > group && group > 0) {
                // Without a checkpoint segments in which all was settled are missing rightly.
                if from.is_some() {
                    self.miss(&mut parts, id, first)?;
                }
            }
            if let Some(last) = stretches.iter().rev().find_map(|stretch| stretch.frame) {
                (lsn, group) = (last.last_lsn, last.group + 1);
            }
            parts.push(Part { id, header, file, stretches, end: frames.at });
        }
        self.note_torn(parts.last())?;
        for part in &parts {
            self.note_transactions(part)?;
        }
        for part in &parts {
            self.apply(part)?;
        }
        Ok((lsn, group.max(1)))
    }

    /// Group commits before the first one of a segment are missing.
    fn miss(
        &mut self,
        parts: &mut [Part],
        id: SegmentId,
        first: FrameHeader,
    ) -> Result<(), StoreError> {
        let group = first.group;
        match parts.last_mut() {
            Some(before) if before.id.0 + 1 == id.0 => {
                let (at, end) = (before.end, before.file.len()?.max(before.end + 1));
                before.stretches.push(Stretch { at, end, frame: None });
                before.end = end;
            }
            before => {
                let missing = before.map_or(id.0.saturating_sub(1), |before| before.id.0 + 1);
                let path = self.files.segment(SegmentId(missing), Kind::Hot);
                let what = format!("the segment is missing: group commits before {group} are lost");
                self.findings.fault(path.clone(), None, what, []);
                self.missing.damage(Damage { file: path, offset: 0 });
            }
        }
        Ok(())
    }

    /// A segment with its header, which is guessed if need be.
    fn open(&mut self, id: SegmentId, kind: Kind) -> Result<Option<Opened>, StoreError> {
        let path = self.files.segment(id, kind);
        let file = self.files.disk.open(&path)?;
        let detail = match recover::read_header(&*file, &path.display().to_string()) {
            Ok(header) if header.id == id.0 => return Ok(Some((header, file))),
            Ok(header) => format!("it says that it is segment {}", header.id),
            Err(StoreError::Corrupt { detail, .. }) => detail,
            Err(error) => return Err(error),
        };
        if let Some(known) = self.segments.get(&id) {
            // The checkpoint has said it.
            return Ok(Some((known.header, file)));
        }
        let Some(generation) = guess_generation(&*file)? else {
            self.findings.fault(path.clone(), Some(0), detail, []);
            self.findings.moved.insert(path);
            return Ok(None);
        };
        let len = u32::try_from(file.len()?).unwrap_or(u32::MAX);
        let header = SegmentHeader { id: id.0, kind, generation, len };
        self.findings.fault(path.clone(), Some(0), detail, []);
        self.findings.copied.insert(path);
        self.findings.headers.push(header);
        Ok(Some((header, file)))
    }

    fn note_torn(&mut self, last: Option<&Part>) -> Result<(), StoreError> {
        let Some(part) = last else { return Ok(()) };
        let mut frames = Frames::new(part.header, part.file.clone(), Some(part.end as u32))?;
        if frames.peek()?.is_some() {
            let path = self.files.segment(part.id, Kind::Hot);
            let note = format!("{} at {}: a torn group commit", path.display(), part.end);
            self.findings.notes.push(note);
        }
        Ok(())
    }

    /// Notes which transactions are finished. Those whose end may have been damaged count as such.
    fn note_transactions(&mut self, part: &Part) -> Result<(), StoreError> {
        let mut frames = Frames::new(part.header, part.file.clone(), None)?;
        for stretch in &part.stretches {
            for carved in frames.carve(stretch)? {
                if let Carved::Sound(_, Record::Part(part)) = carved {
                    let name = (part.epoch, part.part.tx);
                    let of = if part.part.last { &mut self.finished } else { &mut self.begun };
                    of.insert(name);
                }
            }
            if stretch.frame.is_none() {
                self.finished.extend(self.begun.drain());
            }
        }
        Ok(())
    }

    fn apply(&mut self, part: &Part) -> Result<(), StoreError> {
        let mut frames = Frames::new(part.header, part.file.clone(), None)?;
        for stretch in &part.stretches {
            let carved = frames.carve(stretch)?;
            if stretch.frame.is_none() {
                self.tell_damage(part, stretch, &carved);
            }
            self.apply_stretch(part, stretch, &carved);
        }
        let known = self.segments.entry(part.id);
        let segment = known.or_insert_with(|| segment_of(part.header, 0, Stage::Rolled));
        segment.used = part.end.max(u64::from(segment.used)) as u32;
        segment.recyclable = false;
        if part.header.kind == Kind::Hot {
            self.findings.ends.push((part.id, part.end));
        }
        Ok(())
    }

    fn tell_damage(&mut self, part: &Part, stretch: &Stretch, carved: &[Carved<'_>]) {
        let mut queues: Vec<QueueId> = Vec::new();
        let (mut sound, mut broken) = (0, 0);
        for carved in carved {
            match carved {
                Carved::Sound(_, record) => {
                    sound += 1;
                    queues.extend(scan::queue(record));
                }
                Carved::Broken(record) => {
                    broken += 1;
                    let seems = record.as_ref().and_then(scan::queue);
                    queues.extend(seems.filter(|queue| self.sink.next_of(*queue) > 0));
                }
            }
        }
        let file = self.files.segment(part.id, part.header.kind);
        let what = format!(
            "a group commit is damaged, and there are later ones: {sound} records in it can be \
             read, {broken} cannot; what these have settled comes back"
        );
        self.findings.fault(file.clone(), Some(stretch.at), what, queues);
        self.findings.copied.insert(file.clone());
        self.missing.damage(Damage { file, offset: stretch.at });
    }

    fn apply_stretch(&mut self, part: &Part, stretch: &Stretch, carved: &[Carved<'_>]) {
        let mut skip = 0;
        for carved in carved {
            let (offset, record) = match carved {
                Carved::Sound(offset, record) => (stretch.at as u32 + offset, record),
                Carved::Broken(seems) => {
                    skip = 0;
                    if let Some(seems) = seems {
                        self.missing.suspect(seems, |queue| self.sink.next_of(queue));
                    }
                    continue;
                }
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            self.missing.applying(record, |queue| self.sink.next_of(queue));
            match record {
                Record::Part(part) => {
                    if !self.finished.contains(&(part.epoch, part.part.tx)) {
                        skip = part.records;
                    }
                }
                Record::Meta { version, changes } => {
                    let meta = self.sink.meta();
                    if *version > meta.version {
                        let owned = changes.iter().map(|(key, value)| {
                            (key.to_vec().into(), value.map(|value| value.to_vec().into()))
                        });
                        meta.apply(*version, owned.collect());
                    }
                }
                record => {
                    if let Err(what) = self.sink.apply(part.id, offset, *record) {
                        let file = self.files.segment(part.id, part.header.kind);
                        let at = Some(u64::from(offset));
                        self.findings.fault(file, at, what, scan::queue(record));
                    }
                }
            }
        }
    }
}

/// The generation of the latest frame in a segment: earlier uses of the file had lower groups.
fn guess_generation(file: &dyn DiskFile) -> Result<Option<u64>, StoreError> {
    let mut latest: Option<FrameHeader> = None;
    let (mut bytes, len) = ([0; frame::HEADER], file.len()?);
    let mut at = super::super::segment::HEADER as u64;
    while at < len {
        let read = file.read_at(&mut bytes, at)?;
        let found = FrameHeader::decode_any(bytes.get(..read).unwrap_or_default());
        if let Some(found) = found
            && latest.is_none_or(|latest| found.group > latest.group)
        {
            latest = Some(found);
        }
        at += SECTOR as u64;
    }
    Ok(latest.map(|latest| latest.generation))
}
