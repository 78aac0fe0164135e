//! What a queue counts of what it does.

use crate::stats::Messages;

/// Counts that only rise.
#[derive(Debug, Default)]
pub struct Tally {
    messages: Messages<u64>,
    /// Deliveries that were counted and then never sent: as many of the next ones are not counted.
    unsent: u64,
    unsent_no_ack: u64,
    unsent_again: u64,
}

impl Tally {
    /// As of now.
    pub fn messages(&self) -> Messages<u64> {
        self.messages
    }

    /// Messages were published to the queue.
    pub fn publish(&mut self, messages: usize) {
        self.messages.publish += messages as u64;
    }

    /// A message goes to a consumer.
    #[inline]
    pub fn deliver(&mut self, no_ack: bool, redelivered: bool) {
        let Messages { deliver, deliver_no_ack, redeliver, .. } = &mut self.messages;
        match no_ack {
            true => count(deliver_no_ack, &mut self.unsent_no_ack),
            false => count(deliver, &mut self.unsent),
        }
        if redelivered {
            count(redeliver, &mut self.unsent_again);
        }
    }

    /// A delivery was not sent after all.
    pub fn undo(&mut self, no_ack: bool, redelivered: bool) {
        let unsent = if no_ack { &mut self.unsent_no_ack } else { &mut self.unsent };
        *unsent += 1;
        self.unsent_again += u64::from(redelivered);
    }

    /// basic.get has found a message, handed out before or not, or none.
    pub fn get(&mut self, no_ack: bool, found: Option<bool>) {
        match found {
            Some(redelivered) => self.messages.count_get(no_ack, redelivered),
            None => self.messages.get_empty += 1,
        }
    }

    /// Messages were acknowledged.
    pub fn ack(&mut self, messages: u64) {
        self.messages.ack += messages;
    }
}

#[inline]
fn count(counter: &mut u64, unsent: &mut u64) {
    match unsent.checked_sub(1) {
        Some(left) => *unsent = left,
        None => *counter += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_counted_when_it_is() {
        let mut tally = Tally::default();
        tally.deliver(false, false);
        tally.deliver(true, true);
        tally.undo(false, false);
        tally.undo(true, true);
        let before = tally.messages();
        assert_eq!((before.deliver, before.deliver_no_ack, before.redeliver), (1, 1, 1));
        tally.deliver(false, true);
        assert_eq!(tally.messages(), before);
        tally.deliver(true, false);
        tally.deliver(true, false);
        assert_eq!(tally.messages(), Messages { deliver_no_ack: 2, ..before });
    }
}
