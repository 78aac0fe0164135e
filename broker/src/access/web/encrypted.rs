//! HTTPS with all options of TLS that can be configured, which the HTTP client's own TLS does not know.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use anyhow::Result;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::config::tls::TlsOptions;
use crate::tls;

/// Puts TLS on top of a connection, if the URL wants that.
#[derive(Debug)]
pub(super) struct Tls {
    with: Arc<ClientConfig>,
    options: TlsOptions,
}

impl Tls {
    pub fn new(options: &TlsOptions) -> Result<Self> {
        Ok(Self { with: tls::client(options)?, options: options.clone() })
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        below: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = tls::server_name(&self.options, host);
        let name = name.map_err(|error| io::Error::other(error.to_string()))?;
        let session = ClientConnection::new(self.with.clone(), name).map_err(io::Error::other)?;
        let below = TransportAdapter::new(below.boxed(), details.current_time.clone());
        let mut stream = StreamOwned::new(session, below);
        stream.sock.set_timeout(details.timeout);
        stream.conn.complete_io(&mut stream.sock)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { stream, buffers: LazyBuffers::new(input, output) })))
    }
}

/// A connection with TLS.
pub(super) struct Encrypted {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let octets = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(octets);
        Ok(octets > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
