//! Messages with keys, against a list of what is there.

use amq_protocol::types::{AMQPValue, FieldTable};
use lepus_protocol::properties;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::schedule::{Retry, RetryKind};
use super::*;
use crate::dedup::HEADER;
use crate::message::Builder;

#[derive(Clone, Debug)]
enum Step {
    /// Keys (0: none) and priorities.
    Publish(Vec<(u8, u8)>),
    Get(bool),
    Settle(usize, Verdict),
    Purge,
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict =
        prop::sample::select(vec![Verdict::Ack, Verdict::Discard, Verdict::Requeue, Verdict::Fail]);
    prop_oneof![
        5 => vec((0u8..6, 0u8..4), 1..5).prop_map(Step::Publish),
        4 => any::<bool>().prop_map(Step::Get),
        4 => (any::<usize>(), verdict).prop_map(|(at, verdict)| Step::Settle(at, verdict)),
        1 => Just(Step::Purge),
    ]
}

fn message(key: u8, priority: u8) -> Message {
    let mut headers = FieldTable::default();
    if key > 0 {
        headers.insert(HEADER.into(), AMQPValue::ShortShortUInt(key));
    }
    // The flag of `priority`, and its value.
    let bare = [8, 0, priority];
    let properties = properties::replace_headers(&bare, &headers).expect("properties");
    Builder::whole(0, b"\0\0", &properties, &[key], false)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_key_is_there_once(max in 0u8..4, steps in vec(any_step(), 0..80)) {
        let config = Config { priorities: Priorities { max, mode: PriorityMode::Strict }, ..CONFIG };
        let rules = Rules { unique: Some(Unique::UntilAcked), ..Rules::default() };
        let mut queue = Bench { state: State::new(config, Arc::new(rules), &[], 0) };
        // Keys that are ready, and those that are held with their positions.
        let (mut ready, mut held) = (Vec::<u8>::new(), Vec::<(Seq, u8)>::new());
        for step in steps {
            match step {
                Step::Publish(keys) => {
                    let messages = keys.iter().map(|(key, priority)| message(*key, *priority));
                    queue.apply(Command::Publish(messages.collect()));
                    for (key, _) in keys {
                        let there = ready.contains(&key) || held.iter().any(|(_, other)| *other == key);
                        if key == 0 || !there {
                            ready.push(key);
                        }
                    }
                }
                Step::Get(no_ack) => {
                    let (Outcome::Got(got, _), _) = queue.apply(Command::Get { no_ack, connection: 0 }) else {
                        panic!("an answer to a get");
                    };
                    prop_assert_eq!(got.is_some(), !ready.is_empty());
                    if let Some(entry) = got {
                        let key = entry.message.body()[0];
                        let at = ready.iter().position(|other| *other == key).expect("it was ready");
                        ready.swap_remove(at);
                        if !no_ack {
                            held.push((entry.seq, key));
                        }
                    }
                }
                Step::Settle(at, verdict) => {
                    if held.is_empty() {
                        continue;
                    }
                    let (seq, key) = held.swap_remove(at % held.len());
                    queue.apply(Command::Settle(range(seq, seq), verdict));
                    if verdict.returns() {
                        ready.push(key);
                    }
                }
                Step::Purge => {
                    queue.apply(Command::Purge);
                    ready.clear();
                }
            }
            let counts = queue.state.counts();
            prop_assert_eq!((counts.ready, counts.unacked), (ready.len(), held.len()));
        }
    }
}

fn with_header(key: u8, delay: i64, persistent: bool) -> Message {
    let mut headers = FieldTable::default();
    headers.insert(HEADER.into(), AMQPValue::ShortShortUInt(key));
    headers.insert("x-delay".into(), AMQPValue::LongLongInt(delay));
    let properties = properties::replace_headers(&[0, 0], &headers).expect("properties");
    Builder::whole(0, b"\0\0", &properties, &[key], persistent)
}

