//! Checkpoints are read as they were written, or not at all.

use proptest::prelude::*;

use super::*;
use crate::log::index::{At, BigId, Queues};
use crate::{QueueId, Seq, SeqRange};

fn any_index() -> impl Strategy<Value = Queues> {
    let gap = prop_oneof![9 => Just(0_u64), 2 => 1..100_u64, 1 => 250..400_u64];
    let publish = (0..4_u64, gap, any::<bool>());
    let settle = (0..4_u64, 0..600_u64, 0..200_u64);
    let steps = prop::collection::vec((publish, prop::option::weighted(0.3, settle)), 0..500);
    (steps, 1..100_u64).prop_map(|(steps, per_segment)| {
        let mut index = Queues::new();
        for (number, ((queue, gap, big), settle)) in (0..).zip(steps) {
            let queue = QueueId(queue);
            let seq = Seq(index.next_of(queue) + gap);
            let segment = SegmentId(number / per_segment);
            index.publish(queue, seq, At { segment, offset: number as u32, bytes: 100 }, 7);
            if big && number % 20 == 0 {
                index.attach_big(queue, seq, BigId(number), 1 << 20);
            }
            if let Some((queue, first, len)) = settle {
                let range = SeqRange { first: Seq(first), last: Seq(first + len) };
                index.settle(QueueId(queue), &[range], 20);
                index.give_back(QueueId(queue), &[range]);
                index.deliver(QueueId(queue), Seq(first));
            }
            if number % per_segment == per_segment - 1 {
                index.seal(segment);
            }
        }
        index
    })
}

fn snapshot(index: &Queues) -> Snapshot {
    let segment = SegmentRecord {
        id: SegmentId(4),
        kind: Kind::Cold,
        generation: 5,
        len: 6,
        used: 7,
        recyclable: true,
        max_lsn: 8,
    };
    let at = Position { segment: SegmentId(1), offset: 2, group: 3, lsn: 4 };
    let meta = Some(MetaRef { file: 1, version: 2, crc: 3 });
    let index = index.image();
    Snapshot {
        number: 9,
        at,
        next_segment: 10,
        next_big: 11,
        meta,
        segments: vec![segment; 3],
        index,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(index in any_index()) {
        let written = snapshot(&index);
        let bytes = encode(&written);
        let read = decode(&bytes, "x").unwrap();
        prop_assert_eq!(&encode(&read), &bytes);
        let again = Queues::from_image(read.index.clone()).unwrap();
        prop_assert_eq!(encode(&Snapshot { index: again.image(), ..written.clone() }), bytes);
        prop_assert_eq!(again.all_stats(), index.all_stats());
        for queue in (0..4).map(QueueId) {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            index.locate(queue, Seq(0), usize::MAX, &mut expected);
            again.locate(queue, Seq(0), usize::MAX, &mut found);
            prop_assert_eq!(expected.len(), found.len());
            for (expected, found) in expected.iter().zip(&found) {
                let place = |of: &crate::log::index::Located| (of.seq, of.segment, of.returns);
                prop_assert_eq!(place(expected), place(found));
            }
        }
        prop_assert_eq!(Snapshot { index: Image::default(), ..written },
            Snapshot { index: Image::default(), ..read });
    }

    #[test]
    fn damage_is_noticed(index in any_index(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let bytes = encode(&snapshot(&index));
        let at = at.index(bytes.len());
        let mut damaged = bytes.clone();
        damaged[at] ^= 1_u8 << bit;
        prop_assert!(decode(&damaged, "x").is_err());
        prop_assert!(decode(&bytes[..at], "x").is_err());
    }

    /// Behind a right crc there may be anything: a mistake of another version, or of malice.
    #[test]
    fn nothing_that_it_is_given_is_trusted(
        index in any_index(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode(&snapshot(&index));
        bytes.truncate(bytes.len() - 4);
        for (at, value) in changes {
            let at = 12 + at.index(bytes.len() - 12);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(12 + cut.index(bytes.len() - 12));
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        if let Ok(read) = decode(&bytes, "x") {
            prop_assert!(encode(&read).len() <= bytes.len());
            let _ = Queues::from_image(read.index);
        }
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(noise);
        prop_assert!(decode(&bytes, "x").is_err());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        if let Ok(read) = decode(&bytes, "x") {
            let _ = Queues::from_image(read.index);
        }
    }
}

#[test]
fn a_newer_format_is_said_to_be_one() {
    let mut bytes = encode(&snapshot(&Queues::new()));
    bytes[8] = 2;
    let error = decode(&bytes, "x").unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 2, known: 1, .. }));
}

#[test]
fn a_long_run_of_little_takes_little() {
    let mut index = Queues::new();
    let at = At { segment: SegmentId(1), offset: 1, bytes: 1 };
    index.publish(QueueId(1), Seq(0), at, 1);
    index.publish(QueueId(1), Seq(1), at, 1);
    index.publish(QueueId(1), Seq(2), at, 1);
    index.settle(QueueId(1), &[Seq(1).into()], 1);
    index.seal(SegmentId(1));
    let mut written = snapshot(&index);
    // As if a thousand million messages had been settled before.
    let run = &mut written.index.queues[0].runs[0];
    (run.span, run.low) = (u32::MAX - 1, u32::MAX - 3);
    run.settled =
        Some(std::sync::Arc::new(crate::log::index::Settled::from_words(run.low, vec![0])));
    written.index.queues[0].next = u64::MAX;
    let bytes = encode(&written);
    assert!(bytes.len() < 500);
    let read = decode(&bytes, "x").unwrap();
    assert_eq!(Queues::from_image(read.index).unwrap().stats(QueueId(1)).messages, 2);
}
