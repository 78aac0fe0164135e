//! A message with its place and its history.

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
    /// How often it has come back after it was handed out.
    pub returns: u32,
    /// The store has it: it would be here after a restart.
    pub stored: bool,
}

impl Entry {
    /// Has what was handed out in a former life, as all before a position was, say so; whether it came back
    /// by that: whoever held it when that life ended could not give it back.
    pub fn was_handed_out_before(&mut self, end: Seq) -> bool {
        let was_handed_out = self.seq < end;
        let comes_back = was_handed_out && self.returns == 0;
        self.redelivered |= was_handed_out;
        self.returns += u32::from(comes_back);
        comes_back
    }

    /// Octets that it holds in memory, bookkeeping included.
    pub fn footprint(&self) -> usize {
        footprint(&self.message)
    }
}

/// Octets that a message holds in memory, bookkeeping included.
pub fn footprint(message: &Message) -> usize {
    message.size() + std::mem::size_of::<Entry>()
}
