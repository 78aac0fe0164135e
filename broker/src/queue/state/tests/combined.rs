//! Queues with rules in every combination, and crashes, step by step against a naive model.

mod desk;
mod letter;
mod naive;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::schedule::{Retry, RetryKind};
use super::super::{DeadLetterTo, Overflow};
use super::*;
use desk::Desk;
use letter::{Letter, any_letter};
use naive::{Action, Checked};

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Letter>),
    PublishDead(Vec<Letter>),
    Get {
        no_ack: bool,
    },
    Consume(ConsumerSpec),
    Cancel(Index),
    /// The channel of a consumer ends: all that it holds comes back.
    Leave(Index),
    Settle(Vec<Index>, Verdict),
    /// Of a delivery that may be over.
    SettleLate(Index, Verdict),
    /// A delivery was never sent.
    Undo(Index),
    CancelWaiting(Index),
    /// Messages that are ready are dropped, or moved elsewhere.
    Take(Vec<Index>, bool),
    Touch,
    Purge,
    SetRules(Box<Rules>),
    Pass(u64),
    /// The process ends; the last so many commands were not stored.
    Crash(usize),
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        2 => Just(Verdict::Ack),
        1 => Just(Verdict::Discard),
        2 => Just(Verdict::Requeue),
        2 => Just(Verdict::Fail),
    ]
}

fn any_consumer() -> impl Strategy<Value = ConsumerSpec> {
    let timeout = weighted(0.2, prop_oneof![1 => Just(0), 4 => 1u64..200]);
    (prop::bool::weighted(0.3), 0u32..4, -1i32..2, timeout).prop_map(
        |(no_ack, prefetch, priority, timeout)| {
            let window = u32::MAX;
            ConsumerSpec { no_ack, prefetch, priority, timeout, window, ..consumer(0) }
        },
    )
}

fn any_retry() -> impl Strategy<Value = Retry> {
    let kind = prop::sample::select(vec![RetryKind::All, RetryKind::Failed, RetryKind::Returned]);
    let multiplier = prop::option::of(prop::sample::select(vec![1.0, 1.5, 2.0]));
    (kind, 0u64..150, 0u64..400, multiplier, prop::sample::select(vec![0.0, 0.3])).prop_map(
        |(kind, min, max, multiplier, jitter)| Retry { kind, min, max, multiplier, jitter },
    )
}

/// Rules of which `mask` says which hold.
fn any_rules() -> impl Strategy<Value = Rules> {
    let mask = prop_oneof![
        1 => (0u16..14).prop_map(|bit| 1 << bit),
        2 => any::<u16>().prop_map(|bits| bits & !(1 << 13)),
        1 => any::<u16>(),
        1 => Just(!(1 << 13)),
    ];
    let times = (prop_oneof![1 => Just(0), 4 => 1u64..300], 50u64..2000, 1u64..300, 1u64..50);
    let sizes = (0u64..7, 0u64..150, 0u32..3);
    let overflow = prop::sample::select(vec![
        Overflow::DropHead,
        Overflow::RejectPublish,
        Overflow::RejectPublishDlx,
    ]);
    let window = (prop::option::of(1u64..4), prop::option::of(1u64..300));
    let unique = prop_oneof![
        Just(Unique::UntilAcked),
        window.prop_map(|(size, ttl)| Unique::Window { size, ttl }),
    ];
    (mask, times, sizes, overflow, unique, any_retry(), prop::bool::weighted(0.2)).prop_map(
        |(mask, times, sizes, overflow, unique, retry, paused)| {
            let has = |bit: u32| mask & 1 << bit != 0;
            let dead_letter = DeadLetterTo { exchange: "dead".to_owned(), key: None };
            Rules {
                ttl: has(0).then_some(times.0),
                max_length: has(1).then_some(sizes.0),
                max_bytes: has(2).then_some(sizes.1),
                overflow: if has(3) { overflow } else { Overflow::DropHead },
                dead_letter: has(4).then_some(dead_letter),
                delivery_limit: has(5).then_some(sizes.2),
                single_active: has(6),
                consumer_timeout: has(7).then_some(times.2),
                paused: has(8) && paused,
                max_rate: has(9).then_some(times.3),
                unique: has(10).then_some(unique),
                delays: has(11),
                retry: has(12).then_some(retry),
                expires: has(13).then_some(times.1),
                // The desk has that of the queue's priorities hold.
                priority_mode: PriorityMode::Strict,
                passes: false,
            }
        },
    )
}

