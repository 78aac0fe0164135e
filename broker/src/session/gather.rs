//! Work for queues, gathered over one read from the socket so that each queue is locked once.

use std::sync::Arc;

use lepus_protocol::method::Verdict;

use super::channel::Held;
use crate::limits::{GATHER_BYTES, GATHER_MESSAGES, SETTLED_AT_ONCE};
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::places::Places;
use crate::queue::state::{Command, Outcome, SeqRange};
use crate::queue::{Queue, Receipt, Transaction};

/// With messages or verdicts for more queues than this, all are served first.
const QUEUES: usize = 32;

/// So few messages, of a publisher that sends nothing more for now, may be written by its own thread:
/// that confirms them sooner. With more, the disk and the next messages are to be served side by side.
const FEW: usize = 4;

/// Messages and verdicts that their queues have not been given yet, in order.
#[derive(Default)]
pub struct Gather {
    publishes: Vec<Publishes>,
    verdicts: Vec<Verdicts>,
    places: Places<usize>,
    verdict_places: Places<(usize, Verdict)>,
    messages: usize,
    bytes: usize,
    /// Messages that a full queue has refused.
    rejected: Vec<Origin>,
    /// Follows the messages of publishers that await confirms, as far as they are stored.
    receipt: Option<Arc<Receipt>>,
}

/// A published message: its channel, and its number for confirms.
pub type Origin = (u16, u64);

/// Verdicts on messages of one queue.
type Verdicts = (Arc<Queue>, Verdict, Vec<SeqRange>);

/// What tells queues apart.
#[inline]
fn identity(queue: &Arc<Queue>) -> usize {
    Arc::as_ptr(queue).addr()
}

/// Messages for one queue.
struct Publishes {
    queue: Arc<Queue>,
    messages: Vec<Message>,
    /// Whose they are, if the queue may refuse them: channel and confirm tag of each.
    origins: Vec<Origin>,
    /// Somebody awaits that they are stored.
    awaited: bool,
}

impl Gather {
    /// Adds a message for a queue. `awaited`: its publisher wants to know that it is stored.
    #[inline]
    pub fn publish(&mut self, queue: &Arc<Queue>, message: Message, awaited: bool, origin: Origin) {
        let origin = queue.refuses().then_some(origin);
        self.messages += 1;
        self.bytes += message.size();
        let awaited = awaited && message.persistent() && queue.stored_as().is_some();
        let key_of = |known: &Publishes| identity(&known.queue);
        let place = self.places.find(&self.publishes, identity(queue), key_of);
        match place.and_then(|at| self.publishes.get_mut(at)) {
            Some(known) => {
                known.messages.push(message);
                known.origins.extend(origin);
                known.awaited |= awaited;
            }
            None => {
                let (queue, messages) = (queue.clone(), vec![message]);
                let origins = origin.into_iter().collect();
                self.publishes.push(Publishes { queue, messages, origins, awaited });
            }
        }
    }

    /// Whether verdicts wait.
    pub fn has_verdicts(&self) -> bool {
        !self.verdicts.is_empty()
    }

    /// Adds a verdict on one message of a queue.
    pub fn settle(&mut self, queue: &Arc<Queue>, verdict: Verdict, held: &Held) {
        let Held { seq, returns, .. } = *held;
        let key_of = |(of, known, _): &Verdicts| (identity(of), *known);
        let place = self.verdict_places.find(&self.verdicts, (identity(queue), verdict), key_of);
        let Some((_, _, ranges)) = place.and_then(|at| self.verdicts.get_mut(at)) else {
            let ranges = vec![SeqRange { first: seq, last: seq, returns }];
            return self.verdicts.push((queue.clone(), verdict, ranges));
        };
        match ranges.last_mut() {
            Some(range) if range.last + 1 == seq && range.returns == returns => range.last = seq,
            _ => ranges.push(SeqRange { first: seq, last: seq, returns }),
        }
    }

    /// Whether it is time to serve the queues before more is gathered.
    pub fn is_full(&self) -> bool {
        self.messages >= GATHER_MESSAGES
            || self.bytes >= GATHER_BYTES
            || self.publishes.len() > QUEUES
            || self.verdicts.len() > QUEUES
    }

