//! Messages come in, as far as the queue takes them.

use lepus_storage::{Op, QueueId};

use super::place::in_store;
use super::{Effects, Entry, Outcome, Overflow, Reason, Seq, State};
use crate::message::Message;

impl State {
    pub(super) fn publish(
        &mut self,
        now: u64,
        messages: Vec<Message>,
        effects: &mut Effects,
    ) -> Outcome {
        if self.keys.is_none() {
            return self.publish_all(now, messages, effects);
        }
        self.publish_unique(now, (messages, true), effects, |state, message, effects| {
            let outcome = state.publish_all(now, vec![message], effects);
            if state.rules.is_limited() {
                // What it makes go may come again.
                state.dispatch(now, effects);
                state.drop_excess(now, effects);
            }
            outcome
        })
    }

    /// Appends dead letters, or what has come from a delayed exchange: it is never refused.
    pub(super) fn publish_dead(&mut self, now: u64, messages: Vec<Message>, effects: &mut Effects) {
        let publish = |state: &mut Self, messages, effects: &mut Effects| {
            let messages = state.without_early(now, messages, effects);
            state.accept(messages, effects);
            Outcome::Done
        };
        if self.keys.is_none() {
            publish(self, messages, effects);
        } else {
            self.publish_unique(now, (messages, false), effects, |state, message, effects| {
                publish(state, vec![message], effects)
            });
        }
    }

    fn publish_all(&mut self, now: u64, messages: Vec<Message>, effects: &mut Effects) -> Outcome {
        if !self.rules.refuses() {
            let messages = self.without_early(now, messages, effects);
            if self.ready.is_plain() || !self.rules.is_limited() {
                self.accept(messages, effects);
            } else {
                self.accept_one_by_one(now, messages, effects);
            }
            return Outcome::Done;
        }
        let mut rejected = Vec::new();
        let mut dead = Vec::new();
        for (number, message) in messages.into_iter().enumerate() {
            let Some(message) = self.hold_back(now, message, effects) else { continue };
            let (messages, octets) =
                (self.ready.len() + 1, self.ready.bytes() + message.body_len() as u64);
            if !self.rules.is_exceeded(messages, octets) {
                self.accept(vec![message], effects);
                // What a consumer takes makes room for the next one.
                self.dispatch(now, effects);
                continue;
            }
            rejected.push(number);
            if self.rules.overflow == Overflow::RejectPublishDlx {
                let (seq, redelivered, returns) = (0, false, 0);
                dead.push(Entry { seq, message, redelivered, returns, stored: false });
            }
        }
        self.bury(Reason::MaxLength, dead, effects);
        if rejected.is_empty() { Outcome::Done } else { Outcome::Rejected(rejected) }
    }

    /// Has those messages wait whose time has not come; returns the others.
    fn without_early(
        &mut self,
        now: u64,
        messages: Vec<Message>,
        effects: &mut Effects,
    ) -> Vec<Message> {
        if !self.rules.delays {
            return messages;
        }
        let held_back = messages.into_iter().filter_map(|each| self.hold_back(now, each, effects));
        held_back.collect()
    }

    pub(super) fn accept(&mut self, messages: Vec<Message>, effects: &mut Effects) {
        self.some_expire |= messages.iter().any(Message::expires);
        if !self.ready.is_plain() {
            return self.accept_by_priority(messages, effects);
        }
        if let Some(queue) = self.config.durable {
            let positions = self.ready.next()..;
            let stored = positions.zip(&messages).filter(|(_, message)| message.persistent());
            effects.store.extend(stored.map(|(seq, message)| publish_op(queue, seq, message)));
        }
        self.ready.push(messages, self.config.hot_max);
    }
}

/// What tells the store of a message.
pub(super) fn publish_op(queue: QueueId, seq: Seq, message: &Message) -> Op {
    let (queue, seq) = in_store(queue, seq);
    let weight = u32::try_from(message.body_len()).unwrap_or(u32::MAX);
    Op::Publish { queue, seq, payload: message.octets(), weight, shared: message.shared() }
}
