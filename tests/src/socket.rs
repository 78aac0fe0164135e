//! A client's socket, with TLS or without.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

/// TLS of a client.
pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<Encrypted>),
}

impl Socket {
    pub fn set_read_timeout(&self, timeout: Duration) -> Result<()> {
        self.tcp().set_read_timeout(Some(timeout))
    }

    pub fn tcp(&self) -> &TcpStream {
        match self {
            Socket::Plain(tcp) => tcp,
            Socket::Tls(tls) => tls.get_ref(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, octets: &mut [u8]) -> Result<usize> {
        match self {
            Socket::Plain(tcp) => tcp.read(octets),
            Socket::Tls(tls) => tls.read(octets),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        match self {
            Socket::Plain(tcp) => tcp.write(octets),
            Socket::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Socket::Plain(tcp) => tcp.flush(),
            Socket::Tls(tls) => tls.flush(),
        }
    }
}
