//! The keys of the latest messages: as many, and for as long, as was asked for.

use std::collections::{HashMap, VecDeque};

use super::Key;

/// Keys that were seen, the oldest first. The same calls always lead to the same answers.
#[derive(Debug, Default)]
pub struct Recent {
    /// The most keys; `None`: no bound.
    size: Option<usize>,
    /// How long a key is known, ms; `None`: as long as there is room.
    ttl: Option<u64>,
    /// Where the latest entry of each key stands.
    known: HashMap<Key, u64>,
    entries: VecDeque<Remembered>,
    next: u64,
}

/// A key with the position of its entry, and the end of its time in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Ascending, never given twice.
    pub at: u64,
    /// What was seen.
    pub key: Key,
    /// From then on it is not known; `u64::MAX`: always.
    pub until: u64,
    /// It came with a persistent message: a crash does not take it.
    pub persistent: bool,
}

impl Remembered {
    /// As it is stored: key and time, big-endian.
    pub fn encode(&self) -> [u8; 24] {
        let mut octets = [0; 24];
        let (key, until) = octets.split_at_mut(16);
        key.copy_from_slice(&self.key.to_be_bytes());
        until.copy_from_slice(&self.until.to_be_bytes());
        octets
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub fn decode(at: u64, octets: &[u8]) -> Option<Self> {
        let (key, rest) = octets.split_first_chunk()?;
        let until = u64::from_be_bytes(rest.try_into().ok()?);
        let key = Key::from_be_bytes(*key);
        Some(Self { at, key, until, persistent: true })
    }
}

impl Recent {
    /// Knows nothing yet.
    pub fn new(size: Option<usize>, ttl: Option<u64>) -> Self {
        Self { size, ttl, ..Self::default() }
    }

    /// Takes what was known before a restart, in order of position.
    pub fn restore(&mut self, entry: Remembered) {
        self.next = entry.at + 1;
        self.known.insert(entry.key, entry.at);
        self.entries.push_back(entry);
    }

