//! What clients send.

use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue, tx};
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::encode;
use lepus_protocol::method::Verdict;

use super::super::letter::{EXCHANGES, FRAME_MAX, HIGH, Letter, key_name, queue_name};
use super::super::model::{Held, LOSSY, RANKED, is_durable, is_single};
use super::{Connection, Mode};

/// Something that was sent, until the broker takes it in.
#[derive(Clone, Debug)]
pub enum Sent {
    Publish(u16, Letter),
    Verdict(u16, Vec<(u64, Held)>, Verdict),
    Open(u16),
    Close(u16),
    Select(u16, Mode),
    Qos(u16, u16),
    Exchange(u16, u8),
    Declare(u16, u8),
    Passive(u16, u8),
    Delete(u16, u8),
    Purge(u16, u8),
    Bind(u16, u8, u8, u8),
    Unbind(u16, u8, u8, u8),
    Consume(u16, u8, String),
    Cancel(u16, String),
    Get(u16, u8),
    Recover(u16),
    Commit(u16),
    Rollback(u16),
    End,
}

impl Sent {
    /// Whether it has a reply that its channel waits for.
    pub fn is_awaited(&self) -> bool {
        !matches!(self, Self::Publish(..) | Self::Verdict(..))
    }

    pub fn channel(&self) -> u16 {
        match self {
            Self::Publish(channel, ..)
            | Self::Verdict(channel, ..)
            | Self::Open(channel)
            | Self::Close(channel)
            | Self::Select(channel, _)
            | Self::Qos(channel, _)
            | Self::Exchange(channel, _)
            | Self::Declare(channel, _)
            | Self::Passive(channel, _)
            | Self::Delete(channel, _)
            | Self::Purge(channel, _)
            | Self::Bind(channel, ..)
            | Self::Unbind(channel, ..)
            | Self::Consume(channel, ..)
            | Self::Cancel(channel, _)
            | Self::Get(channel, _)
            | Self::Recover(channel)
            | Self::Commit(channel)
            | Self::Rollback(channel) => *channel,
            Self::End => 0,
        }
    }

    /// Its method, and that of the reply.
    fn method(&self) -> (AMQPClass, (u16, u16)) {
        use amq_protocol::protocol::AMQPClass as Class;
        match self {
            Self::Open(_) => {
                (Class::Channel(channel::AMQPMethod::Open(channel::Open {})), (20, 11))
            }
            Self::Close(_) => {
                let close = channel::Close {
                    reply_code: 200,
                    reply_text: "".into(),
                    class_id: 0,
                    method_id: 0,
                };
                (Class::Channel(channel::AMQPMethod::Close(close)), (20, 41))
            }
            Self::Select(_, Mode::Tx) => {
                (Class::Tx(tx::AMQPMethod::Select(tx::Select {})), (90, 11))
            }
            Self::Select(..) => {
                let select = confirm::Select { nowait: false };
                (Class::Confirm(confirm::AMQPMethod::Select(select)), (85, 11))
            }
            Self::Commit(_) => (Class::Tx(tx::AMQPMethod::Commit(tx::Commit {})), (90, 21)),
            Self::Rollback(_) => (Class::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})), (90, 31)),
            Self::End => {
                let close = connection::Close {
                    reply_code: 200,
                    reply_text: "".into(),
                    class_id: 0,
                    method_id: 0,
                };
                (Class::Connection(connection::AMQPMethod::Close(close)), (10, 51))
            }
            Self::Qos(..)
            | Self::Consume(..)
            | Self::Cancel(..)
            | Self::Get(..)
            | Self::Recover(_) => self.basic(),
            _ => self.topology(),
        }
    }

    fn basic(&self) -> (AMQPClass, (u16, u16)) {
        let (method, reply) = match self {
            Self::Qos(_, prefetch_count) => {
                let qos = basic::Qos { prefetch_count: *prefetch_count, global: false };
                (basic::AMQPMethod::Qos(qos), 11)
            }
            Self::Consume(_, queue, tag) => {
                let consume = basic::Consume {
                    queue: queue_name(*queue).as_str().into(),
                    consumer_tag: tag.as_str().into(),
                    no_ack: *queue == LOSSY,
                    ..basic::Consume::default()
                };
                (basic::AMQPMethod::Consume(consume), 21)
            }
            Self::Cancel(_, tag) => {
                let cancel = basic::Cancel { consumer_tag: tag.as_str().into(), nowait: false };
                (basic::AMQPMethod::Cancel(cancel), 31)
            }
            Self::Get(_, queue) => {
                let get = basic::Get { queue: queue_name(*queue).as_str().into(), no_ack: false };
                (basic::AMQPMethod::Get(get), 71)
            }
            _ => (basic::AMQPMethod::Recover(basic::Recover { requeue: true }), 111),
        };
        (AMQPClass::Basic(method), (60, reply))
    }

    fn topology(&self) -> (AMQPClass, (u16, u16)) {
        let exchange_name = |exchange: u8| EXCHANGES[usize::from(exchange)].into();
        let (method, reply) = match self {
            Self::Exchange(_, exchange) => {
                let kind = if *exchange == 1 { "direct" } else { "fanout" };
                let declare = exchange::Declare {
                    exchange: exchange_name(*exchange),
                    kind: kind.into(),
                    durable: true,
                    ..exchange::Declare::default()
                };
                let class = AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare));
                return (class, (40, 11));
            }
            Self::Declare(_, queue) | Self::Passive(_, queue) => {
                let declare = queue::Declare {
                    queue: queue_name(*queue).as_str().into(),
                    passive: matches!(self, Self::Passive(..)),
                    durable: is_durable(*queue),
                    arguments: arguments(*queue),
                    ..queue::Declare::default()
                };
                (queue::AMQPMethod::Declare(declare), 11)
            }
            Self::Bind(_, exchange, key, queue) => {
                let bind = queue::Bind {
                    queue: queue_name(*queue).as_str().into(),
                    exchange: exchange_name(*exchange),
                    routing_key: key_name(*key).as_str().into(),
                    ..queue::Bind::default()
                };
                (queue::AMQPMethod::Bind(bind), 21)
            }
            Self::Unbind(_, exchange, key, queue) => {
                let unbind = queue::Unbind {
                    queue: queue_name(*queue).as_str().into(),
                    exchange: exchange_name(*exchange),
                    routing_key: key_name(*key).as_str().into(),
                    ..queue::Unbind::default()
                };
                (queue::AMQPMethod::Unbind(unbind), 51)
            }
            Self::Purge(_, queue) => {
                let purge =
                    queue::Purge { queue: queue_name(*queue).as_str().into(), nowait: false };
                (queue::AMQPMethod::Purge(purge), 31)
            }
            Self::Delete(_, queue) => {
                let delete = queue::Delete {
                    queue: queue_name(*queue).as_str().into(),
                    ..queue::Delete::default()
                };
                (queue::AMQPMethod::Delete(delete), 41)
            }
            other => panic!("{other:?} is not about topology"),
        };
        (AMQPClass::Queue(method), (50, reply))
    }
}

