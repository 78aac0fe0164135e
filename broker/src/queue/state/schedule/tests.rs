//! A schedule beside a sorted map, with a store that answers late and forgets nothing at restarts.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use lepus_storage::{QueueStats, SeqRange};
use proptest::prelude::*;

use super::*;
use crate::message::Builder;

#[derive(Clone, Debug)]
enum Step {
    Add { wait: u64, stored: bool },
    InPlace { wait: u64 },
    Pass(u64),
    Answer,
    Cancel(prop::sample::Index, bool),
    Refuse { wait: u64 },
    NoRoom { until: u64 },
    Clear,
    Restart,
}

fn any_wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 1..50u64,
        3 => 1..5_000u64,
        2 => 1..400_000u64,
        1 => 1..20_000_000u64,
        1 => 1..40 * 86_400_000u64,
        2 => prop::sample::select(vec![1_000, 60_000, 3_600_000]),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any_wait(), prop::bool::weighted(0.8)).prop_map(|(wait, stored)| Step::Add { wait, stored }),
        1 => any_wait().prop_map(|wait| Step::InPlace { wait }),
        6 => any_wait().prop_map(Step::Pass),
        12 => Just(Step::Answer),
        2 => any::<(prop::sample::Index, bool)>().prop_map(|(at, back)| Step::Cancel(at, back)),
        1 => any_wait().prop_map(|wait| Step::Refuse { wait }),
        1 => (1..100u64).prop_map(|until| Step::NoRoom { until }),
        1 => prop::bool::weighted(0.1).prop_map(|clear| if clear { Step::Clear } else { Step::Answer }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Bucket(Bucket),
    Memory,
    InPlace,
}

/// What the store has in its buckets.
type Stored = BTreeMap<QueueId, BTreeMap<Seq, Bytes>>;

struct Trial {
    schedule: Schedule,
    now: u64,
    /// By due time and position.
    model: BTreeMap<(u64, Seq), Where>,
    store: Stored,
    nexts: BTreeMap<QueueId, Seq>,
    jobs: VecDeque<Job>,
    listed_max: usize,
    /// The next move meets a store without room.
    no_room: Option<u64>,
}

const OWNER: QueueId = QueueId(77);

fn waiting(due: u64) -> Waiting {
    let message = Builder::whole(0, b"\0\x01q", &[0, 0], &due.to_be_bytes(), true);
    Waiting::new(&message, due, (due, 0), None)
}

fn waiting_for(due: u64) -> Message {
    waiting(due).message().expect("a message")
}

impl Trial {
    fn new(listed_max: usize) -> Self {
        Self {
            schedule: Schedule { listed: Listed::new(listed_max), ..Schedule::new(Some(OWNER)) },
            now: 1_700_000_000_123,
            model: BTreeMap::new(),
            store: BTreeMap::new(),
            nexts: BTreeMap::new(),
            jobs: VecDeque::new(),
            listed_max,
            no_room: None,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Add { wait, stored } => self.add(*wait, *stored)?,
            Step::InPlace { wait } => {
                let (due, seq) = (self.now + wait, self.schedule.next);
                let message = waiting(due).message().expect("a message");
                let entry = Entry { seq: 1, message, redelivered: true, returns: 1, stored: true };
                self.schedule.add_in_place(due, entry);
                self.model.insert((due, seq), Where::InPlace);
            }
            Step::Pass(ms) => self.now += ms,
            Step::Answer => return self.answer(),
            Step::Cancel(index, back) => self.cancel(index, *back)?,
            Step::Refuse { wait } => {
                let mut ops = Vec::new();
                self.schedule.add(self.now, &waiting(self.now + wait), true, &mut ops);
                let [Op::Publish { queue, seq, .. }] = &ops[..] else { panic!("{ops:?}") };
                let (_, bucket) = Bucket::parse(*queue).expect("a bucket");
                self.schedule.refused(&[(bucket, seq.0)]);
            }
            Step::NoRoom { until } => self.no_room = Some(*until),
            Step::Clear => {
                let mut ops = Vec::new();
                let cleared = self.schedule.clear(&mut ops, &mut Spans::default());
                prop_assert_eq!(cleared, self.model.len());
                self.model.clear();
                self.tell(ops)?;
                prop_assert!(self.store.values().all(BTreeMap::is_empty), "{:?}", self.store);
            }
            Step::Restart => self.restart(),
        }
        self.run()
    }

