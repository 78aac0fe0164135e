//! Transactions (0-9-1 §1.9): publishes and verdicts held back until tx.commit.

use std::sync::Arc;

use lepus_protocol::method::Verdict;

use super::Session;
use super::channel::Held;
use super::publish::write_return;
use crate::error::Refusal;
use crate::message::Message;
use crate::out::Out;
use crate::queue::Queue;

/// What a transaction will do.
#[derive(Default)]
pub struct Tx {
    publishes: Vec<(Message, Vec<Arc<Queue>>)>,
    returns: Vec<Message>,
    verdicts: Vec<(u64, Held, Verdict)>,
}

impl Tx {
    /// Holds a message back.
    pub fn publish(&mut self, message: Message, queues: &[Arc<Queue>]) {
        self.publishes.push((message, queues.to_vec()));
    }

    /// Holds an unroutable message back.
    pub fn return_message(&mut self, message: Message) {
        self.returns.push(message);
    }

    /// Holds a verdict back.
    pub fn settle(&mut self, tag: u64, held: Held, verdict: Verdict) {
        self.verdicts.push((tag, held, verdict));
    }

    /// The deliveries whose verdicts are held back.
    pub fn settled(&self) -> impl Iterator<Item = &Held> {
        self.verdicts.iter().map(|(_, held, _)| held)
    }

    /// Takes the deliveries whose verdicts were held back.
    pub fn take_settled(&mut self) -> Vec<(u64, Held)> {
        self.verdicts.drain(..).map(|(tag, held, _)| (tag, held)).collect()
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

    /// tx.commit: all at once, as no step of it can fail; returns come before commit-ok.
    pub(super) fn commit(&mut self, number: u16, out: &mut Out) -> Result<(), Refusal> {
        let Tx { publishes, returns, verdicts } = self.end_tx(number)?;
        for (message, queues) in publishes {
            for queue in &queues {
                self.gather.publish(queue, message.clone());
            }
        }
        for (_, held, verdict) in verdicts {
            self.settle_one(number, held, verdict);
        }
        self.serve_queues();
        for message in returns {
            write_return(out, number, &message, self.peer.tuning.frame_max);
        }
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
