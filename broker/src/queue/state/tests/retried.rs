//! Messages that come back at a new position and yet stand before the others.

use lepus_storage::{Batch, MemoryStore, MessageStore, QueueId, ReadMax, StoreConfig, Stored};

use super::super::schedule::Note;
use super::*;
use crate::message::Waiting;

const ID: QueueId = QueueId(7);

/// A message with a number of its own that has come back before.
fn come_back(id: u32) -> Message {
    let message = Builder::whole(0, b"\0\0", &[0, 0], &id.to_be_bytes(), true);
    Waiting::new(&message, 0, (0, 1), None).message().expect("a message")
}

fn persistent(id: u32) -> Message {
    Builder::whole(0, b"\0\0", &[0, 0], &id.to_be_bytes(), true)
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
        let config = Config { durable: Some(ID), ..CONFIG };
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
            let next = self.store.read(ID, lepus_storage::Seq(from), max, &mut found);
            let entry = |Stored { seq, payload, returns }| {
                let message = Message::from_stored(payload).expect("a message");
                Entry { seq: seq.0, message, redelivered: returns > 0, returns, stored: true }
            };
            let found = found.into_iter().map(entry).collect();
            self.apply(Command::Loaded { from, next: next.expect("the next one").0, found });
        }
        outcome
    }

    fn get(&mut self) -> Option<u32> {
        for _ in 0..10 {
            if let Outcome::Got(entry, _) =
                self.apply(Command::Get { no_ack: false, connection: 0 })
            {
                return entry.map(|entry| id_of(&entry.message));
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
