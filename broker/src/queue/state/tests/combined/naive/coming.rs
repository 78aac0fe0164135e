//! Messages come.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::super::*;
use super::{Checked, Item, Letter, Model, Place};

impl Model {
    /// What is stored is not dropped for what is not, and nothing for what is over.
    pub(super) fn knows(&self, key: u8, persistent: bool) -> bool {
        let persistent = persistent && self.durable;
        match self.rules.unique {
            None => false,
            Some(Unique::UntilAcked) => self.items.iter().any(|item| {
                let until = self.until(item);
                let promises = item.letter.persistent || !persistent;
                item.stands_for(key) && promises && self.now < until
            }),
            Some(Unique::Window { .. }) => self.recent.iter().any(|(known, until, stored)| {
                *known == key && self.now < *until && (*stored || !persistent)
            }),
        }
    }

    /// When a message's time is over where it is.
    pub(super) fn until(&self, item: &Item) -> u64 {
        self.expiry(item).filter(|_| item.is_ready()).unwrap_or(u64::MAX)
    }

    /// A message that has moved stands for its key again, if no other does.
    pub(super) fn stand(&mut self, at: usize) {
        let key = self.items[at].letter.key;
        if key.is_some_and(|key| !self.items.iter().any(|item| item.stands_for(key))) {
            self.items[at].superseded = false;
        }
    }

    fn remember(&mut self, letter: &Letter) {
        let others = self.items.iter_mut().filter(|item| item.letter.key == letter.key);
        others.for_each(|item| item.superseded = item.letter.id != letter.id);
        let (Some(Unique::Window { size, ttl }), Some(key)) = (self.rules.unique, letter.key)
        else {
            return;
        };
        let until = letter.key_ttl.or(ttl).map_or(u64::MAX, |ttl| self.now + ttl);
        self.recent.retain(|(known, ..)| *known != key);
        self.recent.push((key, until, letter.persistent));
        let is_full = |len: usize| size.is_some_and(|size| len as u64 > size);
        while self
            .recent
            .first()
            .is_some_and(|(_, until, _)| *until <= self.now || is_full(self.recent.len()))
        {
            self.recent.remove(0);
        }
    }

    pub(super) fn publish(
        &mut self,
        letters: Vec<Letter>,
        dead: bool,
    ) -> Result<Outcome, TestCaseError> {
        let mut rejected = Vec::new();
        if self.rules.unique.is_none() {
            rejected = self.publish_all(&letters, dead)?;
        } else {
            for (number, letter) in letters.iter().enumerate() {
                if letter.key.is_some_and(|key| self.knows(key, letter.persistent)) {
                    continue;
                }
                let refused = !self.publish_all(&[*letter], dead)?.is_empty();
                if self.rules.is_limited() && !dead {
                    self.dispatch()?;
                    self.drop_excess();
                }
                if refused { rejected.push(number) } else { self.remember(letter) }
            }
        }
        Ok(if rejected.is_empty() { Outcome::Done } else { Outcome::Rejected(rejected) })
    }

    fn publish_all(&mut self, letters: &[Letter], dead: bool) -> Result<Vec<usize>, TestCaseError> {
        let refuses = self.rules.overflow != Overflow::DropHead && !dead;
        let one_by_one = self.priorities.max > 0 && self.rules.is_limited() && !dead;
        let mut rejected = Vec::new();
        for (number, letter) in letters.iter().enumerate() {
            if self.rules.delays && letter.delay > 0 {
                let due = self.now + letter.delay as u64;
                let place = Place::Waits { due, order: self.wait() };
                self.add(*letter, place, due);
                continue;
            }
            let (ready, bytes) = (self.ready() + 1, self.bytes() + letter.len());
            if refuses && self.is_too_much(ready, bytes) {
                rejected.push(number);
                if self.rules.overflow == Overflow::RejectPublishDlx {
                    self.bury("maxlen", letter.id, 0);
                }
                continue;
            }
            self.add(*letter, Place::Line, self.now);
            if refuses || one_by_one {
                self.dispatch()?;
            }
            if one_by_one && !refuses {
                self.drop_excess();
            }
        }
        Ok(rejected)
    }

    pub(super) fn wait(&mut self) -> u64 {
        self.waited += 1;
        self.waited
    }

    pub(super) fn number(&mut self, level: u8) -> u64 {
        let next = &mut self.next[usize::from(level)];
        *next += 1;
        *next - 1
    }

    fn add(&mut self, letter: Letter, place: Place, arrived: u64) {
        let level = letter.priority.unwrap_or_default().min(self.priorities.max);
        let number = if place == Place::Line { self.number(level) } else { 0 };
        let (returns, redelivered, seen) = (0, false, false);
        let superseded = false;
        self.items.push(Item {
            letter,
            place,
            level,
            number,
            arrived,
            returns,
            redelivered,
            seen,
            superseded,
        });
    }

    pub(super) fn arrive(&mut self, ids: Vec<u32>) -> Checked {
        let mut last = (0, 0);
        for id in ids {
            let at = self.items.iter().position(|item| item.letter.id == id);
            prop_assert!(at.is_some(), "{id} arrives and is not there");
            let at = at.unwrap_or_default();
            let level = self.items[at].level;
            let number = self.number(level);
            let item = &mut self.items[at];
            let Place::Waits { due, order } = item.place else {
                return Err(TestCaseError::fail(format!("it arrives and does not wait: {item:?}")));
            };
            prop_assert!(due <= self.now, "too early: {:?}", item);
            prop_assert!((due, order) > last, "out of order: {:?}", item);
            last = (due, order);
            (item.number, item.seen) = (number, false);
            item.place = if item.returns > 0 { Place::Back } else { Place::Line };
            self.stand(at);
        }
        Ok(())
    }
}
