//! How long messages may stay in a queue, how many there may be, and what becomes of the others.

use super::schedule::Retry;
use super::turns::PriorityMode;
use crate::message::Message;

/// What a queue's arguments say of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Messages go after so many ms (`x-message-ttl`), or sooner if they say so themselves.
    pub ttl: Option<u64>,
    /// The queue goes when nobody has used it for so many ms (`x-expires`).
    pub expires: Option<u64>,
    /// The most messages that may be ready (`x-max-length`).
    pub max_length: Option<u64>,
    /// The most octets that the bodies of ready messages may have (`x-max-length-bytes`).
    pub max_bytes: Option<u64>,
    /// What is done when there are more (`x-overflow`).
    pub overflow: Overflow,
    /// Where messages go that are not consumed.
    pub dead_letter: Option<DeadLetterTo>,
    /// How often a message may come back (`x-delivery-limit`).
    pub delivery_limit: Option<u32>,
    /// Only one consumer at a time gets messages (`x-single-active-consumer`); never changes.
    pub single_active: bool,
    /// How long a consumer may hold a message, in ms (`x-consumer-timeout`).
    pub consumer_timeout: Option<u64>,
    /// Nothing is delivered (the policy key `pause`).
    pub paused: bool,
    /// The most messages that are delivered in a second (`x-max-delivery-rate`).
    pub max_rate: Option<u64>,
    /// Messages that are the same as others are dropped (`x-message-deduplication`).
    pub unique: Option<Unique>,
    /// All messages leave at once, to where an exchange leads.
    pub passes: bool,
    /// Messages wait as long as their header `x-delay` says (`x-delayed`).
    pub delays: bool,
    /// Messages that come back wait (`x-delayed-retry-*`).
    pub retry: Option<Retry>,
    /// How priorities share their consumers from now on, if the rules before said otherwise.
    pub priority_mode: PriorityMode,
}

/// Which messages count that others may be the same as (`x-deduplication-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// Those that are in the queue, until they are acknowledged or gone otherwise.
    UntilAcked,
    /// The latest ones, wherever they are.
    Window {
        /// At most so many (`x-cache-size`).
        size: Option<u64>,
        /// For so many ms (`x-cache-ttl`).
        ttl: Option<u64>,
    },
}

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest messages go.
    #[default]
    DropHead,
    /// New messages are refused.
    RejectPublish,
    /// New messages are refused, and dead-lettered.
    RejectPublishDlx,
}

/// `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTo {
    /// The exchange; "" is the default one.
    pub exchange: String,
    /// The routing key instead of the message's own.
    pub key: Option<String>,
}

/// Why a message is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A consumer did not want it.
    Rejected,
    /// Its time was over.
    Expired,
    /// There were too many.
    MaxLength,
    /// It came back too often.
    DeliveryLimit,
}

impl Reason {
    /// RabbitMQ's name, as in `x-death`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

impl Rules {
    /// When a message's time is over, in ms since 1970.
    pub fn expiry(&self, message: &Message) -> Option<u64> {
        let ttl = self.time_to_live(message)?;
        Some(message.arrived().saturating_add(ttl))
    }

    /// The shorter of the queue's and the message's own time.
    pub fn time_to_live(&self, message: &Message) -> Option<u64> {
        self.shorter(message.expiration())
    }

    /// The shorter of the queue's time and another one.
    pub fn shorter(&self, own: Option<u64>) -> Option<u64> {
        match (self.ttl, own) {
            (Some(queue), Some(own)) => Some(queue.min(own)),
            (queue, own) => queue.or(own),
        }
    }

    /// Whether there may be too many.
    pub fn is_limited(&self) -> bool {
        self.max_length.is_some() || self.max_bytes.is_some()
    }

    /// Whether so many messages, or so many octets of bodies, are too many.
    pub fn is_exceeded(&self, messages: usize, octets: u64) -> bool {
        self.max_length.is_some_and(|max| messages as u64 > max)
            || self.max_bytes.is_some_and(|max| octets > max)
    }

    /// Whether a message that has come back so often is given up.
    pub fn gives_up(&self, returns: u32) -> bool {
        self.delivery_limit.is_some_and(|limit| returns > limit)
    }

    /// New messages are refused when there are too many.
    pub fn refuses(&self) -> bool {
        self.overflow != Overflow::DropHead
    }
}
