//! What a session counts: its channels' own numbers at once, those that it shares with others once per
//! read from the socket, or per mail.

use std::sync::Arc;

use lepus_protocol::method::{Settle, Verdict};

use super::Session;
use super::channel::Channel;
use crate::stats::{ChannelStats, ExchangeStats, Messages};

/// What became of a message that leads to no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its publisher did not want to know.
    Dropped,
    /// Its publisher got it back.
    Returned,
}

/// Messages published to one exchange that are not counted yet.
#[derive(Debug, Default)]
pub struct Published {
    exchange: Option<Arc<ExchangeStats>>,
    messages: u64,
    routed: u64,
    dropped: u64,
    returned: u64,
}

impl Published {
    fn is_to(&self, exchange: Option<&Arc<ExchangeStats>>) -> bool {
        match (&self.exchange, exchange) {
            (Some(known), Some(exchange)) => Arc::ptr_eq(known, exchange),
            (known, exchange) => known.is_none() && exchange.is_none(),
        }
    }

    #[inline]
    fn note(&mut self, queues: usize, lost: Option<Lost>) {
        self.messages += 1;
        self.routed += queues as u64;
        self.dropped += u64::from(lost == Some(Lost::Dropped));
        self.returned += u64::from(lost == Some(Lost::Returned));
    }

    /// Counts them for their exchange; the rest is for the caller.
    fn count(&mut self) -> Messages<u64> {
        let Self { messages, routed, dropped, returned, .. } = *self;
        if let Some(exchange) = &self.exchange {
            exchange.publish_in.add(messages);
            exchange.publish_out.add(routed);
        }
        *self = Self { exchange: self.exchange.take(), ..Self::default() };
        Messages {
            publish: messages,
            drop_unroutable: dropped,
            return_unroutable: returned,
            ..Messages::default()
        }
    }
}

impl Channel {
    /// A message goes to the queues in the route cache, now or with the transaction.
    #[inline]
    pub(super) fn note_published(&mut self, lost: Option<Lost>) {
        let queues = self.route.queues.len();
        match &mut self.tx {
            None => self.published.note(queues, lost),
            Some(tx) => {
                let exchange = self.published.exchange.as_ref();
                let known = tx.published.iter().position(|published| published.is_to(exchange));
                let at = known.unwrap_or(tx.published.len());
                if known.is_none() {
                    let exchange = exchange.cloned();
                    tx.published.push(Published { exchange, ..Published::default() });
                }
                if let Some(published) = tx.published.get_mut(at) {
                    published.note(queues, lost);
                }
            }
        }
    }

    /// Deliveries were made, the first one with this tag: it is worth timing if no other one is.
    pub(super) fn time(&mut self, tag: u64, now: u64) {
        if self.timed.is_none_or(|(timed, _)| !self.unacked.contains(timed)) {
            self.timed = Some((tag, now));
        }
    }

    /// Since when the delivery was held that is timed, if it is acknowledged now.
    #[inline]
    pub(super) fn end_of_timed(&mut self, settle: &Settle) -> Option<u64> {
        let (tag, since) = self.timed?;
        let all_before = settle.multiple && (settle.tag == 0 || tag <= settle.tag);
        if tag != settle.tag && !all_before {
            return None;
        }
        self.timed = None;
        (settle.verdict == Verdict::Ack).then_some(since)
    }
}

impl Session {
    /// What a channel has done.
    pub fn channel_stats(&self, number: u16) -> Option<&Arc<ChannelStats>> {
        self.channel(number).map(|channel| &channel.stats)
    }

    /// What a channel publishes goes to this exchange from now on.
    pub(super) fn publishes_to(&mut self, number: u16, exchange: Option<Arc<ExchangeStats>>) {
        let Some(channel) = self.channel(number) else { return };
        if channel.published.is_to(exchange.as_ref()) {
            return;
        }
        self.count_published(number);
        if let Some(channel) = self.channel_mut(number) {
            channel.published.exchange = exchange;
        }
    }

    /// Counts what a channel has published.
    pub(super) fn count_published(&mut self, number: u16) {
        let Some(channel) = self.channel_mut(number) else { return };
        let (routed, confirms) = (channel.published.routed, channel.confirm.is_some());
        let counted = channel.published.count();
        self.count(number, counted);
        self.count_routed(number, counted.publish, routed, confirms);
    }

    fn count_routed(&mut self, number: u16, published: u64, routed: u64, confirms: bool) {
        self.uncounted.routed += routed;
        self.uncounted.received_confirm += if confirms { published } else { 0 };
        let Some(channel) = self.channel_mut(number).filter(|_| published > 0) else { return };
        if !std::mem::replace(&mut channel.publishes, true) {
            self.peer.node.stats().traffic.publishers.exchange(0, 1);
        }
    }

    /// A channel is at its end.
    pub(super) fn publishes_no_more(&mut self, number: u16) {
        let Some(channel) = self.channel_mut(number) else { return };
        if std::mem::take(&mut channel.publishes) {
            self.peer.node.stats().traffic.publishers.exchange(1, 0);
        }
    }

    /// Counts what a transaction has published.
    pub(super) fn count_committed(&mut self, number: u16, published: Vec<Published>) {
        for mut published in published {
            let routed = published.routed;
            let counted = published.count();
            self.count(number, counted);
            self.count_routed(number, counted.publish, routed, false);
        }
    }

    /// Counts an acknowledgement.
    #[inline]
    pub(super) fn count_ack(&mut self, number: u16) {
        if let Some(channel) = self.channel(number) {
            channel.stats.messages.ack.add(1);
        }
        self.tally.ack += 1;
    }

    /// Counts a basic.get that has found a message, handed out before or not, or none.
    pub(super) fn count_get(&mut self, number: u16, no_ack: bool, found: Option<bool>) {
        let mut counted = Messages::default();
        match found {
            Some(redelivered) => counted.count_get(no_ack, redelivered),
            None => counted.get_empty = 1,
        }
        self.count(number, counted);
    }

    /// Counts confirms that were sent.
    pub(super) fn count_confirmed(&mut self, number: u16, messages: u64) {
        if messages > 0 {
            self.count(number, Messages { confirm: messages, ..Messages::default() });
        }
    }

    /// Counts something that a channel has done.
    pub(super) fn count(&mut self, number: u16, more: Messages<u64>) {
        if let Some(channel) = self.channel(number) {
            channel.stats.messages.add(&more);
        }
        self.tally += more;
    }

    /// Has the virtual host know what was counted.
    pub fn flush_counts(&mut self) {
        let tally = std::mem::take(&mut self.tally);
        if tally != Messages::default() {
            self.peer.stats.messages.add(&tally);
            self.peer.vhost.stats.messages.add(&tally);
        }
        self.peer.node.stats().traffic.add(&mut self.uncounted);
    }

    /// So much was read from the socket.
    pub fn count_read(&self, octets: u64) {
        self.peer.vhost.stats.recv_oct.add(octets);
    }

    /// So much was written to the socket.
    pub fn count_written(&self, octets: u64) {
        self.peer.vhost.stats.send_oct.add(octets);
    }
}
