//! What the broker remembers of a channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::confirms::Confirms;
use super::count::Published;
use super::tx::Tx;
use crate::message::Builder;
use crate::queue::Queue;
use crate::stats::ChannelStats;
use crate::window::Window;

/// A channel.
#[derive(Default)]
pub struct Channel {
    /// The broker has closed it and waits for close-ok; all else on it is ignored.
    pub closing: bool,
    /// The content that is arriving.
    pub content: Content,
    /// The message that is being put together.
    pub builder: Builder,
    /// Where the last message went.
    pub route: RouteCache,
    /// Publisher confirms, once selected.
    pub confirm: Option<Confirms>,
    /// A transaction, once selected.
    pub tx: Option<Tx>,
    /// Deliveries that the client has not settled, by tag.
    pub unacked: Window<Held>,
    /// Tags of deliveries that the client has held for too long: they can be settled without effect.
    pub late: BTreeSet<u64>,
    /// The last delivery tag given.
    pub last_tag: u64,
    /// Consumer numbers by consumer tag.
    pub consumers: BTreeMap<String, u32>,
    /// basic.qos for consumers to come; 0: no limit.
    pub prefetch: u16,
    /// basic.qos with `global`: one limit for all consumers.
    pub global: Option<GlobalLimit>,
    /// The queue that "" means.
    pub last_queue: Option<String>,
    /// The consumer of amq.rabbitmq.reply-to.
    pub reply_consumer: Option<ReplyConsumer>,
    /// What it has done.
    pub stats: Arc<ChannelStats>,
    /// What of that is not counted yet.
    pub published: Published,
    /// It has published something, ever.
    pub publishes: bool,
    /// A delivery that is to be acknowledged, and when it was made, ms since 1970: one of those at a time
    /// tells how long consumers take.
    pub timed: Option<(u64, u64)>,
}

/// How far a content has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// None is under way.
    #[default]
    None,
    /// basic.publish has come, the header has not.
    Header {
        /// Return the message when it reaches no queue.
        mandatory: bool,
    },
    /// The header has come, the body is not whole.
    Body {
        /// Return the message when it reaches no queue.
        mandatory: bool,
        /// What the properties ask of routing and validation.
        marks: Marks,
    },
}

/// What of a message's properties needs a closer look before it is routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// There are headers.
    pub headers: bool,
    /// There is a CC or BCC header.
    pub extra_keys: bool,
    /// There is an expiration, a user-id or an unusual delivery mode.
    pub validate: bool,
}

/// A delivery that awaits its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The queue's slot in the session's table.
    pub queue: u32,
    /// The consumer's number; 0 for basic.get.
    pub consumer: u32,
    /// The message's position in its queue.
    pub seq: u64,
    /// How often it had come back before.
    pub returns: u32,
}

/// A prefetch limit that all consumers of a channel share. They pull: the session asks their
/// queues for as many messages as there is room for.
#[derive(Debug, Default)]
pub struct GlobalLimit {
    /// Messages that the client may hold.
    pub limit: u32,
    /// Messages that it holds, or that are on their way to it.
    pub used: u32,
    /// Consumers whose queues have messages for them.
    pub wanting: VecDeque<u32>,
}

impl GlobalLimit {
    /// Messages that may still be asked for.
    pub fn room(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

/// The queues that the last message went to, valid for one version of the topology.
#[derive(Debug, Default)]
pub struct RouteCache {
    /// Exchange and routing key as two short strings; empty when nothing is cached.
    pub route: Vec<u8>,
    /// The version of the topology.
    pub version: u64,
    /// The queues.
    pub queues: Vec<Arc<Queue>>,
}

/// A consumer of direct replies.
#[derive(Clone, Debug)]
pub struct ReplyConsumer {
    /// Its consumer tag.
    pub tag: String,
    /// The routing key that replies come with: names connection and channel, and can't be guessed.
    pub key: String,
}
