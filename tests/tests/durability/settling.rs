//! Acks, rejects, purges, and who has seen a message before.

use super::*;

/// A queue with persistent messages "0", "1", … and a channel that confirms.
#[track_caller]
fn filled(broker: &Broker, count: usize) -> (String, Conn) {
    let queue = new_queue(broker, "settle");
    let bodies: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    put(broker, &queue, bodies.iter().map(String::as_str));
    let mut conn = broker.connect();
    conn.channel_confirming(1);
    (queue, conn)
}

#[test]
fn acked_messages_stay_away() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 8);
        let mut ch = conn.ch(1);
        for _ in 0..7 {
            ch.got(&queue);
        }
        // From the front, out of order, and several at once.
        ch.send(ack_up_to(2));
        ch.send(ack(6));
        ch.send(ack(4));
        fence(&mut ch, &queue);
        restart(broker);
        broker.connect().channel(1).expect_counts(&queue, (5, 0));
        assert_eq!(drained(broker, &queue), ["2", "4", "6", "7", "fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn messages_taken_without_acks_stay_away() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 5);
        let mut ch = conn.ch(1);
        ch.get(&queue, true).unwrap();
        ch.consume_with(consume_no_ack(&queue, "t"));
        ch.deliveries(["1", "2", "3", "4"]);
        let _: basic::CancelOk = ch.call(cancel("t"));
        fence(&mut ch, &queue);
        restart(broker);
        assert_eq!(drained(broker, &queue), ["fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn rejected_messages_stay_away() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 6);
        let mut ch = conn.ch(1);
        for _ in 0..4 {
            ch.got(&queue);
        }
        ch.send(reject(2, false));
        ch.send(nack(1, false));
        ch.send(nack_up_to(4, false));
        fence(&mut ch, &queue);
        restart(broker);
        assert_eq!(drained(broker, &queue), ["4", "5", "fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn requeued_messages_keep_their_place() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 4);
        let mut ch = conn.ch(1);
        for _ in 0..3 {
            ch.got(&queue);
        }
        ch.send(reject(2, true));
        ch.send(nack(1, true));
        ch.send(ack(3));
        fence(&mut ch, &queue);
        restart(broker);
        let expected = [("0", true), ("1", true), ("3", false), ("fence", false)];
        expect_flags(broker, &queue, expected);
        tidy(broker, &[&queue]);
    });
}

/// Which messages there must be, and which of them flagged as redelivered. After a kill RabbitMQ
/// flags all of them, because it cannot know.
#[track_caller]
fn expect_flags<const N: usize>(broker: &Broker, queue: &str, expected: [(&str, bool); N]) {
    let found = flags(broker, queue);
    let found = found.iter().map(|(body, flag)| (body.as_str(), *flag));
    if on_target() {
        assert!(found.clone().map(|(body, _)| body).eq(expected.map(|(body, _)| body)));
        assert!(found.zip(expected).all(|(found, expected)| found.1 || !expected.1));
    } else {
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn unacked_messages_come_back_in_order_and_flagged() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 6);
        let mut ch = conn.ch(1);
        let _: basic::QosOk = ch.call(qos(4));
        ch.consume(&queue, "t");
        ch.deliveries(["0", "1", "2", "3"]);
        ch.send(ack(2));
        ch.deliveries(["4"]);
        let _: basic::CancelOk = ch.call(cancel("t"));
        fence(&mut ch, &queue);
        restart(broker);
        broker.connect().channel(1).expect_counts(&queue, (6, 0));
        let expected =
            [("0", true), ("2", true), ("3", true), ("4", true), ("5", false), ("fence", false)];
        expect_flags(broker, &queue, expected);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn purged_queue_is_empty() {
    both_ways(|broker, restart| {
        let (queue, mut conn) = filled(broker, 50);
        let mut ch = conn.ch(1);
        ch.got(&queue);
        let purged: queue::PurgeOk = ch.call(purge(&queue));
        assert_eq!(purged.message_count, 49);
        fence(&mut ch, &queue);
        restart(broker);
        // A purge leaves what a consumer holds.
        assert_eq!(drained(broker, &queue), ["0", "fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn acks_after_a_restart_stay_too() {
    both_ways_with_acks(|broker, restart| {
        let (queue, _conn) = filled(broker, 9);
        for turn in 0..3 {
            restart(broker);
            let mut conn = broker.connect();
            let mut ch = conn.channel_confirming(1);
            assert_eq!(ch.got(&queue).text(), (turn * 3).to_string());
            ch.got(&queue);
            assert_eq!(ch.got(&queue).text(), (turn * 3 + 2).to_string());
            ch.send(ack_up_to(0));
            let other = new_queue(broker, "fence");
            fence(&mut ch, &other);
            tidy(broker, &[&other]);
        }
        restart(broker);
        assert!(drained(broker, &queue).is_empty());
        tidy(broker, &[&queue]);
    });
}

/// What a random run has acked stays away, and all the rest is there in order.
#[test]
fn random_acks() {
    both_ways_with_acks(|broker, restart| {
        let mut random = Random::new();
        let (queue, _conn) = filled(broker, 400);
        let mut left: Vec<String> = (0..400).map(|number| number.to_string()).collect();
        for _ in 0..4 {
            let mut conn = broker.connect();
            let mut ch = conn.channel_confirming(1);
            let taken = random.below(left.len() + 1);
            let mut acked = Vec::new();
            for body in left.iter().take(taken) {
                let message = ch.got(&queue);
                assert_eq!(message.text(), body);
                if random.below(3) > 0 {
                    ch.send(ack(message.method.delivery_tag));
                    acked.push(body.clone());
                }
            }
            let other = new_queue(broker, "fence");
            fence(&mut ch, &other);
            tidy(broker, &[&other]);
            left.retain(|body| !acked.contains(body));
            restart(broker);
        }
        assert_eq!(drained(broker, &queue), left);
        tidy(broker, &[&queue]);
    });
}
