//! An open connection, as others see it: what it is, and whom to ask what it does.

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
use crate::session::seen::ChannelSeen;
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
    channels: Mutex<Vec<(u16, Arc<ChannelStats>)>>,
    blocked: AtomicBool,
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
        let (channels, blocked) = (Mutex::default(), AtomicBool::new(false));
        let held_back = AtomicU64::new(0);
        Self { id, facts, user, vhost, tuning, stats, mailbox, channels, blocked, held_back }
    }

    /// How many channels it has.
    pub fn channel_count(&self) -> usize {
        self.channels.lock().len()
    }

    /// What its channels have done.
    pub fn channel_stats(&self) -> Vec<Arc<ChannelStats>> {
        self.channels.lock().iter().map(|(_, stats)| stats.clone()).collect()
    }

    /// A channel has come.
    pub fn channel_opened(&self, number: u16, stats: Arc<ChannelStats>) {
        self.channels.lock().push((number, stats));
    }

    /// A channel is gone.
    pub fn channel_closed(&self, number: u16) {
        self.channels.lock().retain(|(open, _)| *open != number);
    }

    /// It has published under an alarm and is not read until that ends.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
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

    /// Has it tell of its channels. The answer fails if it goes before it has.
    pub fn ask(&self) -> oneshot::Receiver<Vec<ChannelSeen>> {
        let (answer, answered) = oneshot::channel();
        // One that is gone drops the letter, and with it the other end.
        let _ = self.mailbox.post(Mail::Channels(answer));
        answered
    }

    /// Closes it, as an operator does.
    pub fn close(&self, text: &str) {
        let forced = Refusal::new(ReplyCode::ConnectionForced, text).without_method();
        let _ = self.mailbox.post(Mail::Close(forced));
    }
}

/// What connections say of their channels; those that go at this moment say nothing.
pub async fn ask_all(connections: Vec<Arc<Open>>) -> Vec<(Arc<Open>, ChannelSeen)> {
    let until = Instant::now() + PATIENCE;
    let busy = connections.into_iter().filter(|connection| connection.channel_count() > 0);
    let asked: Vec<_> = busy.map(|connection| (connection.ask(), connection)).collect();
    let mut all = Vec::new();
    for (answer, open) in asked {
        if let Ok(Ok(channels)) = timeout_at(until, answer).await {
            all.extend(channels.into_iter().map(|channel| (open.clone(), channel)));
        }
    }
    all
}