    /// Entries to come get positions from this one on.
    pub fn go_on_at(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Whether a key is known; if it must be of a `persistent` message, of another one is not enough.
    pub fn knows(&self, key: Key, persistent: bool, now: u64) -> bool {
        let entry = self.known.get(&key).and_then(|at| self.get(*at));
        entry.is_some_and(|entry| now < entry.until && (entry.persistent || !persistent))
    }

    /// Remembers a key, for a time of its own if `ttl` (ms) is there. Returns its entry, and appends to
    /// `gone` the positions of those that are forgotten.
    pub fn add(
        &mut self,
        key: Key,
        persistent: bool,
        ttl: Option<u64>,
        now: u64,
        gone: &mut Vec<u64>,
    ) -> Remembered {
        let until = ttl.or(self.ttl).map_or(u64::MAX, |ttl| now.saturating_add(ttl));
        let entry = Remembered { at: self.next, key, until, persistent };
        self.next += 1;
        self.known.insert(key, entry.at);
        self.entries.push_back(entry);
        let size = self.size.unwrap_or(usize::MAX);
        while let Some(oldest) = self.entries.front().copied()
            && (self.known.len() > size || oldest.until <= now || self.is_old(&oldest))
        {
            self.entries.pop_front();
            if !self.is_old(&oldest) {
                self.known.remove(&oldest.key);
            }
            gone.push(oldest.at);
        }
        entry
    }

    /// Forgets a key by the position of its entry.
    pub fn forget(&mut self, at: u64) {
        if let Some(key) = self.get(at).map(|entry| entry.key)
            && self.known.get(&key) == Some(&at)
        {
            self.known.remove(&key);
        }
    }

    /// A later entry has taken its place.
    fn is_old(&self, entry: &Remembered) -> bool {
        self.known.get(&entry.key).is_none_or(|at| *at != entry.at)
    }

    fn get(&self, at: u64) -> Option<&Remembered> {
        let first = self.entries.front()?.at;
        let place = usize::try_from(at.checked_sub(first)?).ok()?;
        // Positions have no gaps but where the store had some before a restart.
        match self.entries.get(place) {
            Some(entry) if entry.at == at => Some(entry),
            _ => {
                let place = self.entries.binary_search_by_key(&at, |entry| entry.at).ok()?;
                self.entries.get(place)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(recent: &mut Recent, key: Key, now: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        recent.add(key, true, None, now, &mut gone);
        gone
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::new(Some(2), None);
        assert!(add(&mut recent, 1, 0).is_empty() && add(&mut recent, 2, 0).is_empty());
        assert_eq!(add(&mut recent, 3, 0), [0]);
        assert_eq!([1, 2, 3].map(|key| recent.knows(key, true, 0)), [false, true, true]);
    }

    #[test]
    fn a_key_is_known_for_its_time() {
        let mut recent = Recent::new(None, Some(10));
        add(&mut recent, 1, 100);
        assert!(recent.knows(1, true, 109) && !recent.knows(1, true, 110));
        let own = recent.add(2, true, Some(1), 100, &mut Vec::new());
        assert_eq!(own.until, 101);
        // Entries of a key that has come again do not end its time.
        add(&mut recent, 1, 110);
        assert!(recent.knows(1, true, 119) && !recent.knows(2, true, 101));
        let gone = add(&mut recent, 3, 115);
        assert_eq!(gone, Vec::<u64>::new(), "the last entry of the first key has its time still");
    }

    #[test]
    fn for_a_persistent_one_only_persistent_ones_count() {
        let mut recent = Recent::new(None, None);
        recent.add(1, false, None, 0, &mut Vec::new());
        assert!(recent.knows(1, false, 0) && !recent.knows(1, true, 0));
        recent.add(1, true, None, 0, &mut Vec::new());
        assert!(recent.knows(1, false, 0) && recent.knows(1, true, 0));
    }

    #[test]
    fn what_was_stored_is_read() {
        let entry = Remembered { at: 7, key: u128::MAX - 5, until: 99, persistent: true };
        assert_eq!(Remembered::decode(7, &entry.encode()), Some(entry));
        assert_eq!(Remembered::decode(7, &entry.encode()[1..]), None);
    }

    #[test]
    fn no_position_is_given_twice() {
        let mut recent = Recent::new(None, None);
        recent.go_on_at(5);
        assert_eq!(recent.add(1, true, None, 0, &mut Vec::new()).at, 5);
        recent.go_on_at(3);
        assert_eq!(recent.add(2, true, None, 0, &mut Vec::new()).at, 6);
    }

    #[test]
    fn equals_a_list_over_restarts() {
        for seed in 0..200 {
            let mut draw = fastrand(seed);
            let (size, ttl) = (1 + draw(6) as usize, 1 + draw(40));
            let mut recent = Recent::new(Some(size), Some(ttl));
            // The latest entry of each key, and all that is stored.
            let mut list: Vec<(Key, u64)> = Vec::new();
            let mut stored: Vec<Remembered> = Vec::new();
            let mut now = 0;
            for _ in 0..300 {
                now += draw(6);
                let key = Key::from(draw(9));
                let known = list.iter().any(|(other, until)| *other == key && now < *until);
                assert_eq!(recent.knows(key, true, now), known, "seed {seed}");
                if !known {
                    let mut gone = Vec::new();
                    stored.push(recent.add(key, true, None, now, &mut gone));
                    stored.retain(|entry| !gone.contains(&entry.at));
                    list.retain(|(other, until)| *other != key && now < *until);
                    list.push((key, now + ttl));
                    while list.len() > size {
                        list.remove(0);
                    }
                }
                if draw(40) == 0 {
                    recent = Recent::new(Some(size), Some(ttl));
                    stored.iter().for_each(|entry| recent.restore(*entry));
                }
            }
        }
    }

    fn fastrand(seed: u64) -> impl FnMut(u64) -> u64 {
        use rand::{RngExt, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        move |below| random.random_range(0..below)
    }
}
