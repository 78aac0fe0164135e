//! The least that could be called a broker: it turns the frames of one socket into deliveries on
//! another and does nothing else. What it reaches is what the sockets allow.
//!
//! It knows one consumer at a time, keeps nothing, and answers every other method with its -ok.

mod relay;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::frames::FrameReader;
use super::wire::{self, CHANNEL, FRAME_HEAD, FRAME_METHOD, Method, be_u32};
use relay::Relay;

/// How often a publisher that came first looks for a consumer, and how often it does so.
const CONSUMER_POLL: Duration = Duration::from_millis(1);
const CONSUMER_POLLS: u32 = 5_000;

/// Where deliveries go: the newest consumer's socket and tag.
type Outlet = Arc<Mutex<Option<(TcpStream, String)>>>;

/// Serves until the process is ended.
pub(super) fn serve(addr: SocketAddr) -> Result<()> {
    ensure!(addr.ip().is_loopback(), "the floor knows no passwords: it listens on loopback only");
    let listener = TcpListener::bind(addr).with_context(|| format!("cannot listen on {addr}"))?;
    println!("listening amqp {}\nready", listener.local_addr()?);
    let outlet = Outlet::default();
    loop {
        let (stream, _) = listener.accept()?;
        let outlet = Arc::clone(&outlet);
        // Connections end by an error: the peer closes the socket.
        std::thread::spawn(move || drop(connection(stream, &outlet)));
    }
}

fn connection(mut stream: TcpStream, outlet: &Outlet) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let start = Method::new(0, wire::CONNECTION_START)
        .u8(0)
        .u8(9)
        .empty_table()
        .long_str(b"PLAIN")
        .long_str(b"en_US");
    stream.write_all(&start.finish())?;
    let mut reader = FrameReader::new();
    loop {
        let frame = reader.next_frame(&mut stream)?;
        if frame.first() != Some(&FRAME_METHOD) {
            continue;
        }
        let id = be_u32(frame.get(FRAME_HEAD..).unwrap_or_default());
        match id {
            wire::BASIC_PUBLISH => {
                let read = [frame.to_vec(), reader.into_rest()].concat();
                return publisher(stream, read, outlet);
            }
            wire::BASIC_CONSUME => {
                let tag = consumer_tag(frame);
                *outlet.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((stream.try_clone()?, tag));
            }
            wire::BASIC_ACK => {}
            _ => stream.write_all(&reply(id))?,
        }
    }
}

fn publisher(stream: TcpStream, read: Vec<u8>, outlet: &Outlet) -> Result<()> {
    for _ in 0..CONSUMER_POLLS {
        if let Some((consumer, tag)) = outlet.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Relay::new(&tag).run(stream, consumer, &read);
        }
        std::thread::sleep(CONSUMER_POLL);
    }
    anyhow::bail!("no consumer came")
}

/// The consumer tag of basic.consume, which follows the ticket and the queue's name.
fn consumer_tag(frame: &[u8]) -> String {
    let queue = frame.get(FRAME_HEAD + 6..).unwrap_or_default();
    let skip = 1 + usize::from(queue.first().copied().unwrap_or(0));
    let tag = queue.get(skip..).unwrap_or_default();
    let len = usize::from(tag.first().copied().unwrap_or(0));
    String::from_utf8_lossy(tag.get(1..=len).unwrap_or_default()).into_owned()
}

/// The answer to a method: its -ok, whose id is one higher almost everywhere.
fn reply(id: u32) -> Vec<u8> {
    let is_connection = id >> 16 == wire::CONNECTION_START >> 16;
    let channel = if is_connection { 0 } else { CHANNEL };
    let ok = Method::new(channel, id + 1);
    match id {
        wire::CONNECTION_START_OK => {
            Method::new(0, wire::CONNECTION_TUNE).u16(2047).u32(131_072).u16(0).finish()
        }
        wire::CONNECTION_TUNE_OK => Vec::new(),
        wire::CONNECTION_OPEN => ok.short_str("").finish(),
        wire::CHANNEL_OPEN => ok.u32(0).finish(),
        wire::QUEUE_DECLARE => ok.short_str("q").u32(0).u32(0).finish(),
        wire::QUEUE_DELETE => ok.u32(0).finish(),
        _ => ok.finish(),
    }
}
