//! Which method does what.

use amq_protocol::protocol::{
    AMQPClass, access, basic, channel as amqp_channel, confirm, exchange, queue, tx,
};
use lepus_protocol::method::{self, Method, MethodError, MethodId};
use lepus_protocol::octets::Binary;
use lepus_protocol::reply::ReplyCode;

use super::Session;
use super::channel::Content;
use super::hold::Hold;
use crate::error::Refusal;
use crate::out::Out;

impl Session {
    /// Takes a method frame of a channel.
    pub(super) fn method(
        &mut self,
        number: u16,
        payload: &[u8],
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let method = match method::decode(payload) {
            Ok(method) => method,
            Err(error) => return Err(undecodable(error, payload)),
        };
        let id = method.id();
        match self.channel(number) {
            Some(channel) if !channel.closing && channel.content == Content::None => {}
            _ => return self.method_out_of_place(number, &method, out),
        }
        let done = match method {
            Method::Publish(publish) => self.publish(number, &publish),
            Method::Settle(settle) => self.settle(number, &settle),
            Method::Qos(qos) => {
                self.flush(out);
                self.qos(number, &qos, out)
            }
            Method::Other(class) => {
                self.flush(out);
                self.other_method(number, *class, out)
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(refusal) => self.settle_refusal(number, id, refusal, out),
        }
    }

    #[cold]
    fn method_out_of_place(
        &mut self,
        number: u16,
        method: &Method<'_>,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let Some(channel) = self.channel(number) else {
            let done = self.without_channel(number, method, out);
            return done.map_err(|r| Refusal { method: r.method.or(Some(method.id())), ..r });
        };
        if channel.closing {
            self.on_closing_channel(number, method, out);
            return Ok(());
        }
        expect_method(channel.content)
    }

