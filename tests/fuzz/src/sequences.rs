//! What a client might send, in any order: methods that make sense one by one, on a few channels and
//! with few names, so that they meet each other.

use amq_protocol::protocol::basic;
use arbitrary::{Result, Unstructured};
use lepus_tests::{self as client, *};

use crate::bounds::{MIB, within};
use crate::peer::{check, feed, login, methods as methods_of, start};

const CHANNEL_CLOSE: [u16; 2] = [20, 40];

/// Most octets that are said for an act: all that is ready, and a message is small.
const MOST_SAID: usize = 1 << 20;

/// A method, with the content that follows it.
#[derive(Clone, Debug)]
enum Act {
    Open,
    Close,
    DeclareExchange(&'static str, &'static str),
    Declare(&'static str, Kind),
    Bind(&'static str, &'static str, &'static str),
    Unbind(&'static str, &'static str, &'static str),
    DeleteExchange(&'static str),
    Delete(&'static str),
    Purge(&'static str),
    Publish {
        exchange: &'static str,
        key: &'static str,
        size: u16,
        header: Header,
    },
    /// The content is cut off, or of another size than it says.
    Torn {
        says: u64,
        size: u16,
    },
    Get(&'static str, bool),
    Consume(&'static str, &'static str, bool),
    Cancel(&'static str),
    Ack(u64, bool),
    Nack(u64, bool, bool),
    Reject(u64, bool),
    Recover(bool),
    Qos(u16, bool),
    Confirm,
    Tx,
    Commit,
    Rollback,
    Heartbeat,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Priority,
    Bounded,
    DeadLetters,
    Quorum,
    Single,
}

#[derive(Clone, Copy, Debug)]
enum Header {
    None,
    Lasting,
    Expires,
    Urgent,
    Copies,
    Reply,
}

const QUEUES: &[&str] = &["q", "r", "", "amq.rabbitmq.reply-to"];
const EXCHANGES: &[&str] = &["", "e", "f", "amq.topic", "amq.headers", "amq.nothing"];
const KEYS: &[&str] = &["q", "r", "a.b", "#", "*.b", ""];
const TAGS: &[&str] = &["c", "d", ""];
const KINDS: &[Kind] =
    &[Kind::Plain, Kind::Priority, Kind::Bounded, Kind::DeadLetters, Kind::Quorum, Kind::Single];
const HEADERS: &[Header] = &[
    Header::None,
    Header::Lasting,
    Header::Expires,
    Header::Urgent,
    Header::Copies,
    Header::Reply,
];

/// Exchanges' types, one of which there is not.
const TYPES: &[&str] = &["direct", "fanout", "topic", "headers", "x-recent-history"];

/// Methods that make sense, as the octets choose them.
pub fn methods(octets: &[u8]) {
    let acts = acts(&mut Unstructured::new(octets));
    within(MOST, || carry_out(&acts));
}

fn acts(octets: &mut Unstructured) -> Vec<(u16, Act)> {
    let mut acts = Vec::new();
    while !octets.is_empty() && acts.len() < MOST_ACTS {
        let Ok(next) = on_a_channel(octets) else { break };
        acts.push(next);
    }
    acts
}

fn on_a_channel(octets: &mut Unstructured) -> Result<(u16, Act)> {
    Ok((octets.int_in_range(1..=2)?, act(octets)?))
}

fn act(octets: &mut Unstructured) -> Result<Act> {
    match octets.int_in_range(0..=10)? {
        0..=1 => declaration(octets),
        2..=5 => publishing(octets),
        6..=9 => taking(octets),
        _ => other(octets),
    }
}

fn declaration(octets: &mut Unstructured) -> Result<Act> {
    let queue = |octets: &mut Unstructured| octets.choose(QUEUES).copied();
    let exchange = |octets: &mut Unstructured| octets.choose(EXCHANGES).copied();
    let key = |octets: &mut Unstructured| octets.choose(KEYS).copied();
    Ok(match octets.int_in_range(0..=6)? {
        0 => Act::DeclareExchange(exchange(octets)?, octets.choose(TYPES)?),
        1 => Act::Declare(queue(octets)?, *octets.choose(KINDS)?),
        2 => Act::Bind(queue(octets)?, exchange(octets)?, key(octets)?),
        3 => Act::Unbind(queue(octets)?, exchange(octets)?, key(octets)?),
        4 => Act::DeleteExchange(exchange(octets)?),
        5 => Act::Delete(queue(octets)?),
        _ => Act::Purge(queue(octets)?),
    })
}

fn publishing(octets: &mut Unstructured) -> Result<Act> {
    if octets.ratio(1, 10)? {
        return Ok(Act::Torn {
            says: octets.int_in_range(0..=900)?,
            size: octets.int_in_range(0..=600)?,
        });
    }
    let (exchange, key) = (octets.choose(EXCHANGES)?, octets.choose(KEYS)?);
    let (size, header) = (octets.int_in_range(0..=600)?, *octets.choose(HEADERS)?);
    Ok(Act::Publish { exchange, key, size, header })
}

fn taking(octets: &mut Unstructured) -> Result<Act> {
    let queue = |octets: &mut Unstructured| octets.choose(QUEUES).copied();
    let tag = |octets: &mut Unstructured| match octets.int_in_range(0..=12)? {
        12 => Ok(u64::MAX),
        tag => Ok(tag),
    };
    let flag = |octets: &mut Unstructured| octets.arbitrary::<bool>();
    Ok(match octets.int_in_range(0..=7)? {
        0 => Act::Get(queue(octets)?, flag(octets)?),
        1 => Act::Consume(queue(octets)?, octets.choose(TAGS)?, flag(octets)?),
        2 => Act::Cancel(octets.choose(TAGS)?),
        3 => Act::Ack(tag(octets)?, flag(octets)?),
        4 => Act::Nack(tag(octets)?, flag(octets)?, flag(octets)?),
        5 => Act::Reject(tag(octets)?, flag(octets)?),
        6 => Act::Recover(flag(octets)?),
        _ => Act::Qos(octets.int_in_range(0..=3)?, flag(octets)?),
    })
}

fn other(octets: &mut Unstructured) -> Result<Act> {
    Ok(match octets.int_in_range(0..=7)? {
        0..=1 => Act::Open,
        2 => Act::Close,
        3 => Act::Confirm,
        4 => Act::Tx,
        5 => Act::Commit,
        6 => Act::Rollback,
        _ => Act::Heartbeat,
    })
}

/// Methods of a case.
const MOST_ACTS: usize = 60;

/// Octets that a case may allocate.
const MOST: u64 = 32 * MIB;

fn carry_out(acts: &[(u16, Act)]) {
    let (node, mut link) = start();
    let now = node.now_ms();
    let mut all = Vec::new();
    let mut say = |frames: Vec<Vec<u8>>| {
        let mut said = Vec::new();
        feed(&mut link, &mut frames.concat(), &mut said, now);
        all.extend_from_slice(&said);
        (said, link.is_open())
    };
    say(login());
    say(vec![channel::Open {}.bytes(1), declare("q").bytes(1)]);
    say(vec![channel::Open {}.bytes(2), consume("q", "c").bytes(2)]);
    for (number, act) in acts {
        let (said, is_open) = say(bytes(act, *number));
        assert!(said.len() <= MOST_SAID, "{act:?} makes {} octets", said.len());
        // What was refused is taken note of, and the channel opened again.
        for (number, method) in methods_of(&said) {
            if method == CHANNEL_CLOSE {
                say(vec![channel::CloseOk {}.bytes(number), channel::Open {}.bytes(number)]);
            }
        }
        if !is_open {
            break;
        }
    }
    check(&all);
    drop(link);
    assert_eq!(node.connection_count(), 0);
    node.dismantle();
}

fn bytes(act: &Act, number: u16) -> Vec<Vec<u8>> {
    let one = match act {
        Act::Publish { exchange, key, size, header } => {
            return content(
                publish(exchange, key).bytes(number),
                number,
                (*size).into(),
                *size,
                *header,
            );
        }
        Act::Torn { says, size } => {
            return content(publish("", "q").bytes(number), number, *says, *size, Header::None);
        }
        Act::Open => channel::Open {}.bytes(number),
        Act::Close => {
            channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 }
                .bytes(number)
        }
        Act::DeclareExchange(name, kind) => declare_exchange(name, kind).bytes(number),
        Act::Declare(name, kind) => {
            queue::Declare { arguments: arguments(*kind), ..declare(name) }.bytes(number)
        }
        Act::Bind(to, from, key) => bind(to, from, key).bytes(number),
        Act::Unbind(to, from, key) => unbind(to, from, key).bytes(number),
        Act::DeleteExchange(name) => delete_exchange(name).bytes(number),
        Act::Delete(name) => delete(name).bytes(number),
        Act::Purge(name) => purge(name).bytes(number),
        Act::Get(queue, no_ack) => {
            basic::Get { no_ack: *no_ack, ..client::get(queue) }.bytes(number)
        }
        Act::Consume(queue, tag, true) => consume_no_ack(queue, tag).bytes(number),
        Act::Consume(queue, tag, false) => consume(queue, tag).bytes(number),
        Act::Cancel(tag) => cancel(tag).bytes(number),
        Act::Ack(tag, true) => ack_up_to(*tag).bytes(number),
        Act::Ack(tag, false) => ack(*tag).bytes(number),
        Act::Nack(tag, true, again) => nack_up_to(*tag, *again).bytes(number),
        Act::Nack(tag, false, again) => nack(*tag, *again).bytes(number),
        Act::Reject(tag, again) => reject(*tag, *again).bytes(number),
        Act::Recover(requeue) => basic::Recover { requeue: *requeue }.bytes(number),
        Act::Qos(most, true) => qos_global(*most).bytes(number),
        Act::Qos(most, false) => qos(*most).bytes(number),
        Act::Confirm => confirm::Select { nowait: false }.bytes(number),
        Act::Tx => tx::Select {}.bytes(number),
        Act::Commit => tx::Commit {}.bytes(number),
        Act::Rollback => tx::Rollback {}.bytes(number),
        Act::Heartbeat => frame(HEARTBEAT, 0, b""),
    };
    vec![one]
}

fn arguments(kind: Kind) -> client::FieldTable {
    match kind {
        Kind::Plain => client::table([]),
        Kind::Priority => client::table([("x-max-priority", int(3))]),
        Kind::Bounded => client::table([
            ("x-max-length", int(3)),
            ("x-overflow", text("reject-publish")),
            ("x-message-ttl", int(1)),
        ]),
        Kind::DeadLetters => client::table([
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("r")),
            ("x-max-length", int(2)),
        ]),
        Kind::Quorum => {
            client::table([("x-queue-type", text("quorum")), ("x-delivery-limit", int(2))])
        }
        Kind::Single => client::table([("x-single-active-consumer", flag(true))]),
    }
}

fn content(method: Vec<u8>, number: u16, says: u64, size: u16, header: Header) -> Vec<Vec<u8>> {
    let properties = match header {
        Header::None => props(),
        Header::Lasting => props().with_delivery_mode(2),
        Header::Expires => props().with_expiration("1".into()),
        Header::Urgent => props().with_priority(3),
        Header::Copies => client::headers([("CC", list([text("r"), text("q")]))]),
        Header::Reply => props().with_reply_to("amq.rabbitmq.reply-to".into()),
    };
    let mut frames = vec![method, header_frame(number, says, &properties)];
    if size > 0 {
        frames.push(body_frame(number, &vec![b'x'; size.into()]));
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::cases;

    proptest! {
        #![proptest_config(cases(2))]

        #[test]
        fn methods_in_any_order(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            super::methods(&octets);
        }
    }
}
