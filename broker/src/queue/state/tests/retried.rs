//! Messages that come back at a new position and yet stand before the others.

use super::super::schedule::Note;
use super::*;
use crate::message::Waiting;

/// A message with a number of its own that has come back before.
fn come_back(id: u32) -> Message {
    let message = Builder::whole(0, b"\0\0", &[0, 0], &id.to_be_bytes(), true);
    Waiting::new(&message, 0, (0, 1), None).message().expect("a message")
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
