//! Direct reply-to: RabbitMQ's pseudo-queue `amq.rabbitmq.reply-to`.
//!
//! A request's reply-to becomes a routing key that only the asking channel has; a message to the
//! default exchange with that key goes straight to the channel, through no queue.

use super::Session;
use crate::mailbox::Mail;
use crate::message::Message;

/// The pseudo-queue.
pub const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What the routing keys of direct replies begin with; a random part follows, as whoever knows
/// the key may reply.
pub const REPLY_PREFIX: &str = "amq.rabbitmq.reply-to.";

/// Whether a routing key of the default exchange is that of a direct reply.
pub fn is_reply_key(key: &[u8]) -> bool {
    key.starts_with(REPLY_PREFIX.as_bytes())
}

impl Session {
    /// Sends a direct reply; `false` if nobody awaits it.
    pub(super) fn send_reply(&self, key: &[u8], message: &Message) -> bool {
        let node = &self.peer.node;
        let Ok(key) = std::str::from_utf8(key) else { return false };
        let Some((connection, channel)) = node.reply_consumer(key) else { return false };
        let (key, message) = (key.to_owned(), message.clone());
        node.post(connection, Mail::Reply { channel, key, message })
    }

    /// Ends a channel's consumer of direct replies.
    pub(super) fn stop_replies(&mut self, number: u16) {
        let consumer = self.channel_mut(number).and_then(|channel| channel.reply_consumer.take());
        if let Some(consumer) = consumer {
            self.peer.node.stop_replies(&consumer.key);
        }
    }
}
