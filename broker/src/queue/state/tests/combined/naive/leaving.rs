//! Messages are handed out.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::super::*;
use super::{Checked, Model, Place, bucket, id_of};

impl Model {
    pub(super) fn has_room(&self, consumer: &ConsumerSpec) -> bool {
        let ConsumerSpec { key, prefetch, no_ack, .. } = *consumer;
        let served = !self.rules.single_active || self.active == Some(key.number);
        served && (no_ack || prefetch == 0 || self.held_by(key.number) < prefetch)
    }

    /// The highest priority of those that can take a message.
    pub(super) fn most_important(&self) -> Option<i32> {
        let able = self.consumers.iter().filter(|consumer| self.has_room(consumer));
        able.map(|consumer| consumer.priority).max()
    }

    fn fill(&mut self) {
        if let Some(rate) = self.rules.max_rate {
            let (level, at) = self.tokens;
            let level = (level + (self.now - at) * rate).min(bucket(&self.rules));
            self.tokens = (level, self.now);
        }
    }

    pub(super) fn dispatch(&mut self) -> Checked {
        self.hand_over();
        self.fill();
        while !self.rules.paused
            && (self.rules.max_rate.is_none() || self.tokens.0 >= 1000)
            && let Some(priority) = self.most_important()
            && let Some(at) = self.first()
        {
            self.take_turn(at);
            let item = &self.items[at];
            let times = self.rules.ttl.into_iter().chain(item.letter.expiration);
            let at_once = times.min() == Some(0) && !item.redelivered;
            if self.expiry(item).is_some_and(|expiry| expiry <= self.now) && !at_once {
                let item = self.items.remove(at);
                self.bury("expired", item.letter.id, item.returns);
                continue;
            }
            let Some(delivery) = self.seen.deliveries.pop_front() else {
                return Err(TestCaseError::fail(format!("not delivered: {item:?}")));
            };
            self.deliver(at, &delivery, priority)?;
            self.tokens.0 = self.tokens.0.saturating_sub(1000);
        }
        Ok(())
    }

    fn deliver(&mut self, at: usize, delivery: &Delivery, priority: i32) -> Checked {
        self.check_entry(at, &delivery.entry)?;
        let number = delivery.to.number;
        let to = self.consumers.iter().find(|consumer| consumer.key.number == number);
        let Some(to) = to.copied() else {
            return Err(TestCaseError::fail(format!("to nobody: {delivery:?}")));
        };
        prop_assert!(self.has_room(&to), "it has no room: {to:?}");
        prop_assert_eq!((to.priority, to.no_ack), (priority, delivery.no_ack));
        self.hand_out(at, Some(number), to.no_ack, to.timeout);
        Ok(())
    }

    fn check_entry(&self, at: usize, entry: &Entry) -> Checked {
        let item = &self.items[at];
        let found = (id_of(&entry.message), entry.seq, entry.redelivered, entry.returns);
        prop_assert_eq!(found, (item.letter.id, item.seq(), item.redelivered, item.returns));
        Ok(())
    }

    fn hand_out(&mut self, at: usize, by: Option<u32>, no_ack: bool, timeout: Option<u64>) {
        if no_ack {
            self.items.remove(at);
            return;
        }
        let item = &mut self.items[at];
        let time = item.letter.time_to_run.or(timeout).or(self.rules.consumer_timeout);
        let until = time.filter(|time| *time > 0).map(|time| self.now + time);
        (item.place, item.seen) = (Place::Held { by, until }, true);
    }

    pub(super) fn get(
        &mut self,
        no_ack: bool,
        outcome: &Outcome,
    ) -> Result<Outcome, TestCaseError> {
        self.last_used = self.now;
        let first = self.first().filter(|_| !self.rules.paused);
        let Some(at) = first else { return Ok(Outcome::Got(None, 0)) };
        let Outcome::Got(Some(entry), _) = outcome else {
            return Err(TestCaseError::fail(format!("{outcome:?}, not {:?}", self.items[at])));
        };
        self.check_entry(at, entry)?;
        self.take_turn(at);
        self.hand_out(at, None, no_ack, None);
        Ok(Outcome::Got(Some(entry.clone()), self.ready() as usize))
    }

    pub(super) fn cancel(&mut self, number: u32, gives_back: bool) -> Outcome {
        self.last_used = self.now;
        let unacked = self.held_by(number);
        self.consumers.retain(|consumer| consumer.key.number != number);
        if self.active == Some(number) {
            self.active = None;
            self.leaving = Some(number).filter(|_| gives_back && unacked > 0);
            self.hand_over();
        }
        Outcome::Unacked(unacked)
    }
}
