//! Messages on their way to and from where they wait for a time: each move is one step of the store,
//! so that a crash neither loses nor doubles them.

use std::sync::Arc;

use super::state::schedule::{Job, Moved, Note, Postponed, settlement};
use super::state::{Command, Spans};
use super::targets::{RETRY_MS, Targets};
use super::{Queue, Receipt, Transaction};
use crate::envelope;
use crate::routing::RouteInput;

impl Queue {
    /// Does what the schedule wants done.
    pub(super) fn do_scheduled(self: &Arc<Self>, job: Job) {
        match job {
            Job::Scan { round, bucket, from } => {
                self.node.loader().scan(self.clone(), round, bucket, from);
            }
            Job::Fetch { round, pairs } => self.node.loader().fetch(self.clone(), round, pairs),
            Job::Move(moved) => self.move_due(moved, None),
            Job::Run(moved, order) => self.run_ordered(moved, order),
            Job::Postpone(postponed) => self.postpone(postponed),
        }
    }

    /// Messages that are due go to this queue, or to those that the exchange leads to. A receipt follows that.
    pub(super) fn move_due(self: &Arc<Self>, moved: Vec<Moved>, receipt: Option<&Arc<Receipt>>) {
        let ops = self.stored_as().map(|owner| settlement(owner, &moved)).unwrap_or_default();
        let targets = self.targets_of_due(&moved);
        let Ok(tx) = self.leave_for(&targets, ops) else {
            let until = self.node.now_ms() + RETRY_MS;
            self.apply(Command::Schedule(Note::PutBack(moved, until)));
            return receipt.into_iter().for_each(|receipt| receipt.refuse());
        };
        drop(moved);
        for (queue, messages) in targets {
            let command = match Arc::ptr_eq(self, &queue) {
                true => Command::Schedule(Note::Arrive(messages)),
                false => Command::PublishDead(messages),
            };
            receipt.into_iter().for_each(|receipt| receipt.await_one());
            queue.apply_for(command, receipt, tx.as_ref());
        }
        self.forget_moves(tx);
    }

    /// Where messages that are due go.
    fn targets_of_due(self: &Arc<Self>, moved: &[Moved]) -> Targets {
        let all = moved.iter().map(|moved| moved.message.clone());
        if !self.record.holds_back {
            return Targets::one(self.clone(), all.collect());
        }
        let Some(vhost) = self.node.vhost(&self.vhost) else { return Targets::default() };
        let mut targets = Targets::default();
        for mut message in all {
            let headers = envelope::headers(&message);
            let route = envelope::addressed(&message, headers.as_ref(), |input| {
                let input = RouteInput { released: true, ..input };
                vhost.route_inside(self.name(), &input, &message)
            });
            // Without the exchange the message is dropped: it went with it.
            let Ok(route) = route else { continue };
            if let Some(headers) = headers.filter(|headers| headers.contains_key("BCC")) {
                message = envelope::without_bcc(&message, &headers);
            }
            targets.add(&route.queues, message);
        }
        targets
    }

    /// Messages that came back leave the queue to wait. While the store takes none they stay where
    /// it has them: only memory knows then that they wait.
    fn postpone(self: &Arc<Self>, mut postponed: Vec<Postponed>) {
        let (mut spans, mut ops) = (Spans::default(), Vec::new());
        postponed.iter().for_each(|postponed| spans.add(&postponed.entry));
        if let Some(queue) = self.stored_as() {
            spans.settle(queue, &mut ops);
        }
        let apart = |postponed: &Postponed| postponed.entry.message.clone();
        let octets = self.octets_to_come(&postponed.iter().map(apart).collect::<Vec<_>>());
        let tx =
            (!ops.is_empty()).then(|| Transaction::new(self.node.new_transaction(), 2, octets));
        let leaves = self.leave(ops, tx.clone()).is_ok();
        if !leaves {
            postponed.iter_mut().for_each(|postponed| postponed.in_place = true);
        }
        let tx = tx.filter(|_| leaves);
        self.apply_for(Command::Schedule(Note::Postpone(postponed)), None, tx.as_ref());
    }

    /// Buckets may be forgotten when all that left them has arrived, which other threads may still
    /// be about.
    fn forget_moves(self: &Arc<Self>, tx: Option<Arc<Transaction>>) {
        let mut inner = self.inner.lock();
        inner.moves.extend(tx);
        inner.moves.retain(|tx| !tx.is_done());
        let all = inner.moves.is_empty();
        drop(inner);
        if all {
            self.apply(Command::Schedule(Note::AllMoved));
        }
    }
}
