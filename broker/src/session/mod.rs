//! What a connection's channels do: synchronous, without sockets, without a clock.
//!
//! Frames of open connections come in through [`Session::piece`], mail of other threads through
//! [`Session::mail`]; replies and deliveries go to the [`Out`] buffer. A refusal becomes a
//! channel.close or connection.close in one place, [`Session::refuse`].

mod channel;
mod confirms;
mod consume;
mod content;
mod count;
mod deliver;
mod effort;
mod exchange_methods;
mod gather;
mod hold;
mod late;
mod method;
mod permit;
pub(crate) mod publish;
mod qos;
mod queue_methods;
mod queues;
mod reply_to;
pub mod seen;
mod settle;
mod told;
mod trace;
mod tx;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, channel as amqp_channel};
use amq_protocol::types::{FieldTable, ShortString};
use lepus_protocol::frame::Piece;
use lepus_protocol::handshake::Tuning;
use lepus_protocol::limits::SHORT_STRING_MAX;
use lepus_protocol::method::{MethodId, Verdict};

use crate::access::Identity;
use crate::aside::aside;
use crate::connection::Open;
use crate::error::Refusal;
use crate::events::INTERNAL_USER;
use crate::limits::{CONNECTION_WINDOW, CONSUMER_WINDOW_MAX, CONSUMER_WINDOW_MIN};
use crate::mailbox::Mailbox;
use crate::node::{Node, Place};
use crate::out::Out;
use crate::queue::state::{Command, ConsumerKey};
use crate::queue::{Queue, Receipt};
use crate::stats::{ConnectionStats, Messages, Uncounted};
use crate::vhost::Vhost;
use channel::Channel;
use effort::Effort;
use gather::Gather;
use hold::Hold;
pub use method::undecodable;
use permit::Allowed;
use queues::QueueTable;

/// Who is connected, and to what.
pub struct Peer {
    /// The broker.
    pub node: Arc<Node>,
    /// The virtual host that connection.open named.
    pub vhost: Arc<Vhost>,
    /// The connection's place there.
    pub place: Place,
    /// The connection's id.
    pub connection: u64,
    /// What others see of the connection.
    pub open: Arc<Open>,
    /// The connection's name, of the addresses of both ends.
    pub name: String,
    /// The connection's mailbox.
    pub mailbox: Arc<Mailbox>,
    /// What goes over the connection.
    pub stats: Arc<ConnectionStats>,
    /// The authenticated user.
    pub user: String,
    /// What the user may do.
    pub identity: Identity,
    /// What was negotiated.
    pub tuning: Tuning,
    /// The client can be told that a queue went away (`consumer_cancel_notify`).
    pub cancel_notify: bool,
}

/// A consumer of this connection.
struct Consumer {
    channel: u16,
    tag: ShortString,
    queue: Arc<Queue>,
    slot: u32,
    no_ack: bool,
    /// What basic.consume said besides.
    arguments: Option<Box<FieldTable>>,
    window: u32,
    /// Octets delivered whose credit its queue has not been given back.
    owed: u64,
    /// Messages granted under a channel-wide limit that have not arrived.
    granted: u32,
    /// basic.cancel has come; only granted messages are awaited.
    cancelled: bool,
}

/// An open connection.
pub struct Session {
    peer: Peer,
    channels: Vec<Option<Box<Channel>>>,
    open_channels: usize,
    consumers: HashMap<u32, Consumer>,
    last_consumer: u32,
    queues: QueueTable,
    gather: Gather,
    /// Consumers that are owed enough credit to be worth telling their queues.
    creditors: Vec<u32>,
    /// Channels whose builders or confirms want attention after a read.
    published: Vec<u16>,
    /// Channels with messages that are not known to be stored.
    confirming: Vec<u16>,
    /// The latest messages, if the store was not asked to write them yet.
    followed: Option<Arc<Receipt>>,
    /// The store will tell when it has got further.
    told_of_durable: bool,
    /// What must happen before anything more of this connection is taken in.
    hold: Option<Hold>,
    backlog: usize,
    effort: Effort,
    has_published: bool,
    allowed: Allowed,
    /// What the virtual host does not know yet of what was counted.
    tally: Messages<u64>,
    /// What the broker does not know yet.
    uncounted: Uncounted,
    /// When what is taken in now has arrived, ms since 1970.
    now: u64,
}

