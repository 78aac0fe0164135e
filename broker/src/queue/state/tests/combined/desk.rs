//! A queue, the store that it has, and the model: what carries out commands and what they lead to, as
//! the handle of a queue does.

use std::collections::{BTreeMap, BTreeSet};

use lepus_storage::{Batch, MemoryStore, MessageStore, Op, QueueId, ReadMax, Seq as At, Stored};
use lepus_storage::{QueueStats, StoreConfig};
use proptest::prelude::*;

use super::super::super::place::{from_store, in_store, is_keys, keys_in_store, level_in_store};
use super::super::super::schedule::{Bucket, Found, Job, Moved, Note, Pair, Scanned, settlement};
use super::super::super::{Known, Spans};
use super::super::*;
use super::letter::id_of;
use super::naive::{Action, Checked, Model};
use crate::dedup::{self, Remembered};
use crate::message::Waiting;

const ID: QueueId = QueueId(7);
/// How often a queue is woken at once.
const WAKE_UPS: usize = 200;

/// A queue under test.
pub struct Desk {
    config: Config,
    state: State,
    store: MemoryStore,
    /// What the store was told.
    batches: Vec<Vec<Op>>,
    pub model: Model,
    pub now: u64,
    /// The model as it was, and how many batches the store had then.
    past: Vec<(Model, usize)>,
    rules_version: u64,
    /// Of what the store is told.
    round: u64,
    /// The latest delivery of each position.
    pub deliveries: BTreeMap<Seq, Delivery>,
}

fn empty_store() -> MemoryStore {
    MemoryStore::new(&StoreConfig::new(""))
}

impl Desk {
    pub fn new(durable: bool, priorities: Priorities, rules: &Rules) -> Self {
        let now = 1_000_000;
        let durable = durable.then_some(ID);
        let config = Config { durable, hot_max: 1 << 40, priorities, ..CONFIG };
        let rules = Rules { priority_mode: priorities.mode, ..rules.clone() };
        let state = State::new(config, Arc::new(rules.clone()), &[], now);
        let model = Model::new(durable.is_some(), priorities, rules, now);
        let past = vec![(model.clone(), 0)];
        let (store, batches, rules_version, round) = (empty_store(), Vec::new(), 0, 0);
        let deliveries = BTreeMap::new();
        Self { config, state, store, batches, model, now, past, rules_version, round, deliveries }
    }

    fn tell_store(&mut self, ops: Vec<Op>) {
        if !ops.is_empty() {
            self.store.append(Batch::from(ops.clone())).expect("a store that takes it");
            self.batches.push(ops);
        }
    }

    /// Carries out a command, and looks whether all is as it must be.
    pub fn apply(&mut self, command: Command, action: Action) -> Result<Outcome, TestCaseError> {
        let outcome = self.carry_out(command, action)?;
        self.check_at_rest()?;
        self.past.push((self.model.clone(), self.batches.len()));
        Ok(outcome)
    }

    pub fn set_rules(&mut self, rules: Rules) -> Checked {
        self.rules_version += 1;
        let rules = Rules { priority_mode: self.config.priorities.mode, ..rules };
        let command = Command::SetRules(Arc::new(rules.clone()), self.rules_version);
        self.apply(command, Action::SetRules(Box::new(rules))).map(drop)
    }

    /// The store has taken all so far.
    fn begin_round(&mut self) {
        self.round += 1;
        self.state.go_on(self.round, self.round, false);
    }

    fn carry_out(&mut self, command: Command, action: Action) -> Result<Outcome, TestCaseError> {
        let mut effects = Effects::default();
        self.begin_round();
        let outcome = self.state.apply(self.now, command, &mut effects);
        self.model.check(self.now, action, &outcome, &effects)?;
        let Effects { deliveries, store, dead, schedule, notices, ordered, .. } = effects;
        self.deliveries.extend(deliveries.into_iter().map(|of| (of.entry.seq, of)));
        self.tell_store(store);
        dead.iter().for_each(|dead| self.settle(&dead.entries));
        ordered.iter().for_each(|ordered| self.settle(&ordered.entries));
        for job in schedule {
            self.do_scheduled(job)?;
        }
        let loads = notices.iter().any(|notice| matches!(notice, Notice::Load(..)));
        prop_assert!(!loads, "all is in memory");
        Ok(outcome)
    }

