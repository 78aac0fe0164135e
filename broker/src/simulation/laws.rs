//! Queues with rules of their own: limits, times, dead letters, retries; and an exchange that delays.
//! They are declared when a life begins, and stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};

use super::letter::{HIGH, queue_name};
use crate::node::Node;
use crate::routing::ExchangeKind;
use crate::topology::{BindingSpec, Command, ExchangeSpec, QueueSpec, Target};

/// Gets what is dead: a fanout to [`DEAD`] and [`TWIN`].
pub const GRAVE: &str = "grave";
/// Holds messages back, and leads to the queue that is the routing key.
pub const LATE: &str = "late";

/// The lowest number of a queue with rules.
pub const FIRST: u8 = 10;
const WORK: u8 = 10;
const DEAD: u8 = 11;
const TWIN: u8 = 12;
pub const LAST: u8 = 13;
const BRIEF: u8 = 14;
const RETRY: u8 = 15;
const LOST: u8 = 16;
const ONCE: u8 = 17;
const RECENT: u8 = 18;
const FULL: u8 = 19;
/// It has policies: see [`super::policies`].
pub const RULED: u8 = 20;

/// Clients publish to these, the other ones get dead letters.
pub const SOURCES: [u8; 8] = [WORK, BRIEF, RETRY, LOST, ONCE, RECENT, FULL, RULED];

/// All of this has happened after so many ms in which nobody does anything.
pub const LONG: u64 = 4000;

/// The rules of a queue.
#[derive(Clone, Copy, Default)]
pub struct Law {
    pub queue: u8,
    pub ttl: Option<u64>,
    pub max_length: Option<u64>,
    pub delivery_limit: Option<u64>,
    /// What is too much is refused, and dead-lettered.
    pub refuses: bool,
    /// Messages of a higher priority go first.
    pub ranked: bool,
    pub unique: Option<Unique>,
    /// The first delay of what comes back.
    pub retry: Option<u64>,
    /// Exchange, and the routing key that is put in.
    pub dead_letter: Option<(&'static str, Option<u8>)>,
}

/// Messages with the same key as others are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// As long as those are in the queue.
    UntilAcked,
    /// For so many ms.
    Window(u64),
}

const NONE: Law = Law {
    queue: 0,
    ttl: None,
    max_length: None,
    delivery_limit: None,
    refuses: false,
    ranked: false,
    unique: None,
    retry: None,
    dead_letter: None,
};

pub const GRAVES: Option<(&str, Option<u8>)> = Some((GRAVE, None));
pub const TO_LAST: Option<(&str, Option<u8>)> = Some(("", Some(LAST)));

pub const LAWS: [Law; 11] = [
    Law { queue: WORK, max_length: Some(6), delivery_limit: Some(0), dead_letter: GRAVES, ..NONE },
    Law { queue: DEAD, max_length: Some(4), ranked: true, dead_letter: TO_LAST, ..NONE },
    Law { queue: TWIN, ..NONE },
    Law { queue: LAST, ..NONE },
    Law { queue: BRIEF, ttl: Some(300), dead_letter: TO_LAST, ..NONE },
    Law {
        queue: RETRY,
        delivery_limit: Some(3),
        ranked: true,
        retry: Some(100),
        dead_letter: GRAVES,
        ..NONE
    },
    Law { queue: LOST, ttl: Some(200), max_length: Some(5), ..NONE },
    Law {
        queue: ONCE,
        unique: Some(Unique::UntilAcked),
        delivery_limit: Some(2),
        retry: Some(80),
        dead_letter: TO_LAST,
        ..NONE
    },
    Law {
        queue: RECENT,
        unique: Some(Unique::Window(400)),
        max_length: Some(5),
        ranked: true,
        dead_letter: GRAVES,
        ..NONE
    },
    Law { queue: FULL, max_length: Some(3), refuses: true, dead_letter: GRAVES, ..NONE },
    Law { queue: RULED, ..NONE },
];

/// Whose messages the store has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Queue(u8),
    /// The delayed exchange.
    Late,
}

/// Whether a queue has rules.
pub fn is_ruled(queue: u8) -> bool {
    queue >= FIRST
}

