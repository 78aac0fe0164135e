//! Messages that wait for a consumer, in the order of their positions.

use std::collections::{BTreeMap, VecDeque};

use super::Seq;
use crate::message::Message;

/// A message taken from its queue, or one that returns to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position, for life.
    pub seq: Seq,
    /// The message.
    pub message: Message,
    /// Handed out before.
    pub redelivered: bool,
}

/// First those that came back, then those that nobody has seen: positions are handed out in
/// ascending order, so whatever came back stands before whatever did not yet leave.
#[derive(Debug, Default)]
pub struct Ready {
    returned: BTreeMap<Seq, (Message, bool)>,
    fresh: VecDeque<Message>,
    first_fresh: Seq,
    bytes: u64,
}

impl Ready {
    /// How many.
    pub fn len(&self) -> usize {
        self.returned.len() + self.fresh.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    /// Octets of their bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends new messages; the first gets the position after the last one ever given.
    pub fn push(&mut self, messages: Vec<Message>) {
        self.bytes += messages.iter().map(|message| message.body_len() as u64).sum::<u64>();
        if self.fresh.is_empty() && self.fresh.capacity() < messages.len() {
            self.fresh = messages.into();
        } else {
            self.fresh.extend(messages);
        }
    }

    /// Puts a message back to its own position.
    pub fn put_back(&mut self, entry: Entry) {
        self.bytes += entry.message.body_len() as u64;
        self.returned.insert(entry.seq, (entry.message, entry.redelivered));
    }

    /// Takes the message with the lowest position.
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = match self.returned.pop_first() {
            Some((seq, (message, redelivered))) => Entry { seq, message, redelivered },
            None => self.pop_fresh()?,
        };
        self.bytes -= entry.message.body_len() as u64;
        Some(entry)
    }

    fn pop_fresh(&mut self) -> Option<Entry> {
        let message = self.fresh.pop_front()?;
        let seq = self.first_fresh;
        self.first_fresh += 1;
        if self.fresh.is_empty() {
            self.give_back_room();
        }
        Some(Entry { seq, message, redelivered: false })
    }

    /// An empty queue holds little memory, whatever it held before.
    fn give_back_room(&mut self) {
        if self.fresh.capacity() > 16 * 1024 {
            self.fresh = VecDeque::new();
        }
    }

    /// Drops all; how many there were.
    pub fn clear(&mut self) -> usize {
        let len = self.len();
        self.first_fresh += self.fresh.len() as u64;
        self.fresh = VecDeque::new();
        self.returned.clear();
        self.bytes = 0;
        len
    }
}
