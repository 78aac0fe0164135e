//! What the index takes of memory and time.

use std::time::Instant;

use crate::log::index::{At, Queues, SegmentId};
use crate::{QueueId, Seq, SeqRange};

const PER_SEGMENT: u64 = 1_000_000;

/// Publishes so many messages to a queue, in segments that are sealed.
fn fill(index: &mut Queues, queue: QueueId, messages: u64) {
    for seq in 0..messages {
        let (segment, offset) = (SegmentId(seq / PER_SEGMENT), (seq % PER_SEGMENT) as u32 * 40);
        assert!(index.publish(queue, Seq(seq), At { segment, offset, bytes: 40 }, 16));
        if (seq + 1) % PER_SEGMENT == 0 {
            index.seal(segment);
            index.sealed(segment);
        }
    }
}

#[test]
fn sealed_runs_take_bits_at_most() {
    const MESSAGES: u64 = 10_000_000;
    let queue = QueueId(7);
    let mut index = Queues::new();
    fill(&mut index, queue, MESSAGES);
    let full = index.memory_bytes();
    assert!(full < 4096, "{full} bytes for {MESSAGES} messages");
    for seq in (0..MESSAGES).step_by(3) {
        index.settle(queue, &[Seq(seq).into()], 16);
    }
    let thirds = index.memory_bytes();
    assert!(thirds < MESSAGES as usize / 7, "{thirds} bytes with holes");
    println!("{MESSAGES} messages: {full} bytes, every third settled: {thirds} bytes");
    // What stood before the holes is settled too: the bits go.
    index.settle(queue, &[SeqRange { first: Seq(0), last: Seq(MESSAGES - 2) }], 0);
    assert!(index.memory_bytes() < PER_SEGMENT as usize / 7);
    assert_eq!(index.stats(queue).messages, u64::from(!(MESSAGES - 1).is_multiple_of(3)));
}

#[test]
fn a_purge_takes_no_time() {
    const RUNS: u64 = 100;
    let queue = QueueId(1);
    let mut index = Queues::new();
    fill(&mut index, queue, PER_SEGMENT);
    let mut image = index.image();
    let run = image.queues[0].runs[0].clone();
    image.queues[0].next = RUNS * PER_SEGMENT;
    for number in 1..RUNS {
        let mut run = run.clone();
        (run.segment, run.first) = (SegmentId(number), number * PER_SEGMENT);
        image.queues[0].runs.push(run);
    }
    // The quickest of some: others use the machine.
    let took = (0..10).map(|_| {
        let mut index = Queues::from_image(image.clone()).unwrap();
        assert_eq!(index.stats(queue).messages, RUNS * PER_SEGMENT);
        let start = Instant::now();
        assert_eq!(index.settle(queue, &[SeqRange::ALL], 0), RUNS * PER_SEGMENT);
        start.elapsed()
    });
    let took = took.min().unwrap();
    assert!(took.as_millis() < 10, "{took:?}");
}

/// Does `work` for each number, and prints the time of the quickest stretch: others use the machine.
fn time(what: &str, numbers: impl Iterator<Item = u64>, mut work: impl FnMut(u64)) {
    const STRETCH: usize = 20_000;
    let (mut numbers, mut best) = (numbers.peekable(), f64::INFINITY);
    while numbers.peek().is_some() {
        let start = Instant::now();
        let done = numbers.by_ref().take(STRETCH).map(&mut work).count();
        best = best.min(start.elapsed().as_nanos() as f64 / done as f64);
    }
    println!("{what}: {best:.1} ns");
}

/// `cargo test --release -p lepus-storage cost_of -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn cost_of_each_operation() {
    const MESSAGES: u64 = 10_000_000;
    const HALF: u64 = MESSAGES / 2;
    let queue = QueueId(7);
    let at = |number| At {
        segment: SegmentId(number / PER_SEGMENT),
        offset: (number % PER_SEGMENT) as u32 * 40,
        bytes: 40,
    };
    let settle = |index: &mut Queues, seq| {
        index.settle(queue, &[Seq(seq).into()], 16);
    };
    let mut index = Queues::new();
    time("publish", 0..MESSAGES, |seq| {
        index.publish(queue, Seq(seq), at(seq), 16);
    });
    time("settle, first in first out", 0..HALF, |seq| settle(&mut index, seq));
    let behind = (HALF..MESSAGES).skip(1).step_by(3);
    time("settle every third", behind, |seq| settle(&mut index, seq));
    let front = (HALF..MESSAGES).step_by(3);
    time("settle what stands in front of holes", front, |seq| settle(&mut index, seq));
    let (mut found, mut from) = (Vec::new(), Seq(0));
    time("locate 100 with holes", 0..HALF / 300, |_| {
        found.clear();
        index.locate(queue, from, 100, &mut found);
        from = found.last().map_or(from, |last| Seq(last.seq.0 + 1));
    });
    time("image", 0..10, |_| drop(index.image()));
    let mut index = Queues::new();
    time("publish and settle at once", 0..MESSAGES, |seq| {
        index.publish(queue, Seq(seq), at(seq), 16);
        settle(&mut index, seq);
    });
    let mut index = Queues::new();
    time("publish to 1000 queues in turn", 0..MESSAGES, |number| {
        index.publish(QueueId(number % 1000), Seq(number / 1000), at(number), 16);
    });
}