/// The rules of a queue that has some.
pub fn law(queue: u8) -> &'static Law {
    LAWS.iter().find(|law| law.queue == queue).expect("a queue with rules")
}

/// The owner that has a name, if it is one of these.
pub fn owner(name: &str) -> Option<Owner> {
    let named = |law: &&Law| queue_name(law.queue) == name;
    let queue = LAWS.iter().find(named).map(|law| Owner::Queue(law.queue));
    queue.or((name == LATE).then_some(Owner::Late))
}

impl Law {
    /// The queues that dead letters go to.
    pub fn targets(&self) -> &'static [u8] {
        match self.dead_letter {
            None => &[],
            Some((GRAVE, _)) => &[DEAD, TWIN],
            Some(_) => &[LAST],
        }
    }

    pub fn limits_deliveries(&self) -> bool {
        self.delivery_limit.is_some()
    }

    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut put = |name: &str, value| {
            table.insert(name.into(), value);
        };
        let number = |ms: u64| AMQPValue::LongLongInt(ms as i64);
        let numbers = [
            ("x-message-ttl", self.ttl),
            ("x-max-length", self.max_length),
            ("x-delivery-limit", self.delivery_limit),
            ("x-max-priority", self.ranked.then_some(u64::from(HIGH))),
            ("x-delayed-retry-min", self.retry),
            ("x-delayed-retry-max", self.retry.map(|min| 4 * min)),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                put(name, number(value));
            }
        }
        if self.refuses {
            put("x-overflow", AMQPValue::LongString("reject-publish-dlx".into()));
        }
        if let Some(unique) = self.unique {
            put("x-message-deduplication", AMQPValue::Boolean(true));
            if let Unique::Window(ms) = unique {
                put("x-deduplication-mode", AMQPValue::LongString("window".into()));
                put("x-cache-ttl", number(ms));
            }
        }
        if self.retry.is_some() {
            put("x-delayed-retry-type", AMQPValue::LongString("all".into()));
        }
        if let Some((exchange, key)) = self.dead_letter {
            put("x-dead-letter-exchange", AMQPValue::LongString(exchange.into()));
            if let Some(key) = key {
                let key = AMQPValue::LongString(queue_name(key).into());
                put("x-dead-letter-routing-key", key);
            }
        }
        table
    }
}

/// Declares all. Returns what the store calls them.
pub fn declare(node: &Arc<Node>) -> BTreeMap<u64, Owner> {
    let vhost = node.vhost("/").expect("the virtual host that every broker has");
    let mut delayed = FieldTable::default();
    delayed.insert("x-delayed-type".into(), AMQPValue::LongString("direct".into()));
    for (name, kind, arguments) in
        [(GRAVE, "fanout", FieldTable::default()), (LATE, "x-delayed-message", delayed)]
    {
        let spec = ExchangeSpec {
            name: name.to_owned(),
            kind: ExchangeKind::parse(kind).expect("a type of exchanges"),
            durable: true,
            auto_delete: false,
            internal: false,
            arguments,
        };
        vhost.apply(node, Command::DeclareExchange(spec)).expect("a new exchange");
    }
    let mut owners = BTreeMap::new();
    for law in &LAWS {
        let spec = QueueSpec {
            name: queue_name(law.queue),
            durable: true,
            owner: None,
            auto_delete: false,
            arguments: law.arguments(),
        };
        let queue = vhost.declare_queue(node, &spec).expect("a new queue");
        owners.insert(queue.record.id.0, Owner::Queue(law.queue));
        let source = if SOURCES.contains(&law.queue) { LATE } else { GRAVE };
        if law.queue != LAST {
            let arguments = &FieldTable::default();
            let (target, key) = (Target::Queue(&spec.name), spec.name.as_str());
            let binding = BindingSpec { source, target, key, arguments };
            vhost.apply(node, Command::Bind(binding, 0)).expect("a new binding");
        }
    }
    let late = vhost.read(|topology| topology.held_back(LATE)).expect("what waits");
    owners.insert(late.record.id.0, Owner::Late);
    owners
}
