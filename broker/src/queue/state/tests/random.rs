//! Random commands, on the queue, on a second one, and on the model.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::model::{Model, Taken};
use super::*;

/// A command, but for what depends on the state that it meets.
#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<usize>),
    Get {
        no_ack: bool,
    },
    Consume(ConsumerSpec),
    Cancel(Index),
    /// Single positions of messages that somebody holds.
    Settle(Vec<Index>, Verdict),
    /// A run of positions that begins with such a message, whoever holds the others.
    SettleRun(Index, u64, Verdict),
    /// The last so many deliveries to a consumer were never sent.
    Undo(Index, usize),
    Credit(Index, u64),
    Grant(Index, u32),
    SetPull(Index, bool),
    Purge,
    Delete {
        if_unused: bool,
        if_empty: bool,
    },
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![1 => Just(Verdict::Ack), 1 => Just(Verdict::Discard), 2 => Just(Verdict::Requeue)]
}

/// Of the window's sizes the small ones hold no more than one message.
fn any_consumer() -> impl Strategy<Value = ConsumerSpec> {
    let window = prop_oneof![1u32..90, 90u32..600, Just(1 << 20)];
    let flags = (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.3));
    let numbers = (prop_oneof![2 => Just(0u32), 3 => 1u32..4], -1i32..2, window);
    (flags, numbers).prop_map(|((no_ack, exclusive, pull), (prefetch, priority, window))| {
        let timeout = None;
        ConsumerSpec { key: key(0), no_ack, exclusive, prefetch, priority, pull, window, timeout }
    })
}

fn any_step(burst: usize) -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        12 => vec(0usize..40, 0..burst).prop_map(Step::Publish),
        4 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        6 => any_consumer().prop_map(Step::Consume),
        2 => index().prop_map(Step::Cancel),
        8 => (vec(index(), 0..5), any_verdict()).prop_map(|(at, v)| Step::Settle(at, v)),
        4 => (index(), 0..burst as u64, any_verdict())
            .prop_map(|(at, len, verdict)| Step::SettleRun(at, len, verdict)),
        4 => (index(), 0..burst).prop_map(|(at, count)| Step::Undo(at, count)),
        6 => (index(), 0u64..400).prop_map(|(at, octets)| Step::Credit(at, octets)),
        6 => (index(), 0u32..5).prop_map(|(at, messages)| Step::Grant(at, messages)),
        3 => (index(), any::<bool>()).prop_map(|(at, pull)| Step::SetPull(at, pull)),
        1 => Just(Step::Purge),
        1 => (any::<bool>(), prop::bool::weighted(0.9))
            .prop_map(|(if_unused, if_empty)| Step::Delete { if_unused, if_empty }),
    ]
}

/// The queue, its twin, and the model.
struct Trial {
    state: State,
    twin: State,
    model: Model,
    /// Consumers that there ever were: keys 1, 2, …; key 1 + this never existed.
    keys: u32,
}

impl Trial {
    fn new(config: Config, rules: &Rules) -> Self {
        let new = || State::new(config, Arc::new(rules.clone()), &[], 0);
        let (state, twin) = (new(), new());
        Self { state, twin, model: Model::new(config, rules), keys: 0 }
    }

    /// Mostly a consumer that there is, sometimes one that is gone or never was.
    fn pick(&self, at: &Index) -> ConsumerKey {
        let there: Vec<_> = self.model.consumers.iter().map(|c| c.spec.key).collect();
        let ever = (1..=self.keys + 1).map(key);
        let all: Vec<_> = there.iter().chain(&there).copied().chain(ever).collect();
        *at.get(&all)
    }

    fn held(&self, at: &Index) -> Option<Seq> {
        let held: Vec<Seq> = self.model.taken.keys().copied().collect();
        if held.is_empty() { None } else { Some(*at.get(&held)) }
    }

    fn single(&self, at: &[Index]) -> Vec<SeqRange> {
        let held = at.iter().filter_map(|at| self.held(at));
        held.flat_map(|seq| range(seq, seq)).collect()
    }

