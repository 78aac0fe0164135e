//! Messages that are held for too long.

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn timed(number: u32, timeout: u64) -> ConsumerSpec {
    ConsumerSpec { timeout: Some(timeout), ..consumer(number) }
}

/// Commands at a time of the test's own.
struct At {
    state: State,
    now: u64,
}

impl At {
    fn new(rules: Rules) -> Self {
        Self { state: State::new(CONFIG, Arc::new(rules), &[], 0), now: 0 }
    }

    fn apply(&mut self, command: Command) -> Effects {
        let mut effects = Effects::default();
        self.state.apply(self.now, command, &mut effects);
        effects
    }

    fn tick(&mut self, now: u64) -> Effects {
        self.now = now;
        self.apply(Command::Tick)
    }

    /// Deliveries as (consumer, position, returns).
    fn delivered(effects: &Effects) -> Vec<(u32, Seq, u32)> {
        let plain = |of: &Delivery| (of.to.number, of.entry.seq, of.entry.returns);
        effects.deliveries.iter().map(plain).collect()
    }
}

fn nth(first: Seq, last: Seq, returns: u32) -> Vec<SeqRange> {
    vec![SeqRange { first, last, returns }]
}

#[test]
fn only_the_message_whose_time_is_up_comes_back() {
    let mut queue = At::new(Rules::default());
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 2, ..timed(1, 100) }));
    queue.apply(Command::Publish(messages(0..1)));
    queue.now = 50;
    queue.apply(Command::Publish(messages(1..3)));
    assert_eq!(queue.state.next_due(), Some(100));
    assert!(queue.tick(99).is_empty());
    let effects = queue.tick(100);
    let late = vec![LateDelivery { seq: 0, returns: 0 }];
    assert_eq!(effects.notices, [Notice::TimedOut(key(1), late)]);
    // Its place in the prefetch is free: it is the first that can go there.
    assert_eq!(At::delivered(&effects), [(1, 0, 1)]);
    assert_eq!(queue.state.next_due(), Some(150));
    queue.apply(Command::Settle(nth(1, 1, 0), Verdict::Ack));
    assert_eq!(queue.state.next_due(), Some(200));
}

#[test]
fn a_late_verdict_does_not_touch_the_next_delivery() {
    let mut queue = At::new(Rules::default());
    queue.apply(Command::Consume(timed(1, 100)));
    queue.apply(Command::Publish(messages(0..2)));
    assert_eq!(At::delivered(&queue.tick(100)), [(1, 0, 1), (1, 1, 1)]);
    for verdict in [Verdict::Ack, Verdict::Discard, Verdict::Requeue] {
        assert!(queue.apply(Command::Settle(nth(0, 1, 0), verdict)).is_empty());
        assert!(queue.apply(Command::Settle(nth(0, 0, 0), verdict)).is_empty());
        assert_eq!(queue.state.counts().unacked, 2);
    }
    queue.apply(Command::Settle(nth(0, 1, 1), Verdict::Ack));
    assert_eq!((queue.state.counts().unacked, queue.state.next_due()), (0, None));
}

#[test]
fn what_was_not_sent_in_time_returns_once() {
    let mut queue = At::new(Rules::default());
    queue.apply(Command::Consume(ConsumerSpec { window: 150, ..timed(1, 100) }));
    let sent = queue.apply(Command::Publish(messages(0..3))).deliveries;
    assert_eq!(sent.len(), 2);
    queue.apply(Command::Cancel(key(1)));
    queue.tick(100);
    assert_eq!(queue.state.counts(), Counts { ready: 3, ready_bytes: 12, ..Counts::default() });
    queue.apply(Command::Get { no_ack: false, connection: 0 });
    queue.apply(Command::Undo(sent));
    let counts = queue.state.counts();
    assert_eq!((counts.ready, counts.unacked), (2, 1));
}

#[test]
fn a_timeout_is_a_return_and_the_limit_holds() {
    let rules = Rules { consumer_timeout: Some(10), delivery_limit: Some(1), ..Rules::default() };
    let mut queue = At::new(rules);
    queue.apply(Command::Publish(messages(0..1)));
    for now in [10, 20] {
        queue.apply(Command::Get { no_ack: false, connection: 0 });
        assert_eq!(queue.state.next_due(), Some(now));
        // Nobody needs to hear of it: basic.get takes no room.
        assert_eq!(queue.tick(now).notices, []);
    }
    assert_eq!(queue.state.counts(), Counts::default());
}

/// A message that says how long it may be held.
fn running(time: AMQPValue) -> Message {
    let mut headers = FieldTable::default();
    headers.insert("x-time-to-run".into(), time);
    let properties = properties::encode(&AMQPProperties::default().with_headers(headers));
    Builder::whole(0, b"\0\0", &properties, &7u32.to_be_bytes(), false)
}

