//! Dead letters on their way: to their targets and out of their queue in one step.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use lepus_storage::Op;
use lepus_sync::atomic::Ordering;

use super::death::{self, Cover, Letter, Letters};
use super::receipt::{Held, Leaving};
use super::state::{Command, Dead, DeadLetterTo, Entry, Reason, Spans};
use super::targets::{RETRY_MS, Targets};
use super::{Queue, Transaction};
use crate::envelope;
use crate::routing::QueueId;

/// Queues that dead letters may go through on one thread's stack.
const DEPTH: u32 = 16;

/// Copies of dead letters that one thread's stack may send on. Where each queue leads to several there is
/// no end to them.
const COPIES: usize = 4096;

thread_local! {
    /// Queues that dead letters have gone through on this thread's stack, and copies of them that it has
    /// sent on.
    static THROUGH: Cell<(u32, usize)> = const { Cell::new((0, 0)) };
}

/// Where letters with the same cover go.
#[derive(Default)]
struct Way {
    /// The topology's version that it is right for; `None` if not the cover alone decides on it.
    holds_at: Option<u64>,
    queues: Vec<Arc<Queue>>,
}

impl Queue {
    /// Sends messages on when transactions are whole that may have brought them here: a crash
    /// before that would leave them where they go, and where they came from.
    pub(super) fn send_after(self: &Arc<Self>, leaving: Leaving, open: Vec<Arc<Transaction>>) {
        let mut held = Held { queue: self.clone(), leaving, open };
        while let Some(tx) = held.open.pop() {
            match tx.hold(held) {
                Some(back) => held = back,
                None => return,
            }
        }
        match held.leaving {
            Leaving::Dead(dead) => self.send_dead(dead),
            Leaving::Ordered(ordered) => self.send_ordered(ordered),
        }
    }

    /// Sends dead letters on; in a long chain of queues, where they get too many, or behind others,
    /// another thread does.
    pub(super) fn send_dead(self: &Arc<Self>, dead: Dead) {
        let (through, copies) = THROUGH.get();
        if through >= DEPTH || copies >= COPIES || self.passed.load(Ordering::SeqCst) > 0 {
            self.passed.fetch_add(1, Ordering::SeqCst);
            return self.node.timers().pass_on(self.clone(), dead);
        }
        THROUGH.set((through + 1, copies));
        self.send_dead_now(dead);
        let (_, copies) = THROUGH.get();
        THROUGH.set((through, if through == 0 { 0 } else { copies }));
    }

    /// Sends on what another thread has passed on.
    pub(super) fn send_passed(self: &Arc<Self>, dead: Dead) {
        THROUGH.set((1, 0));
        self.send_dead_now(dead);
        THROUGH.set((0, 0));
        self.passed.fetch_sub(1, Ordering::SeqCst);
    }

    /// So many copies are sent on.
    fn count_copies(copies: usize) {
        let (through, sent) = THROUGH.get();
        THROUGH.set((through, sent + copies));
    }

    /// Sends dead letters on. Whoever has them gets them in the same step of the store in which they leave
    /// this queue, so that a crash neither loses nor doubles them.
    fn send_dead_now(self: &Arc<Self>, dead: Dead) {
        let Some(to) = &dead.rules.dead_letter else { return };
        let ops = self.settlement(&dead.entries);
        if !ops.is_empty() && !self.node.takes_moves() {
            return self.send_dead_later(dead);
        }
        let targets = self.targets(dead.reason, &dead.entries, to);
        if ops.is_empty() && targets.need_storing() && !self.node.stores() {
            return self.send_dead_later(dead);
        }
        let Ok(tx) = self.leave_for(&targets, ops) else { return self.send_fewer_later(dead) };
        self.node.stats().traffic.note_dead(dead.reason, self.is_quorum, dead.entries.len());
        for (queue, messages) in targets {
            Self::count_copies(messages.len());
            queue.apply_for(Command::PublishDead(messages), None, tx.as_ref());
        }
        if dead.held {
            self.apply(Command::Buried(dead.footprint()));
        }
    }

    /// There may be room for some of them.
    fn send_fewer_later(self: &Arc<Self>, mut dead: Dead) {
        let entries = dead.entries.split_off(dead.entries.len().div_ceil(2));
        let rest = Dead { entries, rules: dead.rules.clone(), ..dead };
        self.send_dead_later(dead);
        if !rest.entries.is_empty() {
            self.send_dead_later(rest);
        }
    }

    /// While the store takes nothing: in it they are where they were.
    fn send_dead_later(self: &Arc<Self>, mut dead: Dead) {
        let until = self.node.now_ms() + RETRY_MS;
        let octets = if dead.held { 0 } else { dead.footprint() };
        dead.held = true;
        self.node.timers().send_at(until, self.clone(), dead);
        self.apply(Command::Hold(until, octets));
    }

    /// Where the letters go.
    fn targets(&self, reason: Reason, entries: &[Entry], to: &DeadLetterTo) -> Targets {
        let Some(vhost) = self.node.vhost(&self.vhost) else { return Targets::default() };
        let mut letters = Letters::new(reason, self.name(), to, self.node.now_ms());
        let mut targets = Targets::default();
        let (mut way, mut cycles) = (Way::default(), HashSet::new());
        for entry in entries {
            let Letter { message, cover, is_new } = letters.write(&entry.message);
            let version = vhost.version();
            if is_new || way.holds_at != Some(version) {
                let keys: Vec<&[u8]> = cover.keys.iter().map(Vec::as_slice).collect();
                let input = envelope::route_input(&message, &keys, Some(&cover.headers));
                let route = vhost.route_inside(&to.exchange, &input, &message);
                // Without the exchange the message is dropped, as in RabbitMQ.
                way = route.map_or_else(
                    |_| Way::default(),
                    |route| Way {
                        holds_at: route.stable.then_some(version),
                        queues: self.without_cycles(reason, route.queues, cover, &mut cycles),
                    },
                );
            }
            targets.add(&way.queues, message);
        }
        targets
    }

    /// Those of the queues that letters do not come back to by themselves; the others are told of, each
    /// once.
    fn without_cycles(
        &self,
        reason: Reason,
        mut queues: Vec<Arc<Queue>>,
        cover: &Cover,
        known: &mut HashSet<QueueId>,
    ) -> Vec<Arc<Queue>> {
        if reason == Reason::Rejected {
            return queues;
        }
        queues.retain(|queue| {
            let cycle = !queue.record.holds_back && death::is_cycle(&cover.headers, queue.name());
            if cycle && known.insert(queue.record.id) {
                tracing::warn!(
                    vhost = &*self.vhost,
                    queue = self.name(),
                    back_to = queue.name(),
                    "a message was dropped: dead letters go in a circle"
                );
            }
            !cycle
        });
        queues
    }

    /// What tells the store that messages are gone.
    pub(super) fn settlement(&self, entries: &[Entry]) -> Vec<Op> {
        let mut ops = Vec::new();
        if let Some(queue) = self.stored_as() {
            Spans::of(entries).settle(queue, &mut ops);
        }
        ops
    }
}
