//! Dead letters on their way: to their targets and out of their queue in one step.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use lepus_storage::Op;

use super::death::{self, Letter};
use super::receipt::Held;
use super::state::{Command, Dead, DeadLetterTo, Entry, Reason, Spans};
use super::targets::{RETRY_MS, Targets};
use super::{Queue, Transaction};
use crate::envelope;

/// Queues that dead letters may go through on one thread's stack.
const DEPTH: u32 = 16;

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
        let Ok(tx) = self.leave_for(&targets, ops) else { return self.send_dead_later(dead) };
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

    /// Where the letters go.
    fn targets(&self, reason: Reason, entries: &[Entry], to: &DeadLetterTo) -> Targets {
        let Some(vhost) = self.node.vhost(&self.vhost) else { return Targets::default() };
        let now = self.node.now_ms();
        let mut targets = Targets::default();
        let mut cycles = HashSet::new();
        for entry in entries {
            let Letter { message, keys, headers } =
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
            targets.add(queues, message);
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