fn any_priorities() -> impl Strategy<Value = Priorities> {
    let mode = prop_oneof![
        Just(PriorityMode::Strict),
        Just(PriorityMode::Weighted),
        (1u64..200).prop_map(PriorityMode::Aging),
    ];
    (prop_oneof![2 => Just(0u8), 3 => 1u8..6], mode)
        .prop_map(|(max, mode)| Priorities { max, mode })
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let ms = prop_oneof![8 => 0u64..120, 2 => 100u64..3000, 1 => 0u64..600_000];
    prop_oneof![
        12 => vec(any_letter(), 0..5).prop_map(Step::Publish),
        2 => vec(any_letter(), 0..3).prop_map(Step::PublishDead),
        6 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        4 => any_consumer().prop_map(Step::Consume),
        1 => index().prop_map(Step::Cancel),
        1 => index().prop_map(Step::Leave),
        10 => (vec(index(), 1..4), any_verdict()).prop_map(|(at, v)| Step::Settle(at, v)),
        2 => (index(), any_verdict()).prop_map(|(at, v)| Step::SettleLate(at, v)),
        1 => index().prop_map(Step::Undo),
        1 => index().prop_map(Step::CancelWaiting),
        2 => (vec(index(), 1..4), any::<bool>()).prop_map(|(at, moves)| Step::Take(at, moves)),
        1 => Just(Step::Touch),
        1 => Just(Step::Purge),
        2 => any_rules().prop_map(|rules| Step::SetRules(Box::new(rules))),
        10 => ms.prop_map(Step::Pass),
        1 => (0usize..6).prop_map(Step::Crash),
    ]
}

fn known(entry: &Entry) -> (u32, Seq) {
    (letter::id_of(&entry.message), entry.seq)
}

struct Trial {
    desk: Desk,
    published: u32,
    consumers: u32,
    /// Deliveries of this life: message, position, how often it had come back.
    delivered: Vec<(u32, Seq, u32)>,
}

fn pick<T: Clone>(at: &Index, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| at.get(all).clone())
}

impl Trial {
    /// Messages with numbers.
    fn numbered(&mut self, letters: &[Letter]) -> (Vec<Message>, Vec<Letter>) {
        let mut letters = letters.to_vec();
        for letter in &mut letters {
            letter.id = self.published;
            self.published += 1;
        }
        let now = self.desk.now;
        (letters.iter().map(|letter| letter.message(now)).collect(), letters)
    }

    /// Deliveries that somebody holds, or one consumer.
    fn held(&self, by: Option<u32>) -> Vec<(u32, Seq, u32)> {
        let held = self.desk.model.items.iter().filter(|item| match item.holder() {
            None => false,
            Some(holder) => by.is_none() || holder == by,
        });
        held.map(|item| (item.letter.id, item.seq(), item.returns)).collect()
    }

    fn settle(&mut self, all: &[(u32, Seq, u32)], verdict: Verdict) -> Checked {
        let range = |(_, seq, returns): &(u32, Seq, u32)| SeqRange {
            first: *seq,
            last: *seq,
            returns: *returns,
        };
        let command = Command::Settle(all.iter().map(range).collect(), verdict);
        let meant = all.iter().map(|(id, _, returns)| (*id, *returns)).collect();
        self.desk.apply(command, Action::Settle(meant, verdict)).map(drop)
    }

