//! What a connection owes its peer: frames in order, large bodies by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use amq_protocol::protocol::AMQPClass;
use bytes::Bytes;
use lepus_protocol::{encode, frame};

use crate::limits::BODY_BY_REFERENCE;
use crate::message::Message;

/// Slices handed to one vectored write.
const SLICES: usize = 64;

/// Room that an empty buffer keeps.
const KEEP: usize = 64 * 1024;

enum Part {
    Octets(Vec<u8>),
    Shared(Bytes),
}

impl Part {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Octets(octets) => octets,
            Self::Shared(octets) => octets,
        }
    }
}

/// Frames that wait to be written.
#[derive(Default)]
pub struct Out {
    /// Before `tail`, in order.
    parts: VecDeque<Part>,
    /// Octets of `parts`.
    parts_len: usize,
    /// Octets of the first part that are written already.
    written: usize,
    tail: Vec<u8>,
}

impl Out {
    /// The end of the buffer, to append whole frames to.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a method frame.
    pub fn method(&mut self, channel: u16, class: &AMQPClass) {
        encode::method(&mut self.tail, channel, class);
    }

    /// Appends a message's body frames.
    pub fn body(&mut self, channel: u16, message: &Message, frame_max: u32) {
        if message.body_len() < BODY_BY_REFERENCE {
            encode::body(&mut self.tail, channel, message.body(), frame_max);
            return;
        }
        let mut rest = message.body_shared();
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(encode::body_chunk(frame_max)));
            self.tail.extend_from_slice(&encode::body_head(channel, chunk.len()));
            self.parts_len += self.tail.len() + chunk.len();
            self.parts.push_back(Part::Octets(std::mem::take(&mut self.tail)));
            self.parts.push_back(Part::Shared(chunk));
            self.tail.push(frame::END);
        }
    }

    /// Appends all that another buffer holds; nothing of it may have been written.
    pub fn append(&mut self, other: Self) {
        if other.parts.is_empty() {
            self.tail.extend_from_slice(&other.tail);
            return;
        }
        self.parts_len += self.tail.len() + other.parts_len;
        self.parts.push_back(Part::Octets(std::mem::replace(&mut self.tail, other.tail)));
        self.parts.extend(other.parts);
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.tail.len() == self.written_of_tail()
    }

    fn written_of_tail(&self) -> usize {
        if self.parts.is_empty() { self.written } else { 0 }
    }

    /// Octets to be written.
    pub fn len(&self) -> usize {
        self.parts_len + self.tail.len() - self.written
    }

    /// Runs one vectored write of what comes next.
    pub fn write<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let parts = self.parts.iter().map(Part::as_slice).chain([self.tail.as_slice()]);
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            let skip = if used == 0 { self.written } else { 0 };
            *slice = IoSlice::new(part.get(skip..).unwrap_or_default());
            used += 1;
        }
        write(slices.get(..used).unwrap_or_default())
    }

    /// Takes note that the next `octets` octets are written.
    pub fn advance(&mut self, octets: usize) {
        self.written += octets;
        while let Some(len) = self.parts.front().map(|part| part.as_slice().len()) {
            if self.written < len {
                return;
            }
            self.written -= len;
            self.parts_len -= len;
            self.parts.pop_front();
        }
        if self.written == self.tail.len() {
            self.written = 0;
            self.tail.clear();
            if self.tail.capacity() > KEEP {
                self.tail = Vec::new();
            }
        } else if self.written >= KEEP && self.written >= self.tail.len() / 2 {
            // A peer that always has more to come must not make the buffer grow for ever.
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }

    /// Gives back the memory of an empty buffer.
    pub fn give_back_room(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Builder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_sizes_of_writes_the_octets_are_the_same(
            sizes in proptest::collection::vec(0usize..40_000, 1..12),
            writes in proptest::collection::vec(1usize..50_000, 1..40),
        ) {
            let mut out = Out::default();
            let (mut expected, mut got): (Vec<u8>, Vec<u8>) = Default::default();
            for size in sizes {
                let body: Vec<u8> = (0..size).map(|at| at as u8).collect();
                let message = Builder::whole(0, b"\0\0", &[0, 0], &body, false);
                out.body(7, &message, 4096);
                encode::body(&mut expected, 7, &body, 4096);
                prop_assert_eq!(out.len(), expected.len());
            }
            let mut writes = writes.into_iter().cycle();
            while !out.is_empty() {
                let limit = writes.next().unwrap();
                let written = out.write(|slices| {
                    let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).take(limit).collect();
                    got.extend(&all);
                    all.len()
                });
                out.advance(written);
            }
            prop_assert_eq!(got, expected);
        }
    }
}
