//! The log sent to a syslog server.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ClientConnection, StreamOwned};
use syslog::{Facility, Formatter3164, Formatter5424, LogFormat, Severity};
use tracing::Level;

use super::lines::{Bringer, Line};
use crate::config::logging::{Protocol, Syslog, Transport};
use crate::tls;

/// How long a server may take to answer, or to take a line.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long to leave a server alone that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Octets of a line that fit into a datagram of IPv4 with all that stands before it.
const DATAGRAM_MAX: usize = 65_000;

/// Sends what comes.
///
/// # Errors
/// There can be no more threads, or TLS cannot be spoken with what is configured.
pub(super) fn send(lines: Bringer, config: &Syslog) -> Result<()> {
    if config.transport == Transport::Tls {
        let checked = tls::client(&config.tls).map(drop);
        checked
            .and_then(|()| tls::server_name(&config.tls, &config.host).map(drop))
            .context("log.syslog.ssl_options")?;
    }
    let mut sender = Sender::new(config);
    let started = lines.start("lepus-syslog", move |line| sender.bring(&line));
    started.context("cannot start the thread for syslog")
}

struct Sender {
    config: Syslog,
    form: Form,
    line: Option<Connected>,
    /// Whether it was said that the server takes nothing.
    told: bool,
}

enum Form {
    Rfc3164(Formatter3164),
    Rfc5424(Formatter5424),
}

enum Connected {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Sender {
    fn new(config: &Syslog) -> Self {
        let facility = config.facility.parse().unwrap_or(Facility::LOG_DAEMON);
        let process = config.identity.clone();
        let form = match config.protocol {
            Protocol::Rfc3164 => {
                Form::Rfc3164(Formatter3164 { facility, process, ..Formatter3164::default() })
            }
            Protocol::Rfc5424 => {
                Form::Rfc5424(Formatter5424 { facility, process, ..Formatter5424::default() })
            }
        };
        Self { config: config.clone(), form, line: None, told: false }
    }

    /// A line waits until a server on a connection is there again; without one it may be lost.
    fn bring(&mut self, line: &Line) {
        let Some(octets) = self.form.octets(line) else { return };
        while let Err(error) = self.try_to_send(&octets) {
            self.line = None;
            if !std::mem::replace(&mut self.told, true) {
                let Syslog { host, port, .. } = &self.config;
                tracing::warn!("the log cannot be sent to syslog at {host}:{port}: {error}");
            }
            if self.config.transport == Transport::Udp {
                return;
            }
            sleep(PAUSE);
        }
        if std::mem::take(&mut self.told) {
            tracing::info!("the log is sent to syslog again");
        }
    }

    fn try_to_send(&mut self, octets: &[u8]) -> io::Result<()> {
        let line = match &mut self.line {
            Some(line) => line,
            none => none.insert(Connected::to(&self.config)?),
        };
        match (line, self.config.protocol) {
            (Connected::Udp(socket, server), _) => {
                let octets = octets.get(..DATAGRAM_MAX).unwrap_or(octets);
                socket.send_to(octets, *server).map(drop)
            }
            (Connected::Tcp(stream), protocol) => stream.write_all(&framed(octets, protocol)),
            (Connected::Tls(stream), protocol) => {
                stream.write_all(&framed(octets, protocol))?;
                stream.flush()
            }
        }
    }
}

/// As RFC 6587 has it: octets are counted, or a line ends a message.
fn framed(octets: &[u8], protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Rfc5424 => [octets.len().to_string().as_bytes(), b" ", octets].concat(),
        Protocol::Rfc3164 => [octets, b"\n"].concat(),
    }
}

impl Form {
    fn octets(&self, line: &Line) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(line.text.trim_ascii_end());
        let severity = match line.level {
            Level::ERROR => Severity::LOG_ERR,
            Level::WARN => Severity::LOG_WARNING,
            Level::INFO => Severity::LOG_INFO,
            _ => Severity::LOG_DEBUG,
        };
        let mut octets = Vec::new();
        let formed = match self {
            Self::Rfc3164(form) => form.format(&mut octets, severity, &text),
            Self::Rfc5424(form) => form.format(&mut octets, severity, (0, BTreeMap::new(), &text)),
        };
        formed.is_ok().then_some(octets)
    }
}

impl Connected {
    fn to(config: &Syslog) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for server in (config.host.as_str(), config.port).to_socket_addrs()? {
            let connected = match config.transport {
                Transport::Udp => {
                    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    UdpSocket::bind(any).map(|socket| Self::Udp(socket, server))
                }
                Transport::Tcp => connect(server).map(Self::Tcp),
                Transport::Tls => connect(server).and_then(|tcp| shake_hands(tcp, config)),
            };
            match connected {
                Ok(connected) => return Ok(connected),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Files are read anew, since certificates end.
fn shake_hands(mut tcp: TcpStream, config: &Syslog) -> io::Result<Connected> {
    let name = tls::server_name(&config.tls, &config.host);
    let with = tls::client(&config.tls).and_then(|with| Ok((with, name?)));
    let (with, name) = with.map_err(|error| io::Error::other(format!("{error:#}")))?;
    let mut session = ClientConnection::new(with, name).map_err(io::Error::other)?;
    tcp.set_read_timeout(Some(TIMEOUT))?;
    while session.is_handshaking() {
        session.complete_io(&mut tcp)?;
    }
    Ok(Connected::Tls(Box::new(StreamOwned::new(session, tcp))))
}
