//! Publish frames built once and written over and over.

use anyhow::{Context, Result};

use super::wire::{self, CHANNEL, FRAME_HEAD, Method};

/// Size of one write, roughly: large enough that the system call is lost in it, small enough for
/// the cache.
const WRITE_SIZE: usize = 256 * 1024;

/// Messages of one length, one after another, going round the given queues.
#[derive(Debug)]
pub(super) struct PublishBuffer {
    bytes: Vec<u8>,
    message_len: usize,
    count: usize,
    /// Where in a message its time stamp goes.
    stamp_at: usize,
    next: usize,
}

/// What each message is.
#[derive(Debug, Clone)]
pub(super) struct MessageShape {
    pub exchange: String,
    pub routing_keys: Vec<String>,
    pub size: usize,
    pub persistent: bool,
    /// They go round from 0 to this one; 0 = none.
    pub priorities: u8,
    pub frame_max: usize,
}

impl PublishBuffer {
    pub fn new(shape: &MessageShape) -> Result<Self> {
        let first = shape.routing_keys.first().context("no routing key")?;
        let priority = (shape.priorities > 0).then_some(0);
        let message_len = message(shape, first, priority).len();
        let kinds = shape.routing_keys.len() * (usize::from(shape.priorities) + 1);
        let rounds = (WRITE_SIZE / message_len / kinds).max(1);
        let mut bytes = Vec::with_capacity(rounds * kinds * message_len);
        for _ in 0..rounds {
            for priority in 0..=shape.priorities {
                let priority = (shape.priorities > 0).then_some(priority);
                for key in &shape.routing_keys {
                    bytes.extend_from_slice(&message(shape, key, priority));
                }
            }
        }
        let count = bytes.len() / message_len;
        anyhow::ensure!(bytes.len() % message_len == 0, "queue names differ in length");
        let method_len = publish(shape, first).len();
        let properties = usize::from(shape.persistent) + usize::from(shape.priorities > 0);
        let header_len = wire::FRAME_OVERHEAD + 14 + properties;
        Ok(Self {
            bytes,
            message_len,
            count,
            stamp_at: method_len + header_len + FRAME_HEAD,
            next: 0,
        })
    }

    /// The next messages, at most `most`; fewer at the end of the buffer. `stamp` is written
    /// into each body.
    pub fn take(&mut self, most: usize, stamp: Option<u64>) -> (usize, &[u8]) {
        self.stamped(most, stamp.map(std::iter::repeat))
    }

    /// As [`Self::take`], with numbers from `first` on in the bodies.
    pub fn take_numbered(&mut self, most: usize, first: u64) -> (usize, &[u8]) {
        self.stamped(most, Some(first..))
    }

    fn stamped(
        &mut self,
        most: usize,
        stamps: Option<impl Iterator<Item = u64>>,
    ) -> (usize, &[u8]) {
        let count = most.min(self.count - self.next);
        let from = self.next * self.message_len;
        self.next = (self.next + count) % self.count;
        let messages =
            self.bytes.get_mut(from..from + count * self.message_len).unwrap_or_default();
        if let Some(stamps) = stamps {
            for (message, stamp) in messages.chunks_exact_mut(self.message_len).zip(stamps) {
                if let Some(at) = message.get_mut(self.stamp_at..self.stamp_at + 8) {
                    at.copy_from_slice(&stamp.to_be_bytes());
                }
            }
        }
        (count, messages)
    }
}

fn publish(shape: &MessageShape, key: &str) -> Vec<u8> {
    Method::new(CHANNEL, wire::BASIC_PUBLISH)
        .u16(0)
        .short_str(&shape.exchange)
        .short_str(key)
        .u8(0)
        .finish()
}

fn message(shape: &MessageShape, key: &str, priority: Option<u8>) -> Vec<u8> {
    let mut out = publish(shape, key);
    let properties = wire::properties(shape.persistent, priority);
    wire::push_content(&mut out, &vec![0; shape.size], &properties, shape.frame_max);
    out
}

#[cfg(test)]
mod tests {
    use super::super::consumer::{Deliveries, Tally};
    use super::*;

    /// The consumer's scanner finds in this buffer what was put there, publish read as deliver.
    #[test]
    fn scanner_reads_back_stamps() {
        for (persistent, priorities) in [(false, 0), (true, 0), (false, 3), (true, 3)] {
            let shape = MessageShape {
                exchange: String::new(),
                routing_keys: vec!["q-0".into(), "q-1".into()],
                size: 20,
                persistent,
                priorities,
                frame_max: 16 + wire::FRAME_OVERHEAD,
            };
            let mut buffer = PublishBuffer::new(&shape).unwrap();
            assert!(buffer.count > 2 && buffer.count.is_multiple_of(2));
            let (count, bytes) = buffer.take(3, Some(77));
            assert_eq!(count, 3);
            let mut scanner = Deliveries::new(true);
            let mut tally = Tally::default();
            scanner.feed(bytes, &mut tally).unwrap();
            assert_eq!((tally.complete, tally.stamps), (3, vec![77, 77, 77]));
            let (count, bytes) = buffer.take_numbered(2, 5);
            assert_eq!(count, 2);
            let mut tally = Tally::default();
            scanner.feed(bytes, &mut tally).unwrap();
            assert_eq!(tally.stamps, [5, 6]);
        }
    }

    #[test]
    fn goes_round() {
        let shape = MessageShape {
            exchange: "x".into(),
            routing_keys: vec![String::new()],
            size: 100_000,
            persistent: false,
            priorities: 0,
            frame_max: 131_072,
        };
        let mut buffer = PublishBuffer::new(&shape).unwrap();
        assert_eq!(buffer.count, 2);
        assert_eq!(buffer.take(1, None).0, 1);
        assert_eq!(buffer.take(9, None).0, 1);
        assert_eq!(buffer.take(9, None).0, 2);
    }
}
