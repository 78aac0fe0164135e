//! Dead letters on their way: to their targets and out of their queue in one step.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use lepus_storage::Op;

use super::death::{self, Letter};
use super::receipt::Held;
use super::state::{Command, Dead, DeadLetterTo, Entry, Reason, Spans};
use super::writes::Write;
use super::{Queue, Transaction};
use crate::envelope;
use crate::message::Message;

/// Queues that dead letters may go through on one thread's stack.
const DEPTH: u32 = 16;

/// How long dead letters wait while the store takes no messages, ms.
const RETRY_MS: u64 = 500;

thread_local! {
    /// Queues that dead letters have gone through on this thread's stack.
    static THROUGH: Cell<u32> = const { Cell::new(0) };
}

impl Queue {
    /// Sends dead letters on when transactions are whole that may have brought them here: a crash
    /// before that would leave them where they go, and where they came from.
    pub(super) fn send_dead_after(self: &Arc<Self>, dead: Dead, open: Vec<Arc<Transaction>>) {
        let mut held = Held { queue: self.clone(), dead, open };
        while let Some(tx) = held.open.pop() {
            match tx.hold(held) {
                Some(back) => held = back,
                None => return,
            }
        }
        self.send_dead(held.dead);
    }

    /// Sends dead letters on; in a long chain of queues another thread does.
    pub(super) fn send_dead(self: &Arc<Self>, dead: Dead) {
        let through = THROUGH.get();
        if through >= DEPTH {
            return self.node.timers().send_at(self.node.now_ms(), self.clone(), dead);
        }
        THROUGH.set(through + 1);
        self.send_dead_now(dead);
        THROUGH.set(through);
    }

    /// Sends dead letters on. Whoever has them gets them in the same step of the store in which they leave
    /// this queue, so that a crash neither loses nor doubles them.
    fn send_dead_now(self: &Arc<Self>, dead: Dead) {
        let Some(to) = &dead.rules.dead_letter else { return };
        let ops = self.settlement(&dead.entries);
        if !ops.is_empty() && !self.node.stores() {
            return self.send_dead_later(dead);
        }
        let targets = self.targets(dead.reason, &dead.entries, to);
        let parts = targets.len() + usize::from(!ops.is_empty());
        let octets = targets.iter().map(|(queue, messages)| queue.stored_apart(messages)).sum();
        let tx = (parts > 1).then(|| Transaction::new(self.node.new_transaction(), parts, octets));
        if !ops.is_empty() {
            // If this is taken, all that continues its transaction is.
            let write = Write::alone(ops, tx.clone());
            if write.carry_out(self.store(), self.node.durability()).is_err() {
                return self.send_dead_later(dead);
            }
        }
        for (queue, messages) in targets {
            queue.apply_for(Command::PublishDead(messages), None, tx.as_ref());
        }
    }

    /// While the store takes nothing: in it they are where they were.
    fn send_dead_later(self: &Arc<Self>, dead: Dead) {
        let until = self.node.now_ms() + RETRY_MS;
        self.node.timers().send_at(until, self.clone(), dead);
        self.apply(Command::Hold(until));
    }

    /// Which queue gets which letters, each queue's in order.
    fn targets(
        &self,
        reason: Reason,
        entries: &[Entry],
        to: &DeadLetterTo,
    ) -> Vec<(Arc<Self>, Vec<Message>)> {
        let Some(vhost) = self.node.vhost(&self.vhost) else { return Vec::new() };
        let now = self.node.now_ms();
        let mut targets: Vec<(Arc<Self>, Vec<Message>)> = Vec::new();
        let mut cycles = HashSet::new();
        for entry in entries {
            let Letter { mut message, keys, headers } =
                death::letter(&entry.message, reason, self.name(), to, now);
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let input = envelope::route_input(&message, &keys, Some(&headers));
            let route = vhost.route_inside(&to.exchange, &input, &message);
            // Without the exchange the message is dropped, as in RabbitMQ.
            let Ok(route) = route else { continue };
            let mut queues = route.queues;
            if reason != Reason::Rejected {
                queues.retain(|queue| {
                    let cycle = !queue.record.holds_back && death::is_cycle(&headers, queue.name());
                    if cycle && cycles.insert(queue.record.id) {
                        tracing::warn!(
                            queue = self.name(),
                            back_to = queue.name(),
                            "a message was dropped: dead letters go in a circle"
                        );
                    }
                    !cycle
                });
            }
            if queues.len() > 1 {
                message.set_shared();
            }
            for queue in queues {
                match targets.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &queue)) {
                    Some((_, messages)) => messages.push(message.clone()),
                    None => targets.push((queue, vec![message.clone()])),
                }
            }
        }
        targets
    }

    /// What tells the store that messages are gone.
    fn settlement(&self, entries: &[Entry]) -> Vec<Op> {
        let mut ops = Vec::new();
        if let Some(queue) = self.stored_as() {
            Spans::of(entries).settle(queue, &mut ops);
        }
        ops
    }
}
