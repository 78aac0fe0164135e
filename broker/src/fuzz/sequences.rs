//! What a client might send, in any order: methods that make sense one by one, on a few channels and
//! with few names, so that they meet each other.

use amq_protocol::protocol::basic;
use lepus_tests::{self as client, *};
use proptest::prelude::*;
use proptest::sample::select;

use super::bounds::{MIB, within};
use super::cases;
use super::peer::{check, feed, login, methods, start};

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

fn act() -> impl Strategy<Value = Act> {
    let (queue, exchange, key, tag) = (
        || select(QUEUES),
        || select(EXCHANGES),
        || select(KEYS),
        || prop_oneof![8 => 0..12_u64, 1 => Just(u64::MAX)],
    );
    let declare = prop_oneof![
        (exchange(), select(&["direct", "fanout", "topic", "headers", "x-recent-history"][..]))
            .prop_map(|(name, kind)| Act::DeclareExchange(name, kind)),
        (queue(), select(KINDS)).prop_map(|(name, kind)| Act::Declare(name, kind)),
        (queue(), exchange(), key()).prop_map(|(to, from, key)| Act::Bind(to, from, key)),
        (queue(), exchange(), key()).prop_map(|(to, from, key)| Act::Unbind(to, from, key)),
        exchange().prop_map(Act::DeleteExchange),
        queue().prop_map(Act::Delete),
        queue().prop_map(Act::Purge),
    ];
    let publish = prop_oneof![
        9 => (exchange(), key(), 0..600_u16, select(HEADERS)).prop_map(
            |(exchange, key, size, header)| Act::Publish { exchange, key, size, header }
        ),
        1 => (0..900_u64, 0..600_u16).prop_map(|(says, size)| Act::Torn { says, size }),
    ];
    let take = prop_oneof![
        (queue(), any::<bool>()).prop_map(|(queue, no_ack)| Act::Get(queue, no_ack)),
        (queue(), select(TAGS), any::<bool>())
            .prop_map(|(queue, tag, no_ack)| Act::Consume(queue, tag, no_ack)),
        select(TAGS).prop_map(Act::Cancel),
        (tag(), any::<bool>()).prop_map(|(tag, many)| Act::Ack(tag, many)),
        (tag(), any::<bool>(), any::<bool>())
            .prop_map(|(tag, many, again)| Act::Nack(tag, many, again)),
        (tag(), any::<bool>()).prop_map(|(tag, again)| Act::Reject(tag, again)),
        any::<bool>().prop_map(Act::Recover),
        (0..4_u16, any::<bool>()).prop_map(|(most, all)| Act::Qos(most, all)),
    ];
    let other = select(vec![
        Act::Open,
        Act::Open,
        Act::Close,
        Act::Confirm,
        Act::Tx,
        Act::Commit,
        Act::Rollback,
        Act::Heartbeat,
    ]);
    prop_oneof![2 => declare, 4 => publish, 4 => take, 1 => other]
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn methods_in_any_order(acts in prop::collection::vec((1..3_u16, act()), 0..60)) {
        within(MOST, || carry_out(&acts));
    }
}

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
        for (number, method) in methods(&said) {
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
