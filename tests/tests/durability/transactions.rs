//! Transactions: whole, or not at all.

use super::*;

fn transactional(conn: &mut Conn) -> Chan<'_> {
    let mut ch = conn.channel(1);
    let _: tx::SelectOk = ch.call(tx::Select {});
    ch
}

fn commit(ch: &mut Chan<'_>) {
    let _: tx::CommitOk = ch.call(tx::Commit {});
}

#[test]
fn committed_publishes_stay_and_others_go() {
    both_ways(|broker, restart| {
        let queues = [new_queue(broker, "tx"), new_queue(broker, "tx")];
        let mut conn = broker.connect();
        let mut ch = transactional(&mut conn);
        for number in 0..10 {
            let queue = &queues[number % 2];
            ch.publish_with(publish("", queue), &persistent(), number.to_string());
        }
        commit(&mut ch);
        ch.publish_with(publish("", &queues[0]), &persistent(), "rolled back");
        let _: tx::RollbackOk = ch.call(tx::Rollback {});
        ch.publish_with(publish("", &queues[1]), &persistent(), "never committed");
        restart(broker);
        assert_eq!(drained(broker, &queues[0]), ["0", "2", "4", "6", "8"]);
        assert_eq!(drained(broker, &queues[1]), ["1", "3", "5", "7", "9"]);
        tidy(broker, &[&queues[0], &queues[1]]);
    });
}

#[test]
fn committed_acks_stay_and_others_do_not_count() {
    both_ways_with_acks(|broker, restart| {
        let queue = new_queue(broker, "tx");
        put(broker, &queue, ["0", "1", "2", "3"]);
        let mut conn = broker.connect();
        let mut ch = transactional(&mut conn);
        for _ in 0..4 {
            ch.got(&queue);
        }
        ch.send(ack(1));
        ch.send(reject(3, false));
        commit(&mut ch);
        ch.send(ack(2));
        ch.send(ack(4));
        restart(broker);
        assert_eq!(drained(broker, &queue), ["1", "3"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn commit_moves_a_message_from_one_queue_to_another() {
    both_ways_with_acks(|broker, restart| {
        let (from, to) = (new_queue(broker, "from"), new_queue(broker, "to"));
        put(broker, &from, ["0", "1", "2", "3"]);
        let mut conn = broker.connect();
        let mut ch = transactional(&mut conn);
        for _ in 0..3 {
            let message = ch.got(&from);
            ch.publish_with(publish("", &to), &persistent(), &message.body);
            ch.send(ack(message.method.delivery_tag));
            commit(&mut ch);
        }
        let message = ch.got(&from);
        ch.publish_with(publish("", &to), &persistent(), &message.body);
        ch.send(ack(message.method.delivery_tag));
        restart(broker);
        assert_eq!(drained(broker, &from), ["3"]);
        assert_eq!(drained(broker, &to), ["0", "1", "2"]);
        tidy(broker, &[&from, &to]);
    });
}

#[test]
fn large_transaction_is_whole() {
    both_ways(|broker, restart| {
        let queues: Vec<String> = (0..20).map(|_| new_queue(broker, "tx")).collect();
        let mut conn = broker.connect();
        let mut ch = transactional(&mut conn);
        let body = vec![b'x'; 20_000];
        // 8 MB and more: no single write of a usual size holds it.
        for number in 0..400 {
            ch.publish_with(publish("", &queues[number % 20]), &persistent(), &body);
        }
        commit(&mut ch);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        for queue in &queues {
            ch.expect_counts(queue, (20, 0));
            assert_eq!(ch.got(queue).body, body);
        }
        tidy(broker, &queues.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

#[test]
fn transient_messages_of_a_transaction_go() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "tx");
        let mut conn = broker.connect();
        let mut ch = transactional(&mut conn);
        ch.publish("", &queue, "transient");
        ch.publish_with(publish("", &queue), &persistent(), "persistent");
        commit(&mut ch);
        restart(broker);
        assert_eq!(drained(broker, &queue), ["persistent"]);
        tidy(broker, &[&queue]);
    });
}
