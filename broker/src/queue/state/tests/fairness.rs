//! Consumers that could all take every message get the same number of them.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn no_files() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Messages per consumer, of those there are.
fn shares(to: &[(u32, u32, bool)], consumers: u32) -> Vec<u32> {
    let mut shares: BTreeMap<u32, u32> = (1..=consumers).map(|number| (number, 0)).collect();
    to.iter().for_each(|(consumer, ..)| *shares.entry(*consumer).or_default() += 1);
    shares.into_values().collect()
}

fn differ_by_one(shares: &[u32]) -> bool {
    let (least, most) = (shares.iter().min(), shares.iter().max());
    least.zip(most).is_some_and(|(least, most)| most - least <= 1)
}

proptest! {
    #![proptest_config(no_files())]
    #[test]
    fn equal_consumers_share_equally(
        consumers in 1u32..9,
        no_ack in any::<bool>(),
        batches in vec(0u32..20, 1..20),
    ) {
        let mut queue = Bench::new();
        for number in 1..=consumers {
            queue.apply(Command::Consume(ConsumerSpec { no_ack, ..consumer(number) }));
        }
        let (mut all, mut next) = (Vec::new(), 0);
        for batch in batches {
            all.extend(queue.publish(next..next + batch));
            next += batch;
            prop_assert!(differ_by_one(&shares(&all, consumers)), "{all:?}");
        }
        prop_assert_eq!(all.len(), next as usize);
    }

    #[test]
    fn consumers_that_keep_their_limits_full_share_equally(
        consumers in 1u32..6,
        prefetch in 1u32..4,
        acks in 1usize..100,
    ) {
        let mut queue = Bench::new();
        queue.publish(0..1000);
        let mut all = Vec::new();
        for number in 1..=consumers {
            let spec = ConsumerSpec { prefetch, ..consumer(number) };
            all.extend(queue.delivered(Command::Consume(spec)));
        }
        // Each message is settled in its turn, and its consumer gets the next one.
        for at in 0..acks {
            let Some((_, id, _)) = all.get(at).copied() else { break };
            let seq = u64::from(id);
            all.extend(queue.delivered(Command::Settle(range(seq, seq), Verdict::Ack)));
        }
        prop_assert_eq!(all.len(), (consumers * prefetch) as usize + acks);
        let settled = shares(&all[..acks], consumers);
        let most = settled.iter().max().zip(settled.iter().min());
        prop_assert!(most.is_some_and(|(most, least)| most - least <= prefetch), "{settled:?}");
    }
}

#[test]
fn the_turn_goes_on_over_commands() {
    let mut queue = Bench::new();
    for number in 1..=3 {
        queue.apply(Command::Consume(consumer(number)));
    }
    let turns: Vec<u32> =
        (0..7).flat_map(|id| queue.publish(id..id + 1)).map(|(to, ..)| to).collect();
    assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn who_had_no_room_goes_to_the_end_of_the_line() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 1, ..consumer(1) }));
    queue.apply(Command::Consume(consumer(2)));
    queue.apply(Command::Consume(consumer(3)));
    assert_eq!(queue.publish(0..2), [(1, 0, false), (2, 1, false)]);
    queue.apply(Command::Settle(range(0, 0), Verdict::Ack));
    assert_eq!(queue.publish(2..5), [(3, 2, false), (2, 3, false), (1, 4, false)]);
}
