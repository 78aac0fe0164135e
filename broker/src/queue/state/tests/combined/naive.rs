//! A queue with all rules as plainly as it can be written: a list of messages, and a clock.
//!
//! It says what every command must lead to. Only who gets a message, what a random part of a delay is,
//! and when messages that are due are brought back it learns from the queue, and judges.

mod coming;
mod leaving;
mod turn;

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::super::place::first_of;
use super::super::super::schedule::Job;
use super::super::*;
use super::letter::{Letter, id_of};

pub type Checked = Result<(), TestCaseError>;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// It came back; it stands before those that did not.
    Back,
    Line,
    Held {
        by: Option<u32>,
        until: Option<u64>,
    },
    Waits {
        due: u64,
        order: u64,
    },
}

#[derive(Clone, Debug)]
pub struct Item {
    pub letter: Letter,
    pub place: Place,
    pub level: u8,
    /// Its number in its level.
    number: u64,
    arrived: u64,
    pub returns: u32,
    redelivered: bool,
    /// It was handed out once from where it is.
    seen: bool,
    /// Another one with its key was taken since.
    superseded: bool,
}

impl Item {
    fn stands_for(&self, key: u8) -> bool {
        self.letter.key == Some(key) && !self.superseded
    }

    pub fn seq(&self) -> Seq {
        first_of(self.level) + self.number
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.place, Place::Back | Place::Line)
    }

    pub fn waits(&self) -> bool {
        matches!(self.place, Place::Waits { .. })
    }

    pub fn holder(&self) -> Option<Option<u32>> {
        match self.place {
            Place::Held { by, .. } => Some(by),
            _ => None,
        }
    }
}

/// What a command means.
#[derive(Clone, Debug)]
pub enum Action {
    Publish(Vec<Letter>),
    PublishDead(Vec<Letter>),
    Get {
        no_ack: bool,
    },
    Consume(ConsumerSpec),
    Cancel(u32),
    Leave(u32),
    /// Deliveries: message, and how often it had come back before.
    Settle(Vec<(u32, u32)>, Verdict),
    Undo(u32),
    Arrive(Vec<u32>),
    CancelWaiting(u32),
    Take(Vec<u32>),
    Touch,
    Tick,
    Purge,
    SetRules(Box<Rules>),
    Nothing,
}

/// What a command has led to, and what it must lead to.
#[derive(Clone, Debug, Default)]
struct Seen {
    deliveries: VecDeque<Delivery>,
    /// Message, and when it is due.
    postponed: Vec<(u32, u64)>,
    dead: Vec<(&'static str, u32, u32)>,
    late: Vec<(u32, Seq, u32)>,
}

#[derive(Clone, Debug)]
pub struct Model {
    now: u64,
    durable: bool,
    pub rules: Rules,
    priorities: Priorities,
    pub items: Vec<Item>,
    /// The next number in each level.
    pub next: Vec<u64>,
    waited: u64,
    /// Keys of a window: until when, and whether the store has them.
    recent: Vec<(u8, u64, bool)>,
    pub consumers: Vec<ConsumerSpec>,
    active: Option<u32>,
    leaving: Option<u32>,
    /// Thousandths of messages that may be delivered, as of then.
    tokens: (u64, u64),
    turns: Vec<u16>,
    last_used: u64,
    pub deleted: bool,
    seen: Seen,
}

fn round(max: u8) -> Vec<u16> {
    (1..=u16::from(max) + 1).collect()
}

fn bucket(rules: &Rules) -> u64 {
    rules.max_rate.map_or(0, |rate| (rate * 100).max(1000))
}

impl Model {
    pub fn new(durable: bool, priorities: Priorities, rules: Rules, now: u64) -> Self {
        Self {
            now,
            durable,
            priorities,
            items: Vec::new(),
            next: vec![0; usize::from(priorities.max) + 1],
            waited: 0,
            recent: Vec::new(),
            consumers: Vec::new(),
            active: None,
            leaving: None,
            tokens: (bucket(&rules), now),
            turns: round(priorities.max),
            last_used: now,
            deleted: false,
            seen: Seen::default(),
            rules,
        }
    }

    /// A new life with what the store has; numbers go on where its do.
    pub fn restart(&mut self, now: u64, next: Vec<u64>) {
        let (priorities, rules) = (self.priorities, self.rules.clone());
        let old = std::mem::replace(self, Self::new(self.durable, priorities, rules, now));
        self.next = next;
        self.waited = old.waited;
        self.recent = old.recent;
        self.recent.retain(|(_, _, stored)| *stored);
        self.items = old.items;
        self.items.retain(|item| item.letter.persistent);
        for item in self.items.iter_mut().filter(|item| !item.waits()) {
            item.place = Place::Line;
            item.redelivered |= item.seen;
            item.returns = item.returns.max(item.seen.into());
        }
        for at in 0..self.items.len() {
            let (key, until) = (self.items[at].letter.key, self.until(&self.items[at]));
            let longer = |other: &Item| other.letter.key == key && self.until(other) > until;
            self.items[at].superseded = self.items.iter().any(longer);
        }
    }

