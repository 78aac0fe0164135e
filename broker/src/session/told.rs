//! What a connection's channels do, told as events.

use amq_protocol::protocol::basic;

use super::{Consumer, Session};
use crate::events::{Event, fields};

impl Session {
    /// A channel was opened.
    pub(super) fn tell_channel_created(&self, number: u16) {
        let peer = &self.peer;
        peer.node.tell(|| {
            Event::new("channel.created")
                .text("pid", &peer.node.pid(peer.connection, number))
                .text("name", &format!("{} ({number})", peer.name))
                .text("connection", &peer.node.pid(peer.connection, 0))
                .number("number", u64::from(number))
                .text("user", &peer.user)
                .by(&peer.vhost.name, &peer.user)
        });
    }

    /// A channel is gone.
    pub(super) fn tell_channel_closed(&self, number: u16) {
        let peer = &self.peer;
        peer.node.tell(|| {
            Event::new("channel.closed")
                .text("pid", &peer.node.pid(peer.connection, number))
                .text("user_who_performed_action", &peer.user)
        });
    }

    /// A consumer of a queue is there.
    pub(super) fn tell_consumer_created(
        &self,
        number: u16,
        consume: &basic::Consume,
        tag: &str,
        queue: &str,
    ) {
        let peer = &self.peer;
        peer.node.tell(|| {
            let prefetch = self.channel(number).map_or(0, |channel| channel.prefetch);
            Event::new("consumer.created")
                .text("consumer_tag", tag)
                .flag("exclusive", consume.exclusive)
                .flag("ack_required", !consume.no_ack)
                .text("channel", &peer.node.pid(peer.connection, number))
                .text("queue", queue)
                .number("prefetch_count", u64::from(prefetch))
                .with("arguments", fields(&consume.arguments))
                .by(&peer.vhost.name, &peer.user)
        });
    }

    /// A consumer of a queue is gone: its user has cancelled it, or it went with its channel.
    pub(super) fn tell_consumer_deleted(&self, consumer: u32, user: &str) {
        let peer = &self.peer;
        let Some(Consumer { channel, tag, queue, .. }) = self.consumers.get(&consumer) else {
            return;
        };
        peer.node.tell(|| {
            Event::new("consumer.deleted")
                .text("consumer_tag", tag.as_str())
                .text("channel", &peer.node.pid(peer.connection, *channel))
                .text("queue", queue.name())
                .by(&peer.vhost.name, user)
        });
    }
}
