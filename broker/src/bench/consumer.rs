//! The consuming side: count deliveries as cheaply as possible, ack as asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::frames;
use super::latency::Latencies;
use super::shared::Shared;
use super::wire::{
    self, CHANNEL, FRAME_BODY, FRAME_END, FRAME_HEAD, FRAME_HEADER, FRAME_METHOD, FRAME_OVERHEAD,
    Method, be_u32, be_u64_at,
};

const READ_SIZE: usize = 512 * 1024;
/// Bytes of a body that carry its time stamp.
const STAMP: usize = 8;

/// One consuming connection.
pub(super) struct Consumer {
    pub stream: TcpStream,
    /// What was read while the consumer was being set up.
    pub rest: Vec<u8>,
    pub index: usize,
    /// Ack every so many messages; 0 = auto-ack.
    pub ack: u32,
    pub stamped: bool,
}

/// What a stretch of the stream held.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages received in full.
    pub complete: u64,
    /// Delivery tag of the last one.
    pub last_tag: u64,
    /// Times found in the bodies, when they are looked for.
    pub stamps: Vec<u64>,
}

impl Consumer {
    /// Consumes until the socket is shut. Returns the latencies that it saw.
    pub fn run(mut self, shared: &Arc<Shared>) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        if let Err(error) = self.consume(shared, &mut latencies) {
            shared.fail(error.context("a consumer failed"));
        }
        Ok(latencies)
    }

    fn consume(&mut self, shared: &Shared, latencies: &mut Latencies) -> Result<()> {
        let mut buffer = vec![0; READ_SIZE];
        let mut deliveries = Deliveries::new(self.stamped);
        let mut acks = Acks::new(self.ack);
        let mut tally = Tally::default();
        let mut filled = self.rest.len();
        buffer.get_mut(..filled).context("too much was read ahead")?.copy_from_slice(&self.rest);
        loop {
            let bytes = buffer.get(..filled).unwrap_or_default();
            let used = deliveries.feed(bytes, &mut tally)?;
            self.account(shared, &mut tally, latencies);
            if let Some(frames) = acks.owed(&tally) {
                self.stream.write_all(frames).context("writing acks")?;
            }
            tally.complete = 0;
            buffer.copy_within(used..filled, 0);
            filled -= used;
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(free).context("reading deliveries")?;
            ensure!(read > 0, "the broker closed the socket");
            filled += read;
        }
    }

    fn account(&self, shared: &Shared, tally: &mut Tally, latencies: &mut Latencies) {
        if let Some(counter) = shared.consumed.get(self.index) {
            counter.add(tally.complete);
        }
        if !tally.stamps.is_empty() {
            let (now, measuring) = (shared.now(), shared.measuring());
            for sent in tally.stamps.drain(..) {
                if measuring && sent != 0 {
                    latencies.record(sent, now);
                }
            }
        }
    }
}

/// Finds deliveries in a byte stream by frame lengths alone. A body is skipped, not looked at.
#[derive(Debug)]
pub(super) struct Deliveries {
    stamped: bool,
    /// Bytes of the current body frame, with its end mark, that are still to come.
    skip: usize,
    /// Bytes of the current body after its current frame.
    body_left: u64,
    /// Whether the next body frame is the first one of its message.
    first: bool,
    tag: u64,
}

impl Deliveries {
    pub fn new(stamped: bool) -> Self {
        Self { stamped, skip: 0, body_left: 0, first: false, tag: 0 }
    }

    /// Goes through `bytes` and returns how many of them it is done with.
    pub fn feed(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        let mut at = self.skip_body(bytes, tally)?;
        while self.skip == 0 {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.len() < FRAME_HEAD {
                break;
            }
            let size = be_u32(rest.get(3..).unwrap_or_default()) as usize;
            if rest.first() == Some(&FRAME_BODY) {
                let need = if self.stamped && self.first {
                    FRAME_HEAD + STAMP.min(size)
                } else {
                    FRAME_HEAD
                };
                if rest.len() < need {
                    break;
                }
                self.body_frame(rest, size, tally)?;
                at += FRAME_HEAD;
                at += self.skip_body(bytes.get(at..).unwrap_or_default(), tally)?;
            } else {
                ensure!(size < READ_SIZE / 2, "a frame of {size} bytes");
                let Some(frame) = rest.get(..size + FRAME_OVERHEAD) else { break };
                self.small_frame(frame, tally)?;
                at += frame.len();
            }
        }
        Ok(at)
    }

    fn body_frame(&mut self, rest: &[u8], size: usize, tally: &mut Tally) -> Result<()> {
        ensure!(size as u64 <= self.body_left, "more body than its header announced");
        if self.stamped && self.first && size >= STAMP {
            tally.stamps.push(be_u64_at(rest, FRAME_HEAD));
        }
        self.first = false;
        self.body_left -= size as u64;
        self.skip = size + 1;
        Ok(())
    }