    fn add(&mut self, wait: u64, stored: bool) -> Result<(), TestCaseError> {
        let (due, seq) = (self.now + wait, self.schedule.next);
        let mut ops = Vec::new();
        self.schedule.add(self.now, &waiting(due), stored, &mut ops);
        let place = match &ops[..] {
            [Op::Publish { queue, .. }] => {
                Where::Bucket(Bucket::parse(*queue).expect("a bucket").1)
            }
            _ => Where::Memory,
        };
        prop_assert_eq!(place != Where::Memory, stored);
        self.model.insert((due, seq), place);
        self.tell(ops)
    }

    /// One leaves before its time; or is `back` at once.
    fn cancel(&mut self, index: &prop::sample::Index, back: bool) -> Result<(), TestCaseError> {
        let waiting: Vec<_> = self.model.iter().map(|(at, place)| (*at, *place)).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let (at, place) = *index.get(&waiting);
        let bucket = match place {
            Where::Bucket(bucket) => Some(bucket),
            _ => None,
        };
        let pair = match bucket {
            Some(bucket) => Pair::stored(at.0, at.1, bucket),
            None => Pair::kept(at.0, at.1),
        };
        let wanted = || vec![Moved { pair, message: waiting_for(at.0) }];
        let Due { moved, in_place } = self.schedule.withdraw(wanted());
        prop_assert_eq!(moved.len() + in_place.len(), 1, "{:?} does not wait", at);
        let again = self.schedule.withdraw(wanted());
        prop_assert!(again.moved.is_empty() && again.in_place.is_empty());
        if back && in_place.is_empty() {
            // There was no room for it elsewhere.
            self.schedule.put_back(self.now, moved, self.now + 1);
            return Ok(());
        }
        self.model.remove(&at);
        self.tell(settlement(OWNER, &moved))
    }

    /// All that is in memory is gone.
    fn restart(&mut self) {
        self.jobs.clear();
        self.model.retain(|_, place| matches!(place, Where::Bucket(_)));
        let stats = |messages: &BTreeMap<Seq, Bytes>, next| QueueStats {
            messages: messages.len() as u64,
            next: At(next),
            ..QueueStats::default()
        };
        let found = self.store.iter().map(|(id, messages)| {
            let (_, bucket) = Bucket::parse(*id).expect("a bucket");
            let stats = stats(messages, self.nexts.get(id).copied().unwrap_or_default());
            let first = messages.values().next().cloned().map(Waiting::from_stored);
            Found { bucket, stats, first: first.map_or(0, |first| first.due()) }
        });
        let found = found.collect();
        self.schedule =
            Schedule { listed: Listed::new(self.listed_max), ..Schedule::new(Some(OWNER)) };
        self.schedule.found(found);
    }

    fn run(&mut self) -> Result<(), TestCaseError> {
        let mut jobs = Vec::new();
        let due = self.schedule.run(self.now, &mut jobs);
        self.jobs.extend(jobs);
        self.judge(due)?;
        prop_assert_eq!(self.schedule.count(), self.model.len());
        Ok(())
    }

