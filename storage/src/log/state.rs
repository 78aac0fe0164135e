//! What appending, reading, writing and maintenance share, under one lock that is never held while
//! the disk works.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::chores::{Chores, Unneeded};
use super::group::{Cursor, Groups};
use super::index::{BigId, Queues, SegmentId};
use super::pool::Pool;
use super::segment::{HEADER, Kind, SegmentHeader};
use super::shared::SharedPayloads;
use super::tuning::Tuning;
use crate::{Batch, Meta, StoreError};

/// The state of a store.
#[derive(Debug)]
pub(super) struct Inner {
    pub index: Queues,
    pub groups: Groups,
    pub segments: BTreeMap<SegmentId, Segment>,
    /// Octets of all but the active segment.
    pub ended_bytes: u64,
    /// The number of the next segment, hot or cold.
    pub next_segment: u64,
    pub next_big: u64,
    /// The last batch appended, and the last one durable.
    pub lsn: u64,
    pub durable: u64,
    /// Unfinished ones, with the octets that their other parts are about to publish.
    pub transactions: HashMap<u64, u64>,
    pub meta: Meta,
    /// How often it has changed since the store was opened.
    pub meta_changes: u64,
    pub shared: SharedPayloads,
    /// Big payloads that are not in files yet.
    pub unwritten_big: HashMap<BigId, Bytes>,
    /// Files of big payloads that no message points to, by the batch since which that is so.
    pub freed_big: BTreeMap<BigId, u64>,
    pub pool: Pool,
    pub chores: Chores,
    /// A group is being written.
    pub writing: bool,
    /// The last group took the disk no longer than [`super::writer::QUICK`].
    pub quick: bool,
    pub trouble: Trouble,
    pub random: Random,
    pub tuning: Tuning,
}

/// What keeps a store from its work.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub poisoned: Option<String>,
    /// There is no room on the disk.
    pub full: bool,
    /// The next group could not be written for want of room.
    pub stalled: bool,
    /// Nothing more is appended.
    pub closed: bool,
    /// Threads end when there is nothing left to write.
    pub stopping: bool,
    /// Threads end as they are.
    pub abandoned: bool,
}

impl Trouble {
    /// Whether threads should not linger.
    pub fn ends(&self) -> bool {
        self.closed || self.stopping || self.abandoned || self.poisoned.is_some()
    }
}

/// A segment that is in use.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub header: SegmentHeader,
    /// Octets used, as far as groups are closed.
    pub used: u32,
    /// The file is there, with its header.
    pub made: bool,
    /// The file can serve again as a segment that is written quickly.
    pub recyclable: bool,
    pub stage: Stage,
    /// Octets of its `.idx` file.
    pub index_bytes: u64,
    /// The last batch that has something in it.
    pub max_lsn: u64,
}

/// How far a segment has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Groups are added.
    Active,
    /// It is full; its index is not in a file yet.
    Rolled,
    /// Its index is in a file.
    Sealed,
    /// The checkpoint of that number needs nothing of it.
    Retired(u64),
}

impl Segment {
    pub fn id(&self) -> SegmentId {
        SegmentId(self.header.id)
    }

    /// Octets of its files.
    pub fn file_bytes(&self) -> u64 {
        let whole = self.stage == Stage::Active || self.recyclable;
        u64::from(if whole { self.header.len } else { self.used }) + self.index_bytes
    }

    /// Octets that it uses.
    fn bytes(&self) -> u64 {
        u64::from(self.used) + self.index_bytes
    }
}

/// Where random numbers come from: a sequence that a test can choose.
#[derive(Debug)]
pub(super) struct Random(pub u64);

