//! A connection with one channel: handshake, topology, and then the bare socket.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use amq_protocol::types::FieldTable;
use anyhow::{Context, Result, bail};
use lepus_protocol::table;

use super::frames::{Event, FrameReader};
use super::url::Target;
use super::wire::{self, CHANNEL, Method, be_u16, be_u32};

/// How long to wait for an address to answer and for a reply to a method.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The frame size asked for, when the broker sets no lower limit.
const FRAME_MAX: u32 = 131_072;

/// An open connection with one open channel.
pub(super) struct Client {
    stream: TcpStream,
    reader: FrameReader,
    frame_max: u32,
}

/// What real clients say they understand: a broker may do less for one that does not.
const CAPABILITIES: [&str; 5] = [
    "publisher_confirms",
    "consumer_cancel_notify",
    "basic.nack",
    "connection.blocked",
    "authentication_failure_close",
];

/// How a queue is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueKind {
    Transient,
    Durable,
}

impl Client {
    /// Connects, logs in and opens the channel.
    pub fn connect(target: &Target) -> Result<Self> {
        let stream = match &target.tls {
            None => TcpStream::connect_timeout(&target.addr, REPLY_TIMEOUT).map_err(Into::into),
            Some(tunnel) => tunnel.open(target.addr),
        };
        let stream = stream.with_context(|| format!("cannot connect to {}", target.addr))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        let mut client = Self { stream, reader: FrameReader::new(), frame_max: FRAME_MAX };
        client.log_in(target)?;
        let open = Method::new(CHANNEL, wire::CHANNEL_OPEN).short_str("");
        client.call(open, wire::CHANNEL_OPEN_OK)?;
        Ok(client)
    }

    fn log_in(&mut self, target: &Target) -> Result<()> {
        self.stream.write_all(wire::PROTOCOL_HEADER)?;
        self.wait_for(wire::CONNECTION_START)?;
        let start_ok = Method::new(0, wire::CONNECTION_START_OK)
            .long_str(&client_properties())
            .short_str("PLAIN")
            .long_str(format!("\0{}\0{}", target.user, target.password).as_bytes())
            .short_str("en_US");
        let tune = self.call(start_ok, wire::CONNECTION_TUNE)?;
        let channel_max = be_u16(&tune);
        let offered = be_u32(tune.get(2..).unwrap_or_default());
        self.frame_max = if offered == 0 { FRAME_MAX } else { offered.min(FRAME_MAX) };
        // Heartbeat 0: a producer that is being held back could not send any.
        let tune_ok = Method::new(0, wire::CONNECTION_TUNE_OK)
            .u16(channel_max)
            .u32(self.frame_max)
            .u16(0)
            .finish();
        let open = Method::new(0, wire::CONNECTION_OPEN)
            .short_str(&target.vhost)
            .short_str("")
            .u8(0)
            .finish();
        self.stream.write_all(&[tune_ok, open].concat())?;
        self.wait_for(wire::CONNECTION_OPEN_OK)?;
        Ok(())
    }

    /// The largest frame that may be sent.
    pub fn frame_max(&self) -> usize {
        self.frame_max as usize
    }

    /// Declares a queue; an empty name lets the broker choose one.
    pub fn declare_queue(
        &mut self,
        name: &str,
        kind: QueueKind,
        arguments: &FieldTable,
    ) -> Result<()> {
        let flags = match kind {
            QueueKind::Transient => 0,
            QueueKind::Durable => 2,
        };
        let declare = Method::new(CHANNEL, wire::QUEUE_DECLARE)
            .u16(0)
            .short_str(name)
            .u8(flags)
            .long_str(&table::encode_body(arguments));
        self.call(declare, wire::QUEUE_DECLARE_OK).map(drop)
    }

    /// Messages that are ready in a queue, by passive declare.
    pub fn message_count(&mut self, name: &str) -> Result<u32> {
        const PASSIVE: u8 = 1;
        let declare = Method::new(CHANNEL, wire::QUEUE_DECLARE)
            .u16(0)
            .short_str(name)
            .u8(PASSIVE)
            .empty_table();
        let ok = self.call(declare, wire::QUEUE_DECLARE_OK)?;
        let name = usize::from(ok.first().copied().unwrap_or(0));
        Ok(be_u32(ok.get(1 + name..).unwrap_or_default()))
    }

    /// Deletes a queue, whatever it holds.
    pub fn delete_queue(&mut self, name: &str) -> Result<()> {
        let delete = Method::new(CHANNEL, wire::QUEUE_DELETE).u16(0).short_str(name).u8(0);
        self.call(delete, wire::QUEUE_DELETE_OK).map(drop)
    }

