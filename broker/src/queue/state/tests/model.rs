//! A queue as plainly as it can be written.
//!
//! The model does not choose who gets a message: it looks at each delivery, says whether the rules
//! allow it, and follows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

type Checked = Result<(), TestCaseError>;

/// A message, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub seq: Seq,
    pub id: u32,
    pub padding: usize,
    pub redelivered: bool,
    pub returns: u32,
}

impl Item {
    pub fn entry(&self) -> Entry {
        let message = message(self.id, self.padding);
        Entry {
            seq: self.seq,
            message,
            redelivered: self.redelivered,
            returns: self.returns,
            stored: false,
        }
    }

    /// Octets of a delivery: 64, two empty names, the header (12, and 2 of flags), the body.
    fn cost(&self) -> i64 {
        64 + 8 + 2 + 14 + 4 + self.padding as i64
    }
}

/// A message that was handed out and can still return.
#[derive(Debug)]
pub struct Taken {
    pub item: Item,
    /// `None`: basic.get.
    pub by: Option<ConsumerKey>,
    /// It counts as acknowledged, and returns only if it was never sent.
    pub no_ack: bool,
}

#[derive(Debug)]
pub struct ModelConsumer {
    pub spec: ConsumerSpec,
    window: i64,
    granted: u32,
    /// It knows that messages are ready, or that it must ask again.
    told: bool,
    able: bool,
    /// Deliveries of the queue before it became able to take one.
    able_since: u64,
    /// The number of the last delivery to it.
    served: u64,
}

#[derive(Debug, Default)]
pub struct Model {
    auto_delete: bool,
    delivery_limit: Option<u32>,
    deleted: bool,
    /// By position.
    ready: VecDeque<Item>,
    pub taken: BTreeMap<Seq, Taken>,
    gone: BTreeSet<u32>,
    pub consumers: Vec<ModelConsumer>,
    pub published: u32,
    deliveries: u64,
    notices: Vec<Notice>,
}

impl Model {
    pub fn new(config: Config, rules: &Rules) -> Self {
        let (auto_delete, delivery_limit) = (config.auto_delete, rules.delivery_limit);
        Self { auto_delete, delivery_limit, ..Self::default() }
    }

    /// Follows a command and judges what it led to.
    pub fn check(&mut self, command: Command, outcome: &Outcome, effects: &Effects) -> Checked {
        if self.deleted {
            prop_assert!(*outcome == Outcome::Gone && effects.is_empty());
            return Ok(());
        }
        let grant = match command {
            Command::Grant(key, messages) => Some((key, messages)),
            _ => None,
        };
        let expected = self.begin(command);
        self.refresh();
        for delivery in &effects.deliveries {
            self.follow(delivery)?;
        }
        prop_assert!(
            self.ready.is_empty() || self.consumers.iter().all(|c| !self.can_take(c)),
            "{} messages wait though a consumer has room",
            self.ready.len()
        );
        let expected = match grant {
            Some((key, _)) => self.end_grant(key, effects),
            None => expected,
        };
        prop_assert_eq!(outcome, &expected);
        self.tell_pulling();
        let expected = in_any_order(&std::mem::take(&mut self.notices));
        prop_assert_eq!(in_any_order(&effects.notices), expected);
        self.nothing_lost()
    }

    /// What the command does by itself, before messages are handed out.
    fn begin(&mut self, command: Command) -> Outcome {
        match command {
            Command::Publish(messages) => {
                for message in messages {
                    let padding = message.body_len() - 4;
                    let (seq, id) = (u64::from(self.published), id_of(&message));
                    self.ready.push_back(Item { seq, id, padding, redelivered: false, returns: 0 });
                    self.published += 1;
                }
            }
            Command::Settle(ranges, verdict) => {
                for range in ranges {
                    self.settle(range, verdict);
                }
            }
            Command::Undo(deliveries) => {
                for Delivery { entry, .. } in deliveries {
                    let taken = self.taken.remove(&entry.seq).expect("only what is on its way");
                    self.put_back(taken.item);
                }
            }
            Command::Get { no_ack, .. } => return self.get(no_ack),
            Command::Consume(spec) => return self.consume(spec),
            Command::Cancel(key) | Command::Leave(key) => return self.cancel(key),
            Command::Dismiss(key) => {
                if self.consumer(key).is_some() {
                    self.notices.push(Notice::Cancelled(key));
                }
                return self.cancel(key);
            }
            Command::Credit(key, octets) => {
                if let Some(consumer) = self.consumer(key) {
                    consumer.window += octets as i64;
                }
            }
            Command::Grant(key, messages) => {
                if let Some(consumer) = self.consumer(key) {
                    consumer.granted = messages;
                    consumer.told = true;
                }
            }
            Command::SetPull(key, pull) => return self.set_pull(key, pull),
            Command::Purge => return Outcome::Dropped(self.drop_ready()),
            Command::Delete { if_unused, if_empty } => return self.delete(if_unused, if_empty),
            Command::PublishDead(_)
            | Command::Recall(_)
            | Command::Forget(_)
            | Command::Schedule(_)
            | Command::Take(..)
            | Command::UndoTake(_)
            | Command::Touch
            | Command::Tick
            | Command::Hold(..)
            | Command::Buried(_)
            | Command::SetRules(..) => {
                unreachable!("the queues of this model have no rules")
            }
            // The queues of this model are not in the store.
            Command::Loaded { .. }
            | Command::Unreadable { .. }
            | Command::Refused(_)
            | Command::Trim(_) => {}
        }
        Outcome::Done
    }

