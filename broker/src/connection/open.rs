//! An open connection, as others see it: what it is, and whom to ask what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lepus_protocol::handshake::Tuning;
use lepus_protocol::reply::ReplyCode;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::facts::Facts;
use crate::error::Refusal;
use crate::mailbox::{Mail, Mailbox};
use crate::session::seen::{ChannelSeen, Told};
use crate::stats::{ChannelStats, ConnectionStats};
use crate::vhost::Vhost;

/// For how long after its client was last held back a connection counts as one in flow, milliseconds.
const FLOW: u64 = 1_000;

/// How long all that are asked together may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection from connection.open to its end.
pub struct Open {
    /// Its id, never reused.
    pub id: u64,
    /// Addresses, times, and what the client says of itself.
    pub facts: Arc<Facts>,
    /// The authenticated user.
    pub user: String,
    /// Where it is.
    pub vhost: Arc<Vhost>,
    /// What was negotiated.
    pub tuning: Tuning,
    /// What goes over it.
    pub stats: Arc<ConnectionStats>,
    mailbox: Arc<Mailbox>,
    /// The channels by number.
    channels: Mutex<BTreeMap<u16, Arc<ChannelStats>>>,
    /// What it has told of its channels the last time that it was asked.
    told: Mutex<Option<Told>>,
    blocked: AtomicBool,
    blocks_own_consumers: AtomicBool,
    held_back: AtomicU64,
}

impl Open {
    /// A connection that has just been opened.
    pub fn new(
        (id, mailbox): (u64, Arc<Mailbox>),
        facts: Arc<Facts>,
        user: String,
        vhost: Arc<Vhost>,
        tuning: Tuning,
        stats: Arc<ConnectionStats>,
    ) -> Self {
        Self {
            id,
            facts,
            user,
            vhost,
            tuning,
            stats,
            mailbox,
            channels: Mutex::default(),
            told: Mutex::default(),
            blocked: AtomicBool::default(),
            blocks_own_consumers: AtomicBool::default(),
            held_back: AtomicU64::default(),
        }
    }

    /// How many channels it has.
    pub fn channel_count(&self) -> usize {
        self.channels.lock().len()
    }

    /// What its channels have done.
    pub fn channel_stats(&self) -> Vec<Arc<ChannelStats>> {
        self.channels.lock().values().cloned().collect()
    }

    /// A channel has come.
    pub fn channel_opened(&self, number: u16, stats: Arc<ChannelStats>) {
        self.channels.lock().insert(number, stats);
    }

    /// A channel is gone.
    pub fn channel_closed(&self, number: u16) {
        self.channels.lock().remove(&number);
    }

    /// It has published under an alarm and is not read until that ends.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// While it is blocked, what its consumers acknowledge is not read.
    pub fn set_blocks_own_consumers(&self, blocks: bool) {
        self.blocks_own_consumers.store(blocks, Ordering::Relaxed);
    }

    /// See [`Self::set_blocks_own_consumers`].
    pub fn blocks_own_consumers(&self) -> bool {
        self.blocks_own_consumers.load(Ordering::Relaxed)
    }

    /// It is not read for a while, since it publishes faster than its queues get rid of messages.
    pub fn hold_back(&self, now: u64) {
        self.held_back.store(now, Ordering::Relaxed);
    }

    /// RabbitMQ's word for how it fares while there is an alarm, or none.
    pub fn state(&self, alarm: bool, now: u64) -> &'static str {
        let held_back = self.held_back.load(Ordering::Relaxed);
        match self.blocked.load(Ordering::Relaxed) {
            true => "blocked",
            false if alarm => "blocking",
            false if now < held_back.saturating_add(FLOW) => "flow",
            false => "running",
        }
    }

    /// Its channels as they are now. The answer fails if it goes before it has told of them.
    pub fn ask(&self) -> Answer<'_> {
        let told =
            self.told.lock().as_ref().filter(|told| told.turn == self.stats.turns.get()).cloned();
        let answer = match told {
            Some(told) => Err(told),
            None => {
                let (answer, answered) = oneshot::channel();
                // One that is gone drops the letter, and with it the other end.
                let _ = self.mailbox.post(Mail::Channels(answer));
                Ok(answered)
            }
        };
        Answer { open: self, answer }
    }

    /// Closes it, as an operator does.
    pub fn close(&self, text: &str) {
        let forced = Refusal::new(ReplyCode::ConnectionForced, text).without_method();
        let _ = self.mailbox.post(Mail::Close(forced));
    }
}

/// An answer on its way. A connection that has done nothing since it was asked before is not asked again:
/// it would have to be woken.
#[must_use]
pub struct Answer<'a> {
    open: &'a Open,
    answer: Result<oneshot::Receiver<Told>, Told>,
}

impl Answer<'_> {
    /// The channels, by number; `None`: it went before.
    pub async fn channels(self) -> Option<Vec<Arc<ChannelSeen>>> {
        let told = match self.answer {
            Ok(asked) => asked.await.ok()?,
            Err(told) => return Some(told.channels),
        };
        *self.open.told.lock() = Some(told.clone());
        Some(told.channels)
    }
}

/// What connections say of their channels; those that go at this moment say nothing.
pub async fn ask_all(connections: Vec<Arc<Open>>) -> Vec<(Arc<Open>, Arc<ChannelSeen>)> {
    let until = Instant::now() + PATIENCE;
    let busy = connections.iter().filter(|connection| connection.channel_count() > 0);
    let asked: Vec<_> = busy.map(|connection| (connection, connection.ask())).collect();
    let mut all = Vec::new();
    for (open, answer) in asked {
        if let Ok(Some(channels)) = timeout_at(until, answer.channels()).await {
            all.extend(channels.into_iter().map(|channel| (open.clone(), channel)));
        }
    }
    all
}
