//! A queue with priorities and rules against a naive model: a row of messages for each priority.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::place::level_of;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Messages of a priority, with or without an expiration.
    Publish(Vec<(u8, Option<u8>)>),
    Get,
    /// A verdict on the held message of this number, counted round.
    Settle(usize, Verdict),
    /// Time passes.
    Wait(u64),
    Purge,
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(Verdict::Ack), Just(Verdict::Requeue), Just(Verdict::Discard)];
    let expiration = prop::option::weighted(0.4, 0u8..30);
    prop_oneof![
        8 => vec((0u8..9, expiration), 0..5).prop_map(Step::Publish),
        5 => Just(Step::Get),
        5 => (any::<usize>(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
        4 => (0u64..20).prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let overflow = prop_oneof![
        Just(Overflow::DropHead),
        Just(Overflow::RejectPublish),
        Just(Overflow::RejectPublishDlx),
    ];
    let (ttl, length) = (prop::option::of(0u64..40), prop::option::of(0u64..8));
    (ttl, length, overflow).prop_map(|(ttl, max_length, overflow)| Rules {
        ttl,
        max_length,
        overflow,
        dead_letter: Some(DeadLetterTo { exchange: String::new(), key: None }),
        ..Rules::default()
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    id: u32,
    due: Option<u64>,
}

struct Model {
    rules: Rules,
    /// By priority.
    rows: Vec<VecDeque<Item>>,
    /// What left other than by basic.get and basic.ack.
    dead: Vec<u32>,
}

impl Model {
    fn len(&self) -> usize {
        self.rows.iter().map(VecDeque::len).sum()
    }

    fn pop(&mut self) -> Option<Item> {
        self.rows.iter_mut().rev().find_map(VecDeque::pop_front)
    }

    /// The numbers of the messages that were refused.
    fn publish(&mut self, now: u64, priority: u8, number: usize, item: Item) -> Option<usize> {
        let full = self.rules.max_length.is_some_and(|max| self.len() as u64 >= max);
        if full && self.rules.overflow != Overflow::DropHead {
            if self.rules.overflow == Overflow::RejectPublishDlx {
                self.dead.push(item.id);
            }
            return Some(number);
        }
        let highest = self.rows.len() - 1;
        let ttl = self.rules.ttl.map(|ttl| now + ttl);
        let due = ttl.into_iter().chain(item.due).min();
        self.rows[highest.min(priority.into())].push_back(Item { due, ..item });
        if highest > 0 {
            self.drop_excess();
        }
        None
    }

    fn drop_expired(&mut self, now: u64) {
        for row in &mut self.rows {
            while let Some(item) = row.pop_front_if(|item| item.due.is_some_and(|due| due <= now)) {
                self.dead.push(item.id);
            }
        }
    }

    fn drop_excess(&mut self) {
        let max = self.rules.max_length.filter(|_| self.rules.overflow == Overflow::DropHead);
        while max.is_some_and(|max| self.len() as u64 > max) {
            let first = self.pop().expect("one too many");
            self.dead.push(first.id);
        }
    }

    fn next_due(&self) -> Option<u64> {
        self.rows.iter().filter_map(|row| row.front()?.due).min()
    }
}

struct Trial {
    state: State,
    model: Model,
    now: u64,
    next_id: u32,
    held: Vec<(Seq, Item)>,
    dead: Vec<u32>,
}

impl Trial {
    fn new(max: u8, rules: Rules) -> Self {
        let config = Config { priorities: Priorities { max, ..Priorities::default() }, ..CONFIG };
        let rows = (0..=max).map(|_| VecDeque::new()).collect();
        Self {
            state: State::new(config, Arc::new(rules.clone()), &[], 0),
            model: Model { rules, rows, dead: Vec::new() },
            now: 0,
            next_id: 0,
            held: Vec::new(),
            dead: Vec::new(),
        }
    }

    fn apply(&mut self, command: Command) -> Outcome {
        let mut effects = Effects::default();
        let outcome = self.state.apply(self.now, command, &mut effects);
        let dead = effects.dead.iter().flat_map(|dead| &dead.entries);
        self.dead.extend(dead.map(|entry| id_of(&entry.message)));
        outcome
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.model.drop_expired(self.now);
        match step {
            Step::Publish(specs) => self.publish(specs)?,
            Step::Get => self.get()?,
            Step::Settle(at, verdict) => self.settle(*at, *verdict),
            Step::Wait(ms) => {
                self.now += ms;
                self.model.drop_expired(self.now);
                self.apply(Command::Tick);
            }
            Step::Purge => {
                let waiting = self.model.len();
                self.model.rows.iter_mut().for_each(VecDeque::clear);
                prop_assert_eq!(self.apply(Command::Purge), Outcome::Dropped(waiting));
            }
        }
        self.model.drop_expired(self.now);
        self.model.drop_excess();
        let counts = self.state.counts();
        prop_assert_eq!((counts.ready, counts.unacked), (self.model.len(), self.held.len()));
        prop_assert_eq!(counts.ready_bytes, 4 * self.model.len() as u64);
        prop_assert_eq!(self.state.next_due(), self.model.next_due());
        self.dead.sort_unstable();
        self.model.dead.sort_unstable();
        prop_assert_eq!(&self.dead, &self.model.dead);
        Ok(())
    }

    fn publish(&mut self, specs: &[(u8, Option<u8>)]) -> Result<(), TestCaseError> {
        let mut messages = Vec::new();
        let mut refused = Vec::new();
        for (number, (priority, expiration)) in specs.iter().enumerate() {
            let (id, now) = (self.next_id, self.now);
            self.next_id += 1;
            let properties = properties(*priority, *expiration);
            messages.push(Builder::whole(now, b"\0\0", &properties, &id.to_be_bytes(), false));
            let item = Item { id, due: expiration.map(|ms| now + u64::from(ms)) };
            refused.extend(self.model.publish(now, *priority, number, item));
        }
        let expected = if refused.is_empty() { Outcome::Done } else { Outcome::Rejected(refused) };
        prop_assert_eq!(self.apply(Command::Publish(messages)), expected);
        Ok(())
    }

    fn get(&mut self) -> Result<(), TestCaseError> {
        let expected = self.model.pop();
        let outcome = self.apply(Command::Get { no_ack: false, connection: 0 });
        let Outcome::Got(found, left) = outcome else {
            return Err(TestCaseError::fail(format!("{outcome:?}")));
        };
        prop_assert_eq!(left, self.model.len());
        let id = found.as_ref().map(|entry| id_of(&entry.message));
        prop_assert_eq!(id, expected.map(|item| item.id));
        self.held.extend(found.map(|entry| entry.seq).zip(expected));
        Ok(())
    }

    fn settle(&mut self, at: usize, verdict: Verdict) {
        if self.held.is_empty() {
            self.apply(Command::Tick);
            return;
        }
        let (seq, item) = self.held.swap_remove(at % self.held.len());
        match verdict {
            Verdict::Ack => {}
            Verdict::Discard => self.model.dead.push(item.id),
            Verdict::Requeue | Verdict::Fail => {
                let row = &mut self.model.rows[usize::from(level_of(seq))];
                // Numbers ascend as positions do.
                row.insert(row.partition_point(|other| other.id < item.id), item);
            }
        }
        self.apply(Command::Settle(range(seq, seq), verdict));
    }
}

/// The octets of properties that are a priority and an expiration.
fn properties(priority: u8, expiration: Option<u8>) -> Vec<u8> {
    let flags = u16::from(priority > 0) << 11 | u16::from(expiration.is_some()) << 8;
    let mut octets = flags.to_be_bytes().to_vec();
    octets.extend((priority > 0).then_some(priority));
    if let Some(text) = expiration.map(|ms| ms.to_string()) {
        octets.push(text.len() as u8);
        octets.extend(text.bytes());
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rules_hold_with_priorities(
        max in 0u8..8,
        rules in any_rules(),
        steps in vec(any_step(), 0..120),
    ) {
        let mut trial = Trial::new(max, rules);
        for step in &steps {
            trial.step(step)?;
        }
    }
}

fn queue(max: u8, mode: PriorityMode) -> Bench {
    let config = Config { priorities: Priorities { max, mode }, ..CONFIG };
    Bench { state: State::new(config, Arc::default(), &[], 0) }
}

/// Messages of these priorities, which arrived at these times; each is numbered by its priority.
fn arrivals(messages: &[(u8, u64)]) -> Command {
    let message = |(priority, arrived): &(u8, u64)| {
        let body = u32::from(*priority).to_be_bytes();
        Builder::whole(*arrived, b"\0\0", &of_priority(*priority), &body, false)
    };
    Command::Publish(messages.iter().map(message).collect())
}

fn priorities_of(queue: &mut Bench) -> Vec<u32> {
    queue.drain().into_iter().map(|(_, id, _)| id).collect()
}

#[test]
fn in_a_round_each_priority_has_one_turn_more_than_its_number() {
    let mut queue = queue(2, PriorityMode::Weighted);
    queue.apply(arrivals(&[[(0, 0); 3], [(1, 0); 3], [(2, 0); 3]].concat()));
    // The third round begins when nobody is left who has a turn in the second.
    assert_eq!(priorities_of(&mut queue), [2, 2, 2, 1, 1, 0, 1, 0, 0]);
}

#[test]
fn waiting_counts_as_much_as_a_higher_priority() {
    let mut queue = queue(9, PriorityMode::Aging(100));
    queue.apply(arrivals(&[(0, 0), (1, 99), (3, 300), (2, 201), (9, 901)]));
    assert_eq!(priorities_of(&mut queue), [1, 3, 0, 9, 2]);
}

#[test]
fn another_mode_holds_at_once_for_what_is_there() {
    let mut queue = queue(2, PriorityMode::Strict);
    let mut version = 0;
    let mut turns = |mode| {
        version += 1;
        let rules = Rules { priority_mode: mode, ..Rules::default() };
        queue.apply(arrivals(&[[(0, 0); 3], [(1, 99); 3], [(2, 201); 3]].concat()));
        queue.apply(Command::SetRules(Arc::new(rules), version));
        priorities_of(&mut queue)
    };
    assert_eq!(turns(PriorityMode::Weighted), [2, 2, 2, 1, 1, 0, 1, 0, 0]);
    assert_eq!(turns(PriorityMode::Aging(100)), [1, 1, 1, 0, 0, 0, 2, 2, 2]);
    assert_eq!(turns(PriorityMode::Strict), [2, 2, 2, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn a_consumer_gets_the_highest_priority_whenever_it_has_room() {
    let mut queue = queue(5, PriorityMode::Strict);
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 1, ..consumer(1) }));
    let delivered = queue.delivered(arrivals(&[(0, 0), (3, 0), (200, 0), (3, 0)]));
    assert_eq!(delivered, [(1, 200, false)]);
    let first = super::super::place::first_of(5);
    let requeued = queue.delivered(Command::Settle(range(first, first), Verdict::Requeue));
    assert_eq!(requeued, [(1, 200, true)]);
    let next = queue.delivered(Command::Settle(range(first, first), Verdict::Ack));
    assert_eq!(next, [(1, 3, false)]);
    assert_eq!(priorities_of(&mut queue), [3, 0]);
}

#[test]
fn a_deleted_queue_leaves_no_level_in_the_store() {
    let id = QueueId(7);
    let priorities = Priorities { max: 3, ..Priorities::default() };
    let config = Config { durable: Some(id), priorities, ..CONFIG };
    let mut queue = Bench { state: State::new(config, Arc::default(), &[], 0) };
    queue.apply(arrivals(&[(2, 0)]));
    let (_, effects) = queue.apply(Command::Delete { if_unused: false, if_empty: false });
    let dropped = |level: u64| Op::DropQueue { queue: QueueId(7 | level << 56) };
    assert_eq!(effects.store, [dropped(0), dropped(2)]);
}
