//! exchange.declare, delete, bind, unbind.

use amq_protocol::protocol::{AMQPClass, exchange};
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::reply::ReplyCode;

use super::Session;
use crate::access::{Kind, Resource, Topic};
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
        let name = printable_name(declare.exchange.as_str());
        if declare.passive {
            if name.is_empty() {
                return Err(Refusal::access("operation not permitted on the default exchange"));
            }
            self.peer.vhost.read(|topology| topology.exchange(&name).map(drop))?;
        } else {
            let kind = declare.kind.as_str();
            let kind = ExchangeKind::parse(kind).ok_or_else(|| unknown_type(kind))?;
            self.permit_exchange(&name, &declare.arguments)?;
            let spec = ExchangeSpec {
                name,
                kind,
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

    /// Whether the user may declare an exchange. One that is new may only have an alternate exchange that
    /// the user could publish to.
    fn permit_exchange(&mut self, name: &str, arguments: &FieldTable) -> Result<(), Refusal> {
        if name.is_empty() {
            // Which nobody may declare.
            return Ok(());
        }
        let exchange = Resource::Exchange(name);
        self.permit(exchange, Kind::Configure)?;
        let alternate = arguments.inner().get("alternate-exchange");
        let Some(AMQPValue::LongString(alternate)) = alternate else { return Ok(()) };
        let exists = self.peer.vhost.read(|topology| topology.exchange(name).is_ok());
        if exists || name.starts_with("amq.") {
            return Ok(());
        }
        self.permit(exchange, Kind::Read)?;
        self.permit(Resource::Exchange(&alternate.to_string()), Kind::Write)
    }

    /// Whether the user may bind something to an exchange, or unbind it.
    pub(super) fn permit_binding(&mut self, spec: &BindingSpec<'_>) -> Result<(), Refusal> {
        let destination = match spec.target {
            Target::Queue(name) => Resource::Queue(name),
            Target::Exchange(name) => Resource::Exchange(name),
        };
        self.permit(destination, Kind::Write)?;
        if spec.source.is_empty() || destination == Resource::Exchange("") {
            // Which nobody may.
            return Ok(());
        }
        self.permit(Resource::Exchange(spec.source), Kind::Read)?;
        let is_topic = self.peer.vhost.read(|topology| {
            topology
                .exchange(spec.source)
                .is_ok_and(|source| source.spec.kind == ExchangeKind::Topic)
        });
        let topic = Topic { exchange: spec.source, key: spec.key };
        if is_topic { self.permit_topic(topic, Kind::Read) } else { Ok(()) }
    }

    pub(super) fn delete_exchange(
        &mut self,
        number: u16,
        delete: &exchange::Delete,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let name = delete.exchange.as_str();
        let if_unused = delete.if_unused;
        // Nobody may delete those that are always there.
        if !name.is_empty() && !name.starts_with("amq.") {
            self.permit(Resource::Exchange(name), Kind::Configure)?;
        }
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
        self.permit_binding(&spec)?;
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
        self.permit_binding(&spec)?;
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