    /// Messages leave the queue in the store.
    fn settle(&mut self, entries: &[Entry]) {
        let mut ops = Vec::new();
        if self.config.durable.is_some() {
            Spans::of(entries).settle(ID, &mut ops);
        }
        self.tell_store(ops);
    }

    fn note(&mut self, note: Note, action: Action) -> Checked {
        self.carry_out(Command::Schedule(note), action).map(drop)
    }

    fn do_scheduled(&mut self, job: Job) -> Checked {
        match job {
            Job::Postpone(postponed) => {
                let entries = postponed.iter().map(|postponed| postponed.entry.clone());
                self.settle(&entries.collect::<Vec<_>>());
                self.note(Note::Postpone(postponed), Action::Nothing)
            }
            Job::Move(moved) | Job::Run(moved, _) => {
                let ops = self.config.durable.map(|owner| settlement(owner, &moved));
                self.tell_store(ops.unwrap_or_default());
                let ids = moved.iter().map(|moved| id_of(&moved.message)).collect();
                let messages = moved.into_iter().map(|Moved { message, .. }| message).collect();
                self.note(Note::Arrive(messages), Action::Arrive(ids))?;
                self.note(Note::AllMoved, Action::Nothing)
            }
            Job::Scan { round, bucket, from } => {
                let (found, next) = self.read_waiting(bucket, from, 3);
                let next = (!found.is_empty()).then_some(next);
                let found = found.iter().map(|(seq, waiting)| (waiting.due(), *seq)).collect();
                let scanned = Scanned { round, bucket, next, found, unreadable: Vec::new() };
                self.note(Note::Scanned(scanned), Action::Nothing)
            }
            Job::Fetch { round, pairs } => {
                let read = |pair: &Pair| {
                    let (found, _) = self.read_waiting(pair.bucket()?, pair.seq, 1);
                    let found = found.into_iter().next().filter(|(seq, _)| *seq == pair.seq);
                    Some((pair.seq, found.map(|(_, waiting)| waiting)))
                };
                let found = pairs.iter().filter_map(read).collect();
                self.note(Note::Fetched { round, found }, Action::Nothing)
            }
        }
    }

    fn read(&self, queue: QueueId, from: u64, messages: usize) -> (Vec<Stored>, u64) {
        let mut stored = Vec::new();
        let max = ReadMax { messages, bytes: usize::MAX };
        let next = self.store.read(queue, At(from), max, &mut stored);
        (stored, next.expect("a store that reads").0)
    }

    fn read_waiting(
        &self,
        bucket: Bucket,
        from: Seq,
        messages: usize,
    ) -> (Vec<(Seq, Waiting)>, Seq) {
        let (stored, next) = self.read(bucket.stored_as(ID), from, messages);
        let waiting = |of: Stored| (of.seq.0, Waiting::from_stored(of.payload));
        (stored.into_iter().map(waiting).collect(), next)
    }

    /// What the store was ever told of.
    fn names(&self) -> BTreeSet<u64> {
        let name = |op: &Op| match op {
            Op::Publish { queue, .. } => Some(queue.0),
            _ => None,
        };
        self.batches.iter().flatten().filter_map(name).collect()
    }

    fn buckets(&self) -> Vec<Bucket> {
        let parse = |name: u64| Bucket::parse(QueueId(name)).map(|(_, bucket)| bucket);
        self.names().into_iter().filter_map(parse).collect()
    }

    /// When no more comes of a command: the queue and its store have what the model has.
    fn check_at_rest(&self) -> Checked {
        prop_assert_eq!(self.state.is_deleted(), self.model.deleted);
        if self.model.deleted {
            let left = self
                .names()
                .into_iter()
                .filter(|name| !self.read(QueueId(*name), 0, 1).0.is_empty());
            prop_assert_eq!(left.collect::<Vec<_>>(), Vec::<u64>::new());
            return Ok(());
        }
        let items = &self.model.items;
        let count =
            |is: fn(&super::naive::Item) -> bool| items.iter().filter(|item| is(item)).count();
        let held = items.iter().filter(|item| item.holder().is_some());
        let expected = Counts {
            ready: count(|item| item.is_ready()),
            unacked: count(|item| item.holder().is_some()),
            consumers: self.model.consumers.len(),
            ready_bytes: self.model.bytes(),
            scheduled: count(|item| item.waits()),
            unacked_bytes: held.map(|item| item.letter.len()).sum(),
        };
        prop_assert_eq!(self.state.counts(), expected);
        if let Some(due) = self.model.next_due() {
            let next = self.state.next_due();
            prop_assert!(next.is_some_and(|next| next <= due), "{next:?}, not {due}");
        }
        if self.config.durable.is_some() { self.check_store() } else { Ok(()) }
    }