    pub fn consumer(&mut self, key: ConsumerKey) -> Option<&mut ModelConsumer> {
        self.consumers.iter_mut().find(|consumer| consumer.spec.key == key)
    }

    fn settle(&mut self, range: SeqRange, verdict: Verdict) {
        for seq in range.first..=range.last {
            if self.taken.get(&seq).is_none_or(|taken| taken.no_ack) {
                continue;
            }
            let Some(Taken { item, .. }) = self.taken.remove(&seq) else { continue };
            match verdict {
                Verdict::Requeue | Verdict::Fail if self.delivery_limit == Some(item.returns) => {
                    self.finish(item)
                }
                Verdict::Requeue | Verdict::Fail => {
                    let returns = item.returns + 1;
                    self.put_back(Item { redelivered: true, returns, ..item });
                }
                Verdict::Ack | Verdict::Discard => self.finish(item),
            }
        }
    }

    fn put_back(&mut self, item: Item) {
        let at = self.ready.iter().position(|other| other.seq > item.seq);
        self.ready.insert(at.unwrap_or(self.ready.len()), item);
    }

    fn finish(&mut self, item: Item) {
        self.gone.insert(item.id);
    }

    fn get(&mut self, no_ack: bool) -> Outcome {
        let Some(item) = self.ready.pop_front() else { return Outcome::Got(None, 0) };
        if no_ack {
            self.finish(item);
        } else {
            self.taken.insert(item.seq, Taken { item, by: None, no_ack });
        }
        Outcome::Got(Some(item.entry()), self.ready.len())
    }

    fn consume(&mut self, spec: ConsumerSpec) -> Outcome {
        let others = !self.consumers.is_empty();
        if (spec.exclusive && others) || self.consumers.iter().any(|c| c.spec.exclusive) {
            return Outcome::ExclusiveUse;
        }
        self.consumers.push(ModelConsumer {
            spec,
            window: i64::from(spec.window),
            granted: 0,
            told: false,
            able: false,
            able_since: 0,
            served: 0,
        });
        Outcome::Done
    }

    fn cancel(&mut self, key: ConsumerKey) -> Outcome {
        if self.consumer(key).is_none() {
            return Outcome::Unacked(0);
        }
        let unacked = self.unacked(key);
        self.consumers.retain(|consumer| consumer.spec.key != key);
        if self.consumers.is_empty() && self.auto_delete {
            self.end();
            self.notices.push(Notice::Deleted);
        }
        Outcome::Unacked(unacked)
    }

    fn set_pull(&mut self, key: ConsumerKey, pull: bool) -> Outcome {
        let unacked = self.unacked(key);
        let Some(consumer) = self.consumer(key) else { return Outcome::Unacked(0) };
        consumer.spec.pull = pull;
        consumer.granted = 0;
        consumer.told = false;
        consumer.able = false;
        Outcome::Unacked(unacked)
    }

    fn drop_ready(&mut self) -> usize {
        let dropped: Vec<Item> = self.ready.drain(..).collect();
        dropped.iter().for_each(|item| self.finish(*item));
        dropped.len()
    }

    fn delete(&mut self, if_unused: bool, if_empty: bool) -> Outcome {
        if if_unused && !self.consumers.is_empty() {
            return Outcome::InUse;
        }
        if if_empty && !self.ready.is_empty() {
            return Outcome::NotEmpty;
        }
        let ready = self.ready.len();
        let cancelled = self.consumers.drain(..).map(|c| Notice::Cancelled(c.spec.key));
        self.notices.extend(cancelled);
        self.end();
        Outcome::Dropped(ready)
    }

