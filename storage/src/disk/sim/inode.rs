//! A file without its name: what is durable, what is seen, and what lies between the two.

use std::ops::Range;
use std::sync::Arc;

use super::crash::Crash;

/// What a device writes at once.
pub(super) const SECTOR: usize = 512;

/// Contents are shared with images until one of them changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    durable: Arc<Vec<u8>>,
    current: Arc<Vec<u8>>,
    unsynced: Vec<Change>,
    sectors: Vec<Sector>,
    /// How many sectors have room.
    room: u64,
    /// How many have it open.
    pub handles: u32,
    /// Where reading fails.
    pub unreadable: Vec<Range<u64>>,
}

/// What is known of a sector besides its contents.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sector {
    /// The file system has a place for it.
    room: bool,
    /// It holds data that were synced.
    pub durable: bool,
}

/// What was done since the latest sync.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Length { from: usize, to: usize },
}

impl Change {
    /// The bytes concerned.
    pub fn range(&self) -> Range<usize> {
        match self {
            Self::Write { at, bytes } => *at..at + bytes.len(),
            Self::Length { from, to } => *from.min(to)..*from.max(to),
        }
    }

    /// The length of a file of `len` bytes afterwards.
    pub fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { .. } => len.max(self.range().end),
            Self::Length { to, .. } => *to,
        }
    }

    /// Applies the part of it that is `within`, to contents that are long enough.
    pub fn apply(&self, contents: &mut [u8], within: Range<usize>) {
        let range = self.range();
        let part = range.start.max(within.start)..range.end.min(within.end);
        let Some(target) = contents.get_mut(part.clone()) else { return };
        match self {
            Self::Write { at, bytes } => {
                if let Some(source) = bytes.get(part.start - at..part.end - at) {
                    target.copy_from_slice(source);
                }
            }
            Self::Length { .. } => target.fill(0),
        }
    }
}

/// The numbers of the sectors that these bytes touch.
pub(super) fn sectors(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / SECTOR..range.end.div_ceil(SECTOR)
}

impl Inode {
    /// What the image of a crash begins with.
    pub fn with_contents(contents: Vec<u8>, sectors: Vec<Sector>) -> Self {
        let contents = Arc::new(contents);
        let room = sectors.iter().filter(|sector| sector.room).count() as u64;
        let durable = Arc::clone(&contents);
        Self { durable, current: contents, sectors, room, ..Self::default() }
    }

    pub fn contents(&self) -> &[u8] {
        &self.current
    }

    /// Bytes of the disk that it takes.
    pub fn used(&self) -> u64 {
        self.room * SECTOR as u64
    }

    /// Bytes of the disk that it would take in addition if these had room.
    pub fn lacking(&self, range: &Range<usize>) -> u64 {
        let has_room = |number: &usize| self.sectors.get(*number).is_some_and(|s| s.room);
        sectors(range).filter(|number| !has_room(number)).count() as u64 * SECTOR as u64
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.make_room(&(at..end));
        self.change(Change::Write { at, bytes: bytes.into() });
    }

    pub fn set_len(&mut self, to: usize) {
        let from = self.current.len();
        if to != from {
            self.change(Change::Length { from, to });
        }
        for sector in self.sectors.drain(to.div_ceil(SECTOR).min(self.sectors.len())..) {
            self.room -= u64::from(sector.room);
        }
    }

    pub fn allocate(&mut self, len: usize) {
        self.make_room(&(0..len));
        let from = self.current.len();
        if from < len {
            self.change(Change::Length { from, to: len });
        }
    }

    fn make_room(&mut self, range: &Range<usize>) {
        let range = sectors(range);
        if self.sectors.len() < range.end {
            self.sectors.resize(range.end, Sector::default());
        }
        for sector in self.sectors.get_mut(range).into_iter().flatten() {
            self.room += u64::from(!sector.room);
            sector.room = true;
        }
    }

    fn change(&mut self, change: Change) {
        let current = Arc::make_mut(&mut self.current);
        apply(&change, current);
        self.unsynced.push(change);
    }

    /// Makes it all durable.
    pub fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.unsynced.drain(..) {
            apply(&change, durable);
            if matches!(change, Change::Write { .. }) {
                let written = sectors(&change.range());
                // A file cut since then has no flags there any more.
                let written = written.start..written.end.min(self.sectors.len());
                for sector in self.sectors.get_mut(written).into_iter().flatten() {
                    sector.durable = true;
                }
            }
        }
    }

    /// A sync that failed: some of it is durable, and the rest will never be, however often it is
    /// synced again, though it is still seen. That is what Linux does.
    pub fn sync_in_vain(&mut self, crash: &mut Crash<'_>) {
        self.durable = self.image(crash).durable;
        self.unsynced.clear();
    }

    /// What is found of it after a crash.
    pub fn image(&self, crash: &mut Crash<'_>) -> Self {
        if self.unsynced.is_empty() {
            let durable = Arc::clone(&self.durable);
            let current = Arc::clone(&durable);
            return Self { durable, current, handles: 0, ..self.clone() };
        }
        let contents = crash.contents(&self.durable, &self.unsynced, &self.sectors);
        let mut known = self.sectors.clone();
        known.resize(contents.len().div_ceil(SECTOR), Sector::default());
        // What has reached the disk, in whatever state, is old when it is written over.
        for written in self.unsynced.iter().map(|change| sectors(&change.range())) {
            let written = written.start..written.end.min(known.len());
            known.get_mut(written).into_iter().flatten().for_each(|sector| sector.durable = true);
        }
        let mut image = Self::with_contents(contents, known);
        image.unreadable.clone_from(&self.unreadable);
        image
    }

    /// What is found of it when only the process has ended: everything, but unsynced.
    pub fn after_kill(&self) -> Self {
        Self { handles: 0, ..self.clone() }
    }

    /// Damages a byte on the disk.
    pub fn flip(&mut self, offset: usize) {
        for contents in [&mut self.durable, &mut self.current] {
            if let Some(byte) = Arc::make_mut(contents).get_mut(offset) {
                *byte ^= 0xff;
            }
        }
    }
}

fn apply(change: &Change, contents: &mut Vec<u8>) {
    let len = change.len_after(contents.len());
    contents.resize(len, 0);
    change.apply(contents, 0..len);
}
