//! A client and its connection: what it has sent, what it waits for, what it holds.

mod acting;
mod draining;
mod frames;
mod hearing;
mod processing;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use lepus_protocol::handshake::PROTOCOL_HEADER;
use lepus_protocol::method::Verdict;

use super::letter::Letter;
use super::model::{Fate, Held, Model};
use super::scene::Scene;
use crate::alarm::Alarm;
use crate::connection::link::Link;
use crate::limits::{CONNECTION_WINDOW, WRITE_BACKLOG};
pub use frames::Sent;
use hearing::Content;

/// Octets that are kept for a client at most: what it has asked for until it was owed too much to be
/// read, and what its consumers may be sent at a time.
const OWED_MAX: usize = WRITE_BACKLOG + CONNECTION_WINDOW as usize;

/// A client.
pub struct Client {
    pub connection: Option<Connection>,
    connections: u64,
    number: u64,
}

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Plain,
    Confirms,
    Tx,
}

/// A connection: the broker's side of it and the client's.
pub struct Connection {
    /// Never given again.
    id: u64,
    link: Link,
    /// Octets on their way to the broker, after so many that it has taken.
    to_broker: Vec<u8>,
    taken: u64,
    from_broker: Vec<u8>,
    /// What was sent, with the place of its last octet.
    sent: VecDeque<(u64, Sent)>,
    /// The broker has accepted it.
    open: bool,
    /// What the broker takes is not carried out any more.
    ended: bool,
    /// The client wants it closed.
    closing: bool,
    blocked: bool,
    channels: BTreeMap<u16, Channel>,
    consumers: u64,
    /// Messages settled so far that were not known to be safe.
    settled: Vec<Held>,
}

/// A channel.
pub struct Channel {
    mode: Mode,
    /// The reply that is awaited: class and method.
    waiting: Option<(u16, u16)>,
    /// The broker has refused something: it is about to close the channel, or has taken its close.
    closed: bool,
    /// basic.recover was taken; what comes before its reply has returned.
    recovering: bool,
    published: u64,
    unconfirmed: BTreeMap<u64, Unconfirmed>,
    /// Mandatory messages that reach no queue, in order.
    returns: VecDeque<u64>,
    delivered: u64,
    unacked: BTreeMap<u64, Held>,
    consumers: BTreeMap<String, Consumer>,
    prefetch: u16,
    content: Option<Content>,
    tx: Tx,
    asked: Option<u8>,
    /// Messages that it had when it last asked.
    got: usize,
    /// Ready messages that queue.declare-ok must tell, at least and at most.
    expected: Option<(usize, usize)>,
}

/// A message without its confirm.
struct Unconfirmed {
    letter: Letter,
    fate: Fate,
    /// Settled before it.
    settled: Vec<Held>,
}

struct Consumer {
    incarnation: u64,
    no_ack: bool,
    prefetch: u16,
    /// Where the last message stood that came for the first time, of low and of high priority.
    last: [u64; 2],
    ended: bool,
}

/// What the broker holds back until the commit.
#[derive(Default)]
struct Tx {
    publishes: Vec<(Letter, Vec<Held>)>,
    verdicts: Vec<(u64, Held, Verdict)>,
    returns: Vec<u64>,
    refused: bool,
    /// What a commit that was taken has published and settled.
    committed: (Vec<Held>, Vec<Held>),
}

impl Channel {
    fn new() -> Self {
        Self {
            mode: Mode::Plain,
            waiting: Some((20, 11)),
            closed: false,
            recovering: false,
            published: 0,
            unconfirmed: BTreeMap::new(),
            returns: VecDeque::new(),
            delivered: 0,
            unacked: BTreeMap::new(),
            consumers: BTreeMap::new(),
            prefetch: 0,
            content: None,
            tx: Tx::default(),
            asked: None,
            got: 0,
            expected: None,
        }
    }
}

impl Client {
    pub fn new(number: u64) -> Self {
        Self { connection: None, connections: 0, number }
    }

    pub fn connect(&mut self, scene: &mut Scene) {
        self.connections += 1;
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.connection = Some(Connection {
            id: self.number * 1_000_000 + self.connections,
            link: Link::new(scene.broker.node.clone(), from, scene.now),
            to_broker: PROTOCOL_HEADER.to_vec(),
            taken: 0,
            from_broker: Vec::new(),
            sent: VecDeque::new(),
            open: false,
            ended: false,
            closing: false,
            blocked: false,
            channels: BTreeMap::new(),
            consumers: 0,
            settled: Vec::new(),
        });
    }

    /// The connection is cut, or the client is gone.
    pub fn disconnect(&mut self, scene: &mut Scene) {
        if let Some(mut connection) = self.connection.take() {
            connection.end(&mut scene.model);
            drop(connection);
            scene.told(None);
        }
    }

