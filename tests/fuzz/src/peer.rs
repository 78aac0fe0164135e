//! What a peer sends: handshakes, frames, methods, tables, properties.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use lepus::config::Config;
use lepus::connection::link::Link;
use lepus::json_table;
use lepus::node::Node;
use lepus_protocol::frame::{Decoder, Piece};
use lepus_protocol::handshake::PROTOCOL_HEADER;
use lepus_protocol::{content, method, properties, table};
use lepus_tests::{self as client, *};

use crate::bounds::{MIB, within};

/// All that a stranger sends.
pub fn stream(octets: &[u8]) {
    within(PEER, || talk(octets, &[]));
}

/// All that a peer sends that has logged in: it may send anything.
pub fn stream_after_login(octets: &[u8]) {
    within(PEER, || talk(&[&login().concat(), octets].concat(), &[]));
}

/// What is in a frame.
pub fn payload(octets: &[u8]) {
    within(PAYLOAD, || read(octets));
}

/// A whole conversation.
pub fn streams() -> Vec<Vec<u8>> {
    vec![conversation().concat()]
}

/// The same after the login.
pub fn streams_after_login() -> Vec<Vec<u8>> {
    vec![after_login()]
}

/// What is in its frames.
pub fn payloads() -> Vec<Vec<u8>> {
    conversation().iter().map(|frame| payload_of(frame).to_vec()).collect()
}

/// Octets that a case may allocate: a broker, and what is said on one connection.
const PEER: u64 = 4 * MIB;

/// The same of what a frame becomes.
const PAYLOAD: u64 = MIB;

/// As whatever it may be.
fn read(payload: &[u8]) {
    let _ = method::decode(payload);
    let _ = content::ContentHeader::decode(payload);
    let _ = table::check(payload);
    let _ = table::check_shallow(payload);
    if let Ok(table) = table::decode_body(payload) {
        // Octets are compared: NaN does not equal itself.
        let once = table::encode_body(&table);
        let again = table::decode_body(&once).map(|table| table::encode_body(&table));
        assert_eq!(again, Ok(once));
        let _ = json_table::to_json(&table);
    }
    let _ = properties::parse(payload);
    let _ = properties::replace_reply_to(payload, "q");
    if let Ok(split) = properties::Split::of(payload) {
        split.lasting(&[], &mut Vec::new());
    }
    let _ = properties::Properties::decode(payload);
}

fn payload_of(frame: &[u8]) -> &[u8] {
    frame.get(7..frame.len() - 1).unwrap_or_default()
}

/// The protocol header, and all until the connection is open.
pub(super) fn login() -> Vec<Vec<u8>> {
    let login = Login::default();
    vec![
        PROTOCOL_HEADER.to_vec(),
        login.start_ok().bytes(0),
        login.tune_ok().bytes(0),
        connection::Open { virtual_host: "/".into() }.bytes(0),
    ]
}

/// The login, and a frame each of most of what a client does.
fn conversation() -> Vec<Vec<u8>> {
    let arguments = client::table([
        ("x-message-ttl", int(60_000)),
        ("x-dead-letter-exchange", text("amq.topic")),
        ("x-max-priority", int(3)),
        ("nested", list([AMQPValue::FieldTable(client::table([("deep", flag(true))])), long(7)])),
    ]);
    let named =
        client::headers([("kind", text("bill")), ("count", long(3)), ("CC", list([text("b")]))]);
    let named = named.with_delivery_mode(2).with_priority(1).with_expiration("1000".into());
    let headers = client::table([("x-match", text("all")), ("kind", text("bill"))]);
    let mut frames = login();
    frames.extend([
        channel::Open {}.bytes(1),
        declare_exchange("e", "headers").bytes(1),
        queue::Declare { arguments, ..declare("q") }.bytes(1),
        queue::Bind { arguments: headers, ..bind("q", "e", "k") }.bytes(1),
        confirm::Select { nowait: false }.bytes(1),
        qos(2).bytes(1),
    ]);
    for (exchange, key) in [("e", "k"), ("", "q"), ("amq.topic", "a.b"), ("", "nowhere")] {
        frames.push(basic::Publish { mandatory: true, ..publish(exchange, key) }.bytes(1));
        frames.push(header_frame(1, 7, &named));
        frames.push(body_frame(1, b"pay"));
        frames.push(body_frame(1, b"load"));
    }
    frames.extend([
        client::get("q").bytes(1),
        consume("q", "c").bytes(1),
        nack_up_to(0, true).bytes(1),
        channel::Open {}.bytes(2),
        tx::Select {}.bytes(2),
        publish("", "q").bytes(2),
        header_frame(2, 0, &props()),
        tx::Commit {}.bytes(2),
        cancel("c").bytes(1),
        unbind("q", "e", "k").bytes(1),
        purge("q").bytes(1),
        frame(HEARTBEAT, 0, b""),
        delete("q").bytes(1),
        channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 }
            .bytes(1),
        connection::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 }
            .bytes(0),
    ]);
    frames
}

