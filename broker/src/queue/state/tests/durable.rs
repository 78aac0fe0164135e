//! A durable queue, plain or with priorities, with its store: what only the store holds comes back in order, whenever it is
//! read, and what a second life finds is what the first one left.

use std::collections::{BTreeMap, BTreeSet};

use lepus_storage::{Batch, MemoryStore, MessageStore, QueueId, ReadMax, StoreConfig, Stored};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::place::{first_of, from_store, in_store, level_in_store, level_of};
use super::*;

const ID: QueueId = QueueId(7);

#[derive(Clone, Debug)]
enum Step {
    /// Messages, persistent or not, of so many octets more, of a priority.
    Publish(Vec<(bool, usize, u8)>),
    Get {
        no_ack: bool,
    },
    /// A verdict on the held message of this number, counted round.
    Settle(usize, Verdict),
    Credit,
    Trim(usize),
    /// Time goes by, and what is held for too long comes back.
    Pass(u64),
    /// What the queue wants to be read is read.
    Load,
    /// All is looked at, and of it messages of these numbers, counted round, are dropped, or leave.
    Take(Vec<usize>, bool),
    /// Messages that left are elsewhere, or are back.
    Leave(bool),
    Purge,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![2 => Just(Verdict::Ack), 1 => Just(Verdict::Requeue)];
    prop_oneof![
        8 => vec((prop::bool::weighted(0.8), 0usize..300, 0u8..7), 0..12).prop_map(Step::Publish),
        3 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        8 => (any::<usize>(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
        3 => Just(Step::Credit),
        2 => (0usize..3000).prop_map(Step::Trim),
        2 => (0u64..60).prop_map(Step::Pass),
        6 => Just(Step::Load),
        4 => (vec(any::<usize>(), 0..8), any::<bool>()).prop_map(|(at, drop)| Step::Take(at, drop)),
        2 => any::<bool>().prop_map(Step::Leave),
        1 => Just(Step::Purge),
        1 => Just(Step::Restart),
    ]
}

/// What is known of a message that is somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    id: u32,
    persistent: bool,
    seen: bool,
    returns: u32,
    /// Until when whoever has it may hold it.
    due: u64,
}

/// How long messages may be held.
const TIMEOUT: u64 = 100;

struct Trial {
    state: State,
    rules: Arc<Rules>,
    now: u64,
    store: MemoryStore,
    priorities: Priorities,
    /// Of each level at most one.
    loads: BTreeMap<Seq, usize>,
    next_id: u32,
    /// By position; those that are handed out too.
    known: BTreeMap<Seq, Known>,
    held: BTreeSet<Seq>,
    /// Messages that were taken and are in the store as yet.
    leaving: Vec<(Entry, Known)>,
    /// By priority.
    next: Vec<Seq>,
    /// Turns of each priority that are left in a round.
    left: Vec<u16>,
}

fn config(hot_max: usize) -> Config {
    Config { durable: Some(ID), hot_max, ..CONFIG }
}

fn turns(priorities: Priorities) -> Vec<u16> {
    (1..=u16::from(priorities.max) + 1).collect()
}

impl Trial {
    fn new(priorities: Priorities, delivery_limit: Option<u32>) -> Self {
        let config = Config { priorities, ..config(2000) };
        let consumer_timeout = Some(TIMEOUT);
        let rules = Arc::new(Rules { delivery_limit, consumer_timeout, ..Rules::default() });
        let mut trial = Self {
            state: State::new(config, rules.clone(), &[], 0),
            rules,
            now: 0,
            store: MemoryStore::new(&StoreConfig::new("")),
            priorities,
            loads: BTreeMap::new(),
            next_id: 0,
            known: BTreeMap::new(),
            held: BTreeSet::new(),
            leaving: Vec::new(),
            next: (0..=priorities.max).map(first_of).collect(),
            left: turns(priorities),
        };
        trial.apply(Command::Consume(ConsumerSpec { window: 1500, ..consumer(1) })).unwrap();
        trial
    }

