//! Sums over messages, kept as they come and go.

use super::Unacked;
use crate::message::Message;

/// Sums over some messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub messages: usize,
    /// Octets of their bodies.
    pub bytes: u64,
}

impl Sums {
    /// One more.
    #[inline]
    pub fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.body_len() as u64;
    }

    /// One less.
    #[inline]
    pub fn take(&mut self, message: &Message) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.body_len() as u64);
    }
}

/// Something that has a message.
pub trait Carries {
    /// The message.
    fn message(&self) -> &Message;
}

impl Carries for Unacked {
    fn message(&self) -> &Message {
        &self.message
    }
}