#[test]
fn a_message_says_it_first_then_its_consumer_then_the_queue() {
    let text = |text: &str| AMQPValue::LongString(text.into());
    for (time, consumer_says, queue_says, expected) in [
        (None, None, None, None),
        (None, None, Some(30), Some(30)),
        (None, Some(20), Some(30), Some(20)),
        (None, Some(0), Some(30), None),
        (Some(AMQPValue::LongInt(40)), Some(20), Some(30), Some(40)),
        (Some(text("40")), Some(20), None, Some(40)),
        (Some(AMQPValue::LongInt(0)), Some(20), Some(30), None),
        (Some(AMQPValue::LongInt(-1)), None, Some(30), Some(30)),
        (Some(text("soon")), None, None, None),
    ] {
        let mut queue = At::new(Rules { consumer_timeout: queue_says, ..Rules::default() });
        let message = time.map_or_else(|| message(7, 0), running);
        queue.apply(Command::Consume(ConsumerSpec { timeout: consumer_says, ..consumer(1) }));
        queue.apply(Command::Publish(vec![message]));
        assert_eq!(queue.state.next_due(), expected);
    }
}

#[test]
fn what_counts_as_acknowledged_has_no_time() {
    let mut queue = At::new(Rules { consumer_timeout: Some(10), ..Rules::default() });
    queue.apply(Command::Consume(ConsumerSpec { no_ack: true, ..consumer(1) }));
    queue.apply(Command::Publish(messages(0..1)));
    assert_eq!(queue.state.next_due(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Get,
    /// A verdict on a delivery, late or not.
    Settle(Index, Verdict),
    Undo(Index),
    Consume(u64),
    Cancel(Index),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![2 => Just(Verdict::Ack), 1 => Just(Verdict::Requeue)];
    let index = any::<Index>;
    prop_oneof![
        4 => (0u8..4).prop_map(Step::Publish),
        2 => Just(Step::Get),
        6 => (index(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
        1 => index().prop_map(Step::Undo),
        2 => (0u64..30).prop_map(Step::Consume),
        1 => index().prop_map(Step::Cancel),
        4 => (0u64..20).prop_map(Step::Pass),
    ]
}

/// Every delivery there ever was, with its deadline; those held are the last of their positions.
#[derive(Clone, Debug)]
struct Known {
    delivery: Delivery,
    due: u64,
    held: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whoever says whatever how late: each message is ready, or held by one, in time, or settled once.
    #[test]
    fn late_or_not_each_message_is_at_one_place(
        queue_timeout in prop::option::of(1u64..20),
        steps in vec(any_step(), 0..100),
    ) {
        let mut queue = At::new(Rules { consumer_timeout: queue_timeout, ..Rules::default() });
        let (mut all, mut timeouts) = (Vec::<Known>::new(), Vec::<u64>::new());
        let (mut published, mut gone) = (0u32, 0usize);
        for step in steps {
            let mut effects = Effects::default();
            match step {
                Step::Publish(count) => {
                    let ids = published..published + u32::from(count);
                    published = ids.end;
                    effects = queue.apply(Command::Publish(messages(ids)));
                }
                Step::Get => {
                    let get = Command::Get { no_ack: false, connection: 0 };
                    let now = queue.now;
                    let outcome = queue.state.apply(now, get, &mut effects);
                    if let Outcome::Got(Some(entry), _) = outcome {
                        let due = queue_timeout.map_or(u64::MAX, |time| now + time);
                        let delivery = Delivery { to: key(0), entry, no_ack: false };
                        all.push(Known { delivery, due, held: true });
                    }
                }
                Step::Settle(at, verdict) if !all.is_empty() => {
                    let known = at.get(&all).clone();
                    let Entry { seq, returns, .. } = known.delivery.entry;
                    if known.held && verdict == Verdict::Ack {
                        gone += 1;
                    }
                    for other in &mut all {
                        let entry = &other.delivery.entry;
                        other.held &= (entry.seq, entry.returns) != (seq, returns);
                    }
                    effects = queue.apply(Command::Settle(nth(seq, seq, returns), verdict));
                }
                Step::Undo(at) if !all.is_empty() => {
                    // No client has seen it, so that nobody else speaks of it.
                    let known = all.remove(at.index(all.len()));
                    if known.held || known.due <= queue.now {
                        effects = queue.apply(Command::Undo(vec![known.delivery]));
                    }
                }
                Step::Consume(timeout) => {
                    timeouts.push(timeout);
                    let number = timeouts.len() as u32;
                    let spec = ConsumerSpec { prefetch: 2, ..timed(number, timeout) };
                    effects = queue.apply(Command::Consume(spec));
                }
                Step::Cancel(at) if !timeouts.is_empty() => {
                    let number = at.index(timeouts.len()) as u32 + 1;
                    effects = queue.apply(Command::Cancel(key(number)));
                }
                Step::Pass(ms) => {
                    let now = queue.now + ms;
                    effects = queue.tick(now);
                }
                _ => {}
            }
            for known in &mut all {
                known.held &= known.due > queue.now;
            }
            for delivery in effects.deliveries {
                let timeout = timeouts[delivery.to.number as usize - 1];
                let due = if timeout == 0 { u64::MAX } else { queue.now + timeout };
                all.push(Known { delivery, due, held: true });
            }
            let held: Vec<&Known> = all.iter().filter(|known| known.held).collect();
            let counts = queue.state.counts();
            prop_assert_eq!(counts.unacked, held.len());
            prop_assert_eq!(counts.ready + counts.unacked + gone, published as usize);
            let first = held.iter().map(|known| known.due).filter(|due| *due < u64::MAX).min();
            prop_assert_eq!(queue.state.next_due(), first);
        }
    }
}
