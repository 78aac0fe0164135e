//! Methods (0-9-1 §1.4): the hot ones in place, all others through amq-protocol's classes.

use crate::methods::{AMQPClass, parse_class};
use crate::table::{self, TableError};
use crate::wire::{Reader, Truncated};

/// Class id and method id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodId {
    /// Class id.
    pub class: u16,
    /// Method id within the class.
    pub method: u16,
}

impl MethodId {
    /// No method: what a close carries when no method caused it.
    pub const NONE: Self = Self { class: 0, method: 0 };
    /// basic.qos.
    pub const QOS: Self = Self { class: 60, method: 10 };
    /// basic.publish.
    pub const PUBLISH: Self = Self { class: 60, method: 40 };
    /// basic.ack.
    pub const ACK: Self = Self { class: 60, method: 80 };
    /// basic.reject.
    pub const REJECT: Self = Self { class: 60, method: 90 };
    /// basic.nack, RabbitMQ's extension.
    pub const NACK: Self = Self { class: 60, method: 120 };

    /// The ids of a generated method.
    pub fn of(class: &AMQPClass) -> Self {
        Self { class: class.get_amqp_class_id(), method: class.get_amqp_method_id() }
    }
}

/// A method as it arrived.
#[derive(Debug)]
pub enum Method<'a> {
    /// basic.publish; its content follows.
    Publish(Publish<'a>),
    /// basic.ack, basic.nack or basic.reject.
    Settle(Settle),
    /// basic.qos: amq-protocol drops its prefetch-size.
    Qos(Qos),
    /// Any other method.
    Other(Box<AMQPClass>),
}

/// basic.qos in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qos {
    /// Octets that may be unacknowledged; 0: any number.
    pub prefetch_size: u32,
    /// Messages that may be unacknowledged; 0: any number.
    pub prefetch_count: u16,
    /// For the channel as a whole instead of each consumer to come.
    pub global: bool,
}

/// basic.publish in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Exchange name.
    pub exchange: &'a [u8],
    /// Routing key.
    pub routing_key: &'a [u8],
    /// Exchange name and routing key as two short strings, as basic.deliver repeats them.
    pub route: &'a [u8],
    /// Return the message when it reaches no queue.
    pub mandatory: bool,
    /// Not implemented by RabbitMQ since 3.0.
    pub immediate: bool,
}

/// What a consumer says of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Which of the three methods it was.
    pub id: MethodId,
    /// The delivery tag; 0 with `multiple` is "all so far".
    pub tag: u64,
    /// This tag and all before it.
    pub multiple: bool,
    /// What becomes of the messages.
    pub verdict: Verdict,
}

/// What becomes of a delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Done: it leaves its queue.
    Ack,
    /// Not done, but nothing failed: it returns to its queue.
    Requeue,
    /// Failed: it returns to its queue.
    Fail,
    /// Not done: it is dead-lettered or dropped.
    Discard,
}

impl Verdict {
    /// Whether the message returns to its queue.
    pub fn returns(self) -> bool {
        matches!(self, Self::Requeue | Self::Fail)
    }
}

/// Why a method frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// No such class or method.
    #[error("unknown method {}.{}", .0.class, .0.method)]
    Unknown(MethodId),
    /// The arguments can't be read.
    #[error("malformed arguments of {}.{}", .0.class, .0.method)]
    Malformed(MethodId),
}

/// Reads the payload of a method frame.
pub fn decode(payload: &[u8]) -> Result<Method<'_>, MethodError> {
    let mut reader = Reader::new(payload);
    let (class, method) = ids(&mut reader).map_err(|_| MethodError::Unknown(MethodId::NONE))?;
    let id = MethodId { class, method };
    let malformed = |_| MethodError::Malformed(id);
    match id {
        MethodId::PUBLISH => publish(reader).map(Method::Publish).map_err(malformed),
        MethodId::ACK | MethodId::NACK | MethodId::REJECT => {
            settle(id, reader).map(Method::Settle).map_err(malformed)
        }
        MethodId::QOS => qos(reader).map(Method::Qos).map_err(malformed),
        _ => other(id, payload, reader),
    }
}

