//! Frames (0-9-1 §4.2.3): type, channel, size, payload, frame-end.
//!
//! [`Decoder::next`] takes one piece at a time from the front of the bytes that have arrived.
//! Method and header frames come whole; a body frame may come in parts, so that a large
//! body never has to be buffered twice.

use crate::octets;

/// Type octet of a method frame.
pub const METHOD: u8 = 1;
/// Type octet of a content header frame.
pub const HEADER: u8 = 2;
/// Type octet of a content body frame.
pub const BODY: u8 = 3;
/// Type octet of a heartbeat frame.
pub const HEARTBEAT: u8 = 8;
/// The octet that ends each frame.
pub const END: u8 = 0xCE;
/// Octets of a frame before its payload.
pub const HEAD_SIZE: usize = 7;
/// Octets of a frame around its payload.
pub const OVERHEAD: usize = HEAD_SIZE + 1;
/// Class id and method id.
const METHOD_MIN: usize = 4;
/// Class id, weight and body size.
const HEADER_MIN: usize = 12;
/// A heartbeat frame as sent.
pub const HEARTBEAT_FRAME: [u8; OVERHEAD] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// One step of a peer's byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole method frame.
    Method {
        /// The frame's channel.
        channel: u16,
        /// Class id, method id and arguments.
        payload: &'a [u8],
    },
    /// A whole content header frame.
    Header {
        /// The frame's channel.
        channel: u16,
        /// Class id, weight, body size and properties.
        payload: &'a [u8],
    },
    /// Some octets of a body frame, in order.
    Body {
        /// The frame's channel.
        channel: u16,
        /// The octets; empty for an empty frame.
        chunk: &'a [u8],
    },
    /// A heartbeat frame.
    Heartbeat {
        /// The frame's channel; must be 0.
        channel: u16,
    },
}

/// The byte stream can't be followed any further: a connection error whose text is RabbitMQ's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("type {kind}, {octets}: {fault}")]
pub struct FrameError {
    /// The frame's type octet.
    pub kind: u8,
    /// The start of its payload, as [`octets::snippet`] shows it.
    pub octets: String,
    /// What is wrong.
    pub fault: FrameFault,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The size octets announce more than the negotiated frame-max.
    #[error("{{frame_too_large,{size},{max}}}")]
    TooLarge {
        /// Announced payload size.
        size: u32,
        /// Largest payload by the letter of frame-max.
        max: u32,
    },
    /// The octet after the payload is not 0xCE.
    #[error("{{invalid_frame_end_marker,{0}}}")]
    End(u8),
    /// A type that 0-9-1 does not define, or a payload that its type can't have.
    #[error("unknown_frame")]
    Unknown,
}

#[cold]
fn fault(kind: u8, payload: &[u8], fault: FrameFault) -> Box<FrameError> {
    Box::new(FrameError { kind, octets: octets::snippet(payload), fault })
}

/// Takes a byte stream apart into [`Piece`]s.
#[derive(Debug)]
pub struct Decoder {
    frame_max: u32,
    body: Option<OpenBody>,
}

/// A body frame of which `left` octets and the frame end are still to come.
#[derive(Clone, Copy, Debug)]
struct OpenBody {
    channel: u16,
    left: usize,
}

impl Decoder {
    /// `frame_max`: largest whole frame, octets; 0 is no limit (the u32 of the size remains one).
    pub fn new(frame_max: u32) -> Self {
        Self { frame_max, body: None }
    }

    /// Changes the limit after tuning.
    pub fn set_frame_max(&mut self, frame_max: u32) {
        self.frame_max = frame_max;
    }

    /// The body frame that is arriving: its channel, and how many octets of it may be read straight
    /// to where they belong. Tell [`Self::body_read`] how many were.
    pub fn open_body(&self) -> Option<(u16, usize)> {
        // The last octet comes through `next`, with the frame end.
        self.body.map(|open| (open.channel, open.left - 1))
    }

    /// So many octets of the open body frame were taken past [`Self::next`].
    pub fn body_read(&mut self, octets: usize) {
        if let Some(open) = &mut self.body {
            open.left = open.left.saturating_sub(octets).max(1);
        }
    }

    /// The first piece of `input` and how many octets it took; `None` when more must arrive first.
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(usize, Piece<'a>)>, Box<FrameError>> {
        if let Some(open) = self.body {
            return self.continue_body(open, input, 0);
        }
        let Some((&[kind, c0, c1, s0, s1, s2, s3], rest)) = input.split_first_chunk::<HEAD_SIZE>()
        else {
            return Ok(None);
        };
        let channel = u16::from_be_bytes([c0, c1]);
        let size = u32::from_be_bytes([s0, s1, s2, s3]);
        // RabbitMQ allows the frame's overhead on top of frame-max (its FRAME_SIZE_FUDGE),
        // because some clients count only the payload.
        if self.frame_max != 0 && size > self.frame_max {
            let max = self.frame_max - OVERHEAD as u32;
            return Err(fault(kind, &[], FrameFault::TooLarge { size, max }));
        }
        let size = size as usize;
        if kind == BODY {
            return self.continue_body(OpenBody { channel, left: size }, rest, HEAD_SIZE);
        }
        let (Some(payload), Some(&end)) = (rest.get(..size), rest.get(size)) else {
            return Ok(None);
        };
        if end != END {
            return Err(fault(kind, payload, FrameFault::End(end)));
        }
        let piece = match kind {
            METHOD if size >= METHOD_MIN => Piece::Method { channel, payload },
            HEADER if size >= HEADER_MIN => Piece::Header { channel, payload },
            HEARTBEAT if size == 0 => Piece::Heartbeat { channel },
            _ => return Err(fault(kind, payload, FrameFault::Unknown)),
        };
        Ok(Some((OVERHEAD + size, piece)))
    }