    fn skip_body(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        if self.skip == 0 {
            return Ok(0);
        }
        let Some(frame) = bytes.get(..self.skip) else {
            self.skip -= bytes.len();
            return Ok(bytes.len());
        };
        ensure!(frame.last() == Some(&FRAME_END), "a body frame does not end with 0xCE");
        self.skip = 0;
        if self.body_left == 0 {
            self.complete(tally);
        }
        Ok(frame.len())
    }

    fn small_frame(&mut self, frame: &[u8], tally: &mut Tally) -> Result<()> {
        ensure!(frame.last() == Some(&FRAME_END), "a frame does not end with 0xCE");
        let payload = frame.get(FRAME_HEAD..).unwrap_or_default();
        match frame.first() {
            Some(&FRAME_METHOD) if be_u32(payload) == wire::BASIC_DELIVER => {
                let consumer_tag = usize::from(payload.get(4).copied().unwrap_or(0));
                self.tag = be_u64_at(payload, 5 + consumer_tag);
            }
            Some(&FRAME_HEADER) => {
                self.body_left = be_u64_at(payload, 4);
                self.first = true;
                if self.body_left == 0 {
                    self.complete(tally);
                }
            }
            _ => drop(frames::event(frame)?),
        }
        Ok(())
    }

    fn complete(&mut self, tally: &mut Tally) {
        tally.complete += 1;
        tally.last_tag = self.tag;
    }
}

/// The ack frames that a consumer owes.
pub(super) struct Acks {
    every: u64,
    acked: u64,
    frame: Vec<u8>,
    out: Vec<u8>,
}

impl Acks {
    pub fn new(every: u32) -> Self {
        let multiple = u8::from(every > 1);
        let frame = Method::new(CHANNEL, wire::BASIC_ACK).u64(0).u8(multiple).finish();
        Self { every: u64::from(every), acked: 0, frame, out: Vec::new() }
    }

    /// Frames for what has arrived since the last call. Tags count up by one on a channel, so
    /// the last one says it all.
    pub fn owed(&mut self, tally: &Tally) -> Option<&[u8]> {
        /// Where the delivery tag stands: after the frame's head and the method's id.
        const TAG_AT: usize = FRAME_HEAD + 4;
        if self.every == 0 || tally.complete == 0 {
            return None;
        }
        self.out.clear();
        while self.acked + self.every <= tally.last_tag {
            self.acked += self.every;
            let start = self.out.len();
            self.out.extend_from_slice(&self.frame);
            if let Some(tag) = self.out.get_mut(start + TAG_AT..start + TAG_AT + 8) {
                tag.copy_from_slice(&self.acked.to_be_bytes());
            }
        }
        (!self.out.is_empty()).then_some(self.out.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{be_u64, push_content};
    use super::*;

    fn stream(bodies: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, size) in (1..).zip(bodies) {
            let deliver = Method::new(CHANNEL, wire::BASIC_DELIVER)
                .short_str("c-0")
                .u64(tag)
                .u8(0)
                .short_str("")
                .short_str("q");
            out.extend(deliver.finish());
            let mut body = vec![0; *size];
            if let Some(at) = body.get_mut(..8) {
                at.copy_from_slice(&tag.to_be_bytes());
            }
            push_content(&mut out, &body, &[0, 0], 30);
        }
        out
    }

    #[test]
    fn counts_whatever_the_split() {
        let bytes = stream(&[16, 0, 100, 5, 22]);
        for step in 1..bytes.len() {
            let mut deliveries = Deliveries::new(true);
            let mut tally = Tally::default();
            let mut held = Vec::new();
            for part in bytes.chunks(step) {
                held.extend_from_slice(part);
                let used = deliveries.feed(&held, &mut tally).unwrap();
                held.drain(..used);
            }
            assert_eq!((tally.complete, tally.last_tag), (5, 5));
            assert_eq!(tally.stamps, [1, 3, 5]);
            assert!(held.is_empty());
        }
    }

    #[test]
    fn acks_each_or_every_k() {
        let tally = |complete, last_tag| Tally { complete, last_tag, stamps: Vec::new() };
        let mut each = Acks::new(1);
        assert_eq!(each.owed(&tally(3, 3)).unwrap().len(), 3 * 21);
        assert_eq!(each.owed(&tally(0, 3)), None);
        let mut every = Acks::new(10);
        assert_eq!(every.owed(&tally(9, 9)), None);
        let frame = every.owed(&tally(2, 11)).unwrap();
        assert_eq!((frame.len(), be_u64(&frame[11..]), frame[19]), (21, 10, 1));
    }
}