impl Method<'_> {
    /// Its class and method id.
    pub fn id(&self) -> MethodId {
        match self {
            Self::Publish(_) => MethodId::PUBLISH,
            Self::Settle(settle) => settle.id,
            Self::Qos(_) => MethodId::QOS,
            Self::Other(class) => MethodId::of(class),
        }
    }
}

fn qos(mut reader: Reader<'_>) -> Result<Qos, Truncated> {
    let (prefetch_size, prefetch_count) = (reader.u32()?, reader.u16()?);
    let global = last_octet(reader)? & 1 != 0;
    Ok(Qos { prefetch_size, prefetch_count, global })
}

fn ids(reader: &mut Reader<'_>) -> Result<(u16, u16), Truncated> {
    Ok((reader.u16()?, reader.u16()?))
}

fn publish(mut reader: Reader<'_>) -> Result<Publish<'_>, Truncated> {
    let _reserved_1 = reader.u16()?;
    let from_route = reader.rest();
    let exchange = reader.short_string()?;
    let routing_key = reader.short_string()?;
    let route_len = exchange.len() + routing_key.len() + 2;
    let bits = last_octet(reader)?;
    Ok(Publish {
        exchange,
        routing_key,
        route: from_route.get(..route_len).unwrap_or_default(),
        mandatory: bits & 1 != 0,
        immediate: bits & 2 != 0,
    })
}

/// The octet that must end the arguments.
fn last_octet(mut reader: Reader<'_>) -> Result<u8, Truncated> {
    let octet = reader.u8()?;
    if reader.rest().is_empty() { Ok(octet) } else { Err(Truncated) }
}

fn settle(id: MethodId, mut reader: Reader<'_>) -> Result<Settle, Truncated> {
    let tag = reader.u64()?;
    let bits = last_octet(reader)?;
    // As RabbitMQ 4.3 tells them apart: what is rejected has failed, what is nacked was not tried.
    let (multiple, verdict) = match id {
        MethodId::REJECT if bits & 1 != 0 => (false, Verdict::Fail),
        MethodId::REJECT => (false, Verdict::Discard),
        MethodId::NACK if bits & 2 != 0 => (bits & 1 != 0, Verdict::Requeue),
        MethodId::NACK => (bits & 1 != 0, Verdict::Discard),
        _ => (bits & 1 != 0, Verdict::Ack),
    };
    Ok(Settle { id, tag, multiple, verdict })
}

fn other<'a>(
    id: MethodId,
    payload: &'a [u8],
    arguments: Reader<'a>,
) -> Result<Method<'a>, MethodError> {
    if let Some(fields) = fields_before_table(id) {
        let checked = check_table(fields, arguments);
        checked.map_err(|_| MethodError::Malformed(id))?;
    }
    match parse_class(payload) {
        Ok((&[], class)) => Ok(Method::Other(Box::new(class))),
        Ok(_) => Err(MethodError::Malformed(id)),
        Err(_) if is_known(id) => Err(MethodError::Malformed(id)),
        Err(_) => Err(MethodError::Unknown(id)),
    }
}

#[derive(Clone, Copy)]
enum Field {
    Short,
    ShortString,
    Bits,
}

/// The fields before the table of each client method that has one (0-9-1 XML).
fn fields_before_table(id: MethodId) -> Option<&'static [Field]> {
    use Field::{Bits, Short, ShortString as Str};
    Some(match (id.class, id.method) {
        (10, 11) => &[],                                // connection.start-ok
        (40, 10) => &[Short, Str, Str, Bits],           // exchange.declare
        (40, 30 | 40) => &[Short, Str, Str, Str, Bits], // exchange.bind, exchange.unbind
        (50, 10) => &[Short, Str, Bits],                // queue.declare
        (50, 20) => &[Short, Str, Str, Str, Bits],      // queue.bind
        (50, 50) => &[Short, Str, Str, Str],            // queue.unbind
        (60, 20) => &[Short, Str, Str, Bits],           // basic.consume
        _ => return None,
    })
}

fn check_table(fields: &[Field], mut reader: Reader<'_>) -> Result<(), TableError> {
    for field in fields {
        match field {
            Field::Short => drop(reader.u16()?),
            Field::ShortString => drop(reader.short_string()?),
            Field::Bits => drop(reader.u8()?),
        }
    }
    table::check_shallow(reader.long_string()?)
}

