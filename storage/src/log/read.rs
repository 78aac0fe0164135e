//! Reading messages: from groups in memory, and from segments.
//!
//! Under the lock only places are collected. While a segment is read it may be moved or recycled:
//! what is then found there does not fit, and the message is looked for again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::engine::Engine;
use super::fetch::{Found, Pieces, Source};
use super::group::Group;
use super::index::{Located, Place, SegmentId};
use super::segment::{Kind, mix};
use crate::{QueueId, ReadMax, Seq, StoreError, Stored};

/// How many messages are looked for at once, at first and at most.
const FIRST: usize = 32;
const MOST: usize = 1024;
/// How often a message is looked for that moves.
const TRIES: usize = 4;

/// A reading in progress.
struct Reading<'a> {
    queue: QueueId,
    next: Seq,
    messages: usize,
    bytes: usize,
    given: bool,
    out: &'a mut Vec<Stored>,
}

impl Reading<'_> {
    /// Gives a message; false if it is one too many.
    fn give(&mut self, stored: Stored) -> bool {
        let len = stored.payload.len();
        if self.messages == 0 || (self.given && len > self.bytes) {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(len);
        self.given = true;
        self.next = Seq(stored.seq.0 + 1);
        self.out.push(stored);
        true
    }
}

impl Engine {
    pub(super) fn read(
        &self,
        queue: QueueId,
        from: Seq,
        max: ReadMax,
        out: &mut Vec<Stored>,
    ) -> Result<Seq, StoreError> {
        let ReadMax { messages, bytes } = max;
        let mut reading = Reading { queue, next: from, messages, bytes, given: false, out };
        let mut pieces = Pieces::default();
        let (mut at_once, mut tries) = (FIRST, 0);
        let (mut failed, mut mended) = (None::<Found>, None);
        loop {
            let wanted = at_once.min(reading.messages);
            let found = self.locate(queue, reading.next, wanted, reading.bytes);
            if found.is_empty() {
                return Ok(reading.next);
            }
            at_once = (at_once * 4).min(MOST);
            let (lost, detail) = match self.give_all(&mut reading, &mut pieces, &found) {
                Given::All => continue,
                Given::Enough => return Ok(reading.next),
                Given::Failed(_, _) if reading.given => return Ok(reading.next),
                Given::Failed(lost, why) => (lost, why),
            };
            (at_once, tries) = (FIRST, tries + 1);
            // The same message in the same place again: looking once more will not help.
            let again = failed.as_ref().is_some_and(|failed| failed.is_same(&lost));
            if !again && tries < TRIES {
                failed = Some(lost);
                continue;
            }
            let by_index = matches!(lost.source, Source::Entry(_));
            if by_index && mended != Some(lost.segment) && self.mend_index(lost.segment) {
                (pieces, tries, mended) = (Pieces::default(), 0, Some(lost.segment));
                continue;
            }
            let place = self.place_of(&lost);
            return Err(StoreError::Unreadable { queue, seq: lost.seq, place, detail });
        }
    }

    fn give_all(&self, reading: &mut Reading<'_>, pieces: &mut Pieces, found: &[Found]) -> Given {
        for at in 0..found.len() {
            let Some((this, behind)) = found.get(at..).and_then(<[Found]>::split_first) else {
                break;
            };
            let payload = match self.payload(pieces, reading.queue, this, behind, reading.bytes) {
                Ok(payload) => payload,
                Err(why) => return Given::Failed(this.clone(), why),
            };
            if !reading.give(Stored { seq: this.seq, payload, returns: this.returns }) {
                return Given::Enough;
            }
        }
        Given::All
    }

    /// Places of the next messages; those in the open group are copied.
    pub(super) fn locate(&self, queue: QueueId, from: Seq, max: usize, bytes: usize) -> Vec<Found> {
        let mut located: Vec<Located> = Vec::new();
        let inner = self.inner.lock();
        inner.index.locate(queue, from, max, &mut located);
        let mut found = Vec::with_capacity(located.len());
        let mut segments: HashMap<SegmentId, (Kind, u64)> = HashMap::new();
        let mut group: Option<&Arc<Group>> = None;
        let mut copied = 0_usize;
        for Located { seq, segment, place, returns } in located {
            let (kind, generation) = *segments.entry(segment).or_insert_with(|| {
                let known = inner.segments.get(&segment);
                known.map_or((Kind::Hot, 0), |known| (known.header.kind, known.header.generation))
            });
            let source = match place {
                Place::Entry(entry) => Source::Entry(entry),
                Place::Offset(offset) => {
                    if group.is_none_or(|group| group.find(segment, offset).is_none()) {
                        group = inner.groups.find_closed(segment, offset);
                    }
                    let open = inner.groups.open().and_then(|open| open.find(segment, offset));
                    match (group, open) {
                        (Some(group), _) => Source::Group(group.clone(), offset),
                        (None, Some(bytes)) => Source::copied(bytes, offset),
                        (None, None) => Source::Offset(offset),
                    }
                }
            };
            if let Source::Copied(record, _) = &source {
                copied += record.len();
            }
            found.push(Found { seq, returns, segment, kind, mix: mix(generation), source });
            if copied > bytes {
                break;
            }
        }
        found
    }

    /// For people.
    fn place_of(&self, found: &Found) -> String {
        let path = self.files.segment(found.segment, found.kind);
        match self.offset_of(found) {
            Ok(offset) => format!("{} at {offset}", path.display()),
            // It is the index that cannot be read.
            Err(_) => self.files.index(found.segment, found.kind).display().to_string(),
        }
    }

    /// The segment's file that a message is in, and where.
    pub(super) fn place_in_file(&self, queue: QueueId, seq: Seq) -> Option<(PathBuf, Option<u64>)> {
        let found = self.locate(queue, seq, 1, 0).pop().filter(|found| found.seq == seq)?;
        let offset = self.offset_of(&found).ok().map(u64::from);
        Some((self.files.segment(found.segment, found.kind), offset))
    }
}

/// What became of messages that were found.
enum Given {
    All,
    Enough,
    Failed(Found, String),
}
