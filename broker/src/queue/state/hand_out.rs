//! Messages leave the queue: to consumers in turn, or to whoever asks for one.

use lepus_storage::Op;

use super::consumers::Slot;
use super::place::in_store;
use super::spans::Spans;
use super::{Delivery, Effects, Entry, Notice, Outcome, Reason, State, Unacked, delivery_cost};

impl State {
    /// Hands out messages while there are both messages and consumers that can take one.
    pub(super) fn dispatch(&mut self, now: u64, effects: &mut Effects) {
        let mut gone = Spans::default();
        let mut over = Vec::new();
        let may_lapse = self.may_lapse();
        let mut allowance = self.flow.allowance(&self.rules, now);
        while allowance > 0
            && !self.ready.has_none_at_hand()
            && let Some(slot) = self.consumers.next()
            && let Some(entry) = self.ready.pop()
        {
            if may_lapse && self.is_over(&entry.message, entry.redelivered, now) {
                if now < self.held_until {
                    self.ready.put_back(entry);
                    break;
                }
                over.push(entry);
            } else {
                self.hand_out(now, slot, entry, &mut gone, effects);
                allowance -= 1;
            }
        }
        self.flow.leave(&self.rules, allowance);
        self.bury(Reason::Expired, over, effects);
        if let Some(queue) = self.config.durable {
            gone.settle(queue, &mut effects.store);
        }
        if !self.ready.has_none_at_hand() && self.flow.lets_through(&self.rules) {
            let wanted = self.consumers.wake_pulls().into_iter().map(Notice::Wanted);
            effects.notices.extend(wanted);
        }
    }

    /// Has the store read before the messages in memory are all gone, if anybody wants them.
    pub(super) fn load(&mut self, effects: &mut Effects) {
        let wanted = !(self.consumers.is_empty() && self.getters.is_empty());
        if !self.ready.is_plain() {
            return self.load_levels(wanted, effects);
        }
        let half = self.config.hot_max / 2;
        let (below, octets) = match wanted {
            true => (half, half),
            // Only the head, to see when its time is over.
            false if self.ready.has_none_at_hand() && self.wants_head() => {
                (0, half.min(self.head_octets))
            }
            false => return,
        };
        if let Some(from) = self.ready.start_loading(0, below) {
            effects.notices.push(Notice::Load(from, octets));
        }
    }

    fn hand_out(
        &mut self,
        now: u64,
        slot: Slot,
        mut entry: Entry,
        gone: &mut Spans,
        effects: &mut Effects,
    ) {
        let cost = delivery_cost(&entry.message);
        let Some((to, no_ack, timeout)) = self.consumers.deliver(slot, cost, now) else {
            self.ready.put_back(entry);
            return;
        };
        self.tally.deliver(no_ack, entry.redelivered);
        self.take(now, &mut entry, Some(slot), no_ack, gone, effects);
        if !no_ack {
            self.limit_time(now, entry.seq, &entry.message, timeout);
        }
        effects.deliveries.push(Delivery { to, entry, no_ack });
    }

    /// A message leaves: it counts as acknowledged, or as handed out.
    fn take(
        &mut self,
        now: u64,
        entry: &mut Entry,
        consumer: Option<Slot>,
        no_ack: bool,
        gone: &mut Spans,
        effects: &mut Effects,
    ) {
        if no_ack {
            gone.add(entry);
            entry.stored = false;
            return;
        }
        self.unacked.insert(entry.seq, Unacked::of(entry, consumer, now));
        if let Some(queue) = self.config.durable.filter(|_| entry.stored)
            // One that came back may stand before others that nobody has seen, and says so itself.
            && !entry.redelivered
            && self.ready.note_handed_out(entry.seq)
        {
            let (queue, up_to) = in_store(queue, entry.seq);
            // One operation is enough for all that are handed out together.
            let last = effects.store.iter_mut().rev().map_while(|op| match op {
                Op::Deliver { queue, up_to } => Some((queue, up_to)),
                _ => None,
            });
            match last.into_iter().find(|(of, _)| **of == queue) {
                Some((_, known)) => *known = up_to,
                None => effects.store.push(Op::Deliver { queue, up_to }),
            }
        }
    }

    pub(super) fn get(
        &mut self,
        now: u64,
        no_ack: bool,
        connection: u64,
        effects: &mut Effects,
    ) -> Outcome {
        if self.flow.is_stopped(&self.rules) {
            self.tally.get(no_ack, None);
            return Outcome::Got(None, 0);
        }
        let Some(mut entry) = self.ready.pop() else {
            if self.ready.is_empty() {
                self.tally.get(no_ack, None);
                return Outcome::Got(None, 0);
            }
            self.getters.push(connection);
            return Outcome::Wait;
        };
        self.tally.get(no_ack, Some(entry.redelivered));
        let mut gone = Spans::default();
        self.take(now, &mut entry, None, no_ack, &mut gone, effects);
        if !no_ack {
            self.limit_time(now, entry.seq, &entry.message, None);
        }
        if let Some(queue) = self.config.durable {
            gone.settle(queue, &mut effects.store);
        }
        Outcome::Got(Some(entry), self.ready.len())
    }

    pub(super) fn tell_getters(&mut self, effects: &mut Effects) {
        effects.notices.extend(self.getters.drain(..).map(Notice::Loaded));
    }
}
