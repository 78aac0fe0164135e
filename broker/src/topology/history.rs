//! What was published to a recent history exchange lately.

use std::collections::VecDeque;

use amq_protocol::types::FieldTable;
use parking_lot::Mutex;

use crate::message::Message;
use crate::routing::{ExchangeKind, history_length};

/// The last messages, in memory only. They come while the topology is only looked at, hence the lock.
pub struct History {
    length: usize,
    messages: Mutex<VecDeque<Message>>,
}

impl History {
    /// The empty history of a new exchange, if it is of the kind that has one.
    pub(super) fn of(kind: ExchangeKind, arguments: &FieldTable) -> Option<Self> {
        let length = history_length(arguments).ok()?;
        let messages = Mutex::default();
        (kind == ExchangeKind::RecentHistory).then_some(Self { length, messages })
    }

    /// Keeps one more message, and forgets the oldest if that is too many.
    pub(super) fn keep(&self, message: &Message) {
        let mut messages = self.messages.lock();
        if messages.len() >= self.length {
            messages.pop_front();
        }
        messages.push_back(message.clone());
    }

    /// All that is kept, oldest first.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.messages.lock().iter().cloned().collect()
    }
}
