//! What is counted: messages, octets, comings and goings.
//!
//! Everything is counted where it happens, in plain numbers or in [`Counter`]s that one thread at a time
//! writes; what many write ([`Shared`]) is added to once per read from a socket. Whoever asks gets the
//! numbers as they are.

mod counter;
mod messages;

use std::sync::Arc;

pub use counter::{Counter, Gauge, Shared};
pub use messages::Messages;

/// What a channel has done. One thread at a time writes.
#[derive(Debug, Default)]
pub struct ChannelStats {
    /// Its messages.
    pub messages: Messages<Counter>,
}

/// What has gone over a connection. One thread at a time writes.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    /// Octets read.
    pub recv_oct: Counter,
    /// How often something was read: what RabbitMQ calls packets.
    pub recv_cnt: Counter,
    /// Octets written.
    pub send_oct: Counter,
    /// How often something was written.
    pub send_cnt: Counter,
    /// The messages of all its channels, those that are closed too.
    pub messages: Messages<Counter>,
}

/// What went through an exchange that publishers named.
#[derive(Debug, Default)]
pub struct ExchangeStats {
    /// Messages published to it.
    pub publish_in: Shared,
    /// Messages that queues got of them: one for each queue.
    pub publish_out: Shared,
}

/// What happened in a virtual host.
#[derive(Debug, Default)]
pub struct VhostStats {
    /// Messages of all its channels.
    pub messages: Messages<Shared>,
    /// Octets read from its connections.
    pub recv_oct: Shared,
    /// Octets written to its connections.
    pub send_oct: Shared,
    /// What is in its queues now.
    pub totals: Arc<Totals>,
}

/// What is in all queues of a virtual host, as of now.
#[derive(Debug, Default)]
pub struct Totals {
    /// Messages that wait.
    pub ready: Gauge,
    /// Messages that consumers hold.
    pub unacked: Gauge,
    /// Consumers.
    pub consumers: Gauge,
}

/// Comings and goings since the broker's start, and what virtual hosts did that are gone.
#[derive(Debug, Default)]
pub struct NodeStats {
    /// Connections that were opened.
    pub connection_created: Shared,
    /// Those of them that are gone.
    pub connection_closed: Shared,
    /// Channels that were opened.
    pub channel_created: Shared,
    /// Those of them that are gone.
    pub channel_closed: Shared,
    /// Declarations of queues, new or not.
    pub queue_declared: Shared,
    /// Queues that came to be.
    pub queue_created: Shared,
    /// Queues that were deleted.
    pub queue_deleted: Shared,
    /// Messages of virtual hosts that were deleted.
    pub gone: Messages<Shared>,
}

impl NodeStats {
    /// Comings and goings by RabbitMQ's names.
    pub fn churn(&self) -> [(&'static str, u64); 7] {
        [
            ("channel_closed", self.channel_closed.get()),
            ("channel_created", self.channel_created.get()),
            ("connection_closed", self.connection_closed.get()),
            ("connection_created", self.connection_created.get()),
            ("queue_created", self.queue_created.get()),
            ("queue_declared", self.queue_declared.get()),
            ("queue_deleted", self.queue_deleted.get()),
        ]
    }
}