    /// Applies a command, tells the store, and follows what is handed out.
    fn apply(&mut self, command: Command) -> Result<Outcome, TestCaseError> {
        let mut effects = Effects::default();
        let outcome = self.state.apply(self.now, command, &mut effects);
        self.store.append(Batch::from(effects.store)).expect("a store that takes it");
        self.note_loads(&effects.notices);
        for delivery in effects.deliveries {
            self.follow(&delivery.entry, false)?;
        }
        let counts = self.state.counts();
        prop_assert_eq!(counts.ready + counts.unacked, self.known.len());
        prop_assert_eq!(counts.unacked, self.held.len());
        Ok(outcome)
    }

    fn note_loads(&mut self, notices: &[Notice]) {
        for notice in notices {
            if let Notice::Load(from, octets) = notice {
                self.loads.insert(*from, *octets);
            }
        }
    }

    /// The first message that waits in each level, the highest first.
    fn heads(&self) -> Vec<Seq> {
        let ready = self.known.keys().filter(|seq| !self.held.contains(seq));
        let heads: BTreeMap<u8, Seq> = ready.rev().map(|seq| (level_of(*seq), *seq)).collect();
        heads.into_values().rev().collect()
    }

    /// Whose turn it is.
    fn first(&mut self) -> Option<Seq> {
        let heads = self.heads();
        match self.priorities.mode {
            PriorityMode::Strict => heads.first().copied(),
            PriorityMode::Weighted => {
                let left = |seq: &Seq| self.left[usize::from(level_of(*seq))] > 0;
                if !heads.iter().any(left) {
                    self.left = turns(self.priorities);
                }
                let left = |seq: &&Seq| self.left[usize::from(level_of(**seq))] > 0;
                let first = heads.iter().find(left).copied()?;
                self.left[usize::from(level_of(first))] -= 1;
                Some(first)
            }
            PriorityMode::Aging(ms) => {
                let since = |seq: &Seq| {
                    let lead = u64::from(level_of(*seq)) * ms;
                    i64::from(self.known[seq].id) - lead as i64
                };
                heads.iter().min_by_key(|seq| since(seq)).copied()
            }
        }
    }