    /// Gives the broker some of what was sent; `false` if there is nothing that it takes.
    pub fn send(&mut self, scene: &mut Scene, all: bool) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let moved = connection.give(scene, all);
        connection.notice_end(scene);
        moved
    }

    /// Has the broker take its mail; `false` if there is none.
    pub fn mail(&mut self, scene: &mut Scene) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let letters = connection.link.mailbox().collect(Vec::new());
        let any = !letters.is_empty();
        for mail in letters {
            connection.link.mail(mail, scene.now);
        }
        connection.notice_end(scene);
        scene.told(None);
        connection.check_owed();
        any
    }

    /// Time passes.
    pub fn tick(&mut self, scene: &mut Scene) {
        let Some(connection) = &mut self.connection else { return };
        if connection.link.tick(scene.now).is_err() {
            self.disconnect(scene);
        }
    }

    /// Takes some of what the broker has written; `false` if there is nothing.
    pub fn receive(&mut self, scene: &mut Scene, all: bool) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let most = if all { usize::MAX } else { 1 + scene.random.index(4000) };
        let out = &mut connection.link.out;
        let Some(octets) = (!out.is_empty()).then(|| {
            let mut octets: Vec<u8> = Vec::new();
            out.write(|slices| slices.iter().for_each(|slice| octets.extend_from_slice(slice)));
            octets.truncate(most);
            octets
        }) else {
            if connection.link.is_over() {
                self.disconnect(scene);
                return true;
            }
            return false;
        };
        out.advance(octets.len());
        connection.link.wrote(octets.len(), false, scene.now);
        if connection.link.out.is_empty() {
            connection.link.all_written();
        }
        scene.told(None);
        scene.trace(&octets);
        connection.from_broker.extend_from_slice(&octets);
        if !connection.hear(scene) {
            self.disconnect(scene);
        }
        true
    }

    /// At rest nothing is owed to a client, unless it is held back.
    pub fn check_at_rest(&self, scene: &Scene) {
        let Some(connection) = &self.connection else { return };
        let Connection { blocked, to_broker, from_broker, channels, ended, link, .. } = connection;
        assert!(from_broker.is_empty(), "half a frame is left");
        assert!(link.out.is_empty() && link.mailbox().is_empty(), "something is kept for a client");
        if *blocked {
            let alarms = scene.broker.node.alarms();
            assert!(alarms.any(), "the client is still blocked");
            if alarms.is_set(Alarm::Store) {
                return;
            }
        }
        let read = *ended || to_broker.is_empty();
        assert!(read || *blocked, "{} octets are not taken", to_broker.len());
        for (number, channel) in channels {
            assert!(!read || channel.waiting.is_none(), "channel {number} waits for a reply");
            let left: Vec<&u64> = channel.unconfirmed.keys().collect();
            assert!(left.is_empty(), "channel {number} waits for confirms of {left:?}");
        }
    }

    /// Whether a consumer of a queue could take more. Who is held back may have sent verdicts that are not read.
    pub fn wants(&self, incarnation: u64) -> bool {
        let Some(connection) = self.connection.as_ref().filter(|of| !of.ended) else {
            return false;
        };
        connection.channels.iter().any(|(number, channel)| {
            let unread = connection.sent.iter().map(|(_, sent)| match sent {
                Sent::Verdict(of, tags, _) if of == number => tags.len(),
                _ => 0,
            });
            let held = channel.unacked.len() + channel.tx.verdicts.len() + unread.sum::<usize>();
            let wants = |consumer: &Consumer| {
                let room = consumer.prefetch == 0 || held < usize::from(consumer.prefetch);
                consumer.incarnation == incarnation && !consumer.ended && room
            };
            !channel.closed && channel.consumers.values().any(wants)
        })
    }
}

impl Connection {
    /// The broker carries out nothing more of it: all that it holds returns.
    fn end(&mut self, model: &mut Model) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        model.release(self.id, None);
        for channel in self.channels.values_mut() {
            channel.end(model);
        }
    }

    fn notice_end(&mut self, scene: &mut Scene) {
        if self.open && !self.link.is_open() {
            self.end(&mut scene.model);
        }
    }

    /// Gives the link octets, and notes what it takes in.
    fn give(&mut self, scene: &mut Scene, all: bool) -> bool {
        if !self.link.wants_input() || self.to_broker.is_empty() {
            return false;
        }
        // What may end a channel or the connection is the last that is given at once.
        let border = self.sent.iter().find(|(_, sent)| sent.is_awaited());
        let border = border.map_or(usize::MAX, |(end, _)| (end - self.taken) as usize);
        let most = if all { usize::MAX } else { 1 + scene.random.index(3000) };
        let len = self.to_broker.len().min(border).min(most);
        let before = scene.marks();
        let was_open = self.link.is_open();
        let used = self.take_body(scene, len, all).unwrap_or_else(|| {
            let input = self.to_broker.get(..len).unwrap_or_default();
            self.link.input(input, scene.now).0
        });
        self.to_broker.drain(..used);
        self.taken += used as u64;
        let span = scene.marks().since(before);
        let mut committed = None;
        while let Some((end, _)) = self.sent.front()
            && *end <= self.taken
            && let Some((_, sent)) = self.sent.pop_front()
        {
            if was_open && !self.ended {
                committed = committed.or(self.processed(sent, &span, scene));
            }
        }
        // A refused transaction ends the connection, and what it held may have gone on to others.
        self.notice_end(scene);
        scene.told(committed);
        self.check_owed();
        used > 0
    }

    /// No more is kept for a client than it may be owed.
    fn check_owed(&self) {
        let owed = self.link.out.len();
        assert!(owed <= OWED_MAX, "{owed} octets wait for one client");
    }

    /// Sometimes a large body is read to its place.
    fn take_body(&mut self, scene: &mut Scene, len: usize, all: bool) -> Option<usize> {
        if !all && scene.random.chance(50) {
            return None;
        }
        let mut used = 0;
        let octets = self.to_broker.get(..len).unwrap_or_default();
        let read = self.link.read_body(scene.now, |room| {
            use bytes::BufMut;
            let len = octets.len().min(room.remaining_mut());
            room.put_slice(octets.get(..len).unwrap_or_default());
            used = len;
            Ok::<usize, ()>(len)
        });
        read.is_some().then_some(used)
    }
}

impl Channel {
    /// The broker has forgotten it.
    fn end(&mut self, model: &mut Model) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        for consumer in self.consumers.values_mut() {
            if !std::mem::replace(&mut consumer.ended, true) {
                model.end_consumer(consumer.incarnation);
            }
        }
        self.unacked.clear();
        self.tx = Tx::default();
    }
}
