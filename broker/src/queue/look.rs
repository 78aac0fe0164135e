//! Messages of a queue looked at page by page, wherever they are; nothing of the queue changes by that.

use lepus_storage::{ReadMax, StoreError};

use super::Queue;
use super::load::entry_of;
use super::state::place::{from_store, in_store};
use super::state::{ConsumerKey, Entry, Seq, Spot};

/// Octets that are read from the store at once.
const AT_ONCE: usize = 4 << 20;

/// Some messages, and where to go on; `None` at the end.
pub type Page<T> = (Vec<T>, Option<Spot>);

impl Queue {
    /// Where to begin; `None` if there never was a message.
    pub fn first_spot(&self) -> Option<Spot> {
        self.inner.lock().state.first_spot()
    }

    /// The priorities that there were messages of, the highest first, each from its beginning.
    fn levels(&self) -> impl Iterator<Item = Spot> {
        let below = |spot: &Spot| self.spot_at(Spot { next: spot.until, ..*spot });
        std::iter::successors(self.first_spot(), below)
    }

    /// Where each priority ends now.
    pub fn ends(&self) -> Vec<Seq> {
        self.levels().map(|level| level.until).collect()
    }

    /// Messages that are ready and came behind these ends, at most so many, and where they end. May wait for
    /// the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn came_after(
        &self,
        ends: &[Seq],
        max: usize,
    ) -> Result<(Vec<Entry>, Vec<Seq>), StoreError> {
        let (mut found, mut reached) = (Vec::new(), Vec::new());
        for level in self.levels() {
            let is_its = |end: &&Seq| (level.next..=level.until).contains(*end);
            let next = ends.iter().find(is_its).copied().unwrap_or(level.next);
            let mut spot = Spot { next, ..level };
            while found.len() < max && spot.next < spot.until {
                let (entries, next) = self.look(spot, max - found.len())?;
                found.extend(entries);
                let next = next.filter(|next| next.until == spot.until);
                spot.next = next.map_or(spot.until, |next| next.next);
            }
            reached.push(spot.next);
        }
        Ok((found, reached))
    }

    /// Messages that are ready from a spot on: at most so many, and no more than fit some memory. May wait
    /// for the disk. What cannot be read is passed over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn look(&self, spot: Spot, max: usize) -> Result<Page<Entry>, StoreError> {
        let glance = self.inner.lock().state.glance(spot, max);
        let read = match glance.cold {
            Some(cold) => self.read_ready(cold, max)?,
            None => (Vec::new(), None),
        };
        let (entries, end) = glance.with(spot, read, max);
        Ok((entries, self.spot_at(Spot { next: end, ..spot })))
    }

    /// Where to go on.
    fn spot_at(&self, spot: Spot) -> Option<Spot> {
        let in_level = (spot.next < spot.until).then_some(spot);
        in_level.or_else(|| self.inner.lock().state.spot_after(spot))
    }

    /// What of the store is ready, and where to read on; `None` if it has no more.
    fn read_ready(&self, from: Seq, max: usize) -> Result<(Vec<Entry>, Option<Seq>), StoreError> {
        let Some(id) = self.stored_as() else { return Ok((Vec::new(), None)) };
        let (level, at) = in_store(id, from);
        let mut stored = Vec::new();
        let next = match self.store().read(
            level,
            at,
            ReadMax { messages: max, bytes: AT_ONCE },
            &mut stored,
        ) {
            Ok(next) => from_store(level, next),
            Err(StoreError::Unreadable { seq, .. }) => from_store(level, seq) + 1,
            Err(error) => return Err(error),
        };
        let found = stored.into_iter().filter_map(|stored| entry_of(level, stored)).collect();
        let found = self.inner.lock().state.only_ready(found);
        Ok((found, (next != from).then_some(next)))
    }

    /// Has messages that are ready be as they would be handed out.
    pub fn as_handed_out<'e>(&self, found: impl Iterator<Item = &'e mut Entry>) {
        let inner = self.inner.lock();
        found.for_each(|entry| inner.state.as_handed_out(entry));
    }

    /// The message of a position, if it is ready.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ready_at(&self, seq: Seq) -> Result<Option<Entry>, StoreError> {
        let spot = Spot { next: seq, until: seq.saturating_add(1) };
        let (found, _) = self.look(spot, 1)?;
        Ok(found.into_iter().next())
    }

    /// Messages that were handed out, from a spot on, and the consumers that have them (`None`: they were
    /// taken by basic.get).
    pub fn handed_out(&self, spot: Spot, max: usize) -> Page<(Entry, Option<ConsumerKey>)> {
        let found = self.inner.lock().state.handed_out(spot, max);
        let last = found.last().filter(|_| found.len() >= max);
        let end = last.map_or(spot.until, |(entry, _)| entry.seq + 1);
        (found, self.spot_at(Spot { next: end, ..spot }))
    }
}