impl Random {
    /// The next number: splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Inner {
    /// Refuses when there has been an error, or the end.
    pub fn writable(&self) -> Result<(), StoreError> {
        match &self.trouble {
            Trouble { poisoned: Some(why), .. } => Err(StoreError::Poisoned(why.clone())),
            Trouble { closed: true, .. } => Err(StoreError::Poisoned("it was closed".to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether a batch is part of a transaction of which there is another part already. That one
    /// must not be left alone: as long as it waits for the others, there is no checkpoint.
    pub fn continues(&self, batch: &Batch) -> bool {
        batch.part().is_some_and(|part| self.transactions.contains_key(&part.tx))
    }

    /// Ends the active segment, and begins one of at least that many octets.
    pub fn roll(&mut self, len: u32) {
        self.end_active();
        let id = SegmentId(self.next_segment);
        self.next_segment += 1;
        let generation = self.random.next();
        let header = SegmentHeader { id: id.0, kind: Kind::Hot, generation, len };
        let segment = Segment {
            header,
            used: HEADER as u32,
            made: false,
            recyclable: false,
            stage: Stage::Active,
            index_bytes: 0,
            max_lsn: 0,
        };
        self.segments.insert(id, segment);
        self.groups.cursor = Some(Cursor { segment: id, generation, offset: HEADER as u32, len });
    }

    /// Nothing is added to the active segment any more.
    pub fn end_active(&mut self) {
        self.groups.close();
        let Some(cursor) = self.groups.cursor.take() else { return };
        if let Some(segment) = self.segments.get_mut(&cursor.segment) {
            segment.used = cursor.offset;
            segment.stage = Stage::Rolled;
            segment.max_lsn = self.lsn;
            self.ended_bytes += segment.bytes();
            self.chores.rolled.push_back(cursor.segment);
            self.chores.checkpoint_due = true;
        }
    }

    /// The segment whose index can be written now.
    pub fn sealable(&self) -> Option<SegmentId> {
        self.chores.rolled.front().copied().filter(|id| !self.groups.holds(*id))
    }

    /// Whether maintenance has something to do at once.
    pub fn has_chores(&self) -> bool {
        self.sealable().is_some()
            || self.can_take_checkpoint()
            || self.chores.job.as_ref().is_some_and(|job| job.is_durable(self.durable))
            || !self.chores.unneeded.is_empty()
            || self.files_wanted().is_some()
    }

    /// Counts segments that have been emptied. Whether maintenance has something to do.
    pub fn note_emptied(&mut self) -> bool {
        let emptied = self.index.take_emptied();
        let ended = |id: &SegmentId| {
            self.index.usage(*id).live == 0
                && self.segments.get(id).is_some_and(|segment| segment.stage != Stage::Active)
        };
        self.chores.emptied += emptied.iter().filter(|id| ended(id)).count();
        self.chores.checkpoint_due |= self.chores.emptied >= self.tuning.emptied;
        self.chores.checkpoint_due
    }

    /// Whether files wait for a checkpoint before they can go, or for one more.
    pub fn has_something_to_give_back(&self) -> bool {
        let waits = |(id, segment): (&SegmentId, &Segment)| match segment.stage {
            Stage::Active => false,
            Stage::Rolled | Stage::Sealed => self.index.usage(*id).live == 0,
            Stage::Retired(_) => true,
        };
        self.segments.iter().any(waits)
    }

    /// Notes the files of big payloads that the latest batch has freed.
    pub fn note_freed(&mut self) {
        let freed = self.index.take_freed_big();
        self.freed_big.extend(freed.into_iter().map(|id| (id, self.lsn)));
    }

    /// All up to that batch is durable, and no transaction was unfinished then: recovery will free
    /// again what was freed up to there, whichever checkpoint it begins with. One that was shared
    /// with a later message is needed again.
    pub fn release_freed(&mut self, whole_lsn: u64) {
        let Self { freed_big, index, chores, .. } = self;
        let freed = freed_big.extract_if(.., |_, lsn| *lsn <= whole_lsn).map(|(id, _)| id);
        let gone = freed.filter(|id| !index.needs_big(*id));
        chores.unneeded.extend(gone.map(Unneeded::Big));
    }

    /// Messages were refused: what is settled may give room.
    pub fn wants_room(&mut self) {
        self.chores.checkpoint_due |= self.has_something_to_give_back();
        self.chores.refused = true;
    }

    /// Octets of segments and big payloads, as far as they are used.
    pub fn used(&self) -> u64 {
        let active = self.groups.cursor.map_or(0, |cursor| {
            let open = self.groups.open().map_or(0, |open| open.bytes.len() as u64);
            u64::from(cursor.offset) + open
        });
        active + self.ended_bytes + self.index.big_bytes()
    }

    /// Takes in a segment that is not active.
    pub fn add_ended(&mut self, segment: Segment) {
        self.ended_bytes += segment.bytes();
        self.segments.insert(segment.id(), segment);
    }

    /// The index of a segment is in a file of so many octets, or is not needed.
    pub fn sealed(&mut self, id: SegmentId, index_bytes: u64) {
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.stage = Stage::Sealed;
            segment.index_bytes = index_bytes;
            self.ended_bytes += index_bytes;
        }
    }

    /// Forgets a segment that is not active.
    pub fn remove(&mut self, id: SegmentId) -> Option<Segment> {
        self.index.forget_segment(id);
        let segment = self.segments.remove(&id)?;
        self.ended_bytes -= segment.bytes();
        Some(segment)
    }
}
