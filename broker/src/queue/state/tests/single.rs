//! One active consumer at a time, by example and in any order of events.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::*;

fn single() -> Bench {
    Bench::with_rules(Rules { single_active: true, ..Rules::default() })
}

fn activities(queue: &Bench) -> Vec<(u32, Activity)> {
    let consumers = queue.state.consumers().into_iter();
    consumers.map(|consumer| (consumer.spec.key.number, consumer.activity)).collect()
}

#[test]
fn consumers_say_who_is_active() {
    let mut queue = single();
    queue.apply(Command::Consume(consumer(1)));
    queue.apply(Command::Consume(consumer(2)));
    let both = [(1, Activity::SingleActive), (2, Activity::Waiting)];
    assert_eq!(activities(&queue), both);
    queue.publish(0..1);
    assert_eq!(queue.state.consumers()[0].unacked, 1);
    queue.apply(Command::Cancel(key(1)));
    assert_eq!(activities(&queue), [(2, Activity::SingleActive)]);
    let mut plain = Bench::new();
    plain.apply(Command::Consume(consumer(1)));
    assert_eq!(activities(&plain), [(1, Activity::Up)]);
}

#[test]
fn nobody_follows_before_all_has_come_back() {
    let mut queue = single();
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 2, ..consumer(1) }));
    queue.apply(Command::Consume(consumer(2)));
    let (_, effects) = queue.apply(Command::Publish(messages(0..3)));
    let mut sent = effects.deliveries;
    assert_eq!(queue.delivered(Command::Leave(key(1))), []);
    assert_eq!(activities(&queue), [(2, Activity::Waiting)]);
    // One was on its way, the other one is given back.
    let on_its_way = sent.pop().expect("a delivery");
    assert_eq!(queue.delivered(Command::Settle(range(0, 0), Verdict::Requeue)), []);
    let after = queue.delivered(Command::Undo(vec![on_its_way]));
    assert_eq!(after, [(2, 0, true), (2, 1, false), (2, 2, false)]);
}

