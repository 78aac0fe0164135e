//! Messages on their way to and from where they wait for a time: each move is one step of the store,
//! so that a crash neither loses nor doubles them.

use std::sync::Arc;

use lepus_storage::Op;

use super::state::schedule::{Job, Moved, Note, Postponed, settlement};
use super::state::{Command, Spans};
use super::writes::Write;
use super::{Queue, Transaction};
use crate::envelope;
use crate::message::Message;
use crate::routing::RouteInput;

/// How long messages that are due wait while the store takes none, ms.
const RETRY_MS: u64 = 500;

impl Queue {
    /// Does what the schedule wants done.
    pub(super) fn do_scheduled(self: &Arc<Self>, job: Job) {
        match job {
            Job::Scan { round, bucket, from } => {
                self.node.loader().scan(self.clone(), round, bucket, from);
            }
            Job::Fetch { round, pairs } => self.node.loader().fetch(self.clone(), round, pairs),
            Job::Move(moved) => self.move_due(moved),
            Job::Postpone(postponed) => self.postpone(postponed),
        }
    }

    /// Messages that are due go to this queue, or to those that the exchange leads to.
    fn move_due(self: &Arc<Self>, moved: Vec<Moved>) {
        let ops = self.stored_as().map(|owner| settlement(owner, &moved)).unwrap_or_default();
        let targets = self.targets_of_due(&moved);
        let parts = targets.len() + usize::from(!ops.is_empty());
        let octets = targets.iter().map(|(queue, messages)| queue.stored_apart(messages)).sum();
        let tx = (parts > 1).then(|| Transaction::new(self.node.new_transaction(), parts, octets));
        if !ops.is_empty() && !self.leave(ops, tx.clone()) {
            let until = self.node.now_ms() + RETRY_MS;
            return drop(self.apply(Command::Schedule(Note::PutBack(moved, until))));
        }
        drop(moved);
        for (queue, messages) in targets {
            let command = match Arc::ptr_eq(self, &queue) {
                true => Command::Schedule(Note::Arrive(messages)),
                false => Command::PublishDead(messages),
            };
            queue.apply_for(command, None, tx.as_ref());
        }
        self.forget_moves(tx);
    }

    /// Which queue gets which messages, each queue's in order.
    fn targets_of_due(self: &Arc<Self>, moved: &[Moved]) -> Vec<(Arc<Self>, Vec<Message>)> {
        let all = moved.iter().map(|moved| &moved.message);
        if !self.record.holds_back {
            return vec![(self.clone(), all.cloned().collect())];
        }
        let Some(vhost) = self.node.vhost(&self.vhost) else { return Vec::new() };
        let mut targets: Vec<(Arc<Self>, Vec<Message>)> = Vec::new();
        for message in all {
            let mut message = message.clone();
            let headers = envelope::headers(&message);
            let extra = headers.as_ref().and_then(|headers| envelope::extra_keys(headers).ok());
            let extra = extra.unwrap_or_default();
            let keys = envelope::keys(&message, &extra);
            let input = envelope::route_input(&message, &keys, headers.as_ref());
            let input = RouteInput { released: true, ..input };
            // Without the exchange the message is dropped: it went with it.
            let Ok(route) = vhost.route_inside(self.name(), &input, &message) else { continue };
            if let Some(headers) = headers.filter(|headers| headers.contains_key("BCC")) {
                message = envelope::without_bcc(&message, &headers);
            }
            if route.queues.len() > 1 {
                message.set_shared();
            }
            for queue in route.queues {
                match targets.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &queue)) {
                    Some((_, messages)) => messages.push(message.clone()),
                    None => targets.push((queue, vec![message.clone()])),
                }
            }
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
        let octets = self.stored_apart(&postponed.iter().map(apart).collect::<Vec<_>>());
        let tx =
            (!ops.is_empty()).then(|| Transaction::new(self.node.new_transaction(), 2, octets));
        let leaves = ops.is_empty() || self.leave(ops, tx.clone());
        if !leaves {
            postponed.iter_mut().for_each(|postponed| postponed.in_place = true);
        }
        let tx = tx.filter(|_| leaves);
        self.apply_for(Command::Schedule(Note::Postpone(postponed)), None, tx.as_ref());
    }

    /// Tells the store that messages leave where they are; if it takes this, it takes all that continues the
    /// transaction. `false`: it takes none now.
    fn leave(&self, ops: Vec<Op>, tx: Option<Arc<Transaction>>) -> bool {
        self.node.stores()
            && Write::alone(ops, tx).carry_out(self.store(), self.node.durability()).is_ok()
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
