//! What a connection's octets go through: the socket itself, or TLS over it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Octets of one read of ciphertext.
const CIPHERTEXT: usize = 64 * 1024;

/// Octets that TLS may hold back until the end of their record comes.
const RECORD_MAX: usize = 32 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CIPHERTEXT]);
}

/// A way to the peer. What fails is gone for good.
pub trait Transport {
    /// Reads what has arrived; 0 is the end. There must be room for [`CIPHERTEXT`] octets.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;

    /// The socket, if what it brings is what the peer sent.
    fn plain(&self) -> Option<&TcpStream>;

    /// Takes some of the octets; they are on their way after [`Self::poll_flush`] only.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Sends what was taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether something was taken and not sent.
    fn owes(&self) -> bool;

    /// Nothing more will be written: what tells the peer so is to be flushed.
    fn end(&mut self);

    /// The socket.
    fn into_socket(self) -> TcpStream;
}

impl Transport for TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        let read = AsyncRead::poll_read(Pin::new(self), cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }

    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [one] => AsyncWrite::poll_write(Pin::new(self), cx, one),
            many => AsyncWrite::poll_write_vectored(Pin::new(self), cx, many),
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn owes(&self) -> bool {
        false
    }

    fn end(&mut self) {}

    fn into_socket(self) -> TcpStream {
        self
    }
}

/// TLS whose handshake is done.
///
/// It reads the socket in large pieces that all connections of a thread share: TLS streams of a
/// general kind read 4 KiB at a time, or keep a buffer each.
pub struct Tls {
    socket: TcpStream,
    session: ServerConnection,
}

impl Tls {
    /// Takes over from the handshake.
    pub fn new(stream: TlsStream<TcpStream>) -> Self {
        let (socket, session) = stream.into_inner();
        Self { socket, session }
    }

    /// Takes what is decrypted. `None`: nothing for now.
    fn take(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.session.reader().read(rest) {
                Ok(0) => return Ok(Some(filled)),
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(filled).filter(|filled| *filled > 0))
    }

    /// Decrypts as far as records are whole.
    fn decrypt(&mut self, mut sealed: &[u8], room: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = None;
        while !sealed.is_empty() {
            if self.session.read_tls(&mut sealed)? == 0 {
                return Ok(filled.or(Some(0)));
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            let rest = room.get_mut(filled.unwrap_or(0)..).unwrap_or_default();
            if let Some(octets) = self.take(rest)? {
                filled = Some(filled.unwrap_or(0) + octets);
            }
        }
        Ok(filled)
    }
}

impl Transport for Tls {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        // What came with the end of the handshake.
        if let Some(octets) = self.take(room)? {
            return Poll::Ready(Ok(octets));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let most = room.len().saturating_sub(RECORD_MAX).min(CIPHERTEXT);
            loop {
                let mut buffer = ReadBuf::new(scratch.get_mut(..most).unwrap_or_default());
                ready!(AsyncRead::poll_read(Pin::new(&mut self.socket), cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let read = self.decrypt(buffer.filled(), room);
                // An answer to a change of keys, or an alert that says what was wrong.
                let sent = self.poll_flush(cx);
                if let Some(octets) = read? {
                    return Poll::Ready(Ok(octets));
                }
                if let Poll::Ready(Err(error)) = sent {
                    return Poll::Ready(Err(error));
                }
            }
        })
    }

    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // All that was taken has to go first, so that what is sealed stays little.
        ready!(self.poll_flush(cx))?;
        let taken = self.session.writer().write_vectored(slices)?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, session } = self;
        while session.wants_write() {
            match session.write_tls(&mut Sink { socket, cx }) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn owes(&self) -> bool {
        self.session.wants_write()
    }

    fn end(&mut self) {
        self.session.send_close_notify();
    }

    fn into_socket(self) -> TcpStream {
        self.socket
    }
}

/// A socket as rustls writes to it.
struct Sink<'a, 'b> {
    socket: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
}

impl Sink<'_, '_> {
    fn now<T>(written: Poll<io::Result<T>>) -> io::Result<T> {
        match written {
            Poll::Ready(done) => done,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Sink<'_, '_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Self::now(AsyncWrite::poll_write(Pin::new(self.socket), self.cx, octets))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::now(AsyncWrite::poll_write_vectored(Pin::new(self.socket), self.cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
