//! RabbitMQ's rules, by example.

use super::*;

#[test]
fn requeued_messages_return_to_their_positions() {
    let mut queue = Bench::new();
    queue.publish(0..5);
    for _ in 0..4 {
        queue.apply(Command::Get { no_ack: false, connection: 0 });
    }
    queue.apply(Command::Settle(range(3, 3), Verdict::Requeue));
    queue.apply(Command::Settle(range(1, 1), Verdict::Requeue));
    queue.publish(5..6);
    assert_eq!(queue.drain(), [(1, 1, true), (3, 3, true), (4, 4, false), (5, 5, false)]);
    queue.apply(Command::Settle(range(0, 9), Verdict::Requeue));
    assert_eq!(queue.drain(), [(0, 0, true), (2, 2, true)]);
}

#[test]
fn a_requeued_message_goes_on_to_the_next_consumer() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(consumer(1)));
    queue.apply(Command::Consume(consumer(2)));
    assert_eq!(queue.publish(0..1), [(1, 0, false)]);
    let requeue = || Command::Settle(range(0, 0), Verdict::Requeue);
    assert_eq!(queue.delivered(requeue()), [(2, 0, true)]);
    assert_eq!(queue.delivered(requeue()), [(1, 0, true)]);
}

#[test]
fn what_was_never_sent_is_not_redelivered() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 2, ..consumer(1) }));
    let (_, effects) = queue.apply(Command::Publish(messages(0..3)));
    queue.apply(Command::Cancel(key(1)));
    queue.apply(Command::Undo(effects.deliveries));
    assert_eq!(queue.state.counts().unacked, 0);
    assert_eq!(queue.drain(), [(0, 0, false), (1, 1, false), (2, 2, false)]);
}

#[test]
fn what_was_never_sent_keeps_the_mark_of_an_earlier_delivery() {
    let mut queue = Bench::new();
    queue.publish(0..1);
    queue.apply(Command::Get { no_ack: false, connection: 0 });
    queue.apply(Command::Settle(range(0, 0), Verdict::Requeue));
    let (_, effects) = queue.apply(Command::Consume(ConsumerSpec { no_ack: true, ..consumer(1) }));
    queue.apply(Command::Cancel(key(1)));
    queue.apply(Command::Undo(effects.deliveries));
    assert_eq!(queue.drain(), [(0, 0, true)]);
}

/// A consumer whose connection is gone may get a message again and again until it is cancelled:
/// what was taken from its window is not given back, so that this ends.
#[test]
fn a_dead_consumer_is_not_tried_for_ever() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 1, window: 1000, ..consumer(1) }));
    let (_, mut effects) = queue.apply(Command::Publish(messages(0..1)));
    let mut tries = 0;
    while let Some(delivery) = effects.deliveries.pop() {
        tries += 1;
        assert!(tries < 20, "the message goes round and round");
        effects = queue.apply(Command::Undo(vec![delivery])).1;
    }
    assert_eq!(queue.state.counts().ready, 1);
    assert_eq!(queue.delivered(Command::Consume(consumer(2))), [(2, 0, false)]);
}

#[test]
fn higher_priorities_starve_lower_ones_while_they_have_room() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(consumer(1)));
    let important = ConsumerSpec { priority: 5, prefetch: 2, ..consumer(2) };
    queue.apply(Command::Consume(important));
    queue.apply(Command::Consume(ConsumerSpec { priority: -1, ..consumer(3) }));
    assert_eq!(queue.publish(0..3), [(2, 0, false), (2, 1, false), (1, 2, false)]);
    queue.apply(Command::Settle(range(0, 0), Verdict::Ack));
    assert_eq!(queue.publish(3..5), [(2, 3, false), (1, 4, false)]);
    queue.apply(Command::Cancel(key(2)));
    queue.apply(Command::Cancel(key(1)));
    assert_eq!(queue.publish(5..6), [(3, 5, false)]);
}