impl Session {
    /// A connection that has just been opened.
    pub fn new(peer: Peer) -> Self {
        Self {
            // What comes together with connection.open belongs to no read of its own.
            now: peer.node.now_ms(),
            peer,
            channels: Vec::new(),
            open_channels: 0,
            consumers: HashMap::new(),
            last_consumer: 0,
            queues: QueueTable::default(),
            gather: Gather::default(),
            creditors: Vec::new(),
            published: Vec::new(),
            confirming: Vec::new(),
            followed: None,
            told_of_durable: false,
            hold: None,
            backlog: 0,
            effort: Effort::default(),
            has_published: false,
            allowed: Allowed::default(),
            tally: Messages::default(),
            uncounted: Uncounted::default(),
        }
    }

    /// The name of its virtual host.
    pub fn vhost(&self) -> &str {
        &self.peer.vhost.name
    }

    /// What others see of the connection.
    pub fn seen(&self) -> &Open {
        &self.peer.open
    }

    /// Whether it has consumers.
    pub fn consumes(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// Whether any content has come since [`Self::begin_read`].
    pub fn has_published(&self) -> bool {
        self.has_published
    }

    /// Whether so much was done since [`Self::begin_read`] that others should get their turn.
    #[inline]
    pub fn is_tired(&self) -> bool {
        self.effort.is_enough()
    }

    /// Whether the latest reads make so much work that it should be done beside the others'.
    #[inline]
    pub fn is_long(&self) -> bool {
        self.effort.is_long()
    }

    /// What comes now is taken in at this time, in ms since 1970: another read, or what was left of one since
    /// the session was tired.
    pub fn begin_read(&mut self, now: u64) {
        self.has_published = false;
        self.effort.begin_turn();
        self.now = now;
    }

    /// Takes the next piece of a channel's frames. An error closes the connection.
    pub fn piece(&mut self, piece: Piece<'_>, out: &mut Out) -> Result<(), Refusal> {
        let (channel, done) = match piece {
            Piece::Method { channel, payload } => return self.method(channel, payload, out),
            Piece::Header { channel, payload } => {
                (channel, self.content_header(channel, payload, out))
            }
            Piece::Body { channel, chunk } => (channel, self.content_body(channel, chunk, out)),
            Piece::Heartbeat { .. } => return Ok(()),
        };
        match done {
            Ok(()) => Ok(()),
            Err(refusal) => self.settle_refusal(channel, MethodId::PUBLISH, refusal, out),
        }
    }

    /// Gives queues what the pieces so far were about, and confirms what is confirmed.
    /// Returns the largest backlog, octets, that this connection has published into.
    pub fn flush(&mut self, out: &mut Out) -> usize {
        self.serve_queues();
        self.confirm_published(out);
        self.flush_counts();
        std::mem::take(&mut self.backlog)
    }

    fn serve_queues(&mut self) {
        self.backlog = self.backlog.max(self.gather.serve(&self.peer.mailbox));
    }

    /// Ends all channels: consumers go, unsettled messages return to their queues, exclusive queues
    /// are deleted.
    pub fn close(&mut self, out: &mut Out) {
        let owned = self.peer.vhost.read(|topology| topology.owned_by(self.peer.connection));
        let things = self.open_channels + self.consumers.len() + owned.len();
        aside(things, || self.end(owned, out));
    }

    fn end(&mut self, owned: Vec<Arc<Queue>>, out: &mut Out) {
        self.serve_queues();
        if let Some(receipt) = self.gather.take_receipt() {
            self.follow(&receipt);
        }
        self.follow_no_more();
        for number in 1..=self.channels.len() {
            self.drop_channel(number as u16, out);
        }
        for mail in self.peer.mailbox.close() {
            self.mail(mail, out);
        }
        self.flush_counts();
        for queue in owned {
            self.peer.vhost.delete_queue(&self.peer.node, &queue, false, false);
        }
    }

    fn channel(&self, number: u16) -> Option<&Channel> {
        self.channels.get(usize::from(number).checked_sub(1)?)?.as_deref()
    }

    fn channel_mut(&mut self, number: u16) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(number).checked_sub(1)?)?.as_deref_mut()
    }

    /// Opens a channel; `false` if it is open.
    fn open_channel(&mut self, number: u16) -> bool {
        let at = usize::from(number).saturating_sub(1);
        if self.channels.len() <= at {
            self.channels.resize_with(at + 1, || None);
        }
        let Some(place @ None) = self.channels.get_mut(at) else { return false };
        let channel = Box::<Channel>::default();
        self.peer.open.channel_opened(number, channel.stats.clone());
        *place = Some(channel);
        self.open_channels += 1;
        true
    }

    /// Forgets a channel: what it held returns to the queues.
    fn drop_channel(&mut self, number: u16, out: &mut Out) {
        self.release_channel(number, out);
        if let Some(place) = self.channels.get_mut(usize::from(number).saturating_sub(1))
            && place.take().is_some()
        {
            self.open_channels -= 1;
            self.peer.place.close_channel();
            self.peer.open.channel_closed(number);
            self.tell_channel_closed(number);
        }
    }

    /// The slot of a queue in the table, which is tidied when it is crowded.
    fn slot_of(&mut self, queue: &Arc<Queue>) -> u32 {
        if self.queues.is_crowded() {
            self.prune_queues();
        }
        self.queues.slot(queue)
    }

    fn release_channel(&mut self, number: u16, out: &mut Out) {
        self.serve_queues();
        self.count_published(number);
        self.publishes_no_more(number);
        self.stop_replies(number);
        let Some(channel) = self.channel_mut(number) else { return };
        let consumers: Vec<u32> = std::mem::take(&mut channel.consumers).into_values().collect();
        for consumer in &consumers {
            self.stop_consumer(*consumer, Command::Leave);
        }
        self.collect_mail(out);
        for consumer in &consumers {
            self.tell_consumer_deleted(*consumer, INTERNAL_USER);
            self.consumers.remove(consumer);
        }
        self.return_all(number, Verdict::Fail);
        self.serve_queues();
    }

    fn prune_queues(&mut self) {
        let channels = self.channels.iter().flatten();
        let held = channels.flat_map(|channel| channel.unacked.iter().map(|(_, held)| held.queue));
        let in_tx = self.channels.iter().flatten().filter_map(|channel| channel.tx.as_ref());
        let in_tx = in_tx.flat_map(|tx| tx.settled().map(|held| held.queue));
        let consumed = self.consumers.values().map(|consumer| consumer.slot);
        let in_use: HashSet<u32> = held.chain(in_tx).chain(consumed).collect();
        self.queues.prune(&in_use);
    }

    /// Closes the channel for a soft refusal; a hard one is the connection's affair.
    #[cold]
    fn settle_refusal(
        &mut self,
        number: u16,
        method: MethodId,
        refusal: Refusal,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let method = refusal.method.unwrap_or(method);
        let refusal = refusal.with_method(method);
        if refusal.hard || number == 0 {
            return Err(refusal);
        }
        self.refuse(number, &refusal, method, out);
        Ok(())
    }

    fn refuse(&mut self, number: u16, refusal: &Refusal, method: MethodId, out: &mut Out) {
        tracing::info!(
            connection = self.peer.connection, channel = number, user = %self.peer.user,
            vhost = %self.peer.vhost.name, "channel closed: {}", refusal.reply_text()
        );
        self.flush(out);
        self.release_channel(number, out);
        if let Some(channel) = self.channel_mut(number) {
            let stats = channel.stats.clone();
            *channel = Channel { closing: true, stats, ..Channel::default() };
        }
        let close = amqp_channel::Close {
            reply_code: refusal.code.code(),
            reply_text: reply_text(&refusal.reply_text()),
            class_id: method.class,
            method_id: method.method,
        };
        let close = amqp_channel::AMQPMethod::Close(close);
        out.method(number, &AMQPClass::Channel(close));
    }

    fn new_consumer_key(&mut self) -> ConsumerKey {
        self.last_consumer += 1;
        ConsumerKey { connection: self.peer.connection, number: self.last_consumer }
    }

    /// Octets that may be on their way to one more consumer.
    fn consumer_window(&self) -> u32 {
        let share = CONNECTION_WINDOW / (self.consumers.len() as u32 + 1);
        share.clamp(CONSUMER_WINDOW_MIN, CONSUMER_WINDOW_MAX)
    }
}

/// A reply text as a short string: RabbitMQ ends one that is too long with an ellipsis.
pub fn reply_text(text: &str) -> ShortString {
    if text.len() <= SHORT_STRING_MAX {
        return short(text);
    }
    let cut = text.floor_char_boundary(SHORT_STRING_MAX - 3);
    short(&format!("{}...", text.get(..cut).unwrap_or_default()))
}

/// A short string, cut at its limit (at a character's border).
pub fn short(text: &str) -> ShortString {
    let cut = text.floor_char_boundary(text.len().min(SHORT_STRING_MAX));
    ShortString::try_new(text.get(..cut).unwrap_or_default()).unwrap_or_default()
}
