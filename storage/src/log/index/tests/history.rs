//! Random histories: the index and the model say the same at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::model::{Message, Model};
use crate::log::index::{At, BigId, Moved, Place, Queues, SealPart, SealTable, SegmentId};
use crate::{QueueId, Seq, SeqRange};

#[derive(Clone, Debug)]
enum Step {
    /// Messages with gaps before each.
    Publish {
        queue: u64,
        gaps: Vec<u64>,
    },
    PublishBig {
        queue: u64,
        file: u64,
    },
    /// Ranges relative to what the queue has: in 1000ths.
    Settle {
        queue: u64,
        ranges: Vec<(u64, u64)>,
    },
    SettleFirst {
        queue: u64,
        count: u64,
    },
    SettleThirds {
        queue: u64,
    },
    Purge {
        queue: u64,
    },
    Deliver {
        queue: u64,
        at: u64,
    },
    Return {
        queue: u64,
        range: (u64, u64),
    },
    Drop {
        queue: u64,
    },
    /// Another segment begins.
    Roll,
    /// The table of the oldest sealed segment is in its file.
    Sealed,
    /// What is left of old segments is gathered in a new one; something is settled meanwhile.
    Compact {
        queue: u64,
        meanwhile: (u64, u64),
        drop: bool,
    },
    /// The index is made again from its image.
    Restore,
}

fn any_step() -> impl Strategy<Value = Step> {
    let queue = 0..3_u64;
    let gap = prop_oneof![20 => Just(0_u64), 3 => 1..70_u64, 1 => 200..600_u64];
    let at = (0..1000_u64, 0..1000_u64).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        6 => (queue.clone(), prop::collection::vec(gap, 1..200))
            .prop_map(|(queue, gaps)| Step::Publish { queue, gaps }),
        1 => (queue.clone(), 0..4_u64).prop_map(|(queue, file)| Step::PublishBig { queue, file }),
        3 => (queue.clone(), prop::collection::vec(at.clone(), 1..4))
            .prop_map(|(queue, ranges)| Step::Settle { queue, ranges }),
        4 => (queue.clone(), 1..150_u64).prop_map(|(queue, count)| Step::SettleFirst { queue, count }),
        1 => queue.clone().prop_map(|queue| Step::SettleThirds { queue }),
        1 => queue.clone().prop_map(|queue| Step::Purge { queue }),
        1 => (queue.clone(), 0..1200_u64).prop_map(|(queue, at)| Step::Deliver { queue, at }),
        3 => (queue.clone(), at.clone()).prop_map(|(queue, range)| Step::Return { queue, range }),
        1 => queue.clone().prop_map(|queue| Step::Drop { queue }),
        3 => Just(Step::Roll),
        2 => Just(Step::Sealed),
        3 => (queue.clone(), at, prop::bool::weighted(0.2))
            .prop_map(|(queue, meanwhile, drop)| Step::Compact { queue, meanwhile, drop }),
        2 => Just(Step::Restore),
    ]
}

/// Where the numbers of new segments begin.
const COLD: u64 = 1 << 40;

struct Pair {
    index: Queues,
    model: Model,
    segment: u64,
    offset: u32,
    tables: BTreeMap<SegmentId, Arc<SealTable>>,
    unsealed: BTreeSet<SegmentId>,
    freed: BTreeSet<BigId>,
    files: u64,
}

