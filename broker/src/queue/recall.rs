//! Keys of messages that were there before a restart.

use std::sync::Arc;

use lepus_storage::{QueueId, ReadMax, Seq as At, StoreError, Stored};

use super::Queue;
use super::state::place::{from_store, is_keys, keys_in_store, lowest_level};
use super::state::schedule::Bucket;
use super::state::{Command, Home, Known, Unique};
use crate::dedup::{self, Key, Remembered};
use crate::limits::LOAD_MESSAGES;
use crate::message::{Message, Waiting};

/// Octets that are read at once.
const AT_ONCE: usize = 4 << 20;

impl Queue {
    /// Has the queue know which messages must not come again, if it is one that asks. `stored`: all
    /// that the store has. Reads all messages of a queue that knows those that are in it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn recall_keys(
        self: &Arc<Self>,
        stored: impl Iterator<Item = QueueId>,
    ) -> Result<(), StoreError> {
        let Some(rule) = self.inner.lock().state.unique() else { return Ok(()) };
        let own = self.stored_as();
        let stored = stored.filter(|id| Some(lowest_level(*id)) == own);
        let known = match rule {
            Unique::UntilAcked => {
                let mut found = Vec::new();
                for id in stored.filter(|id| !is_keys(*id)) {
                    self.each(id, |stored| found.extend(key_in(id, stored)))?;
                }
                Known::Here(found)
            }
            Unique::Window { .. } => {
                let mut found = Vec::new();
                for id in stored.filter(|id| is_keys(*id)) {
                    self.each(id, |stored| {
                        found.extend(Remembered::decode(stored.seq.0, &stored.payload));
                    })?;
                }
                // The store takes no position twice, of what is forgotten neither.
                let next = own.map_or(0, |own| self.store().stats(keys_in_store(own)).next.0);
                Known::Recent(found, next)
            }
        };
        self.apply(Command::Recall(known));
        Ok(())
    }

    /// All that the store has under a name; what cannot be read is passed over.
    fn each(&self, id: QueueId, mut give: impl FnMut(Stored)) -> Result<(), StoreError> {
        let (mut from, mut read) = (At(0), Vec::new());
        loop {
            let max = ReadMax { messages: LOAD_MESSAGES, bytes: AT_ONCE };
            match self.store().read(id, from, max, &mut read) {
                Ok(next) if next == from => return Ok(()),
                Ok(next) => {
                    from = next;
                    read.drain(..).for_each(&mut give);
                }
                Err(StoreError::Unreadable { seq, .. }) => from = At(seq.0 + 1),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The key of a message, and where that is.
fn key_in(id: QueueId, stored: Stored) -> Option<(Key, Home)> {
    let (message, seq) = match Bucket::parse(id) {
        Some(_) => (Waiting::from_stored(stored.payload).message()?, stored.seq.0),
        None => (Message::from_stored(stored.payload)?, from_store(id, stored.seq)),
    };
    let (key, _) = dedup::named(&message)?;
    Some((key, Home::new(&message, seq, true)))
}