#[test]
fn a_key_goes_with_the_message_that_waits() {
    let unique = Some(Unique::UntilAcked);
    let rules = Rules { unique, delays: true, ..Rules::default() };
    let mut queue = Bench::with_rules(rules);
    let publish = |queue: &mut Bench, key| {
        queue.apply(Command::Publish(vec![with_header(key, 1000, false)]));
        queue.state.counts().scheduled
    };
    assert_eq!([1, 2, 2].map(|key| publish(&mut queue, key)), [1, 2, 2]);
    let first = queue.state.waiting().expect("a schedule").kept(0, 1);
    let note = schedule::Note::Cancel(first);
    assert_eq!(queue.apply(Command::Schedule(note)).0, Outcome::Dropped(1));
    assert_eq!([2, 1, 1].map(|key| publish(&mut queue, key)), [1, 2, 2]);
    assert_eq!(queue.apply(Command::Purge).0, Outcome::Dropped(2));
    assert_eq!([3, 1, 2, 3].map(|key| publish(&mut queue, key)), [1, 2, 3, 3]);
}

/// A durable queue.
fn durable(unique: Unique) -> Bench {
    durable_with(Rules { unique: Some(unique), ..Rules::default() })
}

/// One whose returned messages wait.
fn retrying() -> Bench {
    let retry = Retry { kind: RetryKind::All, min: 10, max: 10, multiplier: None, jitter: 0.0 };
    let (unique, retry) = (Some(Unique::UntilAcked), Some(retry));
    durable_with(Rules { unique, retry, ..Rules::default() })
}

fn durable_with(rules: Rules) -> Bench {
    let config = Config { durable: Some(QueueId(7)), ..CONFIG };
    Bench { state: State::new(config, Arc::new(rules), &[], 0) }
}

#[test]
fn a_persistent_message_is_not_dropped_for_a_transient_one() {
    for unique in [Unique::UntilAcked, Unique::Window { size: Some(9), ttl: None }] {
        let mut queue = durable(unique);
        let mut publish = |key, persistent| {
            queue.apply(Command::Publish(vec![with_header(key, 0, persistent)]));
            queue.state.counts().ready
        };
        let found = [false, false, true, true, false].map(|persistent| publish(1, persistent));
        assert_eq!(found, [1, 1, 2, 2, 2], "{unique:?}");
    }
    // Where nothing is stored, nothing promises more.
    let unique = Some(Unique::UntilAcked);
    let mut queue = Bench::with_rules(Rules { unique, ..Rules::default() });
    for persistent in [false, true] {
        queue.apply(Command::Publish(vec![with_header(1, 0, persistent)]));
    }
    assert_eq!(queue.state.counts().ready, 1);
}

#[test]
fn a_message_is_not_dropped_for_one_that_the_store_has_refused() {
    let mut queue = retrying();
    let message = || with_header(1, 0, true);
    queue.apply(Command::Publish(vec![message()]));
    queue.apply(Command::Get { no_ack: false, connection: 1 });
    queue.apply(Command::Refused(vec![(0, 1)]));
    let (_, effects) = queue.apply(Command::Settle(range(0, 0), Verdict::Requeue));
    let job = effects.schedule.into_iter().next();
    let Some(schedule::Job::Postpone(postponed)) = job else { panic!("{job:?}") };
    let publish = |queue: &mut Bench| {
        queue.apply(Command::Publish(vec![message()]));
        queue.state.counts().ready
    };
    queue.apply(Command::Schedule(schedule::Note::Postpone(postponed)));
    assert_eq!([publish(&mut queue), publish(&mut queue)], [1, 1]);
}

#[test]
fn nor_for_one_that_is_refused_before_it_comes_to_wait() {
    let mut queue = retrying();
    queue.apply(Command::Publish(vec![with_header(1, 0, true)]));
    queue.apply(Command::Get { no_ack: false, connection: 1 });
    queue.apply(Command::Settle(range(0, 0), Verdict::Requeue));
    queue.apply(Command::Refused(vec![(0, 1)]));
    queue.apply(Command::Publish(vec![with_header(1, 0, true)]));
    assert_eq!(queue.state.counts().ready, 1);
}