impl Pair {
    fn new() -> Self {
        Self {
            index: Queues::new(),
            model: Model::default(),
            segment: 0,
            offset: 512,
            tables: BTreeMap::new(),
            unsealed: BTreeSet::new(),
            freed: BTreeSet::new(),
            files: 0,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish { queue, gaps } => {
                gaps.into_iter().for_each(|gap| self.publish(queue, gap, None));
            }
            Step::PublishBig { queue, file } => {
                // A file that is gone is never pointed to again.
                let open: Vec<_> = self.model.big().into_iter().collect();
                let old = open.get(file as usize).copied();
                let file = old.unwrap_or(BigId(self.files));
                self.files += u64::from(old.is_none());
                self.publish(queue, 0, Some(file));
            }
            Step::Settle { queue, ranges } => {
                let ranges: Vec<_> = ranges.into_iter().map(|at| self.range(queue, at)).collect();
                self.settle(queue, &ranges, 5);
            }
            Step::SettleFirst { queue, count } => {
                let firsts = self.model.queues.get(&queue).map(|queue| queue.messages.keys());
                let firsts: Vec<_> =
                    firsts.into_iter().flatten().take(count as usize).copied().collect();
                if firsts.len() % 2 == 0 {
                    firsts.iter().for_each(|&seq| self.settle(queue, &[Seq(seq).into()], 1));
                } else if let Some(&last) = firsts.last() {
                    self.settle(queue, &[SeqRange { first: Seq(0), last: Seq(last) }], 100);
                }
            }
            Step::SettleThirds { queue } => {
                let all = self.model.queues.get(&queue).map(|queue| queue.messages.keys());
                let thirds: Vec<_> =
                    all.into_iter().flatten().step_by(3).map(|&seq| Seq(seq).into()).collect();
                self.settle(queue, &thirds, 0);
            }
            Step::Purge { queue } => self.settle(queue, &[SeqRange::ALL], 0),
            Step::Deliver { queue, at } => {
                let up_to = self.model.stats(queue).next.0 * at / 1000;
                self.index.deliver(QueueId(queue), Seq(up_to));
                self.model.deliver(queue, up_to);
            }
            Step::Return { queue, range } => {
                let range = self.range(queue, range);
                self.index.give_back(QueueId(queue), &[range]);
                self.model.give_back(queue, range);
            }
            Step::Drop { queue } => {
                let messages = self.model.stats(queue).messages;
                assert_eq!(self.index.drop_queue(QueueId(queue)), messages);
                self.model.queues.remove(&queue);
            }
            Step::Roll => self.roll(),
            Step::Sealed => {
                if let Some(segment) = self.unsealed.pop_first() {
                    self.index.sealed(segment);
                }
            }
            Step::Compact { queue, meanwhile, drop } => self.compact(queue, meanwhile, drop),
            Step::Restore => {
                let image = self.index.image();
                self.freed.extend(self.index.take_freed_big());
                self.index = Queues::from_image(image.clone()).unwrap();
                assert_eq!(self.index.image(), image);
                self.unsealed.clear();
            }
        }
    }

    fn compact(&mut self, queue: u64, meanwhile: (u64, u64), drop: bool) {
        let old: Vec<_> = self.tables.keys().copied().filter(|id| id.0 % 3 != 1).collect();
        let target = SegmentId(COLD + self.tables.len() as u64);
        let (mut table, mut runs) = (SealTable { segment: target, parts: Vec::new() }, Vec::new());
        let (mut entries, mut places) = (0, BTreeMap::new());
        for queue in self.index.members_of(&old) {
            let mut from = Seq(0);
            let mut located = Vec::new();
            while let Some(source) =
                self.index.locate_within(&old, (queue, from), 100, &mut located)
            {
                if runs.last().is_none_or(|last: &Moved| last.source() != source) {
                    runs.push(Moved::new(source));
                }
                let moved = runs.last_mut().unwrap();
                for found in located.drain(..) {
                    assert!(self.index.is_within(source, found.seq));
                    let offset = 512 + 60 * entries;
                    if moved.push(found.seq, entries, 50) {
                        let (first, entry, offsets) = (found.seq, entries, Vec::new());
                        table.parts.push(SealPart { queue, first, entry, offsets });
                    }
                    table.parts.last_mut().unwrap().offsets.push(offset);
                    places.insert((queue.0, found.seq.0), (found.segment, offset));
                    entries += 1;
                    from = Seq(found.seq.0 + 1);
                }
            }
        }
        let range = self.range(queue, meanwhile);
        self.settle(queue, &[range], 5);
        if drop {
            self.run(Step::Drop { queue });
            self.publish(queue, 0, None);
        }
        runs.iter().for_each(|moved| self.index.relocate(moved, target));
        self.tables.insert(target, Arc::new(table));
        for ((queue, seq), (segment, offset)) in places {
            let queue = self.model.queues.get_mut(&queue);
            let message = queue.and_then(|queue| queue.messages.get_mut(&seq));
            if let Some(message) = message.filter(|message| message.segment == segment) {
                (message.segment, message.offset) = (target, offset);
            }
        }
        for id in old {
            assert_eq!(self.model.live(id), 0);
        }
    }

    fn publish(&mut self, queue: u64, gap: u64, big: Option<BigId>) {
        let seq = self.model.stats(queue).next.0 + gap;
        let (segment, offset) = (SegmentId(self.segment), self.offset);
        self.offset += 40;
        let at = At { segment, offset, bytes: 40 };
        assert!(self.index.publish(QueueId(queue), Seq(seq), at, 3));
        assert!(!self.index.publish(QueueId(queue), Seq(seq), at, 3));
        if let Some(big) = big {
            self.index.attach_big(QueueId(queue), Seq(seq), big, 1 << 20);
        }
        self.model.publish(queue, seq, Message { segment, offset, returns: 0, big }, 3);
    }

