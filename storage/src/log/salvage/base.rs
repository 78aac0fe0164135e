//! Where salvaging begins: a checkpoint with its segments, or nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::checkpoint::{self, MetaRef, SegmentRecord, Snapshot};
use super::super::files::Files;
use super::super::index::{Queues, SegmentId};
use super::super::recover::{self, Listing};
use super::super::reindex::Wanted;
use super::super::segment::{Kind, SegmentHeader};
use super::super::snapshot::{self};
use super::super::state::{Segment, Stage};
use super::super::{meta, seal};
use super::{BEGINNING, Findings, Opened, segment_of};
use crate::disk::DiskFile;
use crate::{Meta, StoreError};

pub(super) enum Begin {
    /// With its index, and the copy of the catalog.
    Checkpoint(Box<Checkpoint>),
    /// With the latest copy of the catalog that there is.
    Nothing(Meta),
}

pub(super) struct Checkpoint {
    pub snapshot: Snapshot,
    pub index: Queues,
    pub meta: Meta,
    /// It is the copy that goes with the checkpoint.
    pub meta_is_good: bool,
}

pub(super) struct Base<'a> {
    pub files: &'a Files,
    pub listing: &'a Listing,
    pub findings: &'a mut Findings,
    pub declared: Option<Meta>,
}

