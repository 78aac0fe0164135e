//! Reading frames one at a time, where speed does not matter: handshakes, replies, confirms.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use super::wire::{
    self, FRAME_END, FRAME_HEAD, FRAME_METHOD, FRAME_OVERHEAD, be_u16, be_u32, be_u64,
};

/// Largest frame taken from a broker: twice the usual frame-max.
const MAX_FRAME: usize = 256 * 1024;
const READ_SIZE: usize = 16 * 1024;

/// Cuts a byte stream into frames.
pub(super) struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What a broker may send that this generator reacts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A method that the caller may be waiting for, with its arguments.
    Method { id: u32, args: Vec<u8> },
    /// A publisher confirm, or its opposite.
    Confirm { tag: u64, multiple: bool, nack: bool },
    /// connection.blocked: publishing is paused by an alarm.
    Blocked,
    /// Heartbeats, content and whatever else changes nothing here.
    Other,
}

impl FrameReader {
    pub fn new() -> Self {
        Self { buffer: vec![0; READ_SIZE], start: 0, end: 0 }
    }

    /// What was read and not yet taken.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer.get(self.start..self.end).unwrap_or_default().to_vec()
    }

    /// Whether the next frame can be had without reading.
    pub fn has_frame(&self) -> bool {
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        rest.len() >= FRAME_HEAD && rest.len() >= frame_len(rest)
    }

    /// Waits for the next frame. The broker's own close of channel or connection is an error here.
    pub fn next(&mut self, stream: &mut impl Read) -> Result<Event> {
        event(self.next_frame(stream)?)
    }

    /// Waits for the next frame, whatever it is.
    pub fn next_frame(&mut self, stream: &mut impl Read) -> Result<&[u8]> {
        let len = loop {
            let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
            if rest.starts_with(b"AMQP") {
                bail!(
                    "the broker does not speak AMQP 0-9-1: it answered {:?}",
                    rest.get(4..8).unwrap_or_default()
                );
            }
            if rest.len() >= FRAME_HEAD {
                let len = frame_len(rest);
                ensure!(len <= MAX_FRAME, "a frame of {len} bytes was received");
                if rest.len() >= len {
                    break len;
                }
            }
            self.fill(stream)?;
        };
        let start = self.start;
        self.start += len;
        Ok(self.buffer.get(start..start + len).unwrap_or_default())
    }

    fn fill(&mut self, stream: &mut impl Read) -> Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < READ_SIZE {
            self.buffer.resize(self.end + READ_SIZE, 0);
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = stream.read(free).context("reading from the broker")?;
        ensure!(read > 0, "the broker closed the socket");
        self.end += read;
        Ok(())
    }
}

fn frame_len(head: &[u8]) -> usize {
    be_u32(head.get(3..).unwrap_or_default()) as usize + FRAME_OVERHEAD
}

/// Reads one whole frame.
pub(super) fn event(frame: &[u8]) -> Result<Event> {
    ensure!(frame.last() == Some(&FRAME_END), "a frame from the broker does not end with 0xCE");
    if frame.first() != Some(&FRAME_METHOD) {
        return Ok(Event::Other);
    }
    let payload = frame.get(FRAME_HEAD..frame.len() - 1).unwrap_or_default();
    let id = be_u32(payload);
    let args = payload.get(4..).unwrap_or_default();
    let flag = |bit: u8| args.get(8).is_some_and(|flags| flags & bit != 0);
    Ok(match id {
        wire::BASIC_ACK => Event::Confirm { tag: be_u64(args), multiple: flag(1), nack: false },
        wire::BASIC_NACK => Event::Confirm { tag: be_u64(args), multiple: flag(1), nack: true },
        wire::CONNECTION_BLOCKED => Event::Blocked,
        wire::CONNECTION_CLOSE => bail!("the broker closed the connection: {}", close_reason(args)),
        wire::CHANNEL_CLOSE => bail!("the broker closed the channel: {}", close_reason(args)),
        wire::BASIC_CANCEL => bail!("the broker cancelled a consumer"),
        _ => Event::Method { id, args: args.to_vec() },
    })
}

fn close_reason(args: &[u8]) -> String {
    let len = usize::from(args.get(2).copied().unwrap_or(0));
    let text = args.get(3..3 + len).unwrap_or_default();
    format!("{} {}", be_u16(args), String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests {
    use super::super::wire::Method;
    use super::*;

    #[test]
    fn frames_survive_any_split() {
        let frames = [
            Method::new(1, wire::BASIC_ACK).u64(5).u8(1).finish(),
            vec![8, 0, 0, 0, 0, 0, 0, FRAME_END],
            Method::new(0, wire::CONNECTION_BLOCKED).short_str("low on memory").finish(),
        ]
        .concat();
        for step in 1..frames.len() {
            let mut stream = Stepwise { bytes: &frames, step };
            let mut reader = FrameReader::new();
            let mut next = || reader.next(&mut stream).unwrap();
            assert_eq!(next(), Event::Confirm { tag: 5, multiple: true, nack: false });
            assert_eq!(next(), Event::Other);
            assert_eq!(next(), Event::Blocked);
        }
    }

    #[test]
    fn close_is_an_error_with_its_text() {
        let frame = Method::new(1, wire::CHANNEL_CLOSE)
            .u16(404)
            .short_str("NOT_FOUND - no queue")
            .u16(50)
            .u16(10)
            .finish();
        let error = event(&frame).unwrap_err().to_string();
        assert!(error.ends_with("404 NOT_FOUND - no queue"), "{error}");
    }

    struct Stepwise<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Stepwise<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.step.min(self.bytes.len()).min(out.len());
            out[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }
}
