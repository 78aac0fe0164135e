//! How often messages come back, and what becomes of those that come back too often.

use lepus_storage::{Op, QueueId, Seq as At, SeqRange as Span};

use super::*;

const ID: QueueId = QueueId(3);

fn limited(limit: u32, dead_letter: Option<DeadLetterTo>) -> Bench {
    let delivery_limit = Some(limit);
    Bench::with_rules(Rules { delivery_limit, dead_letter, ..Rules::default() })
}

fn get() -> Command {
    Command::Get { no_ack: false, connection: 0 }
}

fn requeue() -> Command {
    Command::Settle(range(0, 0), Verdict::Requeue)
}

/// The returns of the message that is handed out next.
fn returns(queue: &mut Bench) -> Option<u32> {
    match queue.apply(get()).0 {
        Outcome::Got(entry, _) => entry.map(|entry| entry.returns),
        other => panic!("{other:?}"),
    }
}

#[test]
fn returns_are_counted_and_undone_deliveries_are_not() {
    let mut queue = Bench::new();
    queue.publish(0..1);
    for count in 0..3 {
        assert_eq!(returns(&mut queue), Some(count));
        queue.apply(requeue());
    }
    let (_, effects) = queue.apply(Command::Consume(consumer(1)));
    queue.apply(Command::Cancel(key(1)));
    queue.apply(Command::Undo(effects.deliveries));
    assert_eq!(returns(&mut queue), Some(3));
}

#[test]
fn a_message_that_comes_back_too_often_goes() {
    let mut queue = limited(1, None);
    queue.publish(0..1);
    assert_eq!(returns(&mut queue), Some(0));
    queue.apply(requeue());
    assert_eq!(returns(&mut queue), Some(1));
    queue.apply(requeue());
    assert_eq!(queue.state.counts(), Counts::default());
}

#[test]
fn where_there_is_somewhere_to_go_it_goes_there() {
    let to = DeadLetterTo { exchange: "dead".to_owned(), key: None };
    let mut queue = limited(0, Some(to));
    queue.publish(0..2);
    queue.apply(get());
    queue.apply(get());
    let (_, effects) = queue.apply(Command::Settle(range(0, 1), Verdict::Requeue));
    let [Dead { reason: Reason::DeliveryLimit, entries, .. }] = &effects.dead[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0, 1]);
    // A consumer that rejects it says so itself.
    queue.publish(2..3);
    queue.apply(get());
    let (_, effects) = queue.apply(Command::Settle(range(2, 2), Verdict::Discard));
    assert!(matches!(&effects.dead[..], [Dead { reason: Reason::Rejected, .. }]));
}

#[test]
fn a_message_that_was_held_when_a_life_ended_has_come_back() {
    let config = Config { durable: Some(ID), ..CONFIG };
    let past = Past { first: 0, next: 3, messages: 3, bytes: 12, delivered: 2 };
    let mut state = State::new(config, Arc::default(), &[past], 0);
    let mut effects = Effects::default();
    assert_eq!(state.apply(0, get(), &mut effects), Outcome::Wait);
    let stored = |seq: Seq, returns| {
        let message = message(seq as u32, 0);
        Entry { seq, message, redelivered: returns > 0, returns, stored: true }
    };
    let found = vec![stored(0, 0), stored(1, 4), stored(2, 0)];
    let loaded = Command::Loaded { from: 0, next: 3, found };
    effects = Effects::default();
    state.apply(0, loaded, &mut effects);
    // The store hears of the return that it could not be told of.
    let span = Span { first: At(0), last: At(0) };
    assert_eq!(effects.store, [Op::Return { queue: ID, ranges: vec![span] }]);
    for returns in [1, 4, 0] {
        let outcome = state.apply(0, get(), &mut effects);
        assert!(matches!(outcome, Outcome::Got(Some(entry), _) if entry.returns == returns));
    }
}
