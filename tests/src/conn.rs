//! A raw client connection.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::FieldTable;

use rustls::ClientConnection;

use crate::chan::Chan;
use crate::socket::Socket;
use crate::values::{flag, table};
use crate::wire::{Frame, HEARTBEAT, Method, encode, frame};

/// How long an answer may take.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// A broker that takes nothing for so long takes no more.
const STUFFED: Duration = Duration::from_millis(300);

/// The settings of a connection.
#[derive(Debug, Clone)]
pub struct Login {
    /// The SASL mechanism.
    pub mechanism: &'static str,
    /// The SASL response.
    pub response: Vec<u8>,
    /// The virtual host.
    pub vhost: &'static str,
    /// The `channel_max` agreed to.
    pub channel_max: u16,
    /// The `frame_max` agreed to.
    pub frame_max: u32,
    /// The heartbeat agreed to, in seconds; 0 is none.
    pub heartbeat: u16,
    /// The capabilities the client has.
    pub capabilities: Vec<&'static str>,
}

impl Default for Login {
    fn default() -> Login {
        Login {
            mechanism: "PLAIN",
            response: b"\0guest\0guest".to_vec(),
            vhost: "/",
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
            capabilities: vec![
                "authentication_failure_close",
                "consumer_cancel_notify",
                "connection.blocked",
            ],
        }
    }
}

impl Login {
    /// The `connection.start-ok` of these settings.
    #[must_use]
    pub fn start_ok(&self) -> connection::StartOk {
        let capabilities = table(self.capabilities.iter().map(|name| (*name, flag(true))));
        connection::StartOk {
            client_properties: table([("capabilities", capabilities.into())]),
            mechanism: self.mechanism.into(),
            response: self.response.as_slice().into(),
            locale: "en_US".into(),
        }
    }

    /// The `connection.tune-ok` of these settings.
    #[must_use]
    pub fn tune_ok(&self) -> connection::TuneOk {
        connection::TuneOk {
            channel_max: self.channel_max,
            frame_max: self.frame_max,
            heartbeat: self.heartbeat,
        }
    }
}

/// A connection that sends and reads frames, nothing more.
#[derive(Debug)]
pub struct Conn {
    stream: Socket,
    read: Vec<u8>,
    waiting: VecDeque<Frame>,
    /// The server's properties of `connection.start`.
    pub server_properties: FieldTable,
    /// The largest body frame [`Chan::publish`] sends.
    pub frame_max: u32,
}

impl Conn {
    /// Opens a socket and sends nothing.
    #[must_use]
    pub fn dial(address: &str) -> Conn {
        let stream = TcpStream::connect(address).expect("connect to the broker");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        Conn::over(Socket::Plain(stream))
    }

    pub(crate) fn over(stream: Socket) -> Conn {
        Conn {
            stream,
            read: Vec::new(),
            waiting: VecDeque::new(),
            server_properties: FieldTable::default(),
            frame_max: 131_072,
        }
    }

    /// Opens a connection up to `connection.open-ok`.
    #[must_use]
    pub fn login(address: &str, login: &Login) -> Conn {
        let mut conn = Conn::dial(address);
        conn.start();
        conn.open(login);
        conn
    }

    /// From connection.start up to open-ok.
    pub fn open(&mut self, login: &Login) {
        self.send(0, login.start_ok());
        let _: connection::Tune = self.expect(0);
        self.send(0, login.tune_ok());
        self.frame_max = login.frame_max;
        let _: connection::OpenOk =
            self.call(0, connection::Open { virtual_host: login.vhost.into() });
    }

    /// Sends the protocol header and reads `connection.start`.
    pub fn start(&mut self) -> connection::Start {
        self.try_start().expect("connection.start")
    }

    pub(crate) fn try_start(&mut self) -> Result<connection::Start, String> {
        self.send_raw(b"AMQP\0\0\x09\x01");
        let frame = self.read_frame(Instant::now() + DEADLINE)?;
        let start =
            frame.method().and_then(connection::Start::find).ok_or("no connection.start")?;
        self.server_properties = start.server_properties.clone();
        Ok(start)
    }

    /// TLS of this connection: the one who speaks it, and its socket.
    ///
    /// # Panics
    /// It has none.
    pub fn tls(&mut self) -> (&mut ClientConnection, &mut TcpStream) {
        match &mut self.stream {
            Socket::Tls(tls) => (&mut tls.conn, &mut tls.sock),
            Socket::Plain(_) => panic!("no TLS"),
        }
    }