    /// Judges what a command has led to.
    pub fn check(
        &mut self,
        now: u64,
        action: Action,
        outcome: &Outcome,
        effects: &Effects,
    ) -> Checked {
        self.now = now;
        let mut seen = Seen { deliveries: effects.deliveries.clone().into(), ..Seen::default() };
        for job in &effects.schedule {
            if let Job::Postpone(all) = job {
                let of = all.iter().map(|of| (id_of(&of.entry.message), of.due));
                seen.postponed.extend(of);
            }
        }
        self.seen = seen;
        self.time_out()?;
        self.drop_expired();
        let expected = self.act(action, outcome)?;
        prop_assert_eq!(outcome, &expected);
        if !self.deleted {
            self.dispatch()?;
            self.drop_expired();
            self.drop_excess();
        }
        self.compare(effects)
    }

    fn compare(&mut self, effects: &Effects) -> Checked {
        let Seen { deliveries, postponed, mut dead, mut late } = std::mem::take(&mut self.seen);
        prop_assert!(deliveries.is_empty(), "not to be delivered: {deliveries:?}");
        prop_assert!(postponed.is_empty(), "not to wait: {postponed:?}");
        let mut found = Vec::new();
        for Dead { reason, entries, .. } in &effects.dead {
            let one = |entry: &Entry| (reason.name(), id_of(&entry.message), entry.returns);
            found.extend(entries.iter().map(one));
        }
        found.sort_unstable();
        dead.sort_unstable();
        prop_assert_eq!(found, dead, "dead letters");
        let mut found = Vec::new();
        let mut deleted = false;
        for notice in &effects.notices {
            match notice {
                Notice::TimedOut(key, all) => {
                    found.extend(all.iter().map(|of| (key.number, of.seq, of.returns)));
                }
                Notice::Deleted => deleted = true,
                _ => {}
            }
        }
        found.sort_unstable();
        late.sort_unstable();
        prop_assert_eq!(found, late, "deliveries that are late");
        prop_assert_eq!(deleted, self.deleted);
        Ok(())
    }

    fn act(&mut self, action: Action, outcome: &Outcome) -> Result<Outcome, TestCaseError> {
        match action {
            Action::Publish(letters) => return self.publish(letters, false),
            Action::PublishDead(letters) => return self.publish(letters, true),
            Action::Get { no_ack } => return self.get(no_ack, outcome),
            Action::Consume(spec) => {
                if self.active.is_none() && self.leaving.is_none() {
                    self.active = Some(spec.key.number);
                }
                self.consumers.push(spec);
            }
            Action::Cancel(number) => return Ok(self.cancel(number, false)),
            Action::Leave(number) => return Ok(self.cancel(number, true)),
            Action::Settle(all, verdict) => {
                for (id, returns) in all {
                    let is = |item: &Item| {
                        item.letter.id == id && item.holder().is_some() && item.returns == returns
                    };
                    if let Some(at) = self.items.iter().position(is) {
                        self.settle(at, verdict)?;
                    }
                }
            }
            Action::Undo(id) => {
                let at = self.items.iter().position(|item| item.letter.id == id);
                self.items[at.expect("a message that is held")].place = Place::Back;
            }
            Action::Arrive(ids) => self.arrive(ids)?,
            Action::CancelWaiting(id) => {
                self.items.retain(|item| item.letter.id != id);
                return Ok(Outcome::Dropped(1));
            }
            Action::Take(ids) => {
                let before = self.items.len();
                self.items.retain(|item| !(item.is_ready() && ids.contains(&item.letter.id)));
                return Ok(Outcome::Dropped(before - self.items.len()));
            }
            Action::Touch => self.last_used = self.now,
            Action::Tick => {
                let unused = self.now.saturating_sub(self.last_used);
                let over = self.rules.expires.is_some_and(|most| unused >= most);
                if self.consumers.is_empty() && over {
                    self.items.clear();
                    self.deleted = true;
                }
            }
            Action::Purge => {
                let before = self.items.len();
                self.items.retain(|item| item.holder().is_some());
                return Ok(Outcome::Dropped(before - self.items.len()));
            }
            Action::SetRules(rules) => {
                if rules.expires != self.rules.expires {
                    self.last_used = self.now;
                }
                if rules.max_rate != self.rules.max_rate {
                    self.tokens = (bucket(&rules), self.now);
                }
                self.rules = *rules;
            }
            Action::Nothing => {}
        }
        Ok(Outcome::Done)
    }

    pub fn ready(&self) -> u64 {
        self.items.iter().filter(|item| item.is_ready()).count() as u64
    }

    pub fn bytes(&self) -> u64 {
        self.items.iter().filter(|item| item.is_ready()).map(|item| item.letter.len()).sum()
    }

    fn is_too_much(&self, messages: u64, bytes: u64) -> bool {
        self.rules.max_length.is_some_and(|max| messages > max)
            || self.rules.max_bytes.is_some_and(|max| bytes > max)
    }

    fn expiry(&self, item: &Item) -> Option<u64> {
        let times = self.rules.ttl.into_iter().chain(item.letter.expiration);
        times.min().map(|ttl| item.arrived + ttl)
    }

