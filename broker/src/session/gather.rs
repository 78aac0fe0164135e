//! Work for queues, gathered over one read from the socket so that each queue is locked once.

use std::sync::Arc;

use lepus_protocol::method::Verdict;

use crate::limits::{GATHER_BYTES, GATHER_MESSAGES};
use crate::message::Message;
use crate::queue::Queue;
use crate::queue::state::{Command, SeqRange};

/// Queues that are looked through one by one for a message's own; with more, all are served first.
const QUEUES: usize = 32;

/// Messages and verdicts that their queues have not been given yet, in order.
#[derive(Default)]
pub struct Gather {
    publishes: Vec<(Arc<Queue>, Vec<Message>)>,
    verdicts: Vec<(Arc<Queue>, Verdict, Vec<SeqRange>)>,
    messages: usize,
    bytes: usize,
}

impl Gather {
    /// Adds a message for a queue.
    #[inline]
    pub fn publish(&mut self, queue: &Arc<Queue>, message: Message) {
        self.messages += 1;
        self.bytes += message.size();
        let same = |(of, _): &&mut (Arc<Queue>, Vec<Message>)| Arc::ptr_eq(of, queue);
        match self.publishes.iter_mut().find(same) {
            Some((_, messages)) => messages.push(message),
            None => self.publishes.push((queue.clone(), vec![message])),
        }
    }

    /// Adds a verdict on one message of a queue.
    pub fn settle(&mut self, queue: &Arc<Queue>, verdict: Verdict, seq: u64) {
        let same = |(of, known, _): &&mut (Arc<Queue>, Verdict, Vec<SeqRange>)| {
            Arc::ptr_eq(of, queue) && *known == verdict
        };
        let Some((_, _, ranges)) = self.verdicts.iter_mut().find(same) else {
            let ranges = vec![SeqRange { first: seq, last: seq }];
            return self.verdicts.push((queue.clone(), verdict, ranges));
        };
        match ranges.last_mut() {
            Some(range) if range.last + 1 == seq => range.last = seq,
            _ => ranges.push(SeqRange { first: seq, last: seq }),
        }
    }

    /// Whether it is time to serve the queues before more is gathered.
    pub fn is_full(&self) -> bool {
        self.messages >= GATHER_MESSAGES
            || self.bytes >= GATHER_BYTES
            || self.publishes.len() > QUEUES
            || self.verdicts.len() > QUEUES
    }

    /// Gives the queues what was gathered; returns the largest backlog met, octets.
    pub fn serve(&mut self) -> usize {
        let mut backlog = 0;
        for (queue, messages) in self.publishes.drain(..) {
            queue.apply(Command::Publish(messages));
            backlog = backlog.max(queue.backlog_of_consumers());
        }
        for (queue, verdict, ranges) in self.verdicts.drain(..) {
            queue.apply(Command::Settle(ranges, verdict));
        }
        (self.messages, self.bytes) = (0, 0);
        backlog
    }
}