    /// This end's address.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.stream.tcp().local_addr().expect("an address")
    }

    /// Sends bytes as they are. A broker that has closed already is not an error: what it said before can be read.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends these bytes over and over, and reads nothing, until the broker takes no more or `most` were
    /// sent; `sent` counts them from call to call.
    pub fn stuff(&mut self, bytes: &[u8], sent: &mut usize, most: usize) {
        self.stream.tcp().set_write_timeout(Some(STUFFED)).expect("set the write timeout");
        while *sent < most
            && let Ok(octets @ 1..) = self.stream.write(&bytes[*sent % bytes.len()..])
        {
            *sent += octets;
        }
    }

    /// Says that nothing more will come; what the broker says can be read.
    pub fn end_sending(&mut self) {
        self.stream.tcp().shutdown(Shutdown::Write).expect("shut down one way");
    }

    /// Whether the broker says something within this time; what it says stays to be read.
    pub fn hears_within(&mut self, time: Duration) -> bool {
        !self.waiting.is_empty() || self.fill(self.read.len() + 1, Instant::now() + time).is_ok()
    }

    /// Sends a method.
    pub fn send(&mut self, channel: u16, method: impl Method) {
        self.send_raw(&method.bytes(channel));
    }

    /// Sends a method and reads the answer.
    pub fn call<T: Method>(&mut self, channel: u16, method: impl Method) -> T {
        self.send(channel, method);
        self.expect(channel)
    }

    /// Reads the next frame of a channel, which must be this method.
    #[track_caller]
    pub fn expect<T: Method>(&mut self, channel: u16) -> T {
        let frame = self.next_on(channel);
        match frame.method().and_then(T::find) {
            Some(method) => method,
            None => panic!("expected {}, got {frame:?}", std::any::type_name::<T>()),
        }
    }

    /// Opens a channel.
    pub fn channel(&mut self, id: u16) -> Chan<'_> {
        let _: channel::OpenOk = self.call(id, channel::Open {});
        self.ch(id)
    }

    /// A channel that is open already.
    pub fn ch(&mut self, id: u16) -> Chan<'_> {
        Chan { conn: self, id }
    }

    /// Opens a channel that confirms what is published on it.
    #[track_caller]
    pub fn channel_confirming(&mut self, id: u16) -> Chan<'_> {
        let mut channel = self.channel(id);
        channel.confirm_select();
        channel
    }

    /// Reads the next frame of a channel; frames of other channels wait, except a `connection.close`.
    #[track_caller]
    pub fn next_on(&mut self, channel: u16) -> Frame {
        let deadline = Instant::now() + DEADLINE;
        if let Some(found) = self.waiting.iter().position(|frame| frame.channel == channel)
            && let Some(frame) = self.waiting.remove(found)
        {
            return frame;
        }
        loop {
            let frame = match self.read_frame(deadline) {
                Ok(frame) => frame,
                Err(why) => panic!("no frame on channel {channel}: {why}"),
            };
            if frame.kind == HEARTBEAT {
                continue;
            }
            if frame.channel == channel {
                return frame;
            }
            if let Some(AMQPClass::Connection(connection::AMQPMethod::Close(close))) =
                frame.method()
            {
                panic!("the broker closed the connection: {close:?}");
            }
            self.waiting.push_back(frame);
        }
    }

    /// Puts a frame back, to be read again first.
    pub fn put_back(&mut self, frame: Frame) {
        self.waiting.push_front(frame);
    }

    /// Whether a frame of this channel has been read already and waits.
    #[must_use]
    pub fn has_waiting(&self, channel: u16) -> bool {
        self.waiting.iter().any(|frame| frame.channel == channel)
    }

    /// Reads the next frame of any kind, heartbeats too.
    #[track_caller]
    pub fn next_frame(&mut self) -> Frame {
        match self.waiting.pop_front() {
            Some(frame) => frame,
            None => self.read_frame(Instant::now() + DEADLINE).expect("a frame"),
        }
    }

    fn read_frame(&mut self, deadline: Instant) -> Result<Frame, String> {
        self.fill(7, deadline)?;
        let size = u32::from_be_bytes([self.read[3], self.read[4], self.read[5], self.read[6]]);
        let end = 7 + usize::try_from(size).expect("a size");
        self.fill(end + 1, deadline)?;
        let bytes: Vec<u8> = self.read.drain(..=end).collect();
        if bytes[end] != 0xCE {
            return Err(format!("not a frame: {}", bytes.escape_ascii()));
        }
        let channel = u16::from_be_bytes([bytes[1], bytes[2]]);
        Ok(Frame { kind: bytes[0], channel, payload: bytes[7..end].to_vec() })
    }

    /// Reads exactly `len` bytes that are not a frame.
    #[track_caller]
    pub fn expect_raw(&mut self, len: usize) -> Vec<u8> {
        self.fill(len, Instant::now() + DEADLINE).expect("bytes");
        self.read.drain(..len).collect()
    }

    fn fill(&mut self, len: usize, deadline: Instant) -> Result<(), String> {
        let mut chunk = vec![0; 64 * 1024];
        while self.read.len() < len {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!(
                    "nothing came in time (so far: \"{}\")",
                    self.read.escape_ascii()
                ));
            }
            self.stream.set_read_timeout(left).expect("set the read timeout");
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the broker closed the socket".into()),
                Ok(count) => self.read.extend(&chunk[..count]),
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(format!("the broker closed the socket ({why})")),
            }
        }
        Ok(())
    }

    /// Reads a `connection.close`, which must be this one, answers it and waits for the socket's end.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16, text: &str, class_and_method: (u16, u16)) {
        let close: connection::Close = self.expect_close_frame();
        let got = (close.reply_code, close.reply_text.as_str(), (close.class_id, close.method_id));
        assert_eq!(got, (code, text, class_and_method));
        self.finish_close();
    }

    /// Reads a `connection.close`, whatever is still waiting on other channels.
    #[track_caller]
    pub fn expect_close_frame(&mut self) -> connection::Close {
        self.waiting.retain(|frame| frame.channel == 0);
        loop {
            let frame = self.next_frame();
            if frame.channel != 0 || frame.kind == HEARTBEAT {
                continue;
            }
            match frame.method().and_then(connection::Close::find) {
                Some(close) => return close,
                None => panic!("expected connection.close, got {frame:?}"),
            }
        }
    }

    /// Reads a `connection.close`, or the socket's end without one.
    #[track_caller]
    pub fn close_or_eof(&mut self) -> Option<connection::Close> {
        match self.read_frame(Instant::now() + DEADLINE) {
            Ok(frame) => {
                let close = frame.method().and_then(connection::Close::find);
                Some(close.unwrap_or_else(|| panic!("expected connection.close, got {frame:?}")))
            }
            Err(why) if why.starts_with("the broker closed") => None,
            Err(why) => panic!("expected the end of the connection: {why}"),
        }
    }

    /// Answers a `connection.close` and waits for the socket's end.
    #[track_caller]
    pub fn finish_close(&mut self) {
        self.send(0, connection::CloseOk {});
        self.expect_eof();
    }

    /// Waits until the broker closes the socket; nothing but heartbeats may come before.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        assert!(self.waiting.is_empty(), "unexpected: {:?}", self.waiting);
        loop {
            match self.read_frame(Instant::now() + DEADLINE) {
                Ok(frame) if frame.kind == HEARTBEAT => {}
                Ok(frame) => panic!("expected the end of the connection, got {frame:?}"),
                Err(why) if why.starts_with("the broker closed") => return,
                Err(why) => panic!("expected the end of the connection: {why}"),
            }
        }
    }

    /// Whether the broker closes the socket within this time; what it says meanwhile stays to be read.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let end = self.fill(usize::MAX, Instant::now() + time);
        end.is_err_and(|why| why.starts_with("the broker closed"))
    }

    /// Closes the connection as a client should, and waits until the broker has let go of what it owned.
    #[track_caller]
    pub fn close(mut self) {
        self.send(0, close_connection());
        loop {
            let frame = self.next_on(0);
            if frame.method().and_then(connection::CloseOk::find).is_some() {
                return;
            }
        }
    }

    /// Sends a heartbeat.
    pub fn heartbeat(&mut self) {
        self.send_raw(&frame(HEARTBEAT, 0, b""));
    }

    /// Sends several methods in one write, so that the broker reads them together.
    pub fn send_together(&mut self, methods: impl IntoIterator<Item = (u16, AMQPClass)>) {
        let bytes: Vec<u8> =
            methods.into_iter().flat_map(|(id, method)| encode(id, &method)).collect();
        self.send_raw(&bytes);
    }
}

fn close_connection() -> connection::Close {
    connection::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 }
}
