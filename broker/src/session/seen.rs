//! What a connection tells operators of its channels and consumers.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::channel::Channel;
use super::{Consumer, Session};
use crate::queue::Queue;
use crate::queue::state::ConsumerKey;
use crate::stats::ChannelStats;

/// What a connection has told of its channels. It holds until the connection has another turn.
#[derive(Clone, Debug)]
pub struct Told {
    /// The connection's turns until then.
    pub turn: u64,
    /// The channels, by number.
    pub channels: Vec<Arc<ChannelSeen>>,
}

/// A channel at some moment.
#[derive(Debug)]
pub struct ChannelSeen {
    /// Its number.
    pub number: u16,
    /// It is in confirm mode.
    pub confirm: bool,
    /// It has a transaction.
    pub transactional: bool,
    /// basic.qos for consumers to come; 0: no limit.
    pub prefetch: u16,
    /// The limit that its consumers share; 0: none.
    pub global_prefetch: u32,
    /// Deliveries that the client has not settled.
    pub unacknowledged: usize,
    /// Messages whose confirms are due.
    pub unconfirmed: u64,
    /// Messages that wait for tx.commit.
    pub uncommitted: usize,
    /// Verdicts that wait for tx.commit.
    pub acks_uncommitted: usize,
    /// What it has done.
    pub stats: Arc<ChannelStats>,
    /// Its consumers of queues.
    pub consumers: Vec<ConsumerSeen>,
}

/// A consumer, but for what its queue knows of it.
#[derive(Debug)]
pub struct ConsumerSeen {
    /// The consumer tag.
    pub tag: String,
    /// Its name in its queue.
    pub key: ConsumerKey,
    /// Its queue.
    pub queue: Arc<Queue>,
    /// What basic.consume said.
    pub arguments: FieldTable,
}

impl Session {
    /// The channels that the client may use, by number.
    pub fn show(&self) -> Vec<Arc<ChannelSeen>> {
        let channels = self.channels.iter().zip(1..).filter_map(|(channel, number)| {
            let channel = channel.as_ref().filter(|channel| !channel.closing)?;
            Some(Arc::new(self.show_channel(number, channel)))
        });
        channels.collect()
    }

    fn show_channel(&self, number: u16, channel: &Channel) -> ChannelSeen {
        let tx = channel.tx.as_ref();
        let consumers = channel.consumers.iter().filter_map(|(tag, key)| {
            let Consumer { queue, arguments, .. } = self.consumers.get(key)?;
            let key = ConsumerKey { connection: self.peer.open.id, number: *key };
            let arguments = arguments.as_deref().cloned().unwrap_or_default();
            Some(ConsumerSeen { tag: tag.clone(), key, queue: queue.clone(), arguments })
        });
        ChannelSeen {
            number,
            confirm: channel.confirm.is_some(),
            transactional: tx.is_some(),
            prefetch: channel.prefetch,
            global_prefetch: channel.global.as_ref().map_or(0, |global| global.limit),
            unacknowledged: channel.unacked.len(),
            unconfirmed: channel.confirm.as_ref().map_or(0, |confirms| confirms.due()),
            uncommitted: tx.map_or(0, |tx| tx.published()),
            acks_uncommitted: tx.map_or(0, |tx| tx.settled().count()),
            stats: channel.stats.clone(),
            consumers: consumers.collect(),
        }
    }
}