#[test]
fn what_nobody_can_be_told_of_is_not_dropped_for_what_may_be_refused() {
    for unique in [Unique::UntilAcked, Unique::Window { size: Some(9), ttl: None }] {
        let mut queue = durable(unique);
        let only = Dropped { drops: true, relies: false };
        let like = |persistent| vec![with_header(1, 0, persistent)];
        let (_, first) = queue.apply(Command::Publish(like(true)));
        let (_, second) = queue.apply(Command::Publish(like(true)));
        assert_eq!((first.dropped.relies, second.dropped.relies), (false, true), "{unique:?}");
        queue.apply(Command::PublishDead(like(false)));
        assert_eq!(queue.state.counts().ready, 1, "{unique:?}");
        queue.apply(Command::PublishDead(like(true)));
        assert_eq!(queue.state.counts().ready, 2, "{unique:?}");
        queue.state.go_on(0, 0, true);
        queue.apply(Command::Publish(like(true)));
        assert_eq!(queue.state.counts().ready, 3, "a part: {unique:?}");
        queue.state.go_on(1, 1, false);
        queue.apply(Command::PublishDead(like(true)));
        let (_, third) = queue.apply(Command::Publish(like(true)));
        assert_eq!((queue.state.counts().ready, third.dropped), (3, only), "{unique:?}");
    }
}

#[test]
fn a_message_that_is_refused_on_its_way_to_wait_waits() {
    let message = with_header(1, 0, true);
    let entry = Entry { seq: 0, message, redelivered: true, returns: 1, stored: true };
    let postponed = vec![schedule::Postponed { entry, due: 9, in_place: false }];
    let schedule = vec![schedule::Job::Postpone(postponed)];
    let mut effects = Effects { schedule, ..Effects::default() };
    effects.leave_out(&[(0, 1)]);
    let [schedule::Job::Postpone(postponed)] = effects.schedule.as_slice() else { panic!("gone") };
    assert!(postponed.iter().all(|postponed| !postponed.entry.stored) && postponed.len() == 1);
}

#[test]
fn a_message_is_not_dropped_for_one_that_is_over() {
    let mut queue = durable(Unique::UntilAcked);
    let expiring = |key: u8| {
        let mut headers = FieldTable::default();
        headers.insert(HEADER.into(), AMQPValue::ShortShortUInt(key));
        let short = amq_protocol::types::ShortString::from("10");
        let asked = amq_protocol::protocol::basic::AMQPProperties::default();
        let asked = asked.with_headers(headers).with_expiration(short);
        Builder::whole(0, b"\0\0", &properties::encode(&asked), &[key], true)
    };
    let mut publish = |now, message| {
        let mut effects = Effects::default();
        queue.state.apply(now, Command::Publish(vec![message]), &mut effects);
        queue.state.counts().ready
    };
    let lasting = with_header(1, 0, true);
    assert_eq!([publish(0, lasting), publish(0, expiring(2)), publish(9, expiring(2))], [1, 2, 2]);
    assert_eq!(publish(10, with_header(2, 0, true)), 3, "behind the first it is over");
    assert_eq!(publish(11, with_header(2, 0, true)), 3);
}

#[test]
fn a_key_that_makes_room_leaves_the_store() {
    let mut queue = durable(Unique::Window { size: Some(1), ttl: None });
    let mut publish = |key, persistent| {
        queue.apply(Command::Publish(vec![with_header(key, 0, persistent)])).1.store
    };
    publish(1, true);
    let ops = publish(2, false);
    let first =
        lepus_storage::SeqRange { first: lepus_storage::Seq(0), last: lepus_storage::Seq(0) };
    let queue = keys_in_store(QueueId(7));
    assert_eq!(ops, [Op::Settle { queue, ranges: vec![first], weight: 0 }]);
}

#[test]
fn keys_of_what_is_gone_do_not_pile_up() {
    let rules = Rules { unique: Some(Unique::UntilAcked), ..Rules::default() };
    let mut queue = Bench::with_rules(rules);
    for number in 0..20_000u32 {
        let mut headers = FieldTable::default();
        headers.insert(HEADER.into(), AMQPValue::LongUInt(number));
        let properties = properties::replace_headers(&[0, 0], &headers).expect("properties");
        let message = Builder::whole(0, b"\0\0", &properties, b"", false);
        queue.apply(Command::Publish(vec![message]));
        queue.apply(Command::Get { no_ack: true, connection: 0 });
    }
    assert!(queue.state.keys_known() < 2_000);
}
