//! Verdicts on deliveries: ack, nack, reject, recover.

use amq_protocol::protocol::{AMQPClass, basic};
use lepus_protocol::method::{Settle, Verdict};
use lepus_protocol::reply::ReplyCode;

use super::Session;
use super::channel::Held;
use crate::aside::aside;
use crate::error::Refusal;
use crate::limits::{LONG_WORK, SETTLED_PER_WORK};
use crate::out::Out;

impl Session {
    /// basic.ack, basic.nack or basic.reject.
    pub(super) fn settle(&mut self, number: u16, settle: &Settle) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        let timed = channel.end_of_timed(settle);
        let unknown = || Refusal::precondition(format_args!("unknown delivery tag {}", settle.tag));
        if !settle.multiple {
            match (channel.unacked.remove(settle.tag), &mut channel.tx) {
                (Some(held), Some(tx)) => tx.settle(settle.tag, held, settle.verdict),
                (Some(held), None) => self.settle_one(number, held, settle.verdict),
                (None, _) if channel.late.remove(&settle.tag) => {}
                (None, _) => return Err(unknown()),
            }
        } else {
            // Tag 0 means all, and is fine with nothing to settle (0-9-1 §1.8.3.13).
            let is_late = channel.late.contains(&settle.tag);
            if settle.tag != 0 && !is_late && !channel.unacked.contains(settle.tag) {
                return Err(unknown());
            }
            let up_to = if settle.tag == 0 { u64::MAX } else { settle.tag };
            channel.late.retain(|late| *late > up_to);
            let taken = channel.unacked.remove_range(0..=up_to);
            match &mut channel.tx {
                Some(tx) => {
                    taken.into_iter().for_each(|(tag, held)| tx.settle(tag, held, settle.verdict))
                }
                None => self.settle_all(number, taken, settle.verdict),
            }
        }
        if let Some(since) = timed {
            self.peer.node.stats().traffic.worked.note(self.now.saturating_sub(since));
        }
        if self.gather.is_full() {
            self.serve_queues();
        }
        self.pull(number);
        Ok(())
    }

    /// Hands verdicts to the queues.
    pub(super) fn settle_all(&mut self, number: u16, held: Vec<(u64, Held)>, verdict: Verdict) {
        let many = held.len();
        self.effort.add(many / SETTLED_PER_WORK);
        aside(many, || {
            for (_, held) in held {
                self.settle_one(number, held, verdict);
            }
            if many >= LONG_WORK {
                self.serve_queues();
            }
        });
    }

    /// Hands one verdict to its queue, with the next ones.
    pub(super) fn settle_one(&mut self, number: u16, held: Held, verdict: Verdict) {
        if verdict == Verdict::Ack {
            self.count_ack(number);
        }
        if let Some(queue) = self.queues.get(held.queue) {
            self.uncounted.quorum.ack += u64::from(verdict == Verdict::Ack && queue.is_quorum());
            self.gather.settle(queue, verdict, &held);
        }
        let limit = self.channel_mut(number).and_then(|channel| channel.global.as_mut());
        if let Some(limit) = limit
            && held.consumer != 0
        {
            limit.used = limit.used.saturating_sub(1);
        }
    }

    /// basic.recover: all that the channel holds returns to its queues.
    pub(super) fn recover(
        &mut self,
        number: u16,
        requeue: bool,
        reply: Option<&mut Out>,
    ) -> Result<(), Refusal> {
        if !requeue {
            return Err(Refusal::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        self.return_all(number, Verdict::Requeue);
        self.serve_queues();
        if let Some(out) = reply {
            let ok = basic::AMQPMethod::RecoverOk(basic::RecoverOk {});
            out.method(number, &AMQPClass::Basic(ok));
        }
        self.pull(number);
        Ok(())
    }

    /// Returns all that a channel holds to its queues, what a transaction would have settled too.
    pub(super) fn return_all(&mut self, number: u16, verdict: Verdict) {
        let Some(channel) = self.channel_mut(number) else { return };
        let mut held = channel.unacked.drain();
        if let Some(tx) = &mut channel.tx {
            held.extend(tx.take_settled());
        }
        self.settle_all(number, held, verdict);
    }
}
