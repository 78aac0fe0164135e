//! Publish frames in, deliver frames out.

use std::io::{Read, Write};

use anyhow::{Result, ensure};

use super::super::wire::{
    self, CHANNEL, FRAME_BODY, FRAME_HEAD, FRAME_METHOD, FRAME_OVERHEAD, Method, be_u32,
};

const READ_SIZE: usize = 512 * 1024;

/// Rewrites one publisher's stream for one consumer.
#[derive(Debug)]
pub(super) struct Relay {
    consumer_tag: String,
    tag: u64,
    /// The last publish frame and the deliver frame made from it: mostly the next is the same.
    publish: Vec<u8>,
    deliver: Vec<u8>,
    /// Where the delivery tag stands in `deliver`.
    tag_at: usize,
    /// Bytes of a body frame still to be passed on.
    pass: usize,
}

impl Relay {
    pub fn new(consumer_tag: &str) -> Self {
        Self {
            consumer_tag: consumer_tag.to_owned(),
            tag: 0,
            publish: Vec::new(),
            deliver: Vec::new(),
            tag_at: FRAME_HEAD + 4 + 1 + consumer_tag.len(),
            pass: 0,
        }
    }

    /// Runs until either socket ends. `read` has been read before.
    pub fn run(mut self, mut from: impl Read, mut to: impl Write, read: &[u8]) -> Result<()> {
        let mut buffer = vec![0; READ_SIZE + read.len()];
        let mut out = Vec::with_capacity(2 * READ_SIZE);
        let mut filled = read.len();
        if let Some(start) = buffer.get_mut(..filled) {
            start.copy_from_slice(read);
        }
        loop {
            out.clear();
            let used = self.rewrite(buffer.get(..filled).unwrap_or_default(), &mut out)?;
            to.write_all(&out)?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
            let count = from.read(buffer.get_mut(filled..).unwrap_or_default())?;
            ensure!(count > 0, "the publisher closed the socket");
            filled += count;
        }
    }

    fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.pass > 0 {
                let part = rest.get(..self.pass).unwrap_or(rest);
                out.extend_from_slice(part);
                self.pass -= part.len();
                at += part.len();
                if self.pass > 0 {
                    return Ok(at);
                }
                continue;
            }
            if rest.len() < FRAME_HEAD {
                return Ok(at);
            }
            let len = be_u32(rest.get(3..).unwrap_or_default()) as usize + FRAME_OVERHEAD;
            if rest.first() == Some(&FRAME_BODY) {
                self.pass = len;
                continue;
            }
            ensure!(len < READ_SIZE, "a frame of {len} bytes");
            let Some(frame) = rest.get(..len) else { return Ok(at) };
            match rest.first() {
                Some(&FRAME_METHOD) => self.deliver(frame, out)?,
                _ => out.extend_from_slice(frame),
            }
            at += len;
        }
    }

    fn deliver(&mut self, publish: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.publish != publish {
            let id = be_u32(publish.get(FRAME_HEAD..).unwrap_or_default());
            ensure!(id == wire::BASIC_PUBLISH, "a publisher may only publish here");
            self.publish = publish.to_vec();
            // After the ticket: exchange and routing key, as they stand; then the flags and the end.
            let names = publish.get(FRAME_HEAD + 6..publish.len() - 2).unwrap_or_default();
            let deliver = Method::new(CHANNEL, wire::BASIC_DELIVER)
                .short_str(&self.consumer_tag)
                .u64(0)
                .u8(0);
            self.deliver = deliver.raw(names).finish();
        }
        self.tag += 1;
        if let Some(tag) = self.deliver.get_mut(self.tag_at..self.tag_at + 8) {
            tag.copy_from_slice(&self.tag.to_be_bytes());
        }
        out.extend_from_slice(&self.deliver);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::consumer::{Deliveries, Tally};
    use super::*;

    #[test]
    fn deliveries_come_out() {
        let mut message = Method::new(CHANNEL, wire::BASIC_PUBLISH)
            .u16(0)
            .short_str("")
            .short_str("q")
            .u8(0)
            .finish();
        wire::push_content(&mut message, &[7; 20], &[0, 0], 100);
        let input = message.repeat(50);
        let mut out = Vec::new();
        assert!(Relay::new("c-0").run(&input[30..], &mut out, &input[..30]).is_err());
        let mut tally = Tally::default();
        let used = Deliveries::new(false).feed(&out, &mut tally).unwrap();
        assert_eq!((used, tally.complete, tally.last_tag), (out.len(), 50, 50));
    }
}
