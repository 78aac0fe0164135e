//! Keys of messages over a restart.

use super::*;

fn named(key: &str) -> BasicProperties {
    headers([("x-deduplication-header", text(key))]).with_delivery_mode(2)
}

#[test]
fn a_message_that_is_there_after_a_restart_does_not_come_twice() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    both_ways(|broker, restart| {
        let queue = unique("unique");
        let arguments =
            table([("x-message-deduplication", flag(true)), ("x-max-priority", int(2))]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        ch.declare(queue::Declare { arguments, ..durable(&queue) });
        for key in ["a", "b", "c"] {
            ch.publish_with(publish("", &queue), &named(key).with_priority(1), key);
        }
        ch.confirmed(1, 3);
        let first = ch.get(&queue, false).expect("a message");
        ch.send(ack(first.method.delivery_tag));
        ch.publish_with(publish("", &queue), &named("fence"), "fence");
        ch.confirmed(4, 4);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for key in ["a", "b", "c", "d", "fence"] {
            ch.publish_with(
                publish("", &queue),
                &named(key).with_priority(1),
                format!("{key} again"),
            );
        }
        ch.confirmed(1, 5);
        assert_eq!(drained(broker, &queue), ["b", "c", "a again", "d again", "fence"]);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn a_persistent_message_is_kept_beside_a_transient_one() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    both_ways(|broker, restart| {
        for mode in ["until-acked", "window"] {
            let queue = unique("unique");
            let mut conn = broker.connect();
            let mut ch = conn.channel_confirming(1);
            let arguments = table([
                ("x-message-deduplication", flag(true)),
                ("x-deduplication-mode", text(mode)),
            ]);
            ch.declare(queue::Declare { arguments, ..durable(&queue) });
            ch.publish_with(publish("", &queue), &named("a").with_delivery_mode(1), "transient");
            ch.publish_with(publish("", &queue), &named("a"), "persistent");
            ch.publish_with(publish("", &queue), &named("a"), "once more");
            ch.confirmed(1, 3);
            restart(broker);
            assert_eq!(drained(broker, &queue), ["persistent"], "{mode}");
            tidy(broker, &[&queue]);
        }
    });
}

#[test]
fn windows_of_queues_and_exchanges_are_kept() {
    lepus_only!("RabbitMQ has deduplication in a plugin");
    both_ways(|broker, restart| {
        let (inside, behind) = (unique("unique"), new_queue(broker, "behind"));
        let exchange = unique("unique");
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        let arguments = table([
            ("x-message-deduplication", flag(true)),
            ("x-deduplication-mode", text("window")),
            ("x-cache-size", int(3)),
        ]);
        ch.declare(queue::Declare { arguments, ..durable(&inside) });
        let arguments = table([("x-cache-size", int(3))]);
        let declare = exchange::Declare {
            arguments,
            ..durable_exchange(&exchange, "x-message-deduplication")
        };
        let _: exchange::DeclareOk = ch.call(declare);
        ch.bind(&behind, &exchange, "");
        let mut sent = 0;
        let mut put = |ch: &mut Chan<'_>, keys: &[&str], first: u64| {
            for to in [("", inside.as_str()), (exchange.as_str(), "")] {
                for key in keys {
                    ch.publish_with(publish(to.0, to.1), &named(key), *key);
                }
            }
            sent += 2 * keys.len() as u64;
            ch.confirmed(first, first + 2 * keys.len() as u64 - 1);
        };
        put(&mut ch, &["a", "b", "c", "d"], 1);
        ch.expect_counts(&behind, (4, 0));
        for queue in [&inside, &behind] {
            let _: queue::PurgeOk = ch.call(purge(queue));
            // What is confirmed after it tells that it is on the disk.
            fence(&mut broker.connect().channel_confirming(1), queue);
        }
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        put(&mut ch, &["b", "c", "d", "a", "b", "a"], 1);
        ch.expect_counts(&behind, (3, 0));
        for queue in [&inside, &behind] {
            assert_eq!(drained(broker, queue), ["fence", "a", "b"]);
        }
        let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
        tidy(broker, &[&inside, &behind]);
    });
}