    fn last_sent(&self, to: ConsumerKey, count: usize) -> Vec<Delivery> {
        let taken = self.model.taken.values().rev().filter(|taken| taken.by == Some(to));
        let delivery =
            |taken: &Taken| Delivery { to, entry: taken.item.entry(), no_ack: taken.no_ack };
        let mut deliveries: Vec<_> = taken.take(count).map(delivery).collect();
        deliveries.reverse();
        deliveries
    }

    fn command(&self, step: &Step) -> Command {
        match step {
            Step::Publish(paddings) => {
                let numbered = (self.model.published..).zip(paddings);
                Command::Publish(numbered.map(|(id, padding)| message(id, *padding)).collect())
            }
            Step::Get { no_ack } => Command::Get { no_ack: *no_ack, connection: 0 },
            Step::Consume(spec) => {
                Command::Consume(ConsumerSpec { key: key(self.keys + 1), ..*spec })
            }
            Step::Cancel(at) => Command::Cancel(self.pick(at)),
            Step::Settle(at, verdict) => Command::Settle(self.single(at), *verdict),
            Step::SettleRun(at, len, verdict) => {
                let first = self.held(at).unwrap_or_default();
                Command::Settle(range(first, first + len), *verdict)
            }
            Step::Undo(at, count) => Command::Undo(self.last_sent(self.pick(at), *count)),
            Step::Credit(at, octets) => Command::Credit(self.pick(at), *octets),
            Step::Grant(at, messages) => Command::Grant(self.pick(at), *messages),
            Step::SetPull(at, pull) => Command::SetPull(self.pick(at), *pull),
            Step::Purge => Command::Purge,
            Step::Delete { if_unused, if_empty } => {
                Command::Delete { if_unused: *if_unused, if_empty: *if_empty }
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (command, again, to_model) =
            (self.command(step), self.command(step), self.command(step));
        let (mut effects, mut twins) = (Effects::default(), Effects::default());
        let outcome = self.state.apply(0, command, &mut effects);
        let twin = self.twin.apply(0, again, &mut twins);
        prop_assert_eq!(&outcome, &twin, "not deterministic");
        prop_assert_eq!(&effects.deliveries, &twins.deliveries, "not deterministic");
        prop_assert_eq!(&effects.notices, &twins.notices, "not deterministic");
        self.model.check(to_model, &outcome, &effects)?;
        prop_assert_eq!(self.state.counts(), self.model.counts());
        prop_assert_eq!(self.state.is_deleted(), self.model.is_deleted());
        if matches!((step, outcome), (Step::Consume(_), Outcome::Done)) {
            self.keys += 1;
        }
        Ok(())
    }

    /// All consumers leave, all they held returns: what is left must be there, in order.
    fn finish(mut self) -> Result<(), TestCaseError> {
        for number in 1..=self.keys {
            self.both(|| Command::Cancel(key(number)))?;
        }
        let all = range(0, u64::from(self.model.published));
        self.both(|| Command::Settle(all.clone(), Verdict::Requeue))?;
        let expected = self.model.ready();
        let mut left = Vec::new();
        while let Outcome::Got(Some(entry), _) =
            self.both(|| Command::Get { no_ack: true, connection: 0 })?
        {
            left.push(entry);
        }
        prop_assert_eq!(left, expected);
        Ok(())
    }

    fn both(&mut self, command: impl Fn() -> Command) -> Result<Outcome, TestCaseError> {
        let mut effects = Effects::default();
        let outcome = self.state.apply(0, command(), &mut effects);
        self.model.check(command(), &outcome, &effects)?;
        prop_assert_eq!(self.state.counts(), self.model.counts());
        Ok(outcome)
    }
}

fn trial(config: Config, rules: &Rules, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut trial = Trial::new(config, rules);
    for step in steps {
        trial.step(step)?;
    }
    trial.finish()
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(600))]
    #[test]
    fn a_queue_does_what_the_model_allows(
        auto_delete in prop::bool::weighted(0.2),
        delivery_limit in prop::option::of(0u32..3),
        steps in vec(any_step(6), 0..120),
    ) {
        let rules = Rules { delivery_limit, ..Rules::default() };
        trial(Config { auto_delete, ..CONFIG }, &rules, &steps)?;
    }
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn a_queue_of_thousands_does_what_the_model_allows(steps in vec(any_step(400), 0..40)) {
        trial(CONFIG, &Rules::default(), &steps)?;
    }
}