    fn bury(&mut self, reason: &'static str, id: u32, returns: u32) {
        if self.rules.dead_letter.is_some() {
            self.seen.dead.push((reason, id, returns));
        }
    }

    fn drop_expired(&mut self) {
        let is_over = |model: &Self, at: &usize| {
            model.expiry(&model.items[*at]).is_some_and(|expiry| expiry <= model.now)
        };
        while let Some(at) = self.heads().into_iter().find(|at| is_over(self, at)) {
            let item = self.items.remove(at);
            self.bury("expired", item.letter.id, item.returns);
        }
    }

    fn drop_excess(&mut self) {
        while self.rules.overflow == Overflow::DropHead
            && self.is_too_much(self.ready(), self.bytes())
            && let Some(at) = self.first()
        {
            let item = self.items.remove(at);
            self.bury("maxlen", item.letter.id, item.returns);
        }
    }

    fn held_by(&self, number: u32) -> u32 {
        self.items.iter().filter(|item| item.holder() == Some(Some(number))).count() as u32
    }

    /// With a single active consumer: another one follows, once all has come back.
    fn hand_over(&mut self) {
        if self.leaving.is_some_and(|number| self.held_by(number) > 0) || self.active.is_some() {
            return;
        }
        self.leaving = None;
        let best = self.consumers.iter().map(|consumer| consumer.priority).max();
        let next = self.consumers.iter().find(|consumer| Some(consumer.priority) == best);
        self.active = next.map(|consumer| consumer.key.number);
    }

    fn time_out(&mut self) -> Checked {
        let is_late = |item: &Item| match item.place {
            Place::Held { until: Some(until), .. } => until <= self.now,
            _ => false,
        };
        let mut late: Vec<Item> = self.items.iter().filter(|item| is_late(item)).cloned().collect();
        late.sort_by_key(Item::seq);
        for item in late {
            if let Some(Some(number)) = item.holder() {
                self.seen.late.push((number, item.seq(), item.returns));
            }
            let at = self.items.iter().position(|of| of.letter.id == item.letter.id);
            self.settle(at.expect("it was there"), Verdict::Fail)?;
        }
        Ok(())
    }

    fn settle(&mut self, at: usize, verdict: Verdict) -> Checked {
        if !verdict.returns() {
            let item = self.items.remove(at);
            if verdict == Verdict::Discard {
                self.bury("rejected", item.letter.id, item.returns + 1);
            }
            return Ok(());
        }
        let item = &mut self.items[at];
        (item.returns, item.redelivered) = (item.returns + 1, true);
        let (id, returns) = (item.letter.id, item.returns);
        if self.rules.delivery_limit.is_some_and(|limit| returns > limit) {
            self.items.remove(at);
            self.bury("delivery_limit", id, returns);
            return Ok(());
        }
        let Some((least, most)) = self.delay(verdict, returns) else {
            self.items[at].place = Place::Back;
            return Ok(());
        };
        let postponed = self.seen.postponed.iter().position(|(other, _)| *other == id);
        prop_assert!(postponed.is_some(), "it does not wait: {:?}", self.items[at]);
        let (_, due) = self.seen.postponed.remove(postponed.unwrap_or_default());
        let range = self.now + least..=self.now + most;
        prop_assert!(range.contains(&due), "{id} waits until {due}, not {range:?}");
        let order = self.wait();
        self.items[at].place = Place::Waits { due, order };
        self.stand(at);
        Ok(())
    }

    /// The shortest and the longest time that a message waits that came back.
    fn delay(&self, verdict: Verdict, count: u32) -> Option<(u64, u64)> {
        let retry = self.rules.retry?;
        let meant = match verdict {
            Verdict::Fail => retry.kind != schedule::RetryKind::Returned,
            _ => retry.kind != schedule::RetryKind::Failed,
        };
        let mut delay = retry.min as f64;
        for before in 1..count {
            delay = match retry.multiplier {
                Some(factor) => delay * factor,
                None => retry.min as f64 * f64::from(before + 1),
            };
        }
        let delay = delay.min(retry.max as f64);
        let range = ((delay * (1.0 - retry.jitter)).floor() as u64, delay.ceil() as u64);
        (meant && delay > 0.0).then_some(range)
    }

    /// When something happens by itself.
    pub fn next_due(&self) -> Option<u64> {
        let heads = self.heads().into_iter().filter_map(|at| self.expiry(&self.items[at]));
        let places = self.items.iter().filter_map(|item| match item.place {
            Place::Held { until, .. } => until,
            Place::Waits { due, .. } => Some(due),
            _ => None,
        });
        let unused = self.rules.expires.filter(|_| self.consumers.is_empty());
        let unused = unused.map(|most| self.last_used + most);
        let wanted = self.ready() > 0 && self.most_important().is_some() && !self.rules.paused;
        let rated = self
            .rules
            .max_rate
            .filter(|_| wanted)
            .map(|rate| self.tokens.1 + 1000u64.saturating_sub(self.tokens.0).div_ceil(rate));
        heads.chain(places).chain(unused).chain(rated).min()
    }
}
