//! A queue that is filled first and drained afterwards, also by another broker process. Bodies of
//! eight octets and more carry the message's number, so that the drain sees what is lost, doubled or
//! out of order.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::args::{BacklogStep, BenchArgs};
use super::client::{Client, QueueKind};
use super::confirms::Confirms;
use super::consumer::{Acks, Deliveries, Tally};
use super::frames::{Event, FrameReader};
use super::process;
use super::publish_buffer::{MessageShape, PublishBuffer};
use super::report::{Backlog, Phase};
use super::url::Target;

const READ_SIZE: usize = 512 * 1024;
/// How long the broker may be silent while it has something to say.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does the chosen steps with a queue of that many messages.
pub(super) fn run(args: &BenchArgs, target: &Target, messages: u64) -> Result<Backlog> {
    let queue = format!("{}-backlog", args.prefix);
    let mut backlog = Backlog::default();
    let step = args.backlog_step;
    if matches!(step, BacklogStep::All | BacklogStep::Fill) {
        backlog.fill = Some(fill(args, target, &queue, messages)?);
    }
    if matches!(step, BacklogStep::First) {
        let (count, first) = first(target, &queue)?;
        (backlog.count, backlog.first_ms) = (Some(count), Some(first.as_secs_f64() * 1e3));
    }
    if matches!(step, BacklogStep::All | BacklogStep::Drain) {
        backlog.drain = Some(drain(args, target, &queue, messages)?);
        let mut client = Client::connect(target)?;
        client.delete_queue(&queue)?;
        client.close()?;
    }
    backlog.rss_kib = args.pid.map(process::resident_kib).transpose()?;
    backlog.peak_rss_kib = args.pid.map(process::peak_kib).transpose()?;
    Ok(backlog)
}

/// Time and the broker's CPU time from here to `done`.
struct Watch<'a> {
    args: &'a BenchArgs,
    start: Instant,
    cpu: Option<Duration>,
}

impl<'a> Watch<'a> {
    fn start(args: &'a BenchArgs) -> Result<Self> {
        Ok(Self { args, start: Instant::now(), cpu: cpu(args)? })
    }

    fn done(self, messages: u64) -> Result<Phase> {
        let seconds = self.start.elapsed().as_secs_f64();
        let cpu = cpu(self.args)?.zip(self.cpu).map(|(end, start)| end.saturating_sub(start));
        Ok(Phase {
            per_s: messages as f64 / seconds,
            broker_cpu_us_per_msg: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / messages as f64),
        })
    }
}

fn cpu(args: &BenchArgs) -> Result<Option<Duration>> {
    args.pid.map(|pid| process::cpu_time(Some(pid))).transpose()
}

/// Publishes all messages; they count when the last one is confirmed.
fn fill(args: &BenchArgs, target: &Target, queue: &str, messages: u64) -> Result<Phase> {
    let mut client = Client::connect(target)?;
    let kind = if args.persistent { QueueKind::Durable } else { QueueKind::Transient };
    client.declare_queue(queue, kind, &args.queue_table())?;
    client.confirm()?;
    let mut buffer = PublishBuffer::new(&MessageShape {
        exchange: String::new(),
        routing_keys: vec![queue.to_owned()],
        size: args.size as usize,
        persistent: args.persistent,
        priorities: args.priorities,
        frame_max: client.frame_max(),
    })?;
    let confirms = Confirms::new(args.confirm.max(1));
    let before = u64::from(client.message_count(queue)?);
    let (mut stream, mut reader) = client.into_parts()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let watch = Watch::start(args)?;
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < messages {
        let mut room = confirms.room().min(messages - sent);
        while room > 0 {
            let number = before + sent + 1;
            let (count, bytes) = buffer.take_numbered(usize::try_from(room)?, number);
            confirms.send(count as u64, 1);
            stream.write_all(bytes).context("publishing")?;
            (room, sent) = (room - count as u64, sent + count as u64);
        }
        confirmed += settled(&mut stream, &mut reader, &confirms)?;
    }
    watch.done(messages)
}

/// Reads confirms until there are no more to be had without waiting.
fn settled(stream: &mut TcpStream, reader: &mut FrameReader, confirms: &Confirms) -> Result<u64> {
    let mut settled = 0;
    loop {
        if let Event::Confirm { tag, multiple, nack } = reader.next(stream)? {
            ensure!(!nack, "the broker refused a message");
            settled += confirms.settle(tag, multiple, 1, None)?;
        }
        if settled > 0 && !reader.has_frame() {
            return Ok(settled);
        }
    }
}

/// Consumes all messages; they count when the last ack is sent.
fn drain(args: &BenchArgs, target: &Target, queue: &str, messages: u64) -> Result<Phase> {
    let mut client = Client::connect(target)?;
    if args.prefetch > 0 {
        client.prefetch(args.prefetch)?;
    }
    let watch = Watch::start(args)?;
    client.consume(queue, "drain", args.ack == 0)?;
    let (mut stream, reader) = client.into_parts()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut deliveries, mut acks) = (Deliveries::new(true), Acks::new(args.ack));
    let mut tally = Tally::default();
    let mut buffer = vec![0; READ_SIZE];
    let rest = reader.into_rest();
    let (mut filled, mut consumed, mut number) = (rest.len(), 0, 0);
    buffer.get_mut(..filled).context("too much was read ahead")?.copy_from_slice(&rest);
    loop {
        let used = deliveries.feed(buffer.get(..filled).unwrap_or_default(), &mut tally)?;
        if let Some(frames) = acks.owed(&tally) {
            stream.write_all(frames).context("writing acks")?;
        }
        for found in tally.stamps.drain(..) {
            ensure!(found == number + 1, "message {found} came after message {number}");
            number = found;
        }
        consumed += std::mem::take(&mut tally.complete);
        if consumed >= messages {
            ensure!(consumed == messages, "{consumed} messages came, not {messages}");
            return watch.done(messages);
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
        ensure!(read > 0, "the broker closed the socket");
        filled += read;
    }
}

/// From connecting to the first delivery; and the queue's count, which a passive declare gives.
fn first(target: &Target, queue: &str) -> Result<(u64, Duration)> {
    let start = Instant::now();
    let mut client = Client::connect(target)?;
    let count = client.message_count(queue)?;
    client.prefetch(1)?;
    client.consume(queue, "first", false)?;
    let (mut stream, reader) = client.into_parts()?;
    let mut held = reader.into_rest();
    let (mut deliveries, mut tally) = (Deliveries::new(false), Tally::default());
    let mut part = vec![0; READ_SIZE];
    loop {
        let used = deliveries.feed(&held, &mut tally)?;
        if tally.complete > 0 {
            return Ok((u64::from(count), start.elapsed()));
        }
        held.drain(..used);
        let read = stream.read(&mut part)?;
        ensure!(read > 0, "the broker closed the socket");
        held.extend_from_slice(part.get(..read).unwrap_or_default());
    }
}
