//! queue.declare, bind, unbind, purge, delete.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, queue};
use amq_protocol::types::AMQPValue;
use lepus_protocol::reply::ReplyCode;

use super::consume::generated;
use super::exchange_methods::printable_name;
use super::reply_to::{REPLY_PREFIX, REPLY_TO};
use super::{Peer, Session, short};
use crate::access::{Kind, Resource};
use crate::aside::aside;
use crate::error::Refusal;
use crate::out::Out;
use crate::queue::Queue;
use crate::queue::state::{Command, Counts, Outcome};
use crate::topology::{self, BindingSpec, QueueSpec, Target, check_name};

impl Session {
    /// A queue that this connection may use.
    pub(super) fn usable_queue(&self, name: &str) -> Result<Arc<Queue>, Refusal> {
        self.peer.vhost.read(|topology| topology.queue(name, self.peer.connection))
    }

    /// The name that a method gives; "" is the queue declared last on the channel (0-9-1 §1.7.2).
    pub(super) fn queue_name(&self, number: u16, name: &str) -> Result<String, Refusal> {
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
        let last = self.channel(number).and_then(|channel| channel.last_queue.clone());
        last.ok_or_else(no_previous)
    }

    pub(super) fn declare_queue(
        &mut self,
        number: u16,
        declare: queue::Declare,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let (name, counts) = if declare.passive {
            self.look_up_queue(declare.queue.as_str())?
        } else {
            self.create_queue(&declare)?
        };
        if let Some(channel) = self.channel_mut(number) {
            channel.last_queue = Some(name.clone());
        }
        if !declare.nowait {
            // Who sees the reply uses the queue, as far as its expiry is concerned.
            if let Ok(queue) = self.usable_queue(&name) {
                queue.apply(Command::Touch);
            }
            let ok = queue::DeclareOk {
                queue: short(&name),
                message_count: counts.ready as u32,
                consumer_count: counts.consumers as u32,
            };
            out.method(number, &AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)));
        }
        Ok(())
    }

    fn look_up_queue(&self, name: &str) -> Result<(String, Counts), Refusal> {
        // Spring looks for the pseudo-queue to learn whether direct reply-to is there.
        if name == REPLY_TO || self.peer.node.reply_consumer(name).is_some() {
            return Ok((name.to_owned(), reply_counts()));
        }
        Ok((name.to_owned(), self.usable_queue(name)?.counts()))
    }

    fn create_queue(&mut self, declare: &queue::Declare) -> Result<(String, Counts), Refusal> {
        let name = match printable_name(declare.queue.as_str()) {
            name if name.is_empty() => generated("amq.gen-"),
            name if name == REPLY_TO || name.starts_with(REPLY_PREFIX) => {
                return self.look_up_queue(&name);
            }
            name => {
                check_name("queue", &name)?;
                name
            }
        };
        let mut spec = QueueSpec {
            name: name.clone(),
            // An exclusive queue goes with its connection, whatever was asked for.
            durable: declare.durable && !declare.exclusive,
            owner: declare.exclusive.then_some(self.peer.connection),
            auto_delete: declare.auto_delete,
            arguments: declare.arguments.clone(),
        };
        self.permit_queue(&spec)?;
        let peer = &self.peer;
        peer.vhost.complete(&peer.node, &mut spec);
        let queue = peer.vhost.declare_queue_by(&peer.user, &peer.node, &spec)?;
        Ok((name, queue.counts()))
    }

    /// Whether the user may declare a queue. One that is new may only have a dead letter exchange that the
    /// user could publish to what could be read from the queue.
    fn permit_queue(&mut self, spec: &QueueSpec) -> Result<(), Refusal> {
        let queue = Resource::Queue(&spec.name);
        self.permit(queue, Kind::Configure)?;
        let exchange = spec.arguments.inner().get("x-dead-letter-exchange");
        let Some(AMQPValue::LongString(exchange)) = exchange else { return Ok(()) };
        if self.peer.vhost.read(|topology| topology.declared_queue(spec)).is_some() {
            return Ok(());
        }
        self.permit(queue, Kind::Read)?;
        self.permit(Resource::Exchange(&exchange.to_string()), Kind::Write)
    }

    pub(super) fn bind_queue(
        &mut self,
        number: u16,
        bind: &queue::Bind,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(number, bind.queue.as_str())?;
        // With both empty, the key too is the name of the queue declared last (0-9-1 §1.7.2.3).
        let default_key = bind.queue.as_str().is_empty() && bind.routing_key.as_str().is_empty();
        let spec = BindingSpec {
            source: bind.exchange.as_str(),
            target: Target::Queue(&name),
            key: if default_key { &name } else { bind.routing_key.as_str() },
            arguments: &bind.arguments,
        };
        self.permit_binding(&spec)?;
        let connection = self.peer.connection;
        self.change_topology(topology::Command::Bind(spec, connection))?;
        if !bind.nowait {
            let ok = queue::AMQPMethod::BindOk(queue::BindOk {});
            out.method(number, &AMQPClass::Queue(ok));
        }
        Ok(())
    }

    pub(super) fn unbind_queue(
        &mut self,
        number: u16,
        unbind: &queue::Unbind,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(number, unbind.queue.as_str())?;
        let default_key =
            unbind.queue.as_str().is_empty() && unbind.routing_key.as_str().is_empty();
        let spec = BindingSpec {
            source: unbind.exchange.as_str(),
            target: Target::Queue(&name),
            key: if default_key { &name } else { unbind.routing_key.as_str() },
            arguments: &unbind.arguments,
        };
        self.permit_binding(&spec)?;
        let connection = self.peer.connection;
        self.change_topology(topology::Command::Unbind(spec, connection))?;
        let ok = queue::AMQPMethod::UnbindOk(queue::UnbindOk {});
        out.method(number, &AMQPClass::Queue(ok));
        Ok(())
    }

    pub(super) fn purge_queue(
        &mut self,
        number: u16,
        purge: &queue::Purge,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(number, purge.queue.as_str())?;
        self.permit(Resource::Queue(&name), Kind::Read)?;
        let queue = self.usable_queue(&name)?;
        let [ready, ..] = queue.lengths();
        let dropped = match aside(ready, || queue.apply(Command::Purge)) {
            Outcome::Dropped(dropped) => dropped,
            _ => 0,
        };
        if !purge.nowait {
            let ok = queue::PurgeOk { message_count: dropped as u32 };
            out.method(number, &AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok)));
        }
        Ok(())
    }

    pub(super) fn delete_queue(
        &mut self,
        number: u16,
        delete: &queue::Delete,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(number, delete.queue.as_str())?;
        self.permit(Resource::Queue(&name), Kind::Configure)?;
        let dropped = self.try_delete(&name, delete.if_unused, delete.if_empty)?;
        if !delete.nowait {
            let ok = queue::DeleteOk { message_count: dropped as u32 };
            out.method(number, &AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok)));
        }
        Ok(())
    }

    fn try_delete(&self, name: &str, if_unused: bool, if_empty: bool) -> Result<usize, Refusal> {
        let queue = match self.usable_queue(name) {
            // A queue that does not exist is as good as deleted (RabbitMQ since 3.2).
            Err(refusal) if refusal.code == ReplyCode::NotFound => {
                return Ok(0);
            }
            queue => queue?,
        };
        let vhost = &self.peer.vhost;
        let refuse = |why: &str| {
            let vhost = &vhost.name;
            Err(Refusal::precondition(format_args!("queue '{name}' in vhost '{vhost}' {why}")))
        };
        let Peer { node, user, .. } = &self.peer;
        let messages = queue.lengths().into_iter().sum();
        let delete = || vhost.delete_queue_by(user, node, &queue, if_unused, if_empty);
        match aside(messages, delete) {
            Outcome::Dropped(dropped) => Ok(dropped),
            Outcome::InUse => refuse("in use"),
            Outcome::NotEmpty => refuse("not empty"),
            _ => Ok(0),
        }
    }
}

/// What RabbitMQ says of the pseudo-queue of direct replies.
fn reply_counts() -> Counts {
    Counts { consumers: 1, ..Counts::default() }
}

fn no_previous() -> Refusal {
    Refusal::new(ReplyCode::NotFound, "no previously declared queue")
}