    /// Hands out what `input` holds of a body frame; the frame end is taken with the last octet.
    fn continue_body<'a>(
        &mut self,
        open: OpenBody,
        input: &'a [u8],
        head: usize,
    ) -> Result<Option<(usize, Piece<'a>)>, Box<FrameError>> {
        let OpenBody { channel, left } = open;
        if let (Some(chunk), Some(&end)) = (input.get(..left), input.get(left)) {
            if end != END {
                return Err(fault(BODY, chunk, FrameFault::End(end)));
            }
            self.body = None;
            return Ok(Some((head + left + 1, Piece::Body { channel, chunk })));
        }
        // The last octet is kept back until the frame end has come with it, so that a body that is
        // whole is never followed by an empty piece.
        let chunk = input.get(..input.len().min(left.saturating_sub(1))).unwrap_or_default();
        if chunk.is_empty() {
            // Nothing of the payload has arrived: the head, if it is new, stays in the input.
            return Ok(None);
        }
        self.body = Some(OpenBody { channel, left: left - chunk.len() });
        Ok(Some((head + chunk.len(), Piece::Body { channel, chunk })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend(channel.to_be_bytes());
        out.extend((payload.len() as u32).to_be_bytes());
        out.extend(payload);
        out.push(END);
        out
    }

    #[test]
    fn octets_read_past_the_decoder_count() {
        let bytes = frame(BODY, 1, b"abcdef");
        let mut decoder = Decoder::new(0);
        assert_eq!(decoder.open_body(), None);
        let first = decoder.next(&bytes[..HEAD_SIZE + 2]).unwrap();
        assert_eq!(first, Some((HEAD_SIZE + 2, Piece::Body { channel: 1, chunk: b"ab" })));
        assert_eq!(decoder.open_body(), Some((1, 3)));
        decoder.body_read(3);
        assert_eq!(decoder.open_body(), Some((1, 0)));
        let last = decoder.next(&bytes[HEAD_SIZE + 5..]).unwrap();
        assert_eq!(last, Some((2, Piece::Body { channel: 1, chunk: b"f" })));
        assert_eq!(decoder.open_body(), None);
    }

    #[test]
    fn a_whole_body_is_not_followed_by_an_empty_piece() {
        let bytes = frame(BODY, 1, b"ab");
        let mut decoder = Decoder::new(0);
        let without_end = &bytes[..bytes.len() - 1];
        let first = decoder.next(without_end).unwrap();
        assert_eq!(first, Some((8, Piece::Body { channel: 1, chunk: b"a" })));
        let last = decoder.next(&bytes[8..]).unwrap();
        assert_eq!(last, Some((2, Piece::Body { channel: 1, chunk: b"b" })));
    }

    /// (type, channel, payload) of each frame, whatever parts the bodies came in.
    fn collect(
        decoder: &mut Decoder,
        feed: &[&[u8]],
    ) -> Result<Vec<(u8, Vec<u8>)>, Box<FrameError>> {
        let (mut pending, mut seen): (Vec<u8>, Vec<(u8, Vec<u8>)>) = Default::default();
        for part in feed {
            pending.extend(*part);
            while let Some((used, piece)) = decoder.next(&pending)? {
                match piece {
                    Piece::Method { payload, .. } => seen.push((METHOD, payload.to_vec())),
                    Piece::Header { payload, .. } => seen.push((HEADER, payload.to_vec())),
                    Piece::Heartbeat { .. } => seen.push((HEARTBEAT, vec![])),
                    Piece::Body { chunk, .. } => match seen.last_mut() {
                        Some((BODY, whole)) => whole.extend(chunk),
                        _ => seen.push((BODY, chunk.to_vec())),
                    },
                }
                pending.drain(..used);
            }
        }
        Ok(seen)
    }

    proptest! {
        #[test]
        fn frames_survive_any_fragmentation(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(0usize..300, 0..12),
        ) {
            let bytes = [frame(METHOD, 1, b"method"), frame(HEADER, 1, b"header of 16 oct"),
                frame(BODY, 1, &body), frame(HEARTBEAT, 0, b"")].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let seen = collect(&mut Decoder::new(4096), &parts).unwrap();
            let expected = vec![(METHOD, b"method".to_vec()), (HEADER, b"header of 16 oct".to_vec()),
                (BODY, body), (HEARTBEAT, vec![])];
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn any_bytes_end_in_pieces_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = collect(&mut Decoder::new(4096), &[&bytes]);
        }
    }

    #[test]
    fn a_size_over_frame_max_is_refused_before_its_payload_arrives() {
        let head = [METHOD, 0, 1, 0, 0, 0x10, 0x01];
        let error = Decoder::new(4096).next(&head).unwrap_err();
        assert_eq!(error.to_string(), "type 1, all octets = <<>>: {frame_too_large,4097,4088}");
    }

    #[test]
    fn frames_that_cannot_be_are_named_as_rabbitmq_names_them() {
        let mut wrong_end = frame(METHOD, 3, &[0, 20, 0, 10, 0]);
        *wrong_end.last_mut().unwrap() = 0;
        for (bytes, text) in [
            (wrong_end, "type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}"),
            (frame(4, 0, b"abc"), "type 4, all octets = <<\"abc\">>: unknown_frame"),
            (frame(HEARTBEAT, 0, b"abc"), "type 8, all octets = <<\"abc\">>: unknown_frame"),
            (frame(METHOD, 1, &[0, 60]), "type 1, all octets = <<0,60>>: unknown_frame"),
        ] {
            assert_eq!(Decoder::new(0).next(&bytes).unwrap_err().to_string(), text);
        }
    }
}