    /// The store does the first job.
    fn answer(&mut self) -> Result<(), TestCaseError> {
        let mut jobs = Vec::new();
        let due = match self.jobs.pop_front() {
            None => Due::default(),
            Some(Job::Scan { round, bucket, from }) => {
                let held = self.store.get(&bucket.stored_as(OWNER)).cloned().unwrap_or_default();
                let piece: Vec<(u64, Seq)> = held
                    .range(from..)
                    .take(3)
                    .map(|(seq, record)| (Waiting::from_stored(record.clone()).due(), *seq))
                    .collect();
                let next = piece.last().map(|(_, seq)| seq + 1);
                let unreadable = Vec::new();
                let scanned = Scanned { round, bucket, next, found: piece, unreadable };
                self.schedule.scanned(scanned, &mut jobs);
                Due::default()
            }
            Some(Job::Fetch { round, pairs }) => {
                let read = pairs.iter().take(5).map(|pair| {
                    let id = pair.bucket().expect("a bucket").stored_as(OWNER);
                    let record = self.store.get(&id).and_then(|held| held.get(&pair.seq));
                    (pair.seq, record.cloned().map(Waiting::from_stored))
                });
                let read = read.collect();
                self.schedule.fetched(round, read)
            }
            Some(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        self.jobs.extend(jobs);
        self.judge(due)?;
        self.run()
    }

    /// What is due leaves in order, never too early.
    fn judge(&mut self, due: Due) -> Result<(), TestCaseError> {
        let Due { moved, in_place } = due;
        for entry in in_place {
            let due = u64::from_be_bytes(entry.message.body().try_into().expect("eight octets"));
            let at =
                self.model.iter().find(|((at, _), place)| *at == due && **place == Where::InPlace);
            let at = at.map(|(at, _)| *at);
            prop_assert!(due <= self.now && at.is_some());
            self.model.remove(&at.expect("it waits"));
        }
        if let Some(wait) = self.no_room.take().filter(|_| !moved.is_empty()) {
            self.schedule.put_back(self.now, moved, self.now + wait);
            return Ok(());
        }
        let ops = settlement(OWNER, &moved);
        for Moved { pair, message } in moved {
            let at = (pair.due(), pair.seq);
            prop_assert!(pair.due() <= self.now, "{pair:?} at {}", self.now);
            let mut in_store = self.model.iter().filter(|(_, place)| **place != Where::InPlace);
            prop_assert_eq!(in_store.next().map(|(at, _)| *at), Some(at));
            prop_assert_eq!(message.body(), &pair.due().to_be_bytes()[..]);
            self.model.remove(&at);
        }
        self.tell(ops)?;
        let mut ops = Vec::new();
        self.schedule.sweep(self.now, &mut ops);
        self.tell(ops)
    }

    fn tell(&mut self, ops: Vec<Op>) -> Result<(), TestCaseError> {
        for op in ops {
            match op {
                Op::Publish { queue, seq, payload, .. } => {
                    let next = self.nexts.entry(queue).or_default();
                    prop_assert!(seq.0 >= *next);
                    *next = seq.0 + 1;
                    self.store.entry(queue).or_default().insert(seq.0, payload);
                }
                Op::Settle { queue, ranges, weight } => {
                    let mut settled = 0;
                    for SeqRange { first, last } in ranges {
                        for seq in first.0..=last.0 {
                            let held = self.store.get_mut(&queue);
                            prop_assert!(held.and_then(|held| held.remove(&seq)).is_some());
                            settled += 8;
                        }
                    }
                    prop_assert_eq!(weight, settled);
                }
                Op::DropQueue { queue } => {
                    self.nexts.remove(&queue);
                    self.store.remove(&queue);
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    /// Lets all time pass that anything waits for: everything comes.
    fn end(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20_000 {
            if self.model.is_empty() {
                break;
            }
            if !self.jobs.is_empty() {
                self.answer()?;
                continue;
            }
            let next = self.schedule.next_due();
            prop_assert!(next.is_some(), "nothing is due, but {:?} wait", self.model);
            self.now = self.now.max(next.unwrap_or_default());
            self.run()?;
        }
        prop_assert!(self.model.is_empty(), "{:?} never came", self.model);
        prop_assert_eq!(self.schedule.count(), 0);
        prop_assert!(self.store.values().all(BTreeMap::is_empty), "{:?}", self.store);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn all_come_in_due_order_whatever_happens(
        listed_max in prop_oneof![Just(4usize), Just(16), Just(LISTED_MAX)],
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut trial = Trial::new(listed_max);
        for step in &steps {
            trial.step(step)?;
        }
        trial.end()?;
    }
}

#[test]
fn empty_buckets_go_when_their_time_is_over() {
    let mut trial = Trial::new(LISTED_MAX);
    for wait in [10, 70_000, 8_000_000] {
        trial.add(wait, true).expect("added");
    }
    assert_eq!(trial.store.len(), 3);
    trial.end().expect("all come");
    trial.now += 2 * 3_600_000;
    let mut ops = Vec::new();
    trial.schedule.sweep(trial.now, &mut ops);
    trial.tell(ops).expect("dropped");
    assert!(trial.store.is_empty() && trial.schedule.buckets.is_empty());
}
