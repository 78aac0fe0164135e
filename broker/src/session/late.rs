//! Deliveries that a consumer has held for too long.

use std::sync::Arc;

use super::Session;
use super::channel::{Channel, Held};
use crate::limits::LATE_TAGS_MAX;
use crate::queue::Queue;
use crate::queue::state::{ConsumerKey, LateDelivery};

impl Session {
    /// They are back in their queue: what the client says of them later has no effect, and they leave
    /// their room in a channel-wide limit.
    pub(super) fn timed_out(
        &mut self,
        queue: &Arc<Queue>,
        key: ConsumerKey,
        late: &[LateDelivery],
    ) {
        let slot = self.slot_of(queue);
        // Where a consumer was that is gone nobody knows.
        let known = self.consumers.get(&key.number).map(|consumer| consumer.channel);
        let channels = match known {
            Some(number) => number..=number,
            None => 1..=self.channels.len() as u16,
        };
        for number in channels {
            let Some(channel) = self.channel_mut(number) else { continue };
            for LateDelivery { seq, returns } in late.iter().copied() {
                let held = Held { queue: slot, consumer: key.number, seq, returns };
                channel.give_up(held);
            }
            self.pull(number);
        }
    }
}

impl Channel {
    fn give_up(&mut self, held: Held) {
        let Some(tag) = self.unacked.iter().find(|(_, of)| **of == held).map(|(tag, _)| tag) else {
            return;
        };
        self.unacked.remove(tag);
        self.late.insert(tag);
        if self.late.len() > LATE_TAGS_MAX {
            self.late.pop_first();
        }
        if let Some(limit) = &mut self.global {
            limit.used = limit.used.saturating_sub(1);
        }
    }
}