fn is_known(id: MethodId) -> bool {
    match (id.class, id.method) {
        (10, 10 | 11 | 20 | 21 | 30 | 31 | 40 | 41 | 50 | 51 | 60 | 61 | 70 | 71) => true,
        (20, 10 | 11 | 20 | 21 | 40 | 41) => true,
        (30, 10 | 11) => true,
        (40, 10 | 11 | 20 | 21 | 30 | 31 | 40 | 51) => true,
        (50, 10 | 11 | 20 | 21 | 30 | 31 | 40 | 41 | 50 | 51) => true,
        (60, method) => matches!(
            method,
            10 | 11
                | 20
                | 21
                | 30
                | 31
                | 40
                | 50
                | 60
                | 70
                | 71
                | 72
                | 80
                | 90
                | 100
                | 110
                | 111
                | 120
        ),
        (85, 10 | 11) => true,
        (90, 10 | 11 | 20 | 21 | 30 | 31) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;
    use crate::methods::{basic, queue};
    use proptest::prelude::*;

    fn payload(class: AMQPClass) -> Vec<u8> {
        let mut frame = Vec::new();
        encode::method(&mut frame, 1, &class);
        frame[7..frame.len() - 1].to_vec()
    }

    proptest! {
        #[test]
        fn publish_in_place_equals_the_generated_codec(
            exchange in "[a-z.é]{0,60}", key in "[a-z.#*]{0,120}", mandatory: bool, immediate: bool,
        ) {
            let class = basic::Publish {
                exchange: exchange.as_str().into(), routing_key: key.as_str().into(), mandatory, immediate,
            };
            let bytes = payload(AMQPClass::Basic(basic::AMQPMethod::Publish(class)));
            let Ok(Method::Publish(publish)) = decode(&bytes) else { panic!("not a publish") };
            prop_assert_eq!(publish.exchange, exchange.as_bytes());
            prop_assert_eq!(publish.routing_key, key.as_bytes());
            prop_assert_eq!((publish.mandatory, publish.immediate), (mandatory, immediate));
            let mut route = vec![exchange.len() as u8];
            route.extend(exchange.as_bytes());
            route.push(key.len() as u8);
            route.extend(key.as_bytes());
            prop_assert_eq!(publish.route, route);
        }

        #[test]
        fn settle_in_place_equals_the_generated_codec(tag: u64, multiple: bool, requeue: bool) {
            let or_discard = |verdict| if requeue { verdict } else { Verdict::Discard };
            let nack = basic::Nack { delivery_tag: tag, multiple, requeue };
            let reject = basic::Reject { delivery_tag: tag, requeue };
            let ack = basic::Ack { delivery_tag: tag, multiple };
            for (method, multiple, verdict) in [
                (basic::AMQPMethod::Nack(nack), multiple, or_discard(Verdict::Requeue)),
                (basic::AMQPMethod::Reject(reject), false, or_discard(Verdict::Fail)),
                (basic::AMQPMethod::Ack(ack), multiple, Verdict::Ack),
            ] {
                let bytes = payload(AMQPClass::Basic(method));
                let Ok(Method::Settle(settle)) = decode(&bytes) else { panic!("not a settle") };
                prop_assert_eq!((settle.tag, settle.multiple, settle.verdict), (tag, multiple, verdict));
            }
        }

        #[test]
        fn qos_in_place_equals_the_generated_codec(prefetch_count: u16, global: bool) {
            let bytes = payload(AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos { prefetch_count, global })));
            let Ok(Method::Qos(qos)) = decode(&bytes) else { panic!("not a qos") };
            prop_assert_eq!(qos, Qos { prefetch_size: 0, prefetch_count, global });
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn unknown_and_cut_methods_are_told_apart() {
        let unknown = MethodId { class: 60, method: 99 };
        assert_eq!(decode(&[0, 60, 0, 99]).unwrap_err(), MethodError::Unknown(unknown));
        let mut cut =
            payload(AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare::default())));
        cut.truncate(8);
        let declare = MethodId { class: 50, method: 10 };
        assert_eq!(decode(&cut).unwrap_err(), MethodError::Malformed(declare));
    }
}
