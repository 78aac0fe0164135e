//! Connections that are there and do nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

/// Opens connections with a channel each, as guest.
pub(crate) fn open(broker: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    (0..count)
        .map(|number| connect(broker).with_context(|| format!("connection {number}; `ulimit -n`?")))
        .collect()
}

fn connect(broker: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(broker)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    await_method(&mut stream, [10, 10])?;
    // start-ok: no properties, PLAIN
    let login = b"\x00guest\x00guest";
    let start_ok =
        [b"\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c", &login[..], b"\x05en_US"].concat();
    send(&mut stream, 0, [10, 11], &start_ok)?;
    await_method(&mut stream, [10, 30])?;
    // tune-ok: 2047 channels, 128 KiB, no heartbeats
    send(&mut stream, 0, [10, 31], &[7, 255, 0, 2, 0, 0, 0, 0])?;
    send(&mut stream, 0, [10, 40], b"\x01/\x00\x00")?;
    await_method(&mut stream, [10, 41])?;
    send(&mut stream, 1, [20, 10], b"\x00")?;
    await_method(&mut stream, [20, 11])?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, channel: u8, method: [u8; 2], arguments: &[u8]) -> Result<()> {
    let [class, id] = method;
    let length = u32::try_from(4 + arguments.len())?.to_be_bytes();
    let frame = [&[1, 0, channel][..], &length, &[0, class, 0, id], arguments, &[0xCE]].concat();
    Ok(stream.write_all(&frame)?)
}

/// Reads a frame, which must be this method.
fn await_method(stream: &mut TcpStream, method: [u8; 2]) -> Result<()> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let [_, _, _, length @ ..] = head;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize + 1];
    stream.read_exact(&mut rest)?;
    let [class, id] = method;
    ensure!(rest.starts_with(&[0, class, 0, id]), "no method {class}.{id} but {rest:?}");
    Ok(())
}
