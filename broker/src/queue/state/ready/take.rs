//! Messages taken from wherever they are, not in their turn.

use super::Ready;
use crate::queue::state::{Entry, Seq};

impl Ready {
    /// Takes those of these messages that are here; `found` is in order of position, and what of it is only
    /// in the store was read there. What the store has of it leaves a gap: see [`super::Strays`].
    pub fn take(&mut self, found: Vec<Entry>) -> Vec<Entry> {
        let mut taken = Vec::new();
        let mut others = Vec::new();
        for entry in found {
            match self.returned.remove(&entry.seq) {
                Some(own) => taken.push(own),
                None => others.push(entry),
            }
        }
        let cold = self.cold.as_ref().map_or(self.next, |cold| cold.from);
        let cold = others.split_off(others.partition_point(|entry| entry.seq < cold));
        self.take_hot(&others, &mut taken);
        self.take_cold(cold, &mut taken);
        for entry in &taken {
            self.bytes = self.bytes.saturating_sub(entry.message.body_len() as u64);
            if self.durable && !entry.message.persistent() {
                self.transient.take(&entry.message);
            }
            if entry.stored {
                self.strays.add(entry.seq);
            }
        }
        self.forget_strays();
        taken.sort_unstable_by_key(|entry| entry.seq);
        taken
    }

    fn take_hot(&mut self, wanted: &[Entry], taken: &mut Vec<Entry>) {
        let Some(last) = wanted.last().map(|entry| entry.seq) else { return };
        let mut wanted = wanted.iter().map(|entry| entry.seq).peekable();
        let mut passed = Vec::new();
        while let Some(entry) = self.pop_hot(last) {
            while wanted.next_if(|seq| *seq < entry.seq).is_some() {}
            match wanted.next_if_eq(&entry.seq) {
                Some(_) => taken.push(entry),
                None => passed.push(entry),
            }
        }
        while let Some(entry) = passed.pop() {
            if self.durable {
                self.hot += entry.footprint();
            }
            self.loaded.push_front(entry);
        }
    }

    /// Takes the first of those that have not come back, unless it stands behind `last`.
    fn pop_hot(&mut self, last: Seq) -> Option<Entry> {
        match self.loaded.front() {
            Some(first) if first.seq > last => None,
            Some(_) => {
                let entry = self.loaded.pop_front()?;
                if self.durable {
                    self.hot -= entry.footprint();
                }
                Some(entry)
            }
            None if self.first_fresh <= last => self.pop_fresh(),
            None => None,
        }
    }

    fn take_cold(&mut self, found: Vec<Entry>, taken: &mut Vec<Entry>) {
        let Some(cold) = &mut self.cold else { return };
        for entry in found {
            if entry.seq >= self.next || self.strays.has(entry.seq) {
                continue;
            }
            if let Some(kept) = cold.take_kept(entry.seq) {
                taken.push(kept);
            } else if entry.stored && cold.stored > 0 {
                cold.forget(entry.message.body_len() as u64);
                taken.push(entry);
            }
        }
        if cold.len() == 0 {
            self.age_fresh();
            self.cold = None;
            self.first_fresh = self.next;
        }
    }

    /// Has a message that was taken be where it was.
    pub fn undo_take(&mut self, entry: Entry) {
        if entry.seq < self.first_in_line() {
            return self.put_back(entry);
        }
        self.bytes += entry.message.body_len() as u64;
        self.count_transient(&entry.message);
        self.strays.remove(entry.seq);
        if let Some(cold) = self.cold.as_mut().filter(|cold| cold.from <= entry.seq) {
            return cold.put_back(entry);
        }
        if entry.seq > self.first_fresh {
            self.age_fresh();
        }
        if self.durable {
            self.hot += entry.footprint();
        }
        let at = self.loaded.partition_point(|other| other.seq < entry.seq);
        self.loaded.insert(at, entry);
    }
}
