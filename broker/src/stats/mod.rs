//! What is counted: messages, octets, comings and goings.
//!
//! Everything is counted where it happens, in plain numbers or in [`Counter`]s that one thread at a time
//! writes; what many write ([`Shared`]) is added to once per read from a socket. Whoever asks gets the
//! numbers as they are.

mod counter;
mod messages;
pub mod sampler;
mod track;
pub mod traffic;

use std::sync::Arc;

pub use counter::{Counter, Gauge, Shared};
pub use messages::Messages;
pub use track::{Range, Sample, Tick, Track};
pub use traffic::{Traffic, Uncounted};

/// Messages, and two numbers besides the three of [`LENGTHS`].
pub type Numbers = [u64; 17];

/// What stands behind the messages in [`Numbers`].
pub const LENGTHS: [&str; 3] = ["messages", "messages_ready", "messages_unacknowledged"];

/// Messages that were counted, those that are there, and two more numbers.
pub fn numbers(messages: &Messages<u64>, [ready, unacked]: [u64; 2], more: [u64; 2]) -> Numbers {
    let lengths = [ready + unacked, ready, unacked];
    let mut all = messages.values().into_iter().chain(lengths).chain(more);
    std::array::from_fn(|_| all.next().unwrap_or_default())
}

/// What a channel has done. One thread at a time writes.
#[derive(Debug, Default)]
pub struct ChannelStats {
    /// Its messages.
    pub messages: Messages<Counter>,
    /// [`Messages::values`].
    pub track: Track<12>,
}

impl ChannelStats {
    /// Takes a sample.
    pub fn sample(&self, tick: Tick) {
        self.track.sample(tick, self.messages.get().values());
    }
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
    /// How often it was at work: what its channels have, but for what they have done, stays the same until
    /// then.
    pub turns: Counter,
    /// The messages of all its channels, those that are closed too.
    pub messages: Messages<Counter>,
    /// [`Self::octets`].
    pub track: Track<2>,
    /// [`Messages::values`]. It takes no room where there are none.
    pub message_track: Track<12>,
}

impl ConnectionStats {
    /// Octets read and written.
    pub fn octets(&self) -> [u64; 2] {
        [self.recv_oct.get(), self.send_oct.get()]
    }

    /// Takes a sample.
    pub fn sample(&self, tick: Tick) {
        self.track.sample(tick, self.octets());
        self.message_track.sample(tick, self.messages.get().values());
    }
}

/// What went through an exchange that publishers named.
#[derive(Debug, Default)]
pub struct ExchangeStats {
    /// Messages published to it.
    pub publish_in: Shared,
    /// Messages that queues got of them: one for each queue.
    pub publish_out: Shared,
    /// [`Self::values`].
    pub track: Track<2>,
}

impl ExchangeStats {
    /// Messages that came in and went out.
    pub fn values(&self) -> [u64; 2] {
        [self.publish_in.get(), self.publish_out.get()]
    }

    /// Takes a sample.
    pub fn sample(&self, tick: Tick) {
        self.track.sample(tick, self.values());
    }
}

/// What happened in a virtual host.
#[derive(Debug)]
pub struct VhostStats {
    /// Messages of all its channels.
    pub messages: Messages<Shared>,
    /// Octets read from its connections.
    pub recv_oct: Shared,
    /// Octets written to its connections.
    pub send_oct: Shared,
    /// What is in its queues now.
    pub totals: Arc<Totals>,
    /// [`Self::values`].
    pub track: Track<17>,
}

impl Default for VhostStats {
    fn default() -> Self {
        Self {
            messages: Messages::default(),
            recv_oct: Shared::default(),
            send_oct: Shared::default(),
            totals: Arc::default(),
            track: Track::long(),
        }
    }
}

impl VhostStats {
    /// Messages, those in queues, octets read and written.
    pub fn values(&self) -> Numbers {
        let Totals { ready, unacked, .. } = &*self.totals;
        let octets = [self.recv_oct.get(), self.send_oct.get()];
        numbers(&self.messages.get(), [ready.get(), unacked.get()], octets)
    }

    /// Takes a sample.
    pub fn sample(&self, tick: Tick) {
        self.track.sample(tick, self.values());
    }
}

/// What is in all queues of a virtual host, as of now.
#[derive(Debug, Default)]
pub struct Totals {
    /// Messages that wait.
    pub ready: Gauge,
    /// Messages that consumers hold.
    pub unacked: Gauge,
    /// Octets of the bodies of messages that wait.
    pub ready_bytes: Gauge,
    /// Octets of the bodies of messages that consumers hold.
    pub unacked_bytes: Gauge,
    /// Consumers.
    pub consumers: Gauge,
}

/// Comings and goings since the broker's start, and what virtual hosts did that are gone.
#[derive(Debug)]
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
    /// Messages of virtual hosts that were deleted.
    pub gone: Messages<Shared>,
    /// What is counted of the whole only.
    pub traffic: Traffic,
    /// Comings and goings: see [`CHURN`].
    pub track: Track<7>,
}

/// Comings and goings, by RabbitMQ's names.
pub const CHURN: [&str; 7] = [
    "channel_closed",
    "channel_created",
    "connection_closed",
    "connection_created",
    "queue_created",
    "queue_declared",
    "queue_deleted",
];

impl Default for NodeStats {
    fn default() -> Self {
        Self {
            connection_created: Shared::default(),
            connection_closed: Shared::default(),
            channel_created: Shared::default(),
            channel_closed: Shared::default(),
            queue_declared: Shared::default(),
            queue_created: Shared::default(),
            gone: Messages::default(),
            traffic: Traffic::default(),
            track: Track::long(),
        }
    }
}

impl NodeStats {
    /// Comings and goings as [`CHURN`] names them; how many queues were deleted others know.
    pub fn churn(&self, queues_deleted: u64) -> [u64; 7] {
        [
            self.channel_closed.get(),
            self.channel_created.get(),
            self.connection_closed.get(),
            self.connection_created.get(),
            self.queue_created.get(),
            self.queue_declared.get(),
            queues_deleted,
        ]
    }
}
