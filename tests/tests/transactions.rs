//! Transactions: publishes and settlements that take effect together.

use lepus_tests::*;

fn transactional(conn: &mut Conn) -> Chan<'_> {
    let mut ch = conn.channel(1);
    let _: tx::SelectOk = ch.call(tx::Select {});
    ch
}

fn commit(ch: &mut Chan<'_>) {
    let _: tx::CommitOk = ch.call(tx::Commit {});
}

fn rollback(ch: &mut Chan<'_>) {
    let _: tx::RollbackOk = ch.call(tx::Rollback {});
}

#[test]
fn publishes_wait_for_the_commit() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a", "b"]);
    assert!(ch.get(&queue, true).is_none());
    commit(&mut ch);
    assert_eq!(ch.drain(&queue), ["a", "b"]);
}

#[test]
fn rollback_drops_the_publishes() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let queue = ch.temp_queue();
    ch.publish_all(&queue, ["a"]);
    rollback(&mut ch);
    ch.publish_all(&queue, ["b"]);
    commit(&mut ch);
    assert_eq!(ch.drain(&queue), ["b"]);
}

#[test]
fn commit_goes_to_several_queues() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let (one, two) = (ch.temp_queue(), ch.temp_queue());
    ch.publish("", &one, "1");
    ch.publish("", &two, "2");
    commit(&mut ch);
    assert_eq!((ch.drain(&one), ch.drain(&two)), (vec!["1".to_string()], vec!["2".to_string()]));
}

#[test]
fn channel_close_drops_the_publishes() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    let mut ch = transactional(&mut conn);
    ch.publish("", &queue, "a");
    ch.close();
    assert!(conn.ch(2).drain(&queue).is_empty());
}

#[test]
fn acks_wait_for_the_commit() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    conn.ch(2).publish_all(&queue, ["a", "b"]);
    let mut ch = transactional(&mut conn);
    ch.got(&queue);
    ch.got(&queue);
    ch.send(ack(1));
    commit(&mut ch);
    ch.send(ack(2));
    ch.close();
    assert_eq!(conn.ch(2).drain(&queue), ["b"]);
}

#[test]
fn rollback_forgets_the_acks_and_keeps_the_messages_held() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    conn.ch(2).publish("", &queue, "a");
    let mut ch = transactional(&mut conn);
    ch.got(&queue);
    ch.send(ack(1));
    rollback(&mut ch);
    assert!(ch.get(&queue, true).is_none());
    ch.send(ack(1));
    commit(&mut ch);
    ch.close();
    assert!(conn.ch(2).drain(&queue).is_empty());
}

#[test]
fn requeues_wait_for_the_commit() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    conn.ch(2).publish_all(&queue, ["a", "b"]);
    let mut ch = transactional(&mut conn);
    ch.got(&queue);
    ch.send(reject(1, true));
    assert_eq!(ch.got(&queue).text(), "b");
    commit(&mut ch);
    assert_eq!(ch.got(&queue).text(), "a");
}

#[test]
fn ack_of_an_unknown_tag_is_refused_at_once() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    ch.refused(ack(7), 406, "PRECONDITION_FAILED - unknown delivery tag 7");
}

#[test]
fn ack_twice_in_a_transaction_is_refused() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let queue = ch.temp_queue();
    ch.publish("", &queue, "a");
    commit(&mut ch);
    ch.got(&queue);
    ch.send(ack(1));
    ch.refused(ack(1), 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn commit_and_rollback_without_select_are_refused() {
    let text = "PRECONDITION_FAILED - channel is not transactional";
    shared().connect().channel(1).refused(tx::Commit {}, 406, text);
    shared().connect().channel(1).refused(tx::Rollback {}, 406, text);
}

#[test]
fn select_twice_is_fine() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let _: tx::SelectOk = ch.call(tx::Select {});
}

#[test]
fn empty_commit_and_rollback_are_fine() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    commit(&mut ch);
    rollback(&mut ch);
    commit(&mut ch);
}

#[test]
fn mandatory_message_comes_back_at_once_or_with_the_commit() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let nowhere = publish("", &unique("nowhere"));
    ch.publish_with(basic::Publish { mandatory: true, ..nowhere }, &props(), "back");
    ch.send(tx::Commit {});
    assert_eq!(ch.returned().text(), "back");
    let _: tx::CommitOk = ch.expect();
}

#[test]
fn publish_to_a_missing_exchange_closes_the_channel_at_once() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let name = unique("missing");
    ch.publish(&name, "", "lost");
    ch.expect_close(404, &format!("NOT_FOUND - no exchange '{name}' in vhost '/'"), (60, 40));
}

#[test]
fn routes_are_found_at_publish_not_at_commit() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let (queue, key) = (ch.temp_queue(), unique("key"));
    ch.publish("amq.direct", &key, "too early");
    ch.bind(&queue, "amq.direct", &key);
    commit(&mut ch);
    assert!(ch.drain(&queue).is_empty());
}

#[test]
fn deliveries_go_on_during_a_transaction() {
    let mut conn = shared().connect();
    let queue = conn.channel(2).temp_queue();
    let mut ch = transactional(&mut conn);
    ch.consume(&queue, "t");
    ch.publish("", &queue, "uncommitted");
    conn.ch(2).publish("", &queue, "other");
    conn.ch(1).deliveries(["other"]);
    conn.ch(1).send(ack(1));
    conn.ch(1).send(tx::Commit {});
    let frame = conn.ch(1).barrier(&queue);
    assert_eq!(frame.len(), 4, "commit-ok and the delivery: {frame:?}");
}

#[test]
fn verdicts_in_a_transaction_stay_with_their_queues() {
    let mut conn = shared().connect();
    let first = conn.channel(1).temp_queue();
    conn.ch(1).publish("", &first, "mine");
    let _: tx::SelectOk = conn.ch(1).call(tx::Select {});
    let tag = conn.ch(1).got(&first).method.delivery_tag;
    conn.ch(1).send(ack(tag));
    // Enough other queues that the connection tidies up what it remembers of them.
    let others: Vec<String> = {
        let mut ch = conn.channel(2);
        (0..600).map(|_| ch.temp_queue()).collect()
    };
    for queue in &others {
        conn.ch(2).publish("", queue, "theirs");
        conn.ch(2).got(queue);
    }
    let _: tx::CommitOk = conn.ch(1).call(tx::Commit {});
    conn.ch(2).close();
    let mut ch = conn.channel(3);
    for queue in &others {
        assert_eq!(ch.drain(queue), ["theirs"]);
    }
    ch.expect_counts(&first, (0, 0));
}

#[test]
fn what_full_queues_refuse_of_a_commit_is_told() {
    let mut conn = shared().connect();
    let mut ch = transactional(&mut conn);
    let [full, other] = [unique("full"), unique("other")];
    let arguments = table([("x-max-length", int(1)), ("x-overflow", text("reject-publish"))]);
    let exclusive = |name| queue::Declare { exclusive: true, ..declare(name) };
    ch.declare(queue::Declare { arguments, ..exclusive(&full) });
    ch.declare(exclusive(&other));
    ch.publish_all(&other, ["to be acked"]);
    commit(&mut ch);
    let held = ch.got(&other);
    ch.send(ack(held.method.delivery_tag));
    ch.publish_all(&full, ["a", "b"]);
    ch.publish_all(&other, ["c"]);
    ch.refused(tx::Commit {}, 406, "PRECONDITION_FAILED - partial tx completion");
    ch.reopen();
    // All the rest of it has happened.
    assert_eq!(ch.drain(&full), ["a"]);
    assert_eq!(ch.drain(&other), ["c"]);
}
