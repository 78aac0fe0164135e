//! exchange.declare, delete, bind, unbind.

use amq_protocol::protocol::{AMQPClass, exchange};
use lepus_protocol::reply::ReplyCode;

use super::Session;
use crate::error::Refusal;
use crate::out::Out;
use crate::routing::ExchangeKind;
use crate::topology::{BindingSpec, Command, ExchangeSpec, Target};

impl Session {
    /// Changes the topology; what comes of a declared queue is for [`crate::vhost::Vhost`].
    pub(super) fn change_topology(&self, command: Command<'_>) -> Result<(), Refusal> {
        self.peer.vhost.apply_by(&self.peer.user, &self.peer.node, command).map(drop)
    }

    pub(super) fn declare_exchange(
        &mut self,
        number: u16,
        declare: exchange::Declare,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let vhost = &self.peer.vhost;
        let name = printable_name(declare.exchange.as_str());
        if declare.passive {
            if name.is_empty() {
                return Err(Refusal::access("operation not permitted on the default exchange"));
            }
            vhost.read(|topology| topology.exchange(&name).map(drop))?;
        } else {
            let kind = declare.kind.as_str();
            let spec = ExchangeSpec {
                name,
                kind: ExchangeKind::parse(kind).ok_or_else(|| unknown_type(kind))?,
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                internal: declare.internal,
                arguments: declare.arguments,
            };
            self.change_topology(Command::DeclareExchange(spec))?;
        }
        reply(number, declare.nowait, exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}), out);
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        number: u16,
        delete: &exchange::Delete,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = delete.exchange.as_str();
        let if_unused = delete.if_unused;
        self.change_topology(Command::DeleteExchange { name, if_unused })?;
        reply(number, delete.nowait, exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {}), out);
        Ok(())
    }

    pub(super) fn bind_exchange(
        &mut self,
        number: u16,
        bind: &exchange::Bind,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let spec = BindingSpec {
            source: bind.source.as_str(),
            target: Target::Exchange(bind.destination.as_str()),
            key: bind.routing_key.as_str(),
            arguments: &bind.arguments,
        };
        let connection = self.peer.connection;
        self.change_topology(Command::Bind(spec, connection))?;
        reply(number, bind.nowait, exchange::AMQPMethod::BindOk(exchange::BindOk {}), out);
        Ok(())
    }

    pub(super) fn unbind_exchange(
        &mut self,
        number: u16,
        unbind: &exchange::Unbind,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let spec = BindingSpec {
            source: unbind.source.as_str(),
            target: Target::Exchange(unbind.destination.as_str()),
            key: unbind.routing_key.as_str(),
            arguments: &unbind.arguments,
        };
        let connection = self.peer.connection;
        self.change_topology(Command::Unbind(spec, connection))?;
        reply(number, unbind.nowait, exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}), out);
        Ok(())
    }
}

fn reply(number: u16, nowait: bool, method: exchange::AMQPMethod, out: &mut Out) {
    if !nowait {
        out.method(number, &AMQPClass::Exchange(method));
    }
}

fn unknown_type(kind: &str) -> Refusal {
    Refusal::new(ReplyCode::CommandInvalid, format_args!("unknown exchange type '{kind}'"))
}

/// RabbitMQ takes line breaks out of the names of new exchanges and queues.
pub(super) fn printable_name(name: &str) -> String {
    name.replace(['\r', '\n'], "")
}
