//! One connection as a state machine: octets, mail and the time go in, octets come out.
//!
//! A [`Link`] owns the order of things: protocol header, handshake, the open connection with its
//! [`Session`], the closing handshake. It knows no socket; the driver in [`super::io`] does.

mod closing;
mod handshake;
mod held_back;
mod login;
mod noted;
mod pieces;

use std::net::IpAddr;
use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::{AMQPMethod, CloseOk};
use bytes::BytesMut;
use bytes::buf::Limit;
use lepus_protocol::frame::{self, Decoder, FrameError, Piece};
use lepus_protocol::handshake::{Handshake, Tuning};
use lepus_protocol::heartbeat::{Due, Heartbeat};
use lepus_protocol::limits::FRAME_MAX_BEFORE_TUNE;
use lepus_protocol::method::{self, Method, MethodError};
use lepus_protocol::reply::ReplyCode;

use super::facts::Facts;
use super::identity::ClientCapabilities;
use crate::access::Identity;
use crate::aside::Place;
use crate::error::Refusal;
use crate::limits::{BODY_IN_PLACE, WRITE_BACKLOG};
use crate::mailbox::{Mail, Mailbox};
use crate::node::Node;
use crate::out::Out;
use crate::session::seen::Told;
use crate::session::{Session, undecodable};
use crate::stats::ConnectionStats;
use login::Login;
use noted::note;
use pieces::{channel_of, out_of_state, unexpected_frame};

/// How far a connection is.
enum Phase {
    /// Nothing but the protocol header may come.
    Header,
    /// Start to open.
    Handshake(Handshake),
    /// Open.
    Running(Box<Session>),
    /// connection.close is sent: only close-ok counts.
    Closing,
    /// Nothing more is read; the socket goes when all is written, or at the deadline.
    Ended {
        /// Leave the peer waiting until the deadline, so that passwords are not guessed quickly.
        silently: bool,
    },
}

/// A connection.
pub struct Link {
    node: Arc<Node>,
    connection: u64,
    mailbox: Arc<Mailbox>,
    from: IpAddr,
    /// What operators are told of it.
    facts: Arc<Facts>,
    stats: Arc<ConnectionStats>,
    phase: Phase,
    decoder: Decoder,
    /// What is owed to the peer.
    pub out: Out,
    heartbeat: Heartbeat,
    /// End of the handshake or of the closing, milliseconds.
    deadline: Option<u64>,
    user: String,
    /// From the login to the opening.
    identity: Option<Identity>,
    login: Login,
    capabilities: ClientCapabilities,
    tuning: Tuning,
    /// The connection has published under an alarm and is not read until it ends.
    blocked: bool,
    /// The client has taken its leave: the socket is its own to close.
    left: bool,
}

/// Why nothing more can be taken in.
enum Stop {
    /// Tell the peer, then close.
    Refused(Refusal),
    /// Close without a word, after a delay.
    Silently(String),
    /// Close without a word.
    AtOnce,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Link {
    /// A connection that has just been accepted.
    pub fn new(node: Arc<Node>, from: IpAddr, now: u64) -> Self {
        let (connection, mailbox) = node.connect();
        let config = node.config();
        let tuning = Tuning {
            channel_max: config.channel_max,
            frame_max: config.frame_max,
            heartbeat: config.heartbeat,
        };
        let deadline = Some(now + config.handshake_timeout.as_millis() as u64);
        Self {
            node,
            connection,
            mailbox,
            from,
            facts: Arc::new(Facts::new(from, now)),
            stats: Arc::default(),
            phase: Phase::Header,
            decoder: Decoder::new(FRAME_MAX_BEFORE_TUNE),
            out: Out::default(),
            heartbeat: Heartbeat::new(0, now),
            deadline,
            user: String::new(),
            identity: None,
            login: Login::default(),
            capabilities: ClientCapabilities::default(),
            tuning,
            blocked: false,
            left: false,
        }
    }

    /// What operators are told of it, until it is open.
    pub fn facts_mut(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.facts)
    }