fn after_login() -> Vec<u8> {
    conversation().split_off(login().len()).concat()
}

/// Has a broker hear all of it, cut at these places. What it answers must be frames.
fn talk(octets: &[u8], cuts: &[usize]) {
    let (node, mut link) = start();
    let now = node.now_ms();
    let mut cuts = [cuts, &[0, octets.len()]].concat();
    cuts.sort_unstable();
    let (mut pending, mut said) = (Vec::new(), Vec::new());
    for piece in cuts.windows(2) {
        pending.extend_from_slice(&octets[piece[0]..piece[1]]);
        feed(&mut link, &mut pending, &mut said, now);
    }
    let _ = link.tick(now + 1_000_000);
    hear(&mut link, &mut said, now);
    drop(link);
    check(&said);
    node.dismantle();
}

/// A broker, and a connection to it of which nothing was heard.
pub(super) fn start() -> (Arc<Node>, Link) {
    let node = Node::in_memory(Config { memory_watermark: u64::MAX, ..Config::default() });
    let link = Link::new(node.clone(), IpAddr::from(Ipv4Addr::LOCALHOST), node.now_ms());
    (node, link)
}

/// Until it waits for more.
pub(super) fn feed(link: &mut Link, pending: &mut Vec<u8>, said: &mut Vec<u8>, now: u64) {
    loop {
        let used = if link.wants_input() { link.input(pending, now).0 } else { 0 };
        pending.drain(..used);
        let mail = link.mailbox().clone().collect(Vec::new());
        let waits = used == 0 && mail.is_empty();
        mail.into_iter().for_each(|mail| link.mail(mail, now));
        hear(link, said, now);
        if waits {
            break;
        }
    }
}

fn hear(link: &mut Link, said: &mut Vec<u8>, now: u64) {
    let before = said.len();
    link.out.write(|slices| slices.iter().for_each(|slice| said.extend_from_slice(slice)));
    link.out.advance(said.len() - before);
    link.wrote(0, false, now);
    link.all_written();
}

/// All that a broker says is whole frames, whose methods can be read but for routing keys that a client
/// has made of any octets.
pub(super) fn check(said: &[u8]) {
    let (mut decoder, mut rest) = (Decoder::new(0), said);
    // A stranger is told which protocol is spoken here.
    if let Some(after) = rest.strip_suffix(&PROTOCOL_HEADER[..]) {
        rest = after;
    }
    while let Some((used, piece)) = decoder.next(rest).expect("frames") {
        if let Piece::Method { payload, .. } = piece {
            let carries_a_key = payload.starts_with(&[0, 60]);
            assert!(method::decode(payload).is_ok() || carries_a_key, "{}", payload.escape_ascii());
        }
        rest = &rest[used..];
    }
    assert!(rest.is_empty(), "half a frame: {}", rest.escape_ascii());
}