    fn end(&mut self) {
        self.deleted = true;
        self.drop_ready();
        for (_, taken) in std::mem::take(&mut self.taken) {
            self.finish(taken.item);
        }
    }

    fn unacked(&self, key: ConsumerKey) -> u32 {
        let held = self.taken.values().filter(|taken| taken.by == Some(key) && !taken.no_ack);
        held.count() as u32
    }

    fn can_take(&self, consumer: &ModelConsumer) -> bool {
        let ConsumerSpec { key, no_ack, prefetch, pull, .. } = consumer.spec;
        let octets = consumer.window > 0;
        let granted = !pull || consumer.granted > 0;
        octets && granted && (no_ack || prefetch == 0 || self.unacked(key) < prefetch)
    }

    /// Notes who became able to take a message.
    fn refresh(&mut self) {
        let able: Vec<bool> = self.consumers.iter().map(|c| self.can_take(c)).collect();
        for (consumer, able) in self.consumers.iter_mut().zip(able) {
            if able && !consumer.able {
                consumer.able_since = self.deliveries;
            }
            consumer.able = able;
        }
    }

    /// One delivery: the first message, to one of the most important consumers that have room, and
    /// to none that had its turn after another one began to wait.
    fn follow(&mut self, delivery: &Delivery) -> Checked {
        let Some(item) = self.ready.pop_front() else {
            return Err(TestCaseError::fail(format!("a delivery out of nothing: {delivery:?}")));
        };
        prop_assert_eq!(&delivery.entry, &item.entry());
        let to = self.consumers.iter().position(|c| c.spec.key == delivery.to);
        let Some(to) = to else {
            return Err(TestCaseError::fail(format!("a delivery to nobody: {delivery:?}")));
        };
        let chosen = &self.consumers[to];
        prop_assert!(chosen.able, "no room: {chosen:?}");
        let mut able = self.consumers.iter().filter(|other| other.able);
        let highest = able.clone().map(|other| other.spec.priority).max();
        prop_assert_eq!(Some(chosen.spec.priority), highest);
        let passed_over = able.find(|other| {
            let waits_since = other.able_since.max(other.served);
            other.spec.priority == chosen.spec.priority && waits_since < chosen.served
        });
        prop_assert!(passed_over.is_none(), "{passed_over:?} waits longer than {chosen:?}");
        self.deliveries += 1;
        let chosen = &mut self.consumers[to];
        chosen.served = self.deliveries;
        chosen.window -= item.cost();
        if chosen.spec.pull {
            chosen.granted -= 1;
        }
        let ConsumerSpec { key, no_ack, .. } = chosen.spec;
        self.taken.insert(item.seq, Taken { item, by: Some(key), no_ack });
        self.refresh();
        Ok(())
    }

    fn end_grant(&mut self, key: ConsumerKey, effects: &Effects) -> Outcome {
        let more = !self.ready.is_empty();
        let Some(consumer) = self.consumer(key) else {
            return Outcome::Granted { used: 0, more: false };
        };
        consumer.granted = 0;
        consumer.told = more;
        self.refresh();
        let used = effects.deliveries.iter().filter(|delivery| delivery.to == key).count() as u32;
        Outcome::Granted { used, more }
    }

    /// Whoever pulls hears once that messages are ready, until it asks.
    fn tell_pulling(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        for consumer in self.consumers.iter_mut().filter(|c| c.spec.pull && !c.told) {
            consumer.told = true;
            self.notices.push(Notice::Wanted(consumer.spec.key));
        }
    }

    /// Each message ever published is at exactly one place.
    fn nothing_lost(&self) -> Checked {
        let taken = self.taken.values().map(|taken| taken.item.id);
        let ready = self.ready.iter().map(|item| item.id);
        let mut all: Vec<u32> = ready.chain(taken).chain(self.gone.iter().copied()).collect();
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..self.published));
        Ok(())
    }

    pub fn counts(&self) -> Counts {
        let held = self.taken.values().filter(|taken| !taken.no_ack);
        Counts {
            ready: self.ready.len(),
            unacked: held.clone().count(),
            consumers: self.consumers.len(),
            ready_bytes: self.ready.iter().map(|item| 4 + item.padding as u64).sum(),
            scheduled: 0,
            unacked_bytes: held.map(|taken| 4 + taken.item.padding as u64).sum(),
        }
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// All that is ready, in order.
    pub fn ready(&self) -> Vec<Entry> {
        self.ready.iter().map(Item::entry).collect()
    }
}

fn in_any_order(notices: &[Notice]) -> Vec<String> {
    let mut texts: Vec<_> = notices.iter().map(|notice| format!("{notice:?}")).collect();
    texts.sort_unstable();
    texts
}
