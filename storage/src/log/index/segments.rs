//! What of each segment is still needed.

use std::sync::Arc;

use super::hash::IdMap;
use super::seal::SealTable;
use super::{Place, SegmentId};
use crate::QueueId;

/// What messages that are not settled take of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    /// How many there are.
    pub live: u64,
    /// About how many bytes of the segment they take.
    pub bytes: u64,
}

/// All segments that a run knows, by slots that are small numbers.
#[derive(Debug, Default)]
pub(super) struct Segments {
    accounts: Vec<Account>,
    slots: IdMap<SegmentId, u32>,
    free: Vec<u32>,
    /// The segment asked for last: mostly the one asked for next.
    latest: Option<(SegmentId, u32)>,
    /// Each once, however often it was emptied.
    emptied: Vec<u32>,
}

/// One segment.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) id: SegmentId,
    pub(super) usage: Usage,
    /// Queues that have, or had, runs in it; some several times.
    pub(super) queues: Vec<QueueId>,
    /// It is among those that were emptied.
    told: bool,
    /// Nothing will be added any more: runs say their places by entries of a table.
    pub(super) sealed: bool,
    /// The table, until it is in a file.
    pub(super) table: Option<Arc<SealTable>>,
}

impl Account {
    /// Where an entry of the table points, if it is in memory.
    pub(super) fn place(&self, entry: u32) -> Place {
        let offset = self.table.as_ref().and_then(|table| table.offset(entry));
        offset.map_or(Place::Entry(entry), Place::Offset)
    }
}

impl Segments {
    /// The slot of a segment, new or known.
    pub(super) fn slot(&mut self, id: SegmentId) -> u32 {
        if let Some((latest, slot)) = self.latest
            && latest == id
        {
            return slot;
        }
        let slot = match self.slots.get(&id) {
            Some(&slot) => slot,
            None => self.open(id),
        };
        self.latest = Some((id, slot));
        slot
    }

    fn open(&mut self, id: SegmentId) -> u32 {
        let account = Account { id, ..Account::default() };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.accounts.push(Account::default());
                self.accounts.len() as u32 - 1
            }
        };
        if let Some(place) = self.accounts.get_mut(slot as usize) {
            *place = account;
        }
        self.slots.insert(id, slot);
        slot
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Account> {
        self.accounts.get(slot as usize)
    }

    pub(super) fn slot_of(&self, id: SegmentId) -> Option<&u32> {
        self.slots.get(&id)
    }

    pub(super) fn by_id(&self, id: SegmentId) -> Option<&Account> {
        self.slots.get(&id).and_then(|&slot| self.get(slot))
    }

    pub(super) fn by_id_mut(&mut self, id: SegmentId) -> Option<&mut Account> {
        self.slots.get(&id).and_then(|&slot| self.accounts.get_mut(slot as usize))
    }

    pub(super) fn is_sealed(&self, slot: u32) -> bool {
        self.get(slot).is_none_or(|account| account.sealed)
    }

    /// Counts messages that were added.
    pub(super) fn add(&mut self, slot: u32, live: u32, bytes: u32, queue: Option<QueueId>) {
        if let Some(account) = self.accounts.get_mut(slot as usize) {
            account.usage.live += u64::from(live);
            account.usage.bytes += u64::from(bytes);
            if let Some(queue) = queue.filter(|queue| account.queues.last() != Some(queue)) {
                account.queues.push(queue);
            }
        }
    }

    /// Counts a run that was restored; false: the segment is sealed only in part.
    pub(super) fn restore(
        &mut self,
        slot: u32,
        sealed: bool,
        (live, bytes): (u32, u32),
        queue: QueueId,
    ) -> bool {
        let Some(account) = self.accounts.get_mut(slot as usize) else {
            return false;
        };
        if account.usage.live > 0 && account.sealed != sealed {
            return false;
        }
        account.sealed = sealed;
        self.add(slot, live, bytes, Some(queue));
        true
    }

    /// Counts messages that are gone.
    pub(super) fn release(&mut self, slot: u32, gone: u32, freed: u32) {
        if gone > 0
            && let Some(account) = self.accounts.get_mut(slot as usize)
        {
            let usage = &mut account.usage;
            usage.live = usage.live.saturating_sub(u64::from(gone));
            usage.bytes = usage.bytes.saturating_sub(u64::from(freed));
            if usage.live == 0 {
                usage.bytes = 0;
                if !account.told {
                    account.told = true;
                    self.emptied.push(slot);
                }
            }
        }
    }

    pub(super) fn take_emptied(&mut self) -> Vec<SegmentId> {
        let Self { emptied, accounts, .. } = self;
        let accounts = emptied.drain(..).filter_map(|slot| {
            let account = accounts.get_mut(slot as usize).filter(|account| account.told)?;
            account.told = false;
            Some(account.id)
        });
        accounts.collect()
    }

    /// Forgets a segment in which nothing is live; true if it is not known any more.
    pub(super) fn forget(&mut self, id: SegmentId) -> bool {
        let Some(&slot) = self.slots.get(&id) else {
            return true;
        };
        match self.accounts.get_mut(slot as usize) {
            Some(account) if account.usage.live == 0 => *account = Account::default(),
            _ => return false,
        }
        self.slots.remove(&id);
        self.free.push(slot);
        self.latest = None;
        true
    }
}

#[cfg(test)]
impl Segments {
    pub(super) fn memory_bytes(&self) -> usize {
        let queues = self.accounts.iter().map(|account| account.queues.capacity() * 8);
        self.accounts.capacity() * size_of::<Account>() + queues.sum::<usize>()
    }
}