#[test]
fn an_exclusive_consumer_wants_to_be_alone() {
    let mut queue = Bench::new();
    let exclusive = |number| ConsumerSpec { exclusive: true, ..consumer(number) };
    assert_eq!(queue.apply(Command::Consume(consumer(1))).0, Outcome::Done);
    assert_eq!(queue.apply(Command::Consume(exclusive(2))).0, Outcome::ExclusiveUse);
    queue.apply(Command::Cancel(key(1)));
    assert_eq!(queue.apply(Command::Consume(exclusive(2))).0, Outcome::Done);
    assert_eq!(queue.apply(Command::Consume(consumer(3))).0, Outcome::ExclusiveUse);
    assert_eq!(queue.apply(Command::Consume(exclusive(3))).0, Outcome::ExclusiveUse);
    assert_eq!(queue.publish(0..1), [(2, 0, false)]);
    queue.apply(Command::Cancel(key(2)));
    assert_eq!(queue.apply(Command::Consume(consumer(3))).0, Outcome::Done);
}

#[test]
fn the_limit_counts_what_is_unacknowledged() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 2, ..consumer(1) }));
    assert_eq!(queue.publish(0..4), [(1, 0, false), (1, 1, false)]);
    let ack_both = Command::Settle(range(0, 1), Verdict::Ack);
    assert_eq!(queue.delivered(ack_both), [(1, 2, false), (1, 3, false)]);
    // Without acknowledgements there is nothing to count.
    let no_ack = ConsumerSpec { no_ack: true, prefetch: 1, ..consumer(2) };
    queue.apply(Command::Consume(no_ack));
    assert_eq!(queue.publish(4..6), [(2, 4, false), (2, 5, false)]);
}

#[test]
fn what_a_cancelled_consumer_holds_stays_with_its_channel() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(consumer(1)));
    queue.publish(0..2);
    queue.apply(Command::Cancel(key(1)));
    assert_eq!(queue.state.counts(), Counts { unacked: 2, unacked_bytes: 8, ..Counts::default() });
    // Whoever comes in its place is not charged with it.
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 1, ..consumer(2) }));
    assert_eq!(queue.publish(2..3), [(2, 2, false)]);
    queue.apply(Command::Settle(range(0, 1), Verdict::Ack));
    assert_eq!(queue.publish(3..4), []);
    assert_eq!(queue.state.counts().unacked, 1);
}

#[test]
fn a_window_that_is_used_up_holds_deliveries_back() {
    let mut queue = Bench::new();
    let octets = u64::from(delivery_cost(&message(0, 0)));
    queue.apply(Command::Consume(ConsumerSpec { window: octets as u32 + 1, ..consumer(1) }));
    // The last octet is worth a whole message: even the largest one must leave some time.
    assert_eq!(queue.publish(0..4), [(1, 0, false), (1, 1, false)]);
    assert_eq!(queue.delivered(Command::Credit(key(1), octets - 1)), []);
    assert_eq!(queue.delivered(Command::Credit(key(1), 1)), [(1, 2, false)]);
}

#[test]
fn a_purge_leaves_what_consumers_hold() {
    let mut queue = Bench::new();
    queue.publish(0..5);
    queue.apply(Command::Get { no_ack: false, connection: 0 });
    queue.apply(Command::Get { no_ack: false, connection: 0 });
    queue.apply(Command::Settle(range(1, 1), Verdict::Requeue));
    assert_eq!(queue.apply(Command::Purge).0, Outcome::Dropped(4));
    assert_eq!(queue.state.counts(), Counts { unacked: 1, unacked_bytes: 4, ..Counts::default() });
    queue.publish(5..6);
    queue.apply(Command::Settle(range(0, 0), Verdict::Requeue));
    assert_eq!(queue.drain(), [(0, 0, true), (5, 5, false)]);
}

#[test]
fn deletion_heeds_its_conditions() {
    let delete = |if_unused, if_empty| Command::Delete { if_unused, if_empty };
    let mut queue = Bench::new();
    queue.publish(0..2);
    queue.apply(Command::Consume(ConsumerSpec { prefetch: 1, ..consumer(7) }));
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(3) }));
    assert_eq!(queue.apply(delete(true, true)).0, Outcome::InUse);
    assert_eq!(queue.apply(delete(false, true)).0, Outcome::NotEmpty);
    assert!(!queue.state.is_deleted());
    let (outcome, effects) = queue.apply(delete(false, false));
    assert_eq!(outcome, Outcome::Dropped(1));
    assert_eq!(effects.notices, [Notice::Cancelled(key(3)), Notice::Cancelled(key(7))]);
    assert_eq!(queue.state.counts(), Counts::default());
    let late = Command::Settle(range(0, 0), Verdict::Requeue);
    assert_eq!(queue.apply(late).0, Outcome::Gone);
    assert_eq!(queue.apply(Command::Publish(messages(2..3))).0, Outcome::Gone);
    assert_eq!(queue.apply(delete(false, false)).0, Outcome::Gone);
}