    /// Messages leave in order, each as it is known.
    fn follow(&mut self, entry: &Entry, no_ack: bool) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.first(), Some(entry.seq));
        let known = self.known.get_mut(&entry.seq).expect("it is known");
        let found = (id_of(&entry.message), entry.redelivered, entry.returns);
        prop_assert_eq!(found, (known.id, known.seen, known.returns));
        (known.seen, known.due) = (true, self.now + TIMEOUT);
        if no_ack {
            self.known.remove(&entry.seq);
        } else {
            self.held.insert(entry.seq);
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish(specs) => self.publish(specs)?,
            Step::Get { no_ack } => self.get(*no_ack)?,
            Step::Settle(at, verdict) => self.settle(*at, *verdict)?,
            Step::Credit => drop(self.apply(Command::Credit(key(1), 1500))?),
            Step::Trim(octets) => drop(self.apply(Command::Trim(*octets))?),
            Step::Pass(ms) => self.pass(*ms)?,
            Step::Load => self.load()?,
            Step::Take(at, drops) => self.take(at, *drops)?,
            Step::Leave(goes) => self.leave(*goes)?,
            Step::Purge => {
                self.known.retain(|seq, _| self.held.contains(seq));
                self.apply(Command::Purge)?;
            }
            Step::Restart => self.restart()?,
        }
        Ok(())
    }

    fn publish(&mut self, specs: &[(bool, usize, u8)]) -> Result<(), TestCaseError> {
        let mut messages = Vec::new();
        for (persistent, padding, priority) in specs {
            let mut body = self.next_id.to_be_bytes().to_vec();
            body.resize(4 + padding, b'.');
            // They arrive one a ms.
            let (now, properties) = (self.next_id.into(), of_priority(*priority));
            messages.push(Builder::whole(now, b"\0\0", &properties, &body, *persistent));
            let known = Known {
                id: self.next_id,
                persistent: *persistent,
                seen: false,
                returns: 0,
                due: 0,
            };
            let next = &mut self.next[usize::from(self.priorities.max.min(*priority))];
            self.known.insert(*next, known);
            (self.next_id, *next) = (self.next_id + 1, *next + 1);
        }
        self.apply(Command::Publish(messages)).map(drop)
    }

    fn get(&mut self, no_ack: bool) -> Result<(), TestCaseError> {
        let mut effects = Effects::default();
        let command = Command::Get { no_ack, connection: 9 };
        let outcome = self.state.apply(self.now, command, &mut effects);
        self.store.append(Batch::from(effects.store)).expect("a store that takes it");
        self.note_loads(&effects.notices);
        match outcome {
            Outcome::Got(Some(entry), _) => self.follow(&entry, no_ack)?,
            Outcome::Got(None, _) => prop_assert_eq!(self.known.len(), self.held.len()),
            outcome => prop_assert_eq!(outcome, Outcome::Wait),
        }
        for delivery in effects.deliveries {
            self.follow(&delivery.entry, false)?;
        }
        Ok(())
    }

    fn settle(&mut self, at: usize, verdict: Verdict) -> Result<(), TestCaseError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let seq = *self.held.iter().nth(at % self.held.len()).expect("one of them");
        if verdict == Verdict::Requeue {
            self.returned(seq);
        } else {
            self.held.remove(&seq);
            self.known.remove(&seq);
        }
        self.apply(Command::Settle(range(seq, seq), verdict)).map(drop)
    }

    /// A message comes back, and goes if that was too often.
    fn returned(&mut self, seq: Seq) {
        self.held.remove(&seq);
        let known = self.known.get_mut(&seq).expect("it is known");
        known.returns += 1;
        if self.rules.gives_up(known.returns) {
            self.known.remove(&seq);
        }
    }

    fn pass(&mut self, ms: u64) -> Result<(), TestCaseError> {
        self.now += ms;
        let late = self.held.iter().filter(|seq| self.known[seq].due <= self.now);
        for seq in late.copied().collect::<Vec<_>>() {
            self.returned(seq);
        }
        self.apply(Command::Tick).map(drop)
    }

    fn load(&mut self) -> Result<(), TestCaseError> {
        let Some((from, octets)) = self.loads.pop_first() else { return Ok(()) };
        let (queue, at) = in_store(ID, from);
        let mut stored = Vec::new();
        let max = ReadMax { messages: 5, bytes: octets };
        let next = self.store.read(queue, at, max, &mut stored).expect("a store that reads");
        let found = stored.into_iter().map(|stored| entry(queue, stored)).collect();
        let next = from_store(queue, next);
        self.apply(Command::Loaded { from, next, found }).map(drop)
    }

    /// All that is ready is seen, level by level, in order, each as it would be handed out.
    fn browse(&self) -> Result<Vec<Entry>, TestCaseError> {
        let (mut all, mut at) = (Vec::new(), self.state.first_spot());
        while let Some(spot) = at {
            let max = 1 + all.len() % 7;
            let glance = self.state.glance(spot, max);
            let mut read = (Vec::new(), None);
            if let Some(cold) = glance.cold {
                let (queue, at) = in_store(ID, cold);
                let mut stored = Vec::new();
                let most = ReadMax { messages: max.min(4), bytes: usize::MAX };
                let next =
                    self.store.read(queue, at, most, &mut stored).expect("a store that reads");
                let found = stored.into_iter().map(|stored| entry(queue, stored)).collect();
                let next = Some(from_store(queue, next)).filter(|next| *next != cold);
                read = (self.state.only_ready(found), next);
            }
            let (found, next) = glance.with(spot, read, max);
            prop_assert!(found.len() <= max);
            all.extend(found);
            let spot = Spot { next, ..spot };
            at = if next < spot.until { Some(spot) } else { self.state.spot_after(spot) };
        }
        let ready = self.known.iter().filter(|(seq, _)| !self.held.contains(seq));
        let mut expected: Vec<_> =
            ready.map(|(seq, known)| (*seq, known.id, known.seen, known.returns)).collect();
        expected.sort_by_key(|(seq, ..)| (std::cmp::Reverse(level_of(*seq)), *seq));
        let shown = |entry: &Entry| {
            let mut entry = entry.clone();
            self.state.as_handed_out(&mut entry);
            (entry.seq, id_of(&entry.message), entry.redelivered, entry.returns)
        };
        prop_assert_eq!(all.iter().map(shown).collect::<Vec<_>>(), expected);
        Ok(all)
    }

    fn take(&mut self, at: &[usize], drops: bool) -> Result<(), TestCaseError> {
        let seen = self.browse()?;
        if seen.is_empty() {
            return Ok(());
        }
        let wanted: BTreeSet<usize> = at.iter().map(|at| at % seen.len()).collect();
        let wanted: Vec<Entry> = wanted.iter().map(|at| seen[*at].clone()).collect();
        let taken: Vec<(Entry, Known)> = wanted
            .iter()
            .map(|entry| (entry.clone(), self.known.remove(&entry.seq).expect("it is known")))
            .collect();
        let purpose = if drops { Purpose::Drop } else { Purpose::Move(3) };
        if !drops {
            self.leaving.extend(taken);
        }
        let twice = wanted.clone();
        let outcome = self.apply(Command::Take(wanted, purpose))?;
        prop_assert_eq!(outcome, Outcome::Dropped(twice.len()));
        let outcome = self.apply(Command::Take(twice, purpose))?;
        prop_assert_eq!(outcome, Outcome::Dropped(0));
        Ok(())
    }

    fn leave(&mut self, goes: bool) -> Result<(), TestCaseError> {
        let leaving = std::mem::take(&mut self.leaving);
        let (entries, known): (Vec<Entry>, Vec<Known>) = leaving.into_iter().unzip();
        if goes {
            let mut ops = Vec::new();
            Spans::of(&entries).settle(ID, &mut ops);
            self.store.append(Batch::from(ops)).expect("a store that takes it");
            return Ok(());
        }
        self.known.extend(entries.iter().map(|entry| entry.seq).zip(known));
        self.apply(Command::UndoTake(entries)).map(drop)
    }

    /// What is not persistent is gone; whatever was handed out counts as redelivered.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        // They never left.
        self.known.extend(self.leaving.drain(..).map(|(entry, known)| (entry.seq, known)));
        self.known.retain(|_, known| known.persistent);
        self.held.clear();
        self.loads.clear();
        let mut pasts = Vec::new();
        for level in 0..=self.priorities.max {
            let stats = self.store.stats(level_in_store(ID, level));
            let first = first_of(level);
            for (_, known) in self.known.range_mut(first..first + stats.delivered.0) {
                known.seen = true;
                // Whoever held it has not given it back.
                known.returns = known.returns.max(1);
            }
            self.next[usize::from(level)] = first + stats.next.0;
            pasts.push(past(&stats));
        }
        let messages: u64 = pasts.iter().map(|past| past.messages).sum();
        prop_assert_eq!(messages as usize, self.known.len());
        prop_assert!(self.known.values().all(|known| known.returns == 0 || known.seen));
        self.left = turns(self.priorities);
        let config = Config { priorities: self.priorities, ..config(2000) };
        self.state = State::new(config, self.rules.clone(), &pasts, 0);
        self.apply(Command::Consume(ConsumerSpec { window: 1500, ..consumer(1) })).map(drop)
    }

    /// Everything comes out in the end, and the store holds no more than is held.
    fn finish(mut self) -> Result<(), TestCaseError> {
        self.apply(Command::Cancel(key(1)))?;
        self.leave(true)?;
        self.browse()?;
        for _ in 0..10_000 {
            if self.known.len() == self.held.len() {
                break;
            }
            self.get(true)?;
            self.load()?;
        }
        prop_assert_eq!(self.known.len(), self.held.len());
        let held = self.known.values().filter(|known| known.persistent).count();
        let levels = (0..=self.priorities.max).map(|level| level_in_store(ID, level));
        let stored: u64 = levels.map(|level| self.store.stats(level).messages).sum();
        prop_assert_eq!(stored as usize, held);
        Ok(())
    }
}

