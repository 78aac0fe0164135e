//! Messages that come back at a new position and yet stand before the others.

use std::collections::BTreeMap;

use lepus_storage::{Batch, MemoryStore, MessageStore, QueueId, ReadMax, StoreConfig, Stored};
use proptest::prelude::*;

use super::super::place::{from_store, in_store, level_in_store};
use super::super::schedule::Note;
use super::*;
use crate::message::Waiting;

const ID: QueueId = QueueId(7);

/// A message with a number of its own that has come back before.
fn come_back(id: u32) -> Message {
    again(&persistent(id), 1)
}

/// The message when it has come back so often.
fn again(message: &Message, returns: u32) -> Message {
    Waiting::new(message, 0, (0, returns), None).message().expect("a message")
}

fn persistent(id: u32) -> Message {
    prioritized(id, 0, true)
}

fn prioritized(id: u32, priority: u8, persistent: bool) -> Message {
    Builder::whole(0, b"\0\0", &of_priority(priority), &id.to_be_bytes(), persistent)
}

#[test]
fn a_queue_that_the_store_knows_nothing_of_takes_them_back() {
    let mut bench = Bench::new();
    bench.publish(0..3);
    bench.apply(Command::Schedule(Note::Arrive(vec![come_back(9)])));
    let ids: Vec<u32> = bench.drain().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, [9, 0, 1, 2]);
    assert_eq!(bench.publish(3..4), []);
    assert_eq!(bench.drain().len(), 1);
}

struct Durable {
    state: State,
    store: MemoryStore,
}

impl Durable {
    fn new() -> Self {
        Self::with(Priorities::default(), usize::MAX)
    }

    fn with(priorities: Priorities, hot_max: usize) -> Self {
        let config = Config { durable: Some(ID), priorities, hot_max, ..CONFIG };
        let state = State::new(config, Arc::default(), &[], 0);
        Self { state, store: MemoryStore::new(&StoreConfig::new("")) }
    }

    /// Carries out a command, and reads what is wanted for it.
    fn apply(&mut self, command: Command) -> Outcome {
        let mut effects = Effects::default();
        let outcome = self.state.apply(0, command, &mut effects);
        self.store.append(Batch::from(effects.store)).expect("a store that takes it");
        for notice in effects.notices {
            let Notice::Load(from, bytes) = notice else { continue };
            let (max, mut found) = (ReadMax { messages: 100, bytes }, Vec::new());
            let (level, at) = in_store(ID, from);
            let next = self.store.read(level, at, max, &mut found).expect("the next one");
            let entry = |Stored { seq, payload, returns }| {
                let message = Message::from_stored(payload).expect("a message");
                let (seq, returns) = (from_store(level, seq), returns + message.returns_before());
                Entry { seq, message, redelivered: returns > 0, returns, stored: true }
            };
            let found = found.into_iter().map(entry).collect();
            self.apply(Command::Loaded { from, next: from_store(level, next), found });
        }
        outcome
    }

    fn get(&mut self) -> Option<u32> {
        self.get_entry().map(|entry| id_of(&entry.message))
    }

    fn get_entry(&mut self) -> Option<Entry> {
        for _ in 0..1000 {
            if let Outcome::Got(entry, _) =
                self.apply(Command::Get { no_ack: false, connection: 0 })
            {
                return entry;
            }
        }
        panic!("it waits for ever")
    }
}

#[test]
fn they_are_not_read_once_more_with_those_that_stood_behind_them() {
    for handed_out in [false, true] {
        let mut queue = Durable::new();
        queue.apply(Command::Publish((0..5).map(persistent).collect()));
        queue.apply(Command::Schedule(Note::Arrive(vec![come_back(9)])));
        queue.apply(Command::Publish(vec![persistent(5)]));
        let mut got = Vec::from_iter(handed_out.then(|| queue.get()).flatten());
        queue.apply(Command::Trim(0));
        got.extend(std::iter::from_fn(|| queue.get()));
        assert_eq!(got, [9, 0, 1, 2, 3, 4, 5]);
        assert_eq!(queue.state.counts().unacked, 7);
    }
}

#[test]
fn a_purge_leaves_them_to_who_holds_them() {
    let mut queue = Durable::new();
    queue.apply(Command::Publish((0..5).map(persistent).collect()));
    queue.apply(Command::Schedule(Note::Arrive(vec![come_back(9)])));
    assert_eq!(queue.get(), Some(9));
    queue.apply(Command::Trim(0));
    assert_eq!(queue.apply(Command::Purge), Outcome::Dropped(5));
    assert_eq!(queue.store.stats(ID).messages, 1);
}

