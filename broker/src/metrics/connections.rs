//! What connections and their channels do, one by one. They go by the identifiers that events have for
//! them.

use std::sync::Arc;

use super::rows::{Column, Kind, Object};
use crate::connection::Open;
use crate::node::Node;
use crate::session::seen::ChannelSeen;
use crate::stats::Messages;

/// A channel, as its connection has told of it.
pub(super) struct Channel {
    pub open: Arc<Open>,
    pub seen: Arc<ChannelSeen>,
    pub name: String,
}

/// A connection.
pub(super) struct Connection {
    pub open: Arc<Open>,
    pub name: String,
}

type Of<T> = fn(&T) -> f64;

const fn channel(
    name: &'static str,
    help: &'static str,
    of: Of<Arc<Channel>>,
) -> Column<Arc<Channel>> {
    Column { group: "channel_metrics", name, help, kind: Kind::Gauge, of }
}

/// RabbitMQ counts these by exchange too.
const fn published(
    name: &'static str,
    help: &'static str,
    of: Of<Arc<Channel>>,
) -> Column<Arc<Channel>> {
    Column { group: "channel_exchange_metrics", name, help, kind: Kind::Counter, of }
}

/// RabbitMQ counts these by queue too.
const fn delivered(
    name: &'static str,
    help: &'static str,
    of: Of<Arc<Channel>>,
) -> Column<Arc<Channel>> {
    Column { group: "channel_queue_metrics", name, help, kind: Kind::Counter, of }
}

fn messages(channel: &Channel) -> Messages<u64> {
    channel.seen.stats.messages.get()
}

/// What channels have. RabbitMQ has sums of it, too; here it is asked for only channel by channel.
pub(super) static CHANNELS: [Column<Arc<Channel>>; 17] = [
    channel("channel_consumers", "Consumers on a channel", |of| of.seen.consumers.len() as f64),
    channel("channel_messages_unacked", "Delivered but not yet acknowledged messages", |of| {
        of.seen.unacknowledged as f64
    }),
    channel("channel_messages_unconfirmed", "Published but not yet confirmed messages", |of| {
        of.seen.unconfirmed as f64
    }),
    channel(
        "channel_messages_uncommitted",
        "Messages received in a transaction but not yet committed",
        |of| of.seen.uncommitted as f64,
    ),
    channel(
        "channel_acks_uncommitted",
        "Message acknowledgements in a transaction not yet committed",
        |of| of.seen.acks_uncommitted as f64,
    ),
    channel("consumer_prefetch", "Limit of unacknowledged messages for each consumer", |of| {
        f64::from(of.seen.prefetch)
    }),
    channel(
        "channel_prefetch",
        "Total limit of unacknowledged messages for all consumers on a channel",
        |of| f64::from(of.seen.global_prefetch),
    ),
    published(
        "channel_messages_published_total",
        "Total number of messages published into an exchange on a channel",
        |of| messages(of).publish as f64,
    ),
    published(
        "channel_messages_confirmed_total",
        "Total number of messages published into an exchange and confirmed on the channel",
        |of| messages(of).confirm as f64,
    ),
    published(
        "channel_messages_unroutable_returned_total",
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        |of| messages(of).return_unroutable as f64,
    ),
    published(
        "channel_messages_unroutable_dropped_total",
        "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
        |of| messages(of).drop_unroutable as f64,
    ),
    delivered(
        "channel_get_ack_total",
        "Total number of messages fetched with basic.get in manual acknowledgement mode",
        |of| messages(of).get as f64,
    ),
    delivered(
        "channel_get_total",
        "Total number of messages fetched with basic.get in automatic acknowledgement mode",
        |of| messages(of).get_no_ack as f64,
    ),
    delivered(
        "channel_messages_delivered_ack_total",
        "Total number of messages delivered to consumers in manual acknowledgement mode",
        |of| messages(of).deliver as f64,
    ),
    delivered(
        "channel_messages_delivered_total",
        "Total number of messages delivered to consumers in automatic acknowledgement mode",
        |of| messages(of).deliver_no_ack as f64,
    ),
    delivered(
        "channel_messages_redelivered_total",
        "Total number of messages redelivered to consumers",
        |of| messages(of).redeliver as f64,
    ),
    delivered(
        "channel_messages_acked_total",
        "Total number of messages acknowledged by consumers",
        |of| messages(of).ack as f64,
    ),
];

const COARSE: &str = "connection_coarse_metrics";
const DETAILS: &str = "connection_metrics";

const fn connection(
    group: &'static str,
    name: &'static str,
    help: &'static str,
    of: Of<Arc<Connection>>,
) -> Column<Arc<Connection>> {
    Column { group, name, help, kind: Kind::Counter, of }
}

/// What connections do.
pub(super) static CONNECTIONS: [Column<Arc<Connection>>; 5] = [
    connection(
        COARSE,
        "connection_incoming_bytes_total",
        "Total number of bytes received on a connection",
        |of| of.open.stats.recv_oct.get() as f64,
    ),
    connection(
        COARSE,
        "connection_outgoing_bytes_total",
        "Total number of bytes sent on a connection",
        |of| of.open.stats.send_oct.get() as f64,
    ),
    connection(
        DETAILS,
        "connection_incoming_packets_total",
        "Total number of packets received on a connection",
        |of| of.open.stats.recv_cnt.get() as f64,
    ),
    connection(
        DETAILS,
        "connection_outgoing_packets_total",
        "Total number of packets sent on a connection",
        |of| of.open.stats.send_cnt.get() as f64,
    ),
    Column {
        group: DETAILS,
        name: "connection_channels",
        help: "Channels on a connection",
        kind: Kind::Gauge,
        of: |of| of.open.channel_count() as f64,
    },
];

impl Object for Arc<Channel> {
    type Numbers = Self;

    fn labels(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("channel", &self.name);
        put("vhost", &self.open.vhost.name);
    }

    fn numbers(&self) -> Self {
        self.clone()
    }
}

impl Object for Arc<Connection> {
    type Numbers = Self;

    fn labels(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("channel", &self.name);
    }

    fn numbers(&self) -> Self {
        self.clone()
    }
}

/// The connections of virtual hosts.
pub(super) fn of(node: &Node, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Arc<Connection>> {
    let mut open = node.connections();
    open.retain(|open| is_wanted(&open.vhost.name));
    let named = |open: Arc<Open>| {
        let name = node.pid(open.id, 0);
        Arc::new(Connection { open, name })
    };
    open.into_iter().map(named).collect()
}

/// The channels of connections.
pub(super) async fn channels(node: &Node, of: &[Arc<Connection>]) -> Vec<Arc<Channel>> {
    let open = of.iter().map(|connection| connection.open.clone()).collect();
    let seen = crate::connection::ask_all(open).await.into_iter().map(|(open, seen)| {
        let name = node.pid(open.id, seen.number);
        Arc::new(Channel { open, seen, name })
    });
    seen.collect()
}
