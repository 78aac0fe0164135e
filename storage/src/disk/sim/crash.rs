//! What a crash does to that which was not synced.

use super::inode::{Change, SECTOR, Sector, sectors};
use super::random::Random;

/// Whether a sector may be found half old and half new.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tearing {
    /// No: all or nothing of each.
    Never,
    /// Only one that has never held synced data.
    #[default]
    Fresh,
    /// Any: worse than what devices promise.
    Any,
}

/// A crash: chance, in a mood.
pub(super) struct Crash<'a> {
    random: &'a mut Random,
    tearing: Tearing,
    mood: Mood,
    /// What lies in places that were given back to the file system.
    freed: &'a [u8],
}

/// How much survives. Without moods, a crash with many writes would never lose or keep them all.
#[derive(Clone, Copy)]
enum Mood {
    Nothing,
    Everything,
    /// Each with this chance in a hundred.
    Some(u64),
}

impl<'a> Crash<'a> {
    pub fn new(random: &'a mut Random, tearing: Tearing, freed: &'a [u8]) -> Self {
        let mood = match random.below(8) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            2 => Mood::Some(90),
            3 => Mood::Some(10),
            _ => Mood::Some(50),
        };
        Self { random, tearing, mood, freed }
    }

    /// What a sync that fails does: not all, seldom nothing.
    pub fn of_sync(random: &'a mut Random, freed: &'a [u8]) -> Self {
        Self { random, tearing: Tearing::Never, mood: Mood::Some(50), freed }
    }

    /// Whether one thing that was not synced is there.
    pub fn survives(&mut self) -> bool {
        match self.mood {
            Mood::Nothing => false,
            Mood::Everything => true,
            Mood::Some(percent) => self.random.chance(percent),
        }
    }

    /// The contents of a file.
    pub fn contents(&mut self, durable: &[u8], changes: &[Change], known: &[Sector]) -> Vec<u8> {
        let (len, longest) = self.len(durable.len(), changes);
        let mut contents = durable.to_vec();
        contents.resize(longest, 0);
        if let Some(new) = contents.get_mut(durable.len()..) {
            self.fill(new);
        }
        let before = contents.clone();
        let versions = self.versions(longest, changes);
        for (number, change) in (1..).zip(changes) {
            for sector in sectors(&change.range()) {
                if versions.get(sector).is_some_and(|version| *version >= number) {
                    change.apply(&mut contents, sector * SECTOR..(sector + 1) * SECTOR);
                }
            }
        }
        for (number, _) in versions.iter().enumerate().filter(|(_, version)| **version > 0) {
            let durable = known.get(number).is_some_and(|sector| sector.durable);
            self.tear(durable, number * SECTOR, &before, &mut contents);
        }
        contents.truncate(len);
        contents
    }

    /// The length that the file has, and the greatest that it ever had.
    fn len(&mut self, durable: usize, changes: &[Change]) -> (usize, usize) {
        let mut lengths = vec![durable];
        let mut longest = durable;
        for change in changes {
            let len = change.len_after(lengths.last().copied().unwrap_or(durable));
            longest = longest.max(len);
            if lengths.last() != Some(&len) {
                lengths.push(len);
            }
        }
        let latest = lengths.last().copied().unwrap_or(durable);
        let len = match self.mood {
            Mood::Nothing => durable,
            Mood::Everything => latest,
            Mood::Some(_) if self.random.chance(50) => latest,
            Mood::Some(_) => {
                let at = self.random.index(lengths.len());
                lengths.get(at).copied().unwrap_or(latest)
            }
        };
        (len, longest)
    }

    /// For each sector, how many of the changes it has seen: those of one sector cannot overtake
    /// each other, those of different ones can.
    fn versions(&mut self, longest: usize, changes: &[Change]) -> Vec<usize> {
        let mut versions = vec![0; longest.div_ceil(SECTOR)];
        for (number, change) in (1..).zip(changes) {
            let whole = match self.mood {
                Mood::Some(_) if self.random.chance(34) => None,
                _ => Some(self.survives()),
            };
            for sector in sectors(&change.range()) {
                let there = whole.unwrap_or_else(|| self.random.chance(50));
                if let Some(version) = versions.get_mut(sector).filter(|_| there) {
                    *version = number;
                }
            }
        }
        versions
    }

    /// What a place holds to which nothing was written: zeros, or what was there before.
    fn fill(&mut self, new: &mut [u8]) {
        if self.freed.is_empty() || !self.random.chance(25) {
            return;
        }
        for chunk in new.chunks_mut(self.freed.len()) {
            let sectors = self.freed.len() / SECTOR;
            let old = self.freed.iter().cycle().skip(self.random.index(sectors) * SECTOR);
            for (byte, old) in chunk.iter_mut().zip(old) {
                *byte = *old;
            }
        }
    }

    fn tear(&mut self, durable: bool, start: usize, before: &[u8], after: &mut [u8]) {
        let may = match self.tearing {
            Tearing::Never => false,
            Tearing::Fresh => !durable,
            Tearing::Any => true,
        };
        if !may || matches!(self.mood, Mood::Everything) || !self.random.chance(2) {
            return;
        }
        let split = start + 1 + self.random.index(SECTOR - 1);
        let end = (start + SECTOR).min(after.len());
        let old = if self.random.chance(50) { start..split.min(end) } else { split.min(end)..end };
        if let (Some(target), Some(source)) = (after.get_mut(old.clone()), before.get(old)) {
            target.copy_from_slice(source);
        }
    }
}