impl Base<'_> {
    pub fn begin(mut self) -> Result<Begin, StoreError> {
        let mut newest: Option<(Snapshot, Queues)> = None;
        let mut damaged = Vec::new();
        for number in 0..2 {
            let path = self.files.path(&snapshot::name(number));
            match read_checkpoint(self.files, &path) {
                Ok(None) => {}
                Ok(Some(read)) => {
                    if newest.as_ref().is_none_or(|(newest, _)| newest.number < read.0.number) {
                        newest = Some(read);
                    }
                }
                Err(StoreError::Corrupt { detail, .. }) => damaged.push((path, detail)),
                Err(error) => return Err(error),
            }
        }
        let begins_here = newest.is_some() || (damaged.is_empty() && self.begins_with_first()?);
        for (path, detail) in damaged {
            let other = if begins_here { ": the other one is used" } else { "" };
            self.findings.fault(path.clone(), None, format!("{detail}{other}"), []);
            self.findings.copied.insert(path);
        }
        if !begins_here {
            let what = "no checkpoint can be read: messages that were settled may come back";
            self.findings.fault(self.files.path(""), None, what, []);
            return Ok(Begin::Nothing(self.any_meta()?));
        }
        let (snapshot, index) = match newest {
            Some((snapshot, index)) => (snapshot, index),
            None => (Snapshot { at: BEGINNING, ..Snapshot::default() }, Queues::new()),
        };
        let (meta, meta_is_good) = self.meta(snapshot.meta)?;
        Ok(Begin::Checkpoint(Box::new(Checkpoint { snapshot, index, meta, meta_is_good })))
    }

    /// Whether the log is there from its beginning, so that no checkpoint is needed.
    fn begins_with_first(&self) -> Result<bool, StoreError> {
        if self.listing.segments.values().any(|kind| *kind == Kind::Cold) {
            return Ok(false);
        }
        recover::begins_with_first(self.files, self.listing)
    }

    fn meta(&mut self, reference: Option<MetaRef>) -> Result<(Meta, bool), StoreError> {
        let path = |file| self.files.path(&snapshot::meta_name(file));
        match recover::read_meta(self.files, reference) {
            Ok(meta) => Ok((meta, true)),
            Err(StoreError::Corrupt { detail, .. }) => {
                let path = path(reference.map_or(0, |reference| reference.file));
                self.lose_meta(path, &detail);
                Ok((self.declared.take().unwrap_or_default(), false))
            }
            Err(error) => Err(error),
        }
    }

    fn lose_meta(&mut self, path: PathBuf, detail: &str) {
        let from = if self.declared.is_some() {
            "it is taken from the catalog"
        } else {
            "and there is no catalog to take it from: what was declared is lost"
        };
        if self.files.disk.open(&path).is_ok() {
            self.findings.copied.insert(path.clone());
        }
        self.findings.fault(path, None, format!("{detail}: {from}"), []);
    }

    /// The catalog, or if there is none the newest copy of it.
    fn any_meta(&mut self) -> Result<Meta, StoreError> {
        let mut newest = self.declared.take().unwrap_or_default();
        for file in 0..2 {
            let path = self.files.path(&snapshot::meta_name(file));
            let bytes = match self.files.read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read?,
            };
            match meta::decode(&bytes, &path.display().to_string()) {
                Ok(meta) if meta.version > newest.version => newest = meta,
                Ok(_) => {}
                Err(StoreError::Corrupt { detail, .. }) => {
                    self.findings.fault(path.clone(), None, detail, []);
                    self.findings.copied.insert(path);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }
}

fn read_checkpoint(
    files: &Files,
    path: &std::path::Path,
) -> Result<Option<(Snapshot, Queues)>, StoreError> {
    let place = path.display().to_string();
    let bytes = match files.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let mut snapshot = checkpoint::decode(&bytes, &place)?;
    let index = Queues::from_image(std::mem::take(&mut snapshot.index));
    let index = index.map_err(|detail| StoreError::Corrupt { place, detail })?;
    Ok(Some((snapshot, index)))
}

/// The segments that a checkpoint needs, as far as they are there.
pub(super) fn listed(
    files: &Files,
    index: &Queues,
    snapshot: &Snapshot,
    findings: &mut Findings,
) -> Result<BTreeMap<SegmentId, Segment>, StoreError> {
    let mut segments = BTreeMap::new();
    for record in &snapshot.segments {
        let sealed = record.id != snapshot.at.segment;
        let Some((header, file)) = listed_header(files, index, record, findings)? else { continue };
        let (stage, mut used) = (if sealed { Stage::Sealed } else { Stage::Rolled }, record.used);
        if file.len()? < u64::from(used) {
            let path = files.segment(record.id, record.kind);
            let what = "the segment is too short";
            findings.fault(path, Some(file.len()?), what, index.queues_of(record.id));
            used = u32::try_from(file.len()?).unwrap_or(used);
        }
        if sealed && index.usage(record.id).live > 0 {
            check_index(files, index, &header, file, findings)?;
        }
        let mut segment = segment_of(header, u64::from(used), stage);
        (segment.recyclable, segment.max_lsn) = (record.recyclable, record.max_lsn);
        segments.insert(record.id, segment);
    }
    Ok(segments)
}

/// A damaged header is known from the checkpoint.
fn listed_header(
    files: &Files,
    index: &Queues,
    record: &SegmentRecord,
    findings: &mut Findings,
) -> Result<Option<Opened>, StoreError> {
    let path = files.segment(record.id, record.kind);
    let queues = index.queues_of(record.id);
    let file = match files.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.fault(path, None, "the segment is missing", queues);
            return Ok(None);
        }
        opened => opened?,
    };
    let SegmentRecord { id, kind, generation, len, .. } = *record;
    match recover::read_header(&*file, &path.display().to_string()) {
        Ok(header) if (header.id, header.generation) == (id.0, generation) => {
            Ok(Some((header, file)))
        }
        Ok(_) => {
            findings.fault(path.clone(), None, "it is another segment", queues);
            findings.moved.insert(path);
            Ok(None)
        }
        Err(StoreError::Corrupt { detail, .. }) => {
            let header = SegmentHeader { id: id.0, kind, generation, len };
            findings.fault(path.clone(), Some(0), detail, queues);
            findings.copied.insert(path);
            findings.headers.push(header);
            Ok(Some((header, file)))
        }
        Err(error) => Err(error),
    }
}

/// Looks at the whole index of a sealed segment, and finds its entries anew if it is no good.
fn check_index(
    files: &Files,
    index: &Queues,
    header: &SegmentHeader,
    records: Arc<dyn DiskFile>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let id = SegmentId(header.id);
    let path = files.index(id, header.kind);
    let what = match files.read(&path) {
        Ok(bytes) if seal::is_whole(&bytes, header) => return Ok(()),
        Ok(_) => {
            findings.copied.insert(path.clone());
            "the index of the segment is not what was written: it can be made anew"
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "the index of the segment is missing: it can be made anew"
        }
        Err(error) => return Err(error.into()),
    };
    findings.fault(path, None, what, index.queues_of(id));
    let found = Wanted::of(index, id).find(*header, records)?;
    findings.tables.insert(id, found.offsets);
    Ok(())
}