    /// A channel must be opened first (0-9-1 §2.2.5).
    fn without_channel(
        &mut self,
        number: u16,
        method: &Method<'_>,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        if !is_channel_open(method) {
            return Err(Refusal::new(ReplyCode::ChannelError, "expected 'channel.open'"));
        }
        let max = self.peer.tuning.channel_max;
        if max != 0 && (number > max || self.open_channels >= usize::from(max)) {
            let opened = self.open_channels;
            let text = format_args!(
                "number of channels opened ({opened}) has reached the negotiated channel_max ({max})"
            );
            return Err(Refusal::new(ReplyCode::NotAllowed, text).without_method());
        }
        self.peer.place.open_channel().map_err(Refusal::without_method)?;
        self.open_channel(number);
        self.tell_channel_created(number);
        let ok = amqp_channel::AMQPMethod::OpenOk(amqp_channel::OpenOk {});
        out.method(number, &AMQPClass::Channel(ok));
        Ok(())
    }

    /// After channel.close only close-ok, or the client's own close, still counts.
    fn on_closing_channel(&mut self, number: u16, method: &Method<'_>, out: &mut Out) {
        let Method::Other(class) = method else { return };
        match **class {
            AMQPClass::Channel(amqp_channel::AMQPMethod::CloseOk(_)) => {
                self.drop_channel(number, out);
            }
            AMQPClass::Channel(amqp_channel::AMQPMethod::Close(_)) => {
                out.method(number, &close_ok());
            }
            _ => {}
        }
    }

    fn other_method(
        &mut self,
        number: u16,
        class: AMQPClass,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        match class {
            AMQPClass::Channel(method) => self.channel_method(number, method, out),
            AMQPClass::Exchange(_) | AMQPClass::Queue(_) => {
                self.topology_method(number, class, out)
            }
            AMQPClass::Basic(method) => self.basic_method(number, method, out),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                self.select_confirms(number, select, out)
            }
            AMQPClass::Tx(method) => self.tx_method(number, &method, out),
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                out.method(number, &AMQPClass::Access(ok));
                Ok(())
            }
            _ => Err(unimplemented_method()),
        }
    }

    fn channel_method(
        &mut self,
        number: u16,
        method: amqp_channel::AMQPMethod,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        match method {
            amqp_channel::AMQPMethod::Open(_) => {
                Err(Refusal::new(ReplyCode::ChannelError, "second 'channel.open' seen"))
            }
            amqp_channel::AMQPMethod::Close(_) => {
                self.drop_channel(number, out);
                out.method(number, &close_ok());
                Ok(())
            }
            amqp_channel::AMQPMethod::Flow(amqp_channel::Flow { active: true }) => {
                let ok = amqp_channel::FlowOk { active: true };
                out.method(number, &AMQPClass::Channel(amqp_channel::AMQPMethod::FlowOk(ok)));
                Ok(())
            }
            amqp_channel::AMQPMethod::Flow(_) => {
                Err(Refusal::new(ReplyCode::NotImplemented, "active=false"))
            }
            _ => Err(unimplemented_method()),
        }
    }

    /// Methods whose replies promise that the catalog has what they say.
    fn topology_method(
        &mut self,
        number: u16,
        class: AMQPClass,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let method = MethodId::of(&class);
        let mut reply = Out::default();
        match class {
            AMQPClass::Exchange(method) => self.exchange_method(number, method, &mut reply)?,
            AMQPClass::Queue(method) => self.queue_method(number, method, &mut reply)?,
            _ => {}
        }
        let version = self.peer.node.declared().version();
        self.hold(Hold::Declared { version, channel: number, method, reply }, out)
    }

    fn exchange_method(
        &mut self,
        number: u16,
        method: exchange::AMQPMethod,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        match method {
            exchange::AMQPMethod::Declare(declare) => self.declare_exchange(number, declare, out),
            exchange::AMQPMethod::Delete(delete) => self.delete_exchange(number, &delete, out),
            exchange::AMQPMethod::Bind(bind) => self.bind_exchange(number, &bind, out),
            exchange::AMQPMethod::Unbind(unbind) => self.unbind_exchange(number, &unbind, out),
            _ => Err(unimplemented_method()),
        }
    }

    fn queue_method(
        &mut self,
        number: u16,
        method: queue::AMQPMethod,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        match method {
            queue::AMQPMethod::Declare(declare) => self.declare_queue(number, declare, out),
            queue::AMQPMethod::Bind(bind) => self.bind_queue(number, &bind, out),
            queue::AMQPMethod::Unbind(unbind) => self.unbind_queue(number, &unbind, out),
            queue::AMQPMethod::Purge(purge) => self.purge_queue(number, &purge, out),
            queue::AMQPMethod::Delete(delete) => self.delete_queue(number, &delete, out),
            _ => Err(unimplemented_method()),
        }
    }

    fn basic_method(
        &mut self,
        number: u16,
        method: basic::AMQPMethod,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        match method {
            basic::AMQPMethod::Consume(consume) => self.consume(number, &consume, out),
            basic::AMQPMethod::Cancel(cancel) => self.cancel(number, &cancel, out),
            basic::AMQPMethod::Get(get) => self.get(number, &get, out),
            basic::AMQPMethod::Recover(recover) => self.recover(number, recover.requeue, Some(out)),
            basic::AMQPMethod::RecoverAsync(recover) => self.recover(number, recover.requeue, None),
            _ => Err(unimplemented_method()),
        }
    }

    fn select_confirms(
        &mut self,
        number: u16,
        select: confirm::Select,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        if channel.tx.is_some() {
            return Err(Refusal::precondition("cannot switch from tx to confirm mode"));
        }
        channel.confirm.get_or_insert_default();
        if !select.nowait {
            let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
            out.method(number, &AMQPClass::Confirm(ok));
        }
        Ok(())
    }

    fn tx_method(
        &mut self,
        number: u16,
        method: &tx::AMQPMethod,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let ok = match method {
            tx::AMQPMethod::Select(_) => {
                self.select_tx(number)?;
                tx::AMQPMethod::SelectOk(tx::SelectOk {})
            }
            tx::AMQPMethod::Commit(_) => return self.commit(number, out),
            tx::AMQPMethod::Rollback(_) => {
                self.rollback(number)?;
                tx::AMQPMethod::RollbackOk(tx::RollbackOk {})
            }
            _ => return Err(unimplemented_method()),
        };
        out.method(number, &AMQPClass::Tx(ok));
        Ok(())
    }
}

fn is_channel_open(method: &Method<'_>) -> bool {
    let Method::Other(class) = method else { return false };
    matches!(**class, AMQPClass::Channel(amqp_channel::AMQPMethod::Open(_)))
}

fn close_ok() -> AMQPClass {
    AMQPClass::Channel(amqp_channel::AMQPMethod::CloseOk(amqp_channel::CloseOk {}))
}

fn unimplemented_method() -> Refusal {
    Refusal::new(ReplyCode::CommandInvalid, "unimplemented method")
}

/// A method may not come in the middle of a content.
fn expect_method(content: Content) -> Result<(), Refusal> {
    let text = match content {
        Content::None => return Ok(()),
        Content::Header { .. } => {
            "expected content header for class 60, got non content header frame instead"
        }
        Content::Body { .. } => "expected content body, got non content body frame instead",
    };
    Err(Refusal::new(ReplyCode::UnexpectedFrame, text).with_method(MethodId::PUBLISH))
}

/// What a method that can't be read is answered with.
pub fn undecodable(error: MethodError, payload: &[u8]) -> Refusal {
    match error {
        MethodError::Malformed(id) => {
            let arguments = Binary(payload.get(4..).unwrap_or_default());
            let text = format_args!("cannot decode {arguments}");
            Refusal::new(ReplyCode::FrameError, text).with_method(id)
        }
        MethodError::Unknown(id) => {
            let text = format_args!("unknown method {}.{}", id.class, id.method);
            Refusal::new(ReplyCode::CommandInvalid, text).with_method(id)
        }
    }
}