    /// Declares a transient fanout exchange.
    pub fn declare_fanout(&mut self, name: &str) -> Result<()> {
        let declare = Method::new(CHANNEL, wire::EXCHANGE_DECLARE)
            .u16(0)
            .short_str(name)
            .short_str("fanout")
            .u8(0)
            .empty_table();
        self.call(declare, wire::EXCHANGE_DECLARE_OK).map(drop)
    }

    /// Deletes an exchange.
    pub fn delete_exchange(&mut self, name: &str) -> Result<()> {
        let delete = Method::new(CHANNEL, wire::EXCHANGE_DELETE).u16(0).short_str(name).u8(0);
        self.call(delete, wire::EXCHANGE_DELETE_OK).map(drop)
    }

    /// Binds a queue to an exchange with an empty routing key.
    pub fn bind(&mut self, queue: &str, exchange: &str) -> Result<()> {
        let bind = Method::new(CHANNEL, wire::QUEUE_BIND)
            .u16(0)
            .short_str(queue)
            .short_str(exchange)
            .short_str("")
            .u8(0)
            .empty_table();
        self.call(bind, wire::QUEUE_BIND_OK).map(drop)
    }

    /// Limits the unacknowledged deliveries of each consumer.
    pub fn prefetch(&mut self, count: u16) -> Result<()> {
        let qos = Method::new(CHANNEL, wire::BASIC_QOS).u32(0).u16(count).u8(0);
        self.call(qos, wire::BASIC_QOS_OK).map(drop)
    }

    /// Puts the channel into confirm mode.
    pub fn confirm(&mut self) -> Result<()> {
        let select = Method::new(CHANNEL, wire::CONFIRM_SELECT).u8(0);
        self.call(select, wire::CONFIRM_SELECT_OK).map(drop)
    }

    /// Starts a consumer without waiting for the reply, because deliveries may come before it.
    pub fn consume(&mut self, queue: &str, tag: &str, auto_ack: bool) -> Result<()> {
        const NO_WAIT: u8 = 8;
        let flags = NO_WAIT | if auto_ack { 2 } else { 0 };
        let consume = Method::new(CHANNEL, wire::BASIC_CONSUME)
            .u16(0)
            .short_str(queue)
            .short_str(tag)
            .u8(flags)
            .empty_table();
        self.stream.write_all(&consume.finish())?;
        Ok(())
    }

    /// Closes the connection and waits until the broker has agreed.
    pub fn close(mut self) -> Result<()> {
        let close = Method::new(0, wire::CONNECTION_CLOSE).u16(200).short_str("bye").u16(0).u16(0);
        self.call(close, wire::CONNECTION_CLOSE_OK).map(drop)
    }

    /// The socket, without a timeout, and the reader with what it has already read.
    pub fn into_parts(self) -> Result<(TcpStream, FrameReader)> {
        self.stream.set_read_timeout(None)?;
        Ok((self.stream, self.reader))
    }

    fn call(&mut self, method: Method, reply: u32) -> Result<Vec<u8>> {
        self.stream.write_all(&method.finish()).context("writing to the broker")?;
        self.wait_for(reply)
    }

    fn wait_for(&mut self, wanted: u32) -> Result<Vec<u8>> {
        loop {
            match self.reader.next(&mut self.stream)? {
                Event::Method { id, args } if id == wanted => return Ok(args),
                Event::Method { id, .. } => {
                    bail!(
                        "expected method {}.{}, got {}.{}",
                        wanted >> 16,
                        wanted & 0xFFFF,
                        id >> 16,
                        id & 0xFFFF
                    )
                }
                Event::Confirm { .. } | Event::Blocked | Event::Other => {}
            }
        }
    }
}

fn client_properties() -> Vec<u8> {
    let mut capabilities = Vec::new();
    for name in CAPABILITIES {
        push_name(&mut capabilities, name);
        capabilities.extend_from_slice(&[b't', 1]);
    }
    let mut table = Vec::new();
    push_name(&mut table, "product");
    push_long(&mut table, b'S', b"lepus bench");
    push_name(&mut table, "capabilities");
    push_long(&mut table, b'F', &capabilities);
    table
}

fn push_name(table: &mut Vec<u8>, name: &str) {
    table.push(name.len() as u8);
    table.extend_from_slice(name.as_bytes());
}

fn push_long(table: &mut Vec<u8>, kind: u8, value: &[u8]) {
    table.push(kind);
    table.extend_from_slice(&(value.len() as u32).to_be_bytes());
    table.extend_from_slice(value);
}
