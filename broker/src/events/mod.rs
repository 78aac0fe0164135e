//! What happens in the broker, told to whoever has bound a queue to `amq.rabbitmq.event`: names, headers
//! and types as RabbitMQ's plugin rabbitmq_event_exchange has them; and to whoever listens over HTTP. With
//! nobody there nothing is done.

mod terms;
pub mod topology;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amq_protocol::types::{AMQPValue, FieldTable};
use tokio::sync::broadcast::{Receiver, Sender};

use crate::message::Message;
use crate::node::Node;
use crate::vhost::Vhost;
pub use terms::{address, fields, json, texts};

/// The exchange, in the default virtual host.
pub const EXCHANGE: &str = "amq.rabbitmq.event";

/// Whoever does something that no user has asked for.
pub const INTERNAL_USER: &str = "rmq-internal";

/// Events that wait for a listener who is slow; older ones are lost.
const BACKLOG: usize = 1024;

/// Whom to tell.
#[derive(Debug)]
pub struct Events {
    is_bound: AtomicBool,
    listeners: Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { is_bound: AtomicBool::new(false), listeners: Sender::new(BACKLOG) }
    }
}

impl Events {
    /// Whether anybody wants to be told.
    #[inline]
    pub fn wanted(&self) -> bool {
        self.is_bound.load(Ordering::Relaxed) || self.listeners.receiver_count() > 0
    }

    /// Something is bound to the exchange, or nothing any more.
    pub fn set_bound(&self, is_bound: bool) {
        self.is_bound.store(is_bound, Ordering::Relaxed);
    }

    /// Tells of all that happens from now on.
    pub fn listen(&self) -> Receiver<Arc<Event>> {
        self.listeners.subscribe()
    }
}

/// Something that has happened.
#[derive(Debug)]
pub struct Event {
    key: &'static str,
    headers: FieldTable,
}

impl Event {
    /// One with a routing key.
    pub fn new(key: &'static str) -> Self {
        Self { key, headers: FieldTable::default() }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: AMQPValue) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// Adds several headers.
    pub fn all(self, headers: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> Self {
        headers.into_iter().fold(self, |event, (name, value)| event.with(name, value))
    }

    /// Adds a text.
    pub fn text(self, name: &str, text: &str) -> Self {
        self.with(name, AMQPValue::LongString(text.into()))
    }

    /// Adds a number.
    pub fn number(self, name: &str, number: u64) -> Self {
        self.with(name, AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// Adds a flag.
    pub fn flag(self, name: &str, flag: bool) -> Self {
        self.with(name, AMQPValue::Boolean(flag))
    }

    /// Adds a virtual host and who has done it.
    pub fn by(self, vhost: &str, user: &str) -> Self {
        self.text("vhost", vhost).text("user_who_performed_action", user)
    }

    /// Its routing key: what has happened.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// All that is said of it.
    pub fn headers(&self) -> &FieldTable {
        &self.headers
    }

    fn message(&self, now: u64) -> Option<Message> {
        let Self { key, headers } = self;
        // Properties delivery_mode and timestamp, which counts seconds.
        let properties =
            [&0x1040_u16.to_be_bytes()[..], &[2], &(now / 1000).to_be_bytes()].concat();
        Message::of_broker(now, [EXCHANGE, key], &properties, headers, b"", true)
    }
}

impl Node {
    /// Tells of something if anybody wants to be told. Call it with no lock held.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        if self.events().wanted() {
            self.tell_of(event());
        }
    }

    #[cold]
    fn tell_of(&self, event: Event) {
        let now = self.now_ms();
        let event = Arc::new(event.number("timestamp_in_ms", now));
        if self.events().is_bound.load(Ordering::Relaxed)
            && let (Some(vhost), Some(message)) = (self.vhost(Vhost::DEFAULT), event.message(now))
        {
            vhost.publish_inside(&message);
        }
        // Without listeners nobody misses it.
        let _ = self.events().listeners.send(event);
    }
}
