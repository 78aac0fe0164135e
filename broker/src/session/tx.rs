//! Transactions (0-9-1 §1.9): publishes and verdicts held back until tx.commit.

use std::sync::Arc;

use lepus_protocol::method::Verdict;
use lepus_protocol::reply::ReplyCode;

use super::Session;
use super::channel::Held;
use super::count::Published;
use super::hold::Hold;
use super::publish::write_return;
use crate::aside::aside;
use crate::error::Refusal;
use crate::message::Message;
use crate::out::Out;
use crate::queue::Queue;

/// What a transaction will do.
#[derive(Default)]
pub struct Tx {
    publishes: Vec<(Message, Arc<[Arc<Queue>]>)>,
    /// How many messages that makes in queues.
    copies: usize,
    returns: Vec<Message>,
    verdicts: Vec<(u64, Held, Verdict)>,
    /// Its messages by their exchanges, for the statistics.
    pub published: Vec<Published>,
    /// A message could not have been stored: nothing of the transaction is.
    refused: bool,
}

impl Tx {
    /// Holds a message back.
    pub fn publish(&mut self, message: Message, queues: &[Arc<Queue>]) {
        self.copies += queues.len();
        let is_same = |last: &Arc<[Arc<Queue>]>| {
            let mut pairs = last.iter().zip(queues);
            last.len() == queues.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
        };
        // A list is as long as there are queues: messages that go the same way share it.
        let last = self.publishes.last().map(|(_, last)| last).filter(|last| is_same(last));
        let queues = last.cloned().unwrap_or_else(|| queues.into());
        self.publishes.push((message, queues));
    }

    /// Notes that a message of it cannot be stored.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Holds an unroutable message back.
    pub fn return_message(&mut self, message: Message) {
        self.returns.push(message);
    }

    /// Holds a verdict back.
    pub fn settle(&mut self, tag: u64, held: Held, verdict: Verdict) {
        self.verdicts.push((tag, held, verdict));
    }

    /// How many messages are held back.
    pub fn published(&self) -> usize {
        self.publishes.len() + self.returns.len()
    }

    /// The deliveries whose verdicts are held back.
    pub fn settled(&self) -> impl Iterator<Item = &Held> {
        self.verdicts.iter().map(|(_, held, _)| held)
    }

    /// Takes the deliveries whose verdicts were held back.
    pub fn take_settled(&mut self) -> Vec<(u64, Held)> {
        unsettled(std::mem::take(&mut self.verdicts))
    }
}

impl Session {
    /// tx.select.
    pub(super) fn select_tx(&mut self, number: u16) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        if channel.confirm.is_some() {
            return Err(Refusal::precondition("cannot switch from confirm to tx mode"));
        }
        channel.tx.get_or_insert_default();
        Ok(())
    }

    /// tx.commit: all at once; returns come before commit-ok, which waits until all is durable. What full
    /// queues refuse is left out, and told instead.
    pub(super) fn commit(&mut self, number: u16, out: &mut Out) -> Result<(), Refusal> {
        self.serve_queues();
        let tx = self.end_tx(number)?;
        let work = tx.copies + tx.verdicts.len();
        self.effort.add(work);
        aside(work, || self.carry_out(number, tx, out))
    }

    fn carry_out(&mut self, number: u16, tx: Tx, out: &mut Out) -> Result<(), Refusal> {
        let Tx { publishes, returns, verdicts, published, refused, .. } = tx;
        if refused {
            self.settle_all(number, unsettled(verdicts), Verdict::Requeue);
            let text = "the transaction cannot be stored";
            return Err(Refusal::new(ReplyCode::InternalError, text));
        }
        self.count_committed(number, published);
        for (message, queues) in publishes {
            for queue in queues.iter() {
                self.gather.publish(queue, message.clone(), false, (0, 0));
            }
        }
        for (_, held, verdict) in verdicts {
            self.settle_one(number, held, verdict);
        }
        let id = self.peer.node.new_transaction();
        let (receipt, whole) = self.gather.commit(id, &self.peer.mailbox);
        let mut reply = Out::default();
        for message in returns {
            write_return(&mut reply, number, &message, self.peer.tuning.frame_max);
        }
        self.hold(Hold::Commit { receipt, channel: number, reply, whole }, out)?;
        self.pull(number);
        Ok(())
    }

    /// tx.rollback: publishes are dropped, deliveries are unsettled again.
    pub(super) fn rollback(&mut self, number: u16) -> Result<(), Refusal> {
        let mut tx = self.end_tx(number)?;
        if let Some(channel) = self.channel_mut(number) {
            for (tag, held) in tx.take_settled() {
                channel.unacked.insert(tag, held);
            }
        }
        Ok(())
    }

    fn end_tx(&mut self, number: u16) -> Result<Tx, Refusal> {
        let tx = self.channel_mut(number).and_then(|channel| channel.tx.as_mut());
        let tx = tx.ok_or_else(|| Refusal::precondition("channel is not transactional"))?;
        Ok(std::mem::take(tx))
    }
}

fn unsettled(verdicts: Vec<(u64, Held, Verdict)>) -> Vec<(u64, Held)> {
    verdicts.into_iter().map(|(tag, held, _)| (tag, held)).collect()
}
