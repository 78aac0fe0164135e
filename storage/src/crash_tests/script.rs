//! What a life of a store consists of: random batches, and what happens between them.

use bytes::Bytes;

use crate::conformance::model::{Model, State};
use crate::disk::sim::Random;
use crate::{Batch, Op, QueueId, Seq, SeqRange, TxPart};

const QUEUES: u64 = 3;

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Event {
    Append(Batch),
    /// Some of what waits to be done.
    Work(u64),
    Checkpoint,
    /// Closed and opened.
    Close,
    /// Left as it is, and opened.
    Drop,
    /// All that is there is read.
    Read,
}

/// Makes up events that make sense.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub random: Random,
    /// From how many octets on a payload counts as a big one.
    big: u64,
    /// How many messages there are about.
    backlog: u64,
    messages: u64,
    /// Whether there are transactions at all: checkpoints wait for their end.
    pub transactional: bool,
    transactions: Vec<u64>,
    begun: u64,
}

impl Script {
    pub fn new(seed: u64, big: u64) -> Self {
        let mut random = Random::new(seed);
        let backlog = random.below(80);
        let transactional = random.chance(50);
        let transactions = Vec::new();
        Self { random, big, backlog, messages: 0, transactional, transactions, begun: 0 }
    }

    /// Transactions that were not complete are gone, and their numbers serve again.
    pub fn reopened(&mut self) {
        self.transactions.clear();
        if self.random.chance(50) {
            self.begun = 0;
        }
    }

    /// A batch was refused: its transaction goes on.
    pub fn refused(&mut self, batch: &Batch) {
        if let Some(part) = batch.part().filter(|part| part.last) {
            self.transactions.push(part.tx);
        }
    }

    pub fn event(&mut self, model: &Model) -> Event {
        match self.random.below(200) {
            0..2 => Event::Close,
            2..5 => Event::Drop,
            5..9 => Event::Checkpoint,
            9..15 => Event::Read,
            15..60 => Event::Work(1 + self.random.below(6)),
            _ => Event::Append(self.batch(model)),
        }
    }

    /// A valid batch.
    pub fn batch(&mut self, model: &Model) -> Batch {
        if self.random.chance(3) {
            self.backlog = self.random.below(80);
        }
        let mut state = model.now.clone();
        let mut batch = Batch::new();
        let part = self.part();
        for _ in 0..=self.random.below(4) {
            for op in self.ops(&state, part.is_some()) {
                state.apply(&op);
                batch.push(op);
            }
        }
        if let Some(part) = part {
            batch.set_part(part);
        }
        batch
    }

    fn part(&mut self) -> Option<TxPart> {
        if !self.transactional || !self.random.chance(20) {
            return None;
        }
        if self.transactions.is_empty() || self.random.chance(20) {
            self.begun += 1;
            self.transactions.push(self.begun);
        }
        let at = self.random.index(self.transactions.len());
        let last = self.random.chance(40);
        let tx = if last { self.transactions.swap_remove(at) } else { self.transactions[at] };
        Some(TxPart { tx, last })
    }

    fn ops(&mut self, state: &State, messages_only: bool) -> Vec<Op> {
        // The last queue is seldom settled, so that compaction has something to keep.
        let queue = QueueId(self.random.below(QUEUES));
        let there = state.stats(queue).messages;
        let settles = if queue.0 + 1 == QUEUES {
            10
        } else if there > self.backlog {
            60
        } else {
            20
        };
        match self.random.below(100) {
            0 if !messages_only => vec![Op::DropQueue { queue }],
            1..5 if !messages_only => vec![self.meta(state)],
            5..12 => self.publish_shared(state),
            12..18 => vec![self.deliver(state, queue)],
            18..24 => vec![self.give_back(state, queue)],
            24 => vec![settle(state, queue, vec![SeqRange::ALL])],
            number if number < 25 + settles => {
                let ranges = self.some(state, queue);
                vec![settle(state, queue, ranges)]
            }
            _ => self.publish(state, queue),
        }
    }

