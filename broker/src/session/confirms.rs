//! Publisher confirms (RabbitMQ's extension confirm.select): tags of messages, counted from 1.

use std::collections::VecDeque;
use std::sync::Arc;

use lepus_protocol::encode;

use super::Session;
use super::channel::Content;
use crate::durability::Durability;
use crate::out::Out;
use crate::queue::{Fate, Receipt};

/// The confirms of a channel.
#[derive(Debug, Default)]
pub struct Confirms {
    /// The last message received.
    received: u64,
    /// The last message answered.
    answered: u64,
    /// Messages up to a tag whose fate a receipt tells; without one they need not be stored.
    waiting: VecDeque<(u64, Option<Arc<Receipt>>)>,
    /// Messages not answered in order yet that were not even handed to their queues.
    refused: VecDeque<u64>,
    /// How many of these have had their nack.
    told: usize,
}

impl Confirms {
    /// A message has come.
    pub fn receive(&mut self) {
        self.received += 1;
    }

    /// A message has come that is not accepted.
    pub fn refuse(&mut self) {
        self.received += 1;
        self.refused.push_back(self.received);
    }

    /// How many messages are not answered.
    pub fn due(&self) -> u64 {
        self.received.saturating_sub(self.answered + self.told as u64)
    }

    /// The number that the next message gets.
    pub fn next(&self) -> u64 {
        self.received + 1
    }

    /// A message that was received is not accepted after all.
    fn reject(&mut self, tag: u64) {
        if let Err(at) = self.refused.binary_search(&tag) {
            self.refused.insert(at, tag);
            // Before those that have had their nack there is none that has not.
            self.told = self.told.min(at);
        }
    }

    /// All that has come is with its queues.
    fn handed_over(&mut self, receipt: Option<&Arc<Receipt>>) {
        let last = self.waiting.back().map_or(self.answered, |(up_to, _)| *up_to);
        if self.received > last {
            self.waiting.push_back((self.received, receipt.cloned()));
        }
    }

    /// Answers, in order, all messages whose fate is known; how many were confirmed.
    fn answer(&mut self, number: u16, durability: &Durability, out: &mut Out) -> u64 {
        for tag in self.refused.iter().skip(self.told) {
            encode::confirm(out.tail(), number, *tag, false, false);
        }
        self.told = self.refused.len();
        let (mut stored, mut confirmed) = (self.answered, 0);
        while let Some((up_to, receipt)) = self.waiting.front() {
            let up_to = *up_to;
            match receipt.as_ref().map_or(Fate::Durable, |receipt| receipt.fate(durability)) {
                Fate::Open => break,
                Fate::Durable => stored = up_to,
                Fate::Refused => {
                    confirmed += self.write(number, stored, true, out);
                    self.write(number, up_to, false, out);
                    stored = up_to;
                }
            }
            self.waiting.pop_front();
        }
        confirmed + self.write(number, stored, true, out)
    }

    /// Returns how many messages that were not refused before it was about.
    fn write(&mut self, number: u16, up_to: u64, ack: bool, out: &mut Out) -> u64 {
        // A tag that has had its nack may be among several, but must not be the one named.
        let mut tag = up_to;
        while tag > self.answered && self.refused.binary_search(&tag).is_ok() {
            tag -= 1;
        }
        if tag > self.answered {
            let multiple = tag > self.answered + 1;
            encode::confirm(out.tail(), number, tag, multiple, ack);
        }
        let mut answered = up_to.saturating_sub(self.answered);
        self.answered = self.answered.max(up_to);
        while self.refused.pop_front_if(|tag| *tag <= up_to).is_some() {
            self.told = self.told.saturating_sub(1);
            answered = answered.saturating_sub(1);
        }
        answered
    }

    /// Whether some message has no answer yet.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Session {
    /// All that has been published so far is with its queues: confirms what need not be stored, and
    /// notes what must.
    pub(super) fn confirm_published(&mut self, out: &mut Out) {
        let receipt = self.gather.take_receipt();
        if let Some(receipt) = &receipt {
            self.follow(receipt);
        }
        for (number, tag) in self.gather.take_rejected() {
            let confirm = self.channel_mut(number).and_then(|channel| channel.confirm.as_mut());
            if let Some(confirm) = confirm {
                confirm.reject(tag);
            }
        }
        let node = self.peer.node.clone();
        for number in std::mem::take(&mut self.published) {
            self.count_published(number);
            let Some(channel) = self.channel_mut(number) else { continue };
            if let Some(confirm) = &mut channel.confirm {
                confirm.handed_over(receipt.as_ref());
                let confirmed = confirm.answer(number, node.durability(), out);
                if confirm.is_waiting() && !self.confirming.contains(&number) {
                    self.confirming.push(number);
                }
                self.count_confirmed(number, confirmed);
            }
            if let Some(channel) = self.channel_mut(number)
                && channel.content == Content::None
            {
                channel.builder.give_back_room();
            }
        }
        self.await_durable(out);
    }

    /// Sees to what the store was not asked to write yet. Whether anything may have changed by that.
    pub fn write(&mut self) -> bool {
        self.followed.take().is_some_and(|receipt| receipt.write(self.peer.node.store()))
    }

    pub(super) fn follow(&mut self, receipt: &Arc<Receipt>) {
        // More has come: it is not a time to wait for the disk.
        self.follow_no_more();
        if receipt.is_followed() {
            self.followed = Some(receipt.clone());
        }
    }

    /// Leaves to the store's own thread what it was not asked to write yet.
    pub(super) fn follow_no_more(&mut self) {
        if let Some(receipt) = self.followed.take() {
            receipt.leave(self.peer.node.store());
        }
    }

    /// The store has got further, maybe: confirms what is durable.
    pub(super) fn confirm_durable(&mut self, out: &mut Out) {
        let node = self.peer.node.clone();
        let mut confirming = std::mem::take(&mut self.confirming);
        confirming.retain(|number| {
            let channel = self.channel_mut(*number);
            let Some(confirm) = channel.and_then(|channel| channel.confirm.as_mut()) else {
                return false;
            };
            let confirmed = confirm.answer(*number, node.durability(), out);
            let waits = confirm.is_waiting();
            self.count_confirmed(*number, confirmed);
            waits
        });
        self.confirming = confirming;
    }

    /// Asks to be told when the store has got further, if anything waits for that.
    pub(super) fn await_durable(&mut self, out: &mut Out) {
        if self.confirming.is_empty() || self.told_of_durable {
            return;
        }
        self.told_of_durable = true;
        self.peer.node.durability().tell(&self.peer.mailbox);
        // It may have got there meanwhile.
        self.confirm_durable(out);
    }
}
