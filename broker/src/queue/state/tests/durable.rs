//! A durable queue with its store: what only the store holds comes back in order, whenever it is
//! read, and what a second life finds is what the first one left.

use std::collections::{BTreeMap, BTreeSet};

use lepus_storage::{
    Batch, MemoryStore, MessageStore, QueueId, ReadMax, Seq as At, StoreConfig, Stored,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

const ID: QueueId = QueueId(7);

#[derive(Clone, Debug)]
enum Step {
    /// Messages, persistent or not, of so many octets more.
    Publish(Vec<(bool, usize)>),
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
    Purge,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![2 => Just(Verdict::Ack), 1 => Just(Verdict::Requeue)];
    prop_oneof![
        8 => vec((prop::bool::weighted(0.8), 0usize..300), 0..12).prop_map(Step::Publish),
        3 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        8 => (any::<usize>(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
        3 => Just(Step::Credit),
        2 => (0usize..3000).prop_map(Step::Trim),
        2 => (0u64..60).prop_map(Step::Pass),
        6 => Just(Step::Load),
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
    load: Option<(Seq, usize)>,
    next_id: u32,
    /// By position; those that are handed out too.
    known: BTreeMap<Seq, Known>,
    held: BTreeSet<Seq>,
    next: Seq,
}

fn config(hot_max: usize) -> Config {
    Config { auto_delete: false, durable: Some(ID), hot_max }
}

impl Trial {
    fn new(delivery_limit: Option<u32>) -> Self {
        let consumer_timeout = Some(TIMEOUT);
        let rules = Arc::new(Rules { delivery_limit, consumer_timeout, ..Rules::default() });
        let mut trial = Self {
            state: State::new(config(2000), rules.clone(), Past::default(), 0),
            rules,
            now: 0,
            store: MemoryStore::new(&StoreConfig::new("")),
            load: None,
            next_id: 0,
            known: BTreeMap::new(),
            held: BTreeSet::new(),
            next: 0,
        };
        trial.apply(Command::Consume(ConsumerSpec { window: 1500, ..consumer(1) })).unwrap();
        trial
    }

    /// Applies a command, tells the store, and follows what is handed out.
    fn apply(&mut self, command: Command) -> Result<Outcome, TestCaseError> {
        let mut effects = Effects::default();
        let outcome = self.state.apply(self.now, command, &mut effects);
        self.store.append(Batch::from(effects.store)).expect("a store that takes it");
        for notice in effects.notices {
            if let Notice::Load(from, octets) = notice {
                self.load = Some((from, octets));
            }
        }
        for delivery in effects.deliveries {
            self.follow(&delivery.entry, false)?;
        }
        let counts = self.state.counts();
        prop_assert_eq!(counts.ready + counts.unacked, self.known.len());
        prop_assert_eq!(counts.unacked, self.held.len());
        Ok(outcome)
    }

    /// Messages leave in order, each as it is known.
    fn follow(&mut self, entry: &Entry, no_ack: bool) -> Result<(), TestCaseError> {
        let first = self.known.keys().find(|seq| !self.held.contains(seq)).copied();
        prop_assert_eq!(first, Some(entry.seq));
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
            Step::Purge => {
                self.known.retain(|seq, _| self.held.contains(seq));
                self.apply(Command::Purge)?;
            }
            Step::Restart => self.restart()?,
        }
        Ok(())
    }

    fn publish(&mut self, specs: &[(bool, usize)]) -> Result<(), TestCaseError> {
        let mut messages = Vec::new();
        for (persistent, padding) in specs {
            let mut body = self.next_id.to_be_bytes().to_vec();
            body.resize(4 + padding, b'.');
            messages.push(Builder::whole(0, b"\0\0", &[0, 0], &body, *persistent));
            let known = Known {
                id: self.next_id,
                persistent: *persistent,
                seen: false,
                returns: 0,
                due: 0,
            };
            self.known.insert(self.next, known);
            (self.next_id, self.next) = (self.next_id + 1, self.next + 1);
        }
        self.apply(Command::Publish(messages)).map(drop)
    }

    fn get(&mut self, no_ack: bool) -> Result<(), TestCaseError> {
        let mut effects = Effects::default();
        let command = Command::Get { no_ack, connection: 9 };
        let outcome = self.state.apply(self.now, command, &mut effects);
        self.store.append(Batch::from(effects.store)).expect("a store that takes it");
        self.load = effects.notices.iter().fold(self.load, |load, notice| match notice {
            Notice::Load(from, octets) => Some((*from, *octets)),
            _ => load,
        });
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
        let Some((from, octets)) = self.load.take() else { return Ok(()) };
        let mut stored = Vec::new();
        let max = ReadMax { messages: 5, bytes: octets };
        let next = self.store.read(ID, At(from), max, &mut stored).expect("a store that reads");
        let found = stored.into_iter().map(entry).collect();
        self.apply(Command::Loaded { from, next: next.0, found }).map(drop)
    }

    /// What is not persistent is gone; whatever was handed out counts as redelivered.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.known.retain(|_, known| known.persistent);
        self.held.clear();
        self.load = None;
        let stats = self.store.stats(ID);
        prop_assert_eq!(stats.messages as usize, self.known.len());
        for (_, known) in self.known.range_mut(..stats.delivered.0) {
            known.seen = true;
            // Whoever held it has not given it back.
            known.returns = known.returns.max(1);
        }
        prop_assert!(self.known.values().all(|known| known.returns == 0 || known.seen));
        self.next = stats.next.0;
        self.state = State::new(config(2000), self.rules.clone(), past(&stats), 0);
        self.apply(Command::Consume(ConsumerSpec { window: 1500, ..consumer(1) })).map(drop)
    }

    /// Everything comes out in the end, and the store holds no more than is held.
    fn finish(mut self) -> Result<(), TestCaseError> {
        self.apply(Command::Cancel(key(1)))?;
        for _ in 0..10_000 {
            if self.known.len() == self.held.len() {
                break;
            }
            self.get(true)?;
            self.load()?;
        }
        prop_assert_eq!(self.known.len(), self.held.len());
        let held = self.known.values().filter(|known| known.persistent).count();
        prop_assert_eq!(self.store.stats(ID).messages as usize, held);
        Ok(())
    }
}

fn entry(stored: Stored) -> Entry {
    let message = Message::from_stored(stored.payload).expect("a message");
    let (seq, returns) = (stored.seq.0, stored.returns);
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
        let mut trial = Trial::new(delivery_limit);
        for step in &steps {
            trial.step(step)?;
        }
        trial.finish()?;
    }
}

#[test]
fn of_a_refused_message_that_was_handed_out_the_store_hears_nothing_more() {
    let mut state = State::new(config(1 << 20), Arc::default(), Past::default(), 0);
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