    fn check_store(&self) -> Checked {
        let stored = self.model.items.iter().filter(|item| item.letter.persistent);
        let (waiting, others): (Vec<_>, Vec<_>) = stored.partition(|item| item.waits());
        let mut expected: Vec<Seq> = others.iter().map(|item| item.seq()).collect();
        expected.sort_unstable();
        let mut found = Vec::new();
        for level in 0..=self.config.priorities.max {
            let name = level_in_store(ID, level);
            found
                .extend(self.read(name, 0, usize::MAX).0.iter().map(|of| from_store(name, of.seq)));
        }
        found.sort_unstable();
        prop_assert_eq!(found, expected, "ready and held in the store");
        let mut expected: Vec<u32> = waiting.iter().map(|item| item.letter.id).collect();
        expected.sort_unstable();
        let waiting = self.waiting().into_iter().map(|(_, _, waiting)| waiting);
        let message = |waiting: Waiting| waiting.message().expect("a message that waits");
        let mut found: Vec<u32> = waiting.map(|waiting| id_of(&message(waiting))).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected, "waiting in the store");
        Ok(())
    }

    fn waiting(&self) -> Vec<(Bucket, Seq, Waiting)> {
        let mut all = Vec::new();
        for bucket in self.buckets() {
            let (found, _) = self.read_waiting(bucket, 0, usize::MAX);
            all.extend(found.into_iter().map(|(seq, waiting)| (bucket, seq, waiting)));
        }
        all
    }

    /// One that waits in the store is to wait no more.
    pub fn cancel_waiting(&mut self, id: u32) -> Checked {
        let is = |(_, _, waiting): &(Bucket, Seq, Waiting)| {
            waiting.message().is_some_and(|message| id_of(&message) == id)
        };
        let Some((bucket, seq, waiting)) = self.waiting().into_iter().find(is) else {
            return Ok(());
        };
        let pair = Pair::stored(waiting.due(), seq, bucket);
        let message = waiting.message().expect("a message that waits");
        let note = Note::Cancel(vec![Moved { pair, message }]);
        self.apply(Command::Schedule(note), Action::CancelWaiting(id)).map(drop)
    }

    /// Messages that are ready go elsewhere, or nowhere.
    pub fn take(&mut self, ids: &[u32], purpose: Purpose) -> Checked {
        let ready = self.browse();
        let found = ready.into_iter().filter(|entry| ids.contains(&id_of(&entry.message)));
        self.apply(Command::Take(found.collect(), purpose), Action::Take(ids.to_vec())).map(drop)
    }

    /// All that is ready, looked at a few at a time.
    pub fn browse(&self) -> Vec<Entry> {
        let (mut all, mut at) = (Vec::new(), self.state.first_spot());
        while let Some(spot) = at {
            let (found, next) = self.state.glance(spot, 3).with(spot, (Vec::new(), None), 3);
            all.extend(found);
            let spot = Spot { next, ..spot };
            at = if next < spot.until { Some(spot) } else { self.state.spot_after(spot) };
        }
        all
    }

    /// Time passes; the queue is woken when it wants to be, and must not have slept too long. Of a long
    /// time in which there is much to do only the beginning passes.
    pub fn pass(&mut self, ms: u64) -> Checked {
        let until = self.now + ms;
        let mut at_once = 0;
        for _ in 0..WAKE_UPS {
            let Some(due) = self.state.next_due().filter(|due| *due <= until) else {
                let due = self.model.next_due();
                prop_assert!(due.is_none_or(|due| due > until), "{due:?} is over at {until}");
                self.now = until;
                return Ok(());
            };
            at_once = if due <= self.now { at_once + 1 } else { 0 };
            prop_assert!(at_once < 3, "it never sleeps");
            self.now = self.now.max(due);
            self.apply(Command::Tick, Action::Tick)?;
            if self.model.deleted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The process ends, and a new one finds what the store had so many commands ago.
    pub fn crash(&mut self, back: usize) -> Checked {
        if self.config.durable.is_none() {
            return Ok(());
        }
        self.past.truncate(self.past.len().saturating_sub(back).max(1));
        let (model, batches) = self.past.last().cloned().expect("the beginning");
        self.model = model;
        self.batches.truncate(batches);
        self.store = empty_store();
        for ops in &self.batches {
            self.store.append(Batch::from(ops.clone())).expect("a store that takes it");
        }
        let levels = (0..=self.config.priorities.max).map(|level| level_in_store(ID, level));
        let stats: Vec<QueueStats> = levels.map(|level| self.store.stats(level)).collect();
        self.model.restart(self.now, stats.iter().map(|stats| stats.next.0).collect());
        let pasts: Vec<Past> = stats.iter().map(past).collect();
        let rules = Arc::new(self.model.rules.clone());
        self.state = State::new(self.config, rules, &pasts, self.now);
        self.rules_version = 0;
        self.take_up()?;
        self.past = vec![(self.model.clone(), self.batches.len())];
        Ok(())
    }

    /// The queue takes up what the store has. All is read before anything goes by itself, so that the
    /// model need not know what is in memory.
    fn take_up(&mut self) -> Checked {
        self.quietly(Command::Hold(u64::MAX, 0));
        let known = self.known();
        self.quietly(known);
        self.quietly(Command::Consume(ConsumerSpec { pull: true, ..consumer(0) }));
        self.quietly(Command::Leave(key(0)));
        self.carry_out(Command::Hold(0, 0), Action::Nothing)?;
        let buckets = self.buckets().into_iter();
        let found = buckets.map(|bucket| Found {
            bucket,
            stats: self.store.stats(bucket.stored_as(ID)),
            first: self.read_waiting(bucket, 0, 1).0.first().map_or(0, |(_, of)| of.due()),
        });
        let found = found.filter(|found| found.stats.next.0 > 0).collect();
        self.note(Note::Found(found), Action::Nothing)?;
        self.apply(Command::Tick, Action::Touch).map(drop)
    }

    /// Carries out a command and reads what is wanted, without a word to the model.
    fn quietly(&mut self, command: Command) {
        let mut effects = Effects::default();
        self.begin_round();
        self.state.apply(self.now, command, &mut effects);
        assert!(effects.dead.is_empty() && effects.deliveries.is_empty());
        self.tell_store(effects.store);
        for notice in effects.notices {
            let Notice::Load(from, _) = notice else { continue };
            let (level, at) = in_store(ID, from);
            let (stored, next) = self.read(level, at.0, 4);
            let entry = |Stored { seq, payload, returns }: Stored| {
                let message = Message::from_stored(payload).expect("a message");
                let returns = returns + message.returns_before();
                let (seq, redelivered) = (from_store(level, seq), returns > 0);
                Entry { seq, message, redelivered, returns, stored: true }
            };
            let found = stored.into_iter().map(entry).collect();
            self.quietly(Command::Loaded { from, next: from_store(level, At(next)), found });
        }
    }

    /// Keys of messages that were there.
    fn known(&self) -> Command {
        let window = matches!(self.model.rules.unique, Some(Unique::Window { .. }));
        Command::Recall(if window {
            let (stored, _) = self.read(keys_in_store(ID), 0, usize::MAX);
            let keys = stored.iter().filter_map(|of| Remembered::decode(of.seq.0, &of.payload));
            Known::Recent(keys.collect(), self.store.stats(keys_in_store(ID)).next.0)
        } else {
            let key = |message: &Message| dedup::named(message).map(|(key, _)| key);
            let mut found = Vec::new();
            for name in self.names().into_iter().map(QueueId).filter(|name| !is_keys(*name)) {
                for Stored { seq, payload, .. } in self.read(name, 0, usize::MAX).0 {
                    let waits = Bucket::parse(name).is_some();
                    let message = match waits {
                        true => Waiting::from_stored(payload).message(),
                        false => Message::from_stored(payload),
                    };
                    let seq = if waits { seq.0 } else { from_store(name, seq) };
                    let known = |message| Some((key(&message)?, Home::new(&message, seq, true)));
                    found.extend(message.and_then(known));
                }
            }
            Known::Here(found)
        })
    }
}

fn past(stats: &QueueStats) -> Past {
    Past {
        first: stats.first.0,
        next: stats.next.0,
        messages: stats.messages,
        bytes: stats.weight,
        delivered: stats.delivered.0,
    }
}
