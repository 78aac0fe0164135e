//! Positions of messages, and where the store has them.
//!
//! A position's highest octet is its level: the message's priority, 0 in a plain queue. Each level is
//! a queue of its own in the store; its name there has the level at the same place, above the number
//! that the queue was declared under. What is between the two is for other things of a queue.

use lepus_storage::{QueueId, Seq as At};

use super::Seq;

/// Where the level begins.
const LEVEL: u32 = 56;
/// Numbers that queues are declared under are lower.
const NUMBERS: u64 = 1 << 48;

/// The level of a position.
pub fn level_of(seq: Seq) -> u8 {
    (seq >> LEVEL) as u8
}

/// The first position of a level.
pub fn first_of(level: u8) -> Seq {
    u64::from(level) << LEVEL
}

/// What the store calls a level of a queue.
pub fn level_in_store(queue: QueueId, level: u8) -> QueueId {
    QueueId(queue.0 | first_of(level))
}

/// Where a level's queue in the store has a position.
pub fn at_in_store(seq: Seq) -> At {
    At(seq - first_of(level_of(seq)))
}

/// Where the store has a position of a queue.
pub fn in_store(queue: QueueId, seq: Seq) -> (QueueId, At) {
    (level_in_store(queue, level_of(seq)), at_in_store(seq))
}

/// The position that the store has at a place.
pub fn from_store(queue: QueueId, at: At) -> Seq {
    first_of(level_of(queue.0)) | at.0
}

/// The bit of a name in the store that tells a queue's keys from its messages.
const KEYS: u64 = 1 << 49;

/// What the store calls the keys of a queue's messages: see `state::unique`.
pub fn keys_in_store(queue: QueueId) -> QueueId {
    QueueId(queue.0 | KEYS)
}

/// Whether something of the store is keys. With the bit below it is something else.
pub fn is_keys(id: QueueId) -> bool {
    id.0 & (KEYS | NUMBERS) == KEYS
}

/// What the store calls the lowest level of the queue that something of the store belongs to.
pub fn lowest_level(queue: QueueId) -> QueueId {
    QueueId(queue.0 % NUMBERS)
}