fn entry(queue: QueueId, stored: Stored) -> Entry {
    let message = Message::from_stored(stored.payload).expect("a message");
    let (seq, returns) = (from_store(queue, stored.seq), stored.returns);
    Entry { seq, message, redelivered: returns > 0, returns, stored: true }
}

fn past(stats: &lepus_storage::QueueStats) -> Past {
    Past {
        first: stats.first.0,
        next: stats.next.0,
        messages: stats.messages,
        bytes: stats.weight,
        delivered: stats.delivered.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_out_of_order(
        delivery_limit in prop::option::of(0u32..3),
        steps in vec(any_step(), 0..150),
    ) {
        run(Priorities::default(), delivery_limit, &steps)?;
    }

    #[test]
    fn nothing_is_lost_or_out_of_order_with_priorities(
        max in prop_oneof![1u8..7, Just(255)],
        mode in prop_oneof![
            Just(PriorityMode::Strict),
            Just(PriorityMode::Weighted),
            (1u64..9).prop_map(PriorityMode::Aging),
        ],
        steps in vec(any_step(), 0..150),
    ) {
        run(Priorities { max, mode }, None, &steps)?;
    }
}

fn run(
    priorities: Priorities,
    delivery_limit: Option<u32>,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let mut trial = Trial::new(priorities, delivery_limit);
    for step in steps {
        trial.step(step)?;
    }
    trial.finish()
}

#[test]
fn of_a_refused_message_that_was_handed_out_the_store_hears_nothing_more() {
    let mut state = State::new(config(1 << 20), Arc::default(), &[], 0);
    let mut effects = Effects::default();
    let body = [7; 10];
    let message = crate::message::Builder::whole(0, b"\0\0", &[0, 0], &body, true);
    state.apply(0, Command::Publish(vec![message]), &mut effects);
    let got = state.apply(0, Command::Get { no_ack: false, connection: 1 }, &mut effects);
    assert!(matches!(got, Outcome::Got(Some(_), 0)));
    state.apply(0, Command::Refused(vec![(0, 10)]), &mut effects);
    effects.store.clear();
    state.apply(0, Command::Settle(range(0, 0), Verdict::Ack), &mut effects);
    assert_eq!((effects.store, state.counts().unacked), (Vec::new(), 0));
}

#[test]
fn nor_of_one_that_came_back_before_it_was_refused() {
    let mut state = State::new(config(1 << 20), Arc::default(), &[], 0);
    let mut apply = |command| {
        let mut effects = Effects::default();
        state.apply(0, command, &mut effects);
        effects.store
    };
    let message = crate::message::Builder::whole(0, b"\0\0", &[0, 0], &[7; 10], true);
    apply(Command::Publish(vec![message]));
    apply(Command::Get { no_ack: false, connection: 1 });
    apply(Command::Settle(range(0, 0), Verdict::Requeue));
    apply(Command::Refused(vec![(0, 10)]));
    assert_eq!(apply(Command::Get { no_ack: false, connection: 1 }), []);
    assert_eq!(apply(Command::Settle(range(0, 0), Verdict::Ack)), []);
    assert_eq!((state.counts().ready, state.counts().unacked), (0, 0));
}