impl Connection {
    /// Sends something on a channel, and waits for its reply.
    pub(super) fn say(&mut self, sent: Sent) {
        let (class, reply) = sent.method();
        encode::method(&mut self.to_broker, sent.channel(), &class);
        if let Some(channel) = self.channels.get_mut(&sent.channel()) {
            channel.waiting = Some(reply);
        }
        self.note(sent);
    }

    /// Notes what the octets up to here are.
    pub(super) fn note(&mut self, sent: Sent) {
        self.sent.push_back((self.taken + self.to_broker.len() as u64, sent));
    }

    pub(super) fn say_on_connection(&mut self, method: connection::AMQPMethod) {
        encode::method(&mut self.to_broker, 0, &AMQPClass::Connection(method));
    }

    pub(super) fn say_verdict(
        &mut self,
        channel: u16,
        settled: Vec<(u64, Held)>,
        verdict: Verdict,
        multiple: bool,
    ) {
        let Some((delivery_tag, _)) = settled.last().copied() else { return };
        let method = match verdict {
            Verdict::Ack => basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }),
            verdict => {
                let requeue = verdict == Verdict::Requeue;
                basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue })
            }
        };
        encode::method(&mut self.to_broker, channel, &AMQPClass::Basic(method));
        self.note(Sent::Verdict(channel, settled, verdict));
    }

    /// Answers connection.start and connection.tune.
    pub(super) fn start_ok(&mut self) {
        let mut capabilities = FieldTable::default();
        for name in ["consumer_cancel_notify", "connection.blocked"] {
            capabilities.insert(name.into(), AMQPValue::Boolean(true));
        }
        let mut client_properties = FieldTable::default();
        client_properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        self.say_on_connection(connection::AMQPMethod::StartOk(connection::StartOk {
            client_properties,
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        }));
    }

    pub(super) fn tune_ok(&mut self) {
        self.say_on_connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
            channel_max: 20,
            frame_max: FRAME_MAX,
            heartbeat: 0,
        }));
        let open = connection::Open { virtual_host: "/".into() };
        self.say_on_connection(connection::AMQPMethod::Open(open));
    }
}

fn arguments(queue: u8) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue == RANKED {
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(HIGH.into()));
    }
    if is_single(queue) {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    arguments
}