    /// Where others leave mail for it.
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Whether more should be read from the peer now.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Ended { .. } => false,
            Phase::Closing => true,
            Phase::Handshake(_) if self.is_logging_in() => false,
            _ => !self.blocked && !self.is_holding() && self.out.len() < WRITE_BACKLOG,
        }
    }

    /// Whether so much was done of the last input that others should get their turn.
    #[inline]
    pub fn is_tired(&self) -> bool {
        matches!(&self.phase, Phase::Running(session) if session.is_tired())
    }

    fn is_holding(&self) -> bool {
        matches!(&self.phase, Phase::Running(session) if session.is_holding())
    }

    /// Whether what arrives is carried out.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// Whether the socket can go: all is said.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended { silently: false }) && self.out.is_empty()
    }

    /// Whether the client has taken its leave, and closes the socket itself when it has read the answer: some
    /// clients take an earlier end for a fault.
    pub fn is_left(&self) -> bool {
        self.left
    }

    /// Takes what has arrived; returns how much of it was used. The rest must come again, with more,
    /// or alone once [`Self::wants_input`] holds again or, if it [is tired](Self::is_tired), after
    /// others' turn.
    /// The second value is the largest backlog, octets, that was published into.
    pub fn input(&mut self, input: &[u8], now: u64) -> (usize, usize) {
        let mut place = None;
        if let Phase::Running(session) = &mut self.phase {
            // What was published before the alarm does not count.
            session.begin_read(now);
            place = session.is_long().then(Place::free).flatten();
        }
        match place {
            Some(place) => place.work(|| self.take_in(input, now)),
            None => self.take_in(input, now),
        }
    }

    fn take_in(&mut self, input: &[u8], now: u64) -> (usize, usize) {
        self.heartbeat.received(now);
        let mut used = 0;
        if matches!(self.phase, Phase::Header) {
            used = self.protocol_header(input, now);
        }
        let done = self.frames(input, &mut used, now);
        if let Err(stop) = done {
            self.stop(stop, now);
            used = input.len();
        }
        let backlog = match &mut self.phase {
            Phase::Running(session) => session.flush(&mut self.out),
            _ => 0,
        };
        (used, backlog)
    }

    /// Lets `read` fill a large body in its place instead of going through [`Self::input`];
    /// `None` if none is arriving. `read` returns how many octets it wrote.
    pub fn read_body<E>(
        &mut self,
        now: u64,
        read: impl FnOnce(&mut Limit<&mut BytesMut>) -> Result<usize, E>,
    ) -> Option<Result<usize, E>> {
        let Phase::Running(session) = &mut self.phase else { return None };
        if self.node.alarms().any() {
            return None;
        }
        let (channel, octets) = self.decoder.open_body()?;
        if octets < BODY_IN_PLACE {
            return None;
        }
        let builder = session.open_body(channel)?;
        let mut room = builder.body_room(octets);
        if room.limit() < BODY_IN_PLACE {
            return None;
        }
        let done = read(&mut room);
        if let Ok(octets) = done {
            builder.body_written(octets);
            self.decoder.body_read(octets);
            self.heartbeat.received(now);
        }
        Some(done)
    }

    fn frames(&mut self, input: &[u8], used: &mut usize, now: u64) -> Result<(), Stop> {
        if matches!(self.phase, Phase::Header) {
            // What has come of the protocol header must not be taken for a frame.
            return Ok(());
        }
        while self.wants_input() && !self.is_tired() && !self.block_if_due() {
            let rest = input.get(*used..).unwrap_or_default();
            let piece = match self.decoder.next(rest) {
                Ok(Some((octets, piece))) => {
                    *used += octets;
                    piece
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.broken_frame(&error)),
            };
            if let Phase::Running(session) = &mut self.phase
                && channel_of(&piece) != 0
            {
                session.piece(piece, &mut self.out)?;
            } else {
                self.piece_of_link(piece, now)?;
            }
        }
        Ok(())
    }

    fn broken_frame(&self, error: &FrameError) -> Stop {
        match self.phase {
            Phase::Handshake(_) => Stop::Silently(error.to_string()),
            // The peer was told already, and there is no way to find its close-ok.
            Phase::Closing | Phase::Ended { .. } => Stop::AtOnce,
            _ => Refusal::new(ReplyCode::FrameError, error).without_method().into(),
        }
    }

    /// A piece that no open channel is concerned with.
    fn piece_of_link(&mut self, piece: Piece<'_>, now: u64) -> Result<(), Stop> {
        match self.phase {
            Phase::Running(_) => self.connection_piece(piece, now),
            Phase::Handshake(_) => self.handshake_piece(piece, now),
            Phase::Closing => {
                self.closing_piece(piece, now);
                Ok(())
            }
            Phase::Header | Phase::Ended { .. } => Ok(()),
        }
    }

    /// Mail from other threads.
    pub fn mail(&mut self, mail: Mail, now: u64) {
        match (mail, &mut self.phase) {
            (Mail::Close(refusal), Phase::Running(_)) => self.stop(refusal.into(), now),
            (Mail::Close(_), Phase::Closing | Phase::Ended { .. }) => {}
            (Mail::Close(_), _) => self.end(now),
            (Mail::Judged(judged), Phase::Handshake(_)) => {
                if let Err(stop) = self.judged(*judged, now) {
                    self.stop(stop, now);
                }
            }
            (Mail::UserGone(user), Phase::Running(_)) if *user == self.user => {
                let text = format_args!("user '{user}' is deleted");
                let forced = Refusal::new(ReplyCode::ConnectionForced, text).without_method();
                self.stop(forced.into(), now);
            }
            (Mail::UserGone(user), Phase::Handshake(_)) if *user == self.user => self.end(now),
            (Mail::Alarm, Phase::Running(_)) => self.unblock_if_due(),
            (Mail::Durable | Mail::Loaded, Phase::Running(session)) => {
                if let Err(refusal) = session.resume(&mut self.out) {
                    self.stop(refusal.into(), now);
                }
            }
            (Mail::Channels(answer), Phase::Running(session)) => {
                // Who has asked may be gone.
                let _ =
                    answer.send(Told { turn: self.stats.turns.get(), channels: session.show() });
            }
            (mail, Phase::Running(session)) => session.mail(mail, &mut self.out),
            _ => {}
        }
    }

    /// All that was owed is written: consumers may be sent more.
    pub fn all_written(&mut self) {
        if let Phase::Running(session) = &mut self.phase {
            session.give_credit();
        }
    }

    /// Nothing has come and nothing can be sent: what waits for the disk is written. Whether there may be
    /// mail now.
    pub fn write_stored(&mut self) -> bool {
        match &mut self.phase {
            Phase::Running(session) => session.write(),
            _ => false,
        }
    }

    /// It has done something.
    pub fn count_turn(&self) {
        self.stats.turns.add(1);
    }

    /// So many octets were read.
    pub fn count_read(&self, octets: usize) {
        self.stats.recv_cnt.add(1);
        self.stats.recv_oct.add(octets as u64);
        if let Phase::Running(session) = &self.phase {
            session.count_read(octets as u64);
        }
    }

    /// All mail was taken.
    pub fn end_of_mail(&mut self) {
        if let Phase::Running(session) = &mut self.phase {
            session.flush_counts();
        }
    }

    /// Octets were written. Where the peer was `unread` for being owed too much, that it takes
    /// some is its sign of life.
    pub fn wrote(&mut self, octets: usize, unread: bool, now: u64) {
        self.stats.send_cnt.add(1);
        self.stats.send_oct.add(octets as u64);
        if let Phase::Running(session) = &self.phase {
            session.count_written(octets as u64);
        }
        self.heartbeat.sent(now);
        if unread {
            self.heartbeat.received(now);
        }
    }

    /// Nothing could be heard of the peer for a while: it must not be taken for gone because of that.
    pub fn stood_still(&mut self, now: u64) {
        self.heartbeat.received(now);
    }

    /// Does what is due. Returns when to call again, or `Err` when the socket must go now.
    pub fn tick(&mut self, now: u64) -> Result<Option<u64>, Gone> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.note_deadline();
            return Err(Gone);
        }
        if self.login_due().is_some_and(|due| now >= due)
            && let Err(stop) = self.answer_login(now)
        {
            self.stop(stop, now);
        }
        if self.blocked || self.is_holding() {
            // A peer that is not being read can't show that it lives.
            self.heartbeat.received(now);
        }
        let due = match self.heartbeat.due(now) {
            Due::PeerGone => {
                note!(warn, self, "no heartbeat from the client, closing");
                self.close_session();
                self.end(now);
                return Err(Gone);
            }
            Due::Send => {
                // With frames waiting, the peer will see those.
                if self.out.is_empty() {
                    self.out.tail().extend_from_slice(&frame::HEARTBEAT_FRAME);
                }
                self.heartbeat.sent(now);
                match self.heartbeat.due(now) {
                    Due::Nothing { until } => until,
                    _ => Some(now),
                }
            }
            Due::Nothing { until } => until,
        };
        Ok(due.into_iter().chain(self.deadline).chain(self.login_due()).min())
    }

    /// A frame of channel 0 on an open connection.
    fn connection_piece(&mut self, piece: Piece<'_>, now: u64) -> Result<(), Stop> {
        let payload = match piece {
            Piece::Heartbeat { channel: 0 } => return Ok(()),
            Piece::Method { payload, .. } => payload,
            _ => return Err(unexpected_frame(&piece).into()),
        };
        let method = method::decode(payload).map_err(|error| match error {
            // RabbitMQ's reader, unlike its channels, crashes on malformed arguments.
            MethodError::Malformed(_) => {
                Refusal::new(ReplyCode::InternalError, "").without_method()
            }
            MethodError::Unknown(_) => undecodable(error, payload),
        })?;
        let id = method.id();
        let class = if let Method::Other(class) = method { Some(*class) } else { None };
        match class {
            Some(AMQPClass::Connection(AMQPMethod::Close(_))) => {
                note!(info, self, "closed by the client");
                self.close_session();
                self.send(AMQPMethod::CloseOk(CloseOk {}));
                self.left = true;
                self.end(now);
                Ok(())
            }
            Some(AMQPClass::Connection(AMQPMethod::UpdateSecret(update))) => {
                self.update_secret(&update, id, now)
            }
            _ => Err(out_of_state("running", id).into()),
        }
    }

    fn send(&mut self, method: AMQPMethod) {
        self.out.method(0, &AMQPClass::Connection(method));
    }
}

/// The socket must be closed now.
#[derive(Debug)]
pub struct Gone;