/// Channels, classes and methods of what a broker says, as far as they are whole.
pub(super) fn methods(said: &[u8]) -> Vec<(u16, [u16; 2])> {
    let (mut decoder, mut rest, mut found) = (Decoder::new(0), said, Vec::new());
    while let Some((used, piece)) = decoder.next(rest).expect("frames") {
        if let Piece::Method { channel, payload } = piece {
            let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
            found.push((channel, [number(0), number(2)]));
        }
        rest = &rest[used..];
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::cases;
    use crate::octets::{Edit, changed, edits};

    proptest! {
        #![proptest_config(cases(1))]

        #[test]
        fn a_stream_of_octets(edits in edits(6), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
            talk_in_pieces(&changed(&conversation().concat(), &edits), &cuts);
        }

        #[test]
        fn a_stream_after_login(edits in edits(6), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
            talk_in_pieces(&[login().concat(), changed(&after_login(), &edits)].concat(), &cuts);
        }

        #[test]
        fn frames_with_other_contents(changes in changes(), cuts in prop::collection::vec(any::<Index>(), 0..3)) {
            talk_in_pieces(&with_changes(&changes), &cuts);
        }

        #[test]
        fn payloads_of_frames(at in any::<Index>(), edits in edits(5)) {
            payload(&changed(at.get::<Vec<u8>>(&payloads()), &edits));
        }
    }

    fn talk_in_pieces(octets: &[u8], cuts: &[Index]) {
        let cuts: Vec<usize> = cuts.iter().map(|at| at.index(octets.len() + 1)).collect();
        within(PEER, || talk(octets, &cuts));
    }

    /// What is done with a frame of the conversation.
    #[derive(Clone, Debug)]
    enum Change {
        Payload(Vec<Edit>),
        Channel(u16),
        Twice,
        Gone,
    }

    fn changes() -> impl Strategy<Value = Vec<(Index, Change)>> {
        let change = prop_oneof![
            6 => edits(4).prop_map(Change::Payload),
            1 => (0..4_u16).prop_map(Change::Channel),
            1 => Just(Change::Twice),
            1 => Just(Change::Gone),
        ];
        prop::collection::vec((any::<Index>(), change), 1..5)
    }

    /// The conversation with frames that are whole all the same.
    fn with_changes(changes: &[(Index, Change)]) -> Vec<u8> {
        let mut frames = conversation();
        for (at, change) in changes {
            // The protocol header stays.
            let at = 1 + at.index(frames.len() - 1);
            let Some(old) = frames.get(at).cloned() else { continue };
            let (kind, channel) = (old[0], u16::from_be_bytes([old[1], old[2]]));
            match change {
                Change::Payload(edits) => {
                    frames[at] = frame(kind, channel, &changed(payload_of(&old), edits));
                }
                Change::Channel(channel) => frames[at] = frame(kind, *channel, payload_of(&old)),
                Change::Twice => frames.insert(at, old),
                Change::Gone => drop(frames.remove(at)),
            }
        }
        frames.concat()
    }

    #[test]
    fn the_conversation_itself_is_heard_to_its_end() {
        let mut frames = conversation();
        let last = frames.pop().unwrap();
        let (node, mut link) = start();
        let now = node.now_ms();
        let mut said = Vec::new();
        feed(&mut link, &mut frames.concat(), &mut said, now);
        assert!(link.is_open(), "{}", said.escape_ascii());
        feed(&mut link, &mut last.clone(), &mut said, now);
        assert!(!link.is_open());
        drop(link);
        node.dismantle();
    }

    /// Messages that come together with connection.open are as young as others: their time to live begins
    /// then.
    #[test]
    fn what_was_published_is_got() {
        let frames = conversation();
        let get = client::get("q").bytes(1);
        let before = frames.iter().position(|frame| *frame == get).unwrap();
        let (node, mut link) = start();
        let now = node.now_ms();
        let mut said = Vec::new();
        feed(&mut link, &mut frames[..=before].concat(), &mut said, now);
        assert_eq!(methods(&said).last(), Some(&(1, [60, 71])), "{}", said.escape_ascii());
        drop(link);
        node.dismantle();
    }
}