    fn payload(&mut self) -> Bytes {
        let len = match self.random.below(200) {
            0 => self.big + self.random.below(self.big),
            1..15 => 1000 + self.random.below(5000),
            15..60 => 64 + self.random.below(900),
            _ => self.random.below(64),
        };
        self.messages += 1;
        let mut body = Random::new(self.messages);
        let mut bytes = Vec::with_capacity(len as usize);
        while bytes.len() < len as usize {
            bytes.extend_from_slice(&body.number().to_le_bytes());
        }
        bytes.truncate(len as usize);
        bytes.into()
    }

    fn seq(&mut self, next: u64) -> Seq {
        let gap = match self.random.below(100) {
            0 => 257 + self.random.below(1000),
            1..6 => 1 + self.random.below(40),
            _ => 0,
        };
        Seq(next + gap)
    }

    fn publish(&mut self, state: &State, queue: QueueId) -> Vec<Op> {
        let mut next = state.next(queue);
        let mut ops = Vec::new();
        for _ in 0..=self.random.below(6) {
            let (seq, payload) = (self.seq(next), self.payload());
            next = seq.0 + 1;
            let weight = self.random.below(1000) as u32;
            ops.push(Op::Publish { queue, seq, payload, weight, shared: false });
        }
        ops
    }

    fn publish_shared(&mut self, state: &State) -> Vec<Op> {
        let payload = self.payload();
        let weight = payload.len() as u32;
        let first = self.random.below(2);
        let publish = |queue| {
            let (queue, payload) = (QueueId(queue), payload.clone());
            let seq = Seq(state.next(queue));
            Op::Publish { queue, seq, payload, weight, shared: true }
        };
        (first..QUEUES).map(publish).collect()
    }

    fn deliver(&mut self, state: &State, queue: QueueId) -> Op {
        let beyond = if self.random.chance(10) { 3 } else { 0 };
        Op::Deliver { queue, up_to: Seq(self.random.below(state.next(queue) + 1) + beyond) }
    }

    /// Some positions, most of them taken.
    fn some(&mut self, state: &State, queue: QueueId) -> Vec<SeqRange> {
        let stored = state.stored(queue);
        let mut ranges = Vec::new();
        // In order, from the front; or anywhere.
        let front = self.random.chance(50);
        for number in 0..=self.random.below(5) {
            let at = if front { number as usize } else { self.random.index(stored.len()) };
            let first = match stored.get(at) {
                Some(message) => message.seq.0,
                None => self.random.below(20),
            };
            let more = if self.random.chance(30) { self.random.below(10) } else { 0 };
            ranges.push(SeqRange { first: Seq(first), last: Seq(first + more) });
        }
        ranges
    }

    fn give_back(&mut self, state: &State, queue: QueueId) -> Op {
        let mut ranges: Vec<SeqRange> = Vec::new();
        for range in self.some(state, queue) {
            let overlaps = |kept: &SeqRange| range.first <= kept.last && kept.first <= range.last;
            if !ranges.iter().any(overlaps) {
                ranges.push(range);
            }
        }
        Op::Return { queue, ranges }
    }

    fn meta(&mut self, state: &State) -> Op {
        let mut changes = Vec::new();
        for _ in 0..=self.random.below(3) {
            let key = Bytes::from(vec![b'a' + self.random.below(6) as u8]);
            let len = self.random.below(700) as usize;
            let value = Bytes::from(vec![self.random.below(256) as u8; len]);
            changes.push((key, self.random.chance(70).then_some(value)));
        }
        Op::Meta { version: state.meta_version() + 1 + self.random.below(2), changes }
    }
}

fn settle(state: &State, queue: QueueId, ranges: Vec<SeqRange>) -> Op {
    let weight = state.weight(queue, &ranges);
    Op::Settle { queue, ranges, weight }
}