#[test]
fn whoever_comes_while_one_leaves_waits_too() {
    let mut queue = single();
    queue.apply(Command::Consume(consumer(1)));
    queue.publish(0..1);
    queue.apply(Command::Leave(key(1)));
    queue.apply(Command::Consume(consumer(2)));
    queue.apply(Command::Consume(ConsumerSpec { priority: 1, ..consumer(3) }));
    queue.apply(Command::Cancel(key(2)));
    assert_eq!(queue.publish(1..2), []);
    let back = queue.delivered(Command::Settle(range(0, 0), Verdict::Requeue));
    assert_eq!(back, [(3, 0, true), (3, 1, false)]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Consume {
        prefetch: u32,
        priority: i32,
        no_ack: bool,
    },
    Cancel(Index),
    /// All that the consumer holds comes back, after so many other steps.
    Leave(Index),
    GiveBack,
    Settle(Index, Verdict),
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![2 => Just(Verdict::Ack), 1 => Just(Verdict::Requeue)];
    let index = any::<Index>;
    prop_oneof![
        4 => (0u8..4).prop_map(Step::Publish),
        3 => (0u32..3, -1i32..2, prop::bool::weighted(0.2))
            .prop_map(|(prefetch, priority, no_ack)| Step::Consume { prefetch, priority, no_ack }),
        1 => index().prop_map(Step::Cancel),
        2 => index().prop_map(Step::Leave),
        3 => Just(Step::GiveBack),
        4 => (index(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
    ]
}

/// Who is there, in order of arrival, who is active by the rule, and what each holds.
#[derive(Default)]
struct Trial {
    there: Vec<ConsumerSpec>,
    active: Option<u32>,
    leaving: Option<u32>,
    /// Consumer and position.
    held: Vec<(u32, Seq)>,
    keys: u32,
    published: u32,
}

impl Trial {
    fn step(&mut self, queue: &mut Bench, step: &Step) -> Result<(), TestCaseError> {
        let commands = match step {
            Step::Publish(count) => {
                let ids = self.published..self.published + u32::from(*count);
                self.published = ids.end;
                vec![Command::Publish(messages(ids))]
            }
            Step::Consume { prefetch, priority, no_ack } => {
                self.keys += 1;
                let (prefetch, priority, no_ack) = (*prefetch, *priority, *no_ack);
                let spec = ConsumerSpec { prefetch, priority, no_ack, ..consumer(self.keys) };
                self.there.push(spec);
                vec![Command::Consume(spec)]
            }
            Step::Cancel(at) | Step::Leave(at) => {
                let Some(spec) = self.pick(at) else { return Ok(()) };
                let gone = spec.key.number;
                self.there.retain(|spec| spec.key.number != gone);
                let leaves = matches!(step, Step::Leave(_));
                if self.active == Some(gone) {
                    self.active = None;
                    let holds = self.held.iter().any(|(by, _)| *by == gone);
                    self.leaving = (leaves && holds).then_some(gone);
                }
                let go = if leaves { Command::Leave } else { Command::Cancel };
                vec![go(key(gone))]
            }
            Step::GiveBack => {
                let back = self.held.iter().filter(|(by, _)| Some(*by) == self.leaving);
                back.map(|(_, seq)| Command::Settle(range(*seq, *seq), Verdict::Requeue)).collect()
            }
            Step::Settle(at, verdict) => {
                if self.held.is_empty() {
                    return Ok(());
                }
                let (_, seq) = *at.get(&self.held);
                vec![Command::Settle(range(seq, seq), *verdict)]
            }
        };
        for command in commands {
            self.apply(queue, command)?;
        }
        Ok(())
    }

    fn pick(&self, at: &Index) -> Option<ConsumerSpec> {
        if self.there.is_empty() { None } else { Some(*at.get(&self.there)) }
    }

    fn apply(&mut self, queue: &mut Bench, command: Command) -> Result<(), TestCaseError> {
        if let Command::Settle(ranges, _) = &command {
            self.held.retain(|(_, seq)| *seq != ranges[0].first);
        }
        if self.leaving.is_some_and(|gone| self.held.iter().all(|(by, _)| *by != gone)) {
            self.leaving = None;
        }
        if self.active.is_none() && self.leaving.is_none() {
            let highest = self.there.iter().map(|spec| spec.priority).max();
            let next = self.there.iter().find(|spec| Some(spec.priority) == highest);
            self.active = next.map(|spec| spec.key.number);
        }
        let (_, effects) = queue.apply(command);
        for delivery in effects.deliveries {
            prop_assert_eq!(Some(delivery.to.number), self.active);
            let spec = self.there.iter().find(|spec| spec.key == delivery.to);
            if spec.is_some_and(|spec| !spec.no_ack) {
                self.held.push((delivery.to.number, delivery.entry.seq));
            }
        }
        let active = queue.state.consumers().into_iter();
        let mut active = active.filter(|consumer| consumer.activity == Activity::SingleActive);
        prop_assert_eq!(active.next().map(|consumer| consumer.spec.key.number), self.active);
        prop_assert_eq!(active.next(), None);
        // What waits does so because the active one has no room, or there is none.
        let spec = self.there.iter().find(|spec| Some(spec.key.number) == self.active);
        let holds = |spec: &ConsumerSpec| {
            self.held.iter().filter(|(by, _)| *by == spec.key.number).count() as u32
        };
        let has_room =
            |spec: &&ConsumerSpec| spec.no_ack || spec.prefetch == 0 || holds(spec) < spec.prefetch;
        prop_assert!(queue.state.counts().ready == 0 || spec.filter(has_room).is_none());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_is_served_and_all_take_their_turn(steps in vec(any_step(), 0..100)) {
        let (mut queue, mut trial) = (single(), Trial::default());
        for step in &steps {
            trial.step(&mut queue, step)?;
        }
    }
}