    /// Gives the queues what was gathered; returns the largest backlog met, octets.
    pub fn serve(&mut self, mailbox: &Arc<Mailbox>) -> usize {
        let mut backlog = 0;
        let few = self.messages <= FEW && self.receipt.is_none();
        let followed = few && self.publishes.iter().all(|known| known.queue.is_unconsumed());
        for Publishes { queue, messages, origins, awaited } in self.publishes.drain(..) {
            let receipt = awaited.then(|| {
                let receipt = self.receipt.get_or_insert_with(|| Receipt::new(mailbox));
                receipt.set_followed(followed);
                receipt.await_one();
                &*receipt
            });
            // A queue whose rules have changed since takes those that nobody could be told of.
            let publish = match origins.len() == messages.len() || !queue.refuses() {
                true => Command::Publish(messages),
                false => Command::PublishDead(messages),
            };
            let outcome = queue.apply_for(publish, receipt, None);
            if let Outcome::Rejected(which) = outcome {
                let origins = which.iter().filter_map(|at| origins.get(*at));
                self.rejected.extend(origins);
            }
            backlog = backlog.max(queue.backlog_of_consumers());
        }
        for (queue, verdict, ranges) in self.verdicts.drain(..) {
            for piece in pieces(ranges, SETTLED_AT_ONCE) {
                queue.apply(Command::Settle(piece, verdict));
            }
        }
        self.begin_anew();
        backlog
    }

    /// All queues were served.
    fn begin_anew(&mut self) {
        (self.messages, self.bytes) = (0, 0);
        (self.places, self.verdict_places) = (Places::default(), Places::default());
    }

    /// Gives the queues what was gathered as one transaction. Says too whether all of them took it.
    pub fn commit(&mut self, id: u64, mailbox: &Arc<Mailbox>) -> (Arc<Receipt>, bool) {
        let parts = self.publishes.len() + self.verdicts.len();
        let apart = |of: &Publishes| of.queue.stored_apart(&of.messages);
        let tx = Transaction::new(id, parts, self.publishes.iter().map(apart).sum());
        let receipt = Receipt::new(mailbox);
        let hand_over = |queue: Arc<Queue>, command| {
            receipt.await_one();
            // A transaction of one queue is one batch anyway.
            let part = (parts > 1).then_some(&tx);
            queue.apply_for(command, Some(&receipt), part)
        };
        let mut whole = true;
        for Publishes { queue, messages, .. } in self.publishes.drain(..) {
            let outcome = hand_over(queue, Command::Publish(messages));
            whole &= !matches!(outcome, Outcome::Rejected(_));
        }
        for (queue, verdict, ranges) in self.verdicts.drain(..) {
            if receipt.is_refused() {
                // What is not settled with the messages stays, and what becomes of it is no part of this.
                hand_over(queue.clone(), Command::Settle(Vec::new(), verdict));
                queue.apply(Command::Settle(ranges, Verdict::Requeue));
                continue;
            }
            hand_over(queue, Command::Settle(ranges, verdict));
        }
        receipt.complete();
        self.begin_anew();
        (receipt, whole)
    }

    /// Messages that a full queue has refused since the last call.
    pub fn take_rejected(&mut self) -> Vec<Origin> {
        std::mem::take(&mut self.rejected)
    }

    /// Ends the receipt for all that was served since the last call.
    pub fn take_receipt(&mut self) -> Option<Arc<Receipt>> {
        let receipt = self.receipt.take()?;
        receipt.complete();
        Some(receipt)
    }
}

/// The same positions in lists of at most so many.
fn pieces(ranges: Vec<SeqRange>, most: u64) -> Vec<Vec<SeqRange>> {
    let (mut pieces, mut piece, mut room) = (Vec::new(), Vec::new(), most);
    for mut range in ranges {
        while range.last - range.first >= room {
            let last = range.first + room - 1;
            piece.push(SeqRange { last, ..range });
            pieces.push(std::mem::take(&mut piece));
            (range.first, room) = (last + 1, most);
        }
        room -= range.last - range.first + 1;
        piece.push(range);
        if room == 0 {
            pieces.push(std::mem::take(&mut piece));
            room = most;
        }
    }
    pieces.extend((!piece.is_empty()).then_some(piece));
    pieces
}

#[cfg(test)]
mod tests;
