//! `lepus ping`: whether a broker answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::AMQPMethod;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use lepus_protocol::frame::{Decoder, Piece};
use lepus_protocol::handshake::PROTOCOL_HEADER;
use lepus_protocol::limits::FRAME_MAX_BEFORE_TUNE;
use lepus_protocol::method::{self, Method};
use serde_json::json;

use crate::config::cli::Flags;
use crate::config::load::load;

/// Arguments of `lepus ping`.
#[derive(Args, Debug)]
pub struct PingArgs {
    /// Address and port of the broker [default: where the flags, the environment and the file say that it
    /// listens for AMQP].
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Connects and waits for connection.start: then the broker is up, whoever may log in.
/// Where it listens for TLS only, that the port is open has to do.
pub fn run(args: &PingArgs) -> Result<()> {
    let (address, speaks) = match args.address {
        Some(address) => (address, true),
        None => configured(&args.flags)?,
    };
    let done = reach(address, speaks, Duration::from_secs(args.timeout.max(1)));
    if args.json {
        let why = done.as_ref().err().map(|error| format!("{error:#}"));
        println!("{}", json!({"address": address, "ok": why.is_none(), "reason": why}));
    } else if done.is_ok() {
        println!("{address} {}", if speaks { "answers" } else { "accepts connections" });
    }
    done
}

fn reach(address: SocketAddr, speaks: bool, timeout: Duration) -> Result<()> {
    let connected = TcpStream::connect_timeout(&address, timeout);
    let mut stream = connected.with_context(|| format!("no broker at {address}"))?;
    if !speaks {
        return Ok(());
    }
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(&PROTOCOL_HEADER)?;
    await_start(&mut stream).with_context(|| format!("no AMQP 0-9-1 broker at {address}"))
}

/// Where a broker with this configuration is to be found, and whether without TLS.
fn configured(flags: &Flags) -> Result<(SocketAddr, bool)> {
    let listeners = load(&flags.sources())?.config.listeners;
    let plain = listeners.tcp_addresses().into_iter().map(|address| (address, true));
    let mut all =
        plain.chain(listeners.tls_addresses().into_iter().map(|address| (address, false)));
    let (address, speaks) = all.next().context("it listens nowhere for AMQP")?;
    Ok((SocketAddr::new(reachable(address.ip()), address.port()), speaks))
}

/// What is open on all addresses is open on this machine's own.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn await_start(stream: &mut TcpStream) -> Result<()> {
    let (mut decoder, mut read) = (Decoder::new(FRAME_MAX_BEFORE_TUNE), Vec::new());
    let mut chunk = [0; 4096];
    loop {
        let octets = match stream.read(&mut chunk) {
            Ok(0) => bail!("it closed the connection"),
            Ok(octets) => octets,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        read.extend_from_slice(chunk.get(..octets).unwrap_or_default());
        let Some((_, piece)) = decoder.next(&read)? else { continue };
        let Piece::Method { channel: 0, payload } = piece else { bail!("it sent no method") };
        let Method::Other(class) = method::decode(payload)? else {
            bail!("it sent a wrong method")
        };
        let starts = matches!(*class, AMQPClass::Connection(AMQPMethod::Start(_)));
        ensure!(starts, "it sent a wrong method");
        return Ok(());
    }
}
