//! Messages that leave a queue for others in one step of the store, so that a crash neither loses nor
//! doubles them.

use std::sync::Arc;

use lepus_storage::Op;

use super::writes::Write;
use super::{Queue, Transaction};
use crate::message::Message;
use crate::places::Places;

/// How long messages that should leave wait while the store takes none, ms.
pub(super) const RETRY_MS: u64 = 500;

/// Octets that the store takes for a message besides its own, at most.
const RECORD: usize = 64;

/// Which queue gets which messages, each queue's in order.
#[derive(Default)]
pub(super) struct Targets(Vec<Target>, Places<usize>);

type Target = (Arc<Queue>, Vec<Message>);

impl Targets {
    /// All messages for one queue.
    pub fn one(queue: Arc<Queue>, messages: Vec<Message>) -> Self {
        Self(vec![(queue, messages)], Places::default())
    }

    /// One more message, for some queues.
    pub fn add(&mut self, queues: &[Arc<Queue>], mut message: Message) {
        let Some((last, others)) = queues.split_last() else { return };
        if !others.is_empty() {
            message.set_shared();
        }
        for queue in others {
            self.add_one(queue, message.clone());
        }
        self.add_one(last, message);
    }

    /// Whether the store is to have any of them.
    pub fn need_storing(&self) -> bool {
        self.0.iter().any(|(queue, messages)| {
            queue.stored_as().is_some() && messages.iter().any(Message::persistent)
        })
    }

    fn add_one(&mut self, queue: &Arc<Queue>, message: Message) {
        let identity = |queue: &Arc<Queue>| Arc::as_ptr(queue).addr();
        let place = self.1.find(&self.0, identity(queue), |(known, _): &Target| identity(known));
        match place.and_then(|at| self.0.get_mut(at)) {
            Some((_, messages)) => messages.push(message),
            None => self.0.push((queue.clone(), vec![message])),
        }
    }
}

impl IntoIterator for Targets {
    type Item = Target;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The store takes no messages now.
pub(super) struct NoRoom;

impl Queue {
    /// What a transaction has to announce of messages that leave for this queue.
    pub(super) fn octets_to_come(&self, messages: &[Message]) -> u64 {
        if self.node.stores() {
            return self.stored_apart(messages);
        }
        let stored = self.stored_as().is_some();
        let stored = messages.iter().filter(|message| stored && message.persistent());
        stored.map(|message| (message.size() + RECORD) as u64).sum()
    }

    /// Tells the store that messages leave this queue for those targets (`ops`: nothing if it does not
    /// have them). Returns the transaction that the targets' parts belong to, if there are several:
    /// when this is taken, all that continues it is.
    pub(super) fn leave_for(
        &self,
        targets: &Targets,
        ops: Vec<Op>,
    ) -> Result<Option<Arc<Transaction>>, NoRoom> {
        let parts = targets.0.len() + usize::from(!ops.is_empty());
        let octets = targets.0.iter().map(|(queue, messages)| queue.octets_to_come(messages)).sum();
        let tx = (parts > 1).then(|| Transaction::new(self.node.new_transaction(), parts, octets));
        self.leave(ops, tx.clone()).map(|()| tx)
    }

    /// Tells the store that messages leave where they are, if there is anything to tell.
    pub(super) fn leave(&self, ops: Vec<Op>, tx: Option<Arc<Transaction>>) -> Result<(), NoRoom> {
        if ops.is_empty() {
            return Ok(());
        }
        if !self.node.takes_moves() {
            return Err(NoRoom);
        }
        let written = Write::leaving(ops, tx).carry_out(self.store(), self.node.durability());
        written.map_err(|_| NoRoom)
    }
}