#[test]
fn behind_a_long_backlog_they_keep_their_count() {
    for stored in [true, false] {
        let mut queue = Durable::with(Priorities::default(), 1);
        queue.apply(Command::Publish((0..5).map(persistent).collect()));
        let back = again(&prioritized(9, 0, stored), 3);
        queue.apply(Command::Schedule(Note::Arrive(vec![back])));
        let last = std::iter::from_fn(|| queue.get_entry()).last().expect("a message");
        assert_eq!((id_of(&last.message), last.returns, last.redelivered), (9, 3, true));
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// As many, of a priority, persistent or not.
    Publish(u32, u8, bool),
    Get,
    Ack(usize),
    /// The held message of this number waits and comes at once.
    Retry(usize),
    Requeue(usize),
    Trim(usize),
    Purge,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u32..8, 0u8..3, any::<bool>()).prop_map(|(n, p, stored)| Step::Publish(n, p, stored)),
        6 => Just(Step::Get),
        2 => any::<usize>().prop_map(Step::Ack),
        4 => any::<usize>().prop_map(Step::Retry),
        2 => any::<usize>().prop_map(Step::Requeue),
        2 => (0usize..2000).prop_map(Step::Trim),
        1 => Just(Step::Purge),
    ]
}

proptest! {
    #[test]
    fn each_message_is_in_one_place_whatever_happens(
        max in 0u8..3,
        hot_max in 200usize..4000,
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let mut queue = Durable::with(Priorities { max, ..Priorities::default() }, hot_max);
        let mut last = 0;
        let mut ready: BTreeMap<u32, u32> = BTreeMap::new();
        let mut held: Vec<Entry> = Vec::new();
        for step in steps {
            let pick = |at: usize, held: &mut Vec<Entry>| match held.len() {
                0 => None,
                len => Some(held.remove(at % len)),
            };
            match step {
                Step::Publish(count, priority, stored) => {
                    ready.extend((last..last + count).map(|id| (id, 0)));
                    let messages = (last..last + count).map(|id| prioritized(id, priority, stored));
                    queue.apply(Command::Publish(messages.collect()));
                    last += count;
                }
                Step::Get => {
                    let got = queue.get_entry();
                    prop_assert_eq!(got.is_none(), ready.is_empty());
                    let Some(entry) = got else { continue };
                    prop_assert_eq!(ready.remove(&id_of(&entry.message)), Some(entry.returns));
                    held.push(entry);
                }
                Step::Ack(at) => {
                    let Some(entry) = pick(at, &mut held) else { continue };
                    queue.apply(Command::Settle(range(entry.seq, entry.seq), Verdict::Ack));
                }
                Step::Retry(at) => {
                    let Some(entry) = pick(at, &mut held) else { continue };
                    queue.apply(Command::Settle(range(entry.seq, entry.seq), Verdict::Ack));
                    let back = again(&entry.message, entry.returns + 1);
                    ready.insert(id_of(&back), entry.returns + 1);
                    queue.apply(Command::Schedule(Note::Arrive(vec![back])));
                }
                Step::Requeue(at) => {
                    let Some(entry) = pick(at, &mut held) else { continue };
                    ready.insert(id_of(&entry.message), entry.returns + 1);
                    queue.apply(Command::Settle(range(entry.seq, entry.seq), Verdict::Requeue));
                }
                Step::Trim(hot_max) => drop(queue.apply(Command::Trim(hot_max))),
                Step::Purge => {
                    prop_assert_eq!(queue.apply(Command::Purge), Outcome::Dropped(ready.len()));
                    ready.clear();
                }
            }
            let counts = queue.state.counts();
            prop_assert_eq!((counts.ready, counts.unacked), (ready.len(), held.len()));
        }
        while let Some(entry) = queue.get_entry() {
            prop_assert_eq!(ready.remove(&id_of(&entry.message)), Some(entry.returns));
            held.push(entry);
        }
        prop_assert_eq!(ready, BTreeMap::new());
        let levels = (0..=max).map(|level| level_in_store(ID, level));
        let stored: u64 = levels.map(|level| queue.store.stats(level).messages).sum();
        prop_assert_eq!(stored, held.iter().filter(|entry| entry.stored).count() as u64);
    }
}