    fn settle(&mut self, queue: u64, ranges: &[SeqRange], weight: u64) {
        let settled = self.index.settle(QueueId(queue), ranges, weight);
        assert_eq!(settled, self.model.settle(queue, ranges, weight));
    }

    fn roll(&mut self) {
        let segment = SegmentId(self.segment);
        let table = self.index.seal(segment);
        assert_eq!(
            table.parts.iter().map(|part| part.offsets.len()).sum::<usize>() as u32,
            table.entries()
        );
        self.tables.insert(segment, table);
        self.unsealed.insert(segment);
        self.segment += 1;
        self.offset = 512;
        let old = SegmentId(self.segment / 2);
        assert_eq!(self.index.forget_segment(old), self.model.live(old) == 0);
    }

    /// A range of a queue's positions by 1000ths, a little beyond the end.
    fn range(&self, queue: u64, (from, to): (u64, u64)) -> SeqRange {
        let next = self.model.stats(queue).next.0 + 2;
        SeqRange { first: Seq(next * from / 1000), last: Seq(next * to / 1000) }
    }

    fn compare(&mut self) {
        for queue in 0..3 {
            assert_eq!(self.index.stats(QueueId(queue)), self.model.stats(queue));
            self.compare_messages(queue, 0, usize::MAX);
            let next = self.model.stats(queue).next.0;
            self.compare_messages(queue, next / 3, 7);
            self.compare_messages(queue, next * 3 / 4, 1000);
        }
        let ids: Vec<_> = self.index.all_stats().iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, self.model.queues.keys().copied().collect::<Vec<_>>());
        let cold = self.tables.keys().filter(|id| id.0 >= COLD).copied();
        for segment in (0..=self.segment).map(SegmentId).chain(cold) {
            self.model.check_usage(segment, self.index.usage(segment));
            let queues = self.model.queues.iter();
            let queues = queues.filter(|(_, q)| q.messages.values().any(|m| m.segment == segment));
            let queues: Vec<_> = queues.map(|(&id, _)| QueueId(id)).collect();
            assert_eq!(self.index.queues_of(segment), queues);
        }
        let big: BTreeSet<_> = self.index.big_files().iter().map(|&(id, _)| id).collect();
        assert_eq!(big, self.model.big());
        assert_eq!(self.index.big_bytes(), (big.len() as u64) << 20);
        self.freed.extend(self.index.take_freed_big());
        assert_eq!(self.freed.len() + big.len(), self.files as usize);
    }

    fn compare_messages(&self, queue: u64, from: u64, max: usize) {
        let mut found = Vec::new();
        self.index.locate(QueueId(queue), Seq(from), max, &mut found);
        let found: Vec<_> = found
            .into_iter()
            .map(|found| {
                let offset = match found.place {
                    Place::Offset(offset) => offset,
                    Place::Entry(entry) => self.tables[&found.segment].offset(entry).unwrap(),
                };
                (found.seq.0, found.segment, offset, found.returns)
            })
            .collect();
        let expected: Vec<_> = self.model.queues.get(&queue).map_or(Vec::new(), |queue| {
            let messages = queue.messages.range(from..).take(max);
            messages.map(|(&seq, m)| (seq, m.segment, m.offset, m.returns)).collect()
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn random_histories_equal_the_model() {
    let history = prop::collection::vec(any_step(), 1..60);
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&history, |history| {
        let mut pair = Pair::new();
        for step in history {
            pair.run(step);
            pair.compare();
        }
        // Nothing outlives the messages.
        for queue in 0..3 {
            pair.settle(queue, &[SeqRange::ALL], 0);
        }
        pair.compare();
        let image = pair.index.image();
        assert!(image.queues.iter().all(|q| q.runs.is_empty() && q.returns.is_empty()));
        Ok(())
    });
    run.unwrap();
}

#[test]
fn settling_in_any_order_leaves_no_returns_behind() {
    let mut index = Queues::new();
    let queue = QueueId(9);
    for seq in 0..1000_u32 {
        let at = At { segment: SegmentId(1), offset: seq, bytes: 1 };
        index.publish(queue, Seq(u64::from(seq)), at, 0);
    }
    for round in 0..5_u64 {
        for seq in (0..1000).step_by(round as usize + 1) {
            index.give_back(queue, &[Seq(seq).into()]);
        }
    }
    // In an order without order; one message at the front stays.
    for step in 0..1000 {
        let seq = step * 617 % 1000;
        if seq != 0 {
            index.settle(queue, &[Seq(seq).into()], 0);
        }
    }
    assert_eq!(index.image().queues[0].returns, [(0, 0, 5)]);
}