#[test]
fn messages_that_are_held_do_not_keep_a_queue_from_being_empty() {
    let mut queue = Bench::new();
    queue.publish(0..1);
    queue.apply(Command::Get { no_ack: false, connection: 0 });
    let delete = Command::Delete { if_unused: true, if_empty: true };
    assert_eq!(queue.apply(delete).0, Outcome::Dropped(0));
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let mut queue = Bench::auto_delete();
    queue.publish(0..1);
    assert_eq!(queue.notices(Command::Cancel(key(9))), []);
    queue.apply(Command::Consume(consumer(1)));
    queue.apply(Command::Consume(consumer(2)));
    assert_eq!(queue.notices(Command::Cancel(key(1))), []);
    assert_eq!(queue.notices(Command::Cancel(key(1))), []);
    assert_eq!(queue.notices(Command::Cancel(key(2))), [Notice::Deleted]);
    assert!(queue.state.is_deleted());
}

#[test]
fn a_pulling_consumer_is_told_once_and_takes_what_it_is_granted() {
    let mut queue = Bench::new();
    let wanted = [Notice::Wanted(key(1))];
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(1) }));
    assert_eq!(queue.notices(Command::Publish(messages(0..3))), wanted);
    assert_eq!(queue.notices(Command::Publish(messages(3..4))), []);
    let (outcome, effects) = queue.apply(Command::Grant(key(1), 3));
    assert_eq!(outcome, Outcome::Granted { used: 3, more: true });
    assert_eq!((effects.deliveries.len(), effects.notices.len()), (3, 0));
    // `more` was its notice.
    assert_eq!(queue.notices(Command::Publish(messages(4..5))), []);
    let (outcome, _) = queue.apply(Command::Grant(key(1), 9));
    assert_eq!(outcome, Outcome::Granted { used: 2, more: false });
    assert_eq!(queue.notices(Command::Publish(messages(5..6))), wanted);
    assert_eq!(queue.state.counts().ready, 1);
}

#[test]
fn a_grant_for_a_consumer_that_is_gone_uses_nothing() {
    let mut queue = Bench::new();
    queue.publish(0..1);
    queue.apply(Command::Consume(ConsumerSpec { pull: true, ..consumer(1) }));
    queue.apply(Command::Cancel(key(1)));
    let (outcome, effects) = queue.apply(Command::Grant(key(1), 3));
    assert_eq!(outcome, Outcome::Granted { used: 0, more: false });
    assert!(effects.is_empty());
}

#[test]
fn pulling_begins_and_ends_at_any_time() {
    let mut queue = Bench::new();
    queue.apply(Command::Consume(consumer(1)));
    queue.publish(0..2);
    assert_eq!(queue.apply(Command::SetPull(key(1), true)).0, Outcome::Unacked(2));
    assert_eq!(queue.publish(2..3), []);
    assert_eq!(queue.notices(Command::SetPull(key(1), true)), [Notice::Wanted(key(1))]);
    let (outcome, effects) = queue.apply(Command::SetPull(key(1), false));
    assert_eq!((outcome, effects.deliveries.len()), (Outcome::Unacked(2), 1));
    assert_eq!(queue.apply(Command::SetPull(key(2), false)).0, Outcome::Unacked(0));
}

#[test]
fn a_large_queue_that_runs_empty_keeps_its_positions() {
    let mut queue = Bench::new();
    queue.publish(0..40_000);
    let drained = queue.drain();
    assert!(drained.into_iter().map(|(seq, ..)| seq).eq(0..40_000));
    queue.publish(0..1);
    assert_eq!(queue.drain(), [(40_000, 0, false)]);
}