    fn step(&mut self, step: &Step) -> Checked {
        let consumers = &self.desk.model.consumers;
        let consumers: Vec<u32> = consumers.iter().map(|of| of.key.number).collect();
        match step {
            Step::Publish(letters) => {
                let (messages, letters) = self.numbered(letters);
                self.desk.apply(Command::Publish(messages), Action::Publish(letters))?;
            }
            Step::PublishDead(letters) => {
                let (messages, letters) = self.numbered(letters);
                self.desk.apply(Command::PublishDead(messages), Action::PublishDead(letters))?;
            }
            Step::Get { no_ack } => {
                let get = Command::Get { no_ack: *no_ack, connection: 0 };
                self.desk.apply(get, Action::Get { no_ack: *no_ack })?;
            }
            Step::Consume(spec) if consumers.len() < 4 => {
                self.consumers += 1;
                let spec = ConsumerSpec { key: key(self.consumers), ..*spec };
                self.desk.apply(Command::Consume(spec), Action::Consume(spec))?;
            }
            Step::Cancel(at) => {
                let Some(number) = pick(at, &consumers) else { return Ok(()) };
                self.desk.apply(Command::Cancel(key(number)), Action::Cancel(number))?;
            }
            Step::Leave(at) => {
                let Some(number) = pick(at, &consumers) else { return Ok(()) };
                self.desk.apply(Command::Leave(key(number)), Action::Leave(number))?;
                let held = self.held(Some(number));
                self.settle(&held, Verdict::Fail)?;
            }
            Step::Settle(at, verdict) => {
                let mut held: Vec<_> =
                    at.iter().filter_map(|at| pick(at, &self.held(None))).collect();
                held.dedup();
                self.settle(&held, *verdict)?;
            }
            Step::SettleLate(at, verdict) => {
                let late = pick(at, &self.delivered);
                self.settle(late.as_slice(), *verdict)?;
            }
            step => self.rare_step(step)?,
        }
        let held = self.held(None);
        self.delivered.extend(held);
        Ok(())
    }

    fn rare_step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Undo(at) => self.undo(at)?,
            Step::CancelWaiting(at) => {
                let items = self.desk.model.items.iter();
                let waiting: Vec<u32> =
                    items.filter(|item| item.waits()).map(|item| item.letter.id).collect();
                if let Some(id) = pick(at, &waiting) {
                    self.desk.cancel_waiting(id)?;
                }
            }
            Step::Take(at, moves) => {
                let mut found: Vec<(u32, Seq)> = self.desk.browse().iter().map(known).collect();
                let mut expected = self.desk.model.items.clone();
                expected.retain(|item| item.is_ready());
                found.sort_unstable();
                let mut expected: Vec<_> =
                    expected.iter().map(|item| (item.letter.id, item.seq())).collect();
                expected.sort_unstable();
                prop_assert_eq!(&found, &expected, "what is seen");
                let ids: Vec<u32> =
                    at.iter().filter_map(|at| pick(at, &found)).map(|(id, _)| id).collect();
                let purpose = if *moves { Purpose::Move(1) } else { Purpose::Drop };
                self.desk.take(&ids, purpose)?;
            }
            Step::Touch => drop(self.desk.apply(Command::Touch, Action::Touch)?),
            Step::Purge => drop(self.desk.apply(Command::Purge, Action::Purge)?),
            Step::SetRules(rules) => {
                let Rules { single_active, unique, delays, .. } = self.desk.model.rules.clone();
                self.desk.set_rules(Rules { single_active, unique, delays, ..*rules.clone() })?;
            }
            Step::Pass(ms) => self.desk.pass(*ms)?,
            Step::Crash(back) => {
                self.desk.crash(*back)?;
                self.delivered.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn undo(&mut self, at: &Index) -> Checked {
        let items = &self.desk.model.items;
        let sent = items.iter().filter(|item| matches!(item.holder(), Some(Some(_))));
        let sent: Vec<_> = sent.cloned().collect();
        let Some(item) = pick(at, &sent) else { return Ok(()) };
        let Some(delivery) = self.desk.deliveries.get(&item.seq()).cloned() else { return Ok(()) };
        self.desk.apply(Command::Undo(vec![delivery]), Action::Undo(item.letter.id))?;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_queue_with_rules_does_what_the_model_says(
        durable in prop::bool::weighted(0.8),
        priorities in any_priorities(),
        rules in any_rules(),
        steps in vec(any_step(), 0..80),
    ) {
        let desk = Desk::new(durable, priorities, &rules);
        let mut trial = Trial { desk, published: 0, consumers: 0, delivered: Vec::new() };
        for step in &steps {
            if trial.desk.model.deleted {
                break;
            }
            trial.step(step)?;
        }
    }
}
