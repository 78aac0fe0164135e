//! Messages that wait for a time, over a restart.

use std::time::{Duration, Instant};

use super::*;

fn late(ms: i32) -> BasicProperties {
    headers([("x-delay", int(ms))]).with_delivery_mode(2)
}

/// The octets of messages with these delays, for one write: all wait from the same time on.
fn octets<const N: usize>(exchange: &str, key: &str, delays: [i32; N]) -> Vec<u8> {
    let message = |ms: i32| message_bytes(publish(exchange, key), &late(ms), ms.to_string());
    delays.map(message).concat()
}

fn declared<'a>(
    broker: &Broker,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let name = unique("waiting");
    let arguments = table(arguments);
    broker.connect().channel(1).declare(queue::Declare { arguments, ..durable(&name) });
    name
}

fn delayed_exchange(broker: &Broker, queue: &str) -> String {
    let name = unique("delayed");
    let arguments = table([("x-delayed-type", text("direct"))]);
    let declare = exchange::Declare { arguments, ..durable_exchange(&name, "x-delayed-message") };
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    let _: exchange::DeclareOk = ch.call(declare);
    ch.bind(queue, &name, "k");
    name
}

/// Takes so many messages as they come.
#[track_caller]
fn awaited(broker: &Broker, queue: &str, count: usize) -> Vec<String> {
    let mut conn = broker.connect();
    let mut ch = conn.channel(1);
    ch.consume_with(consume_no_ack(queue, "c"));
    (0..count).map(|_| ch.delivery().text().to_owned()).collect()
}

#[test]
fn what_is_not_due_waits_on_after_a_restart_in_order() {
    lepus_only!("Debian's RabbitMQ has no plugin for delays");
    both_ways(|broker, restart| {
        let heeds = declared(broker, [("x-delayed", flag(true))]);
        let behind = new_queue(broker, "behind");
        let exchange = delayed_exchange(broker, &behind);
        let begin = Instant::now();
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for (exchange, key) in [("", heeds.as_str()), (exchange.as_str(), "k")] {
            ch.conn.send_raw(&octets(exchange, key, [3000, 1, 600_000, 2500]));
        }
        ch.confirmed(1, 8);
        ch.publish_with(publish(&exchange, "k"), &late(2500).with_delivery_mode(1), "transient");
        restart(broker);
        for queue in [&heeds, &behind] {
            assert_eq!(awaited(broker, queue, 3), ["1", "2500", "3000"]);
        }
        assert!(begin.elapsed() >= Duration::from_millis(2999));
        tidy(broker, &[&heeds, &behind]);
    });
}

#[test]
fn what_was_due_meanwhile_comes_at_once_in_due_order_each_once() {
    lepus_only!("Debian's RabbitMQ has no plugin for delays");
    both_ways(|broker, restart| {
        let queue = declared(broker, [("x-delayed", flag(true))]);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let _: tx::SelectOk = ch.call(tx::Select {});
        for ms in (1..=300).rev() {
            ch.publish_with(publish("", &queue), &late(ms), ms.to_string());
        }
        // All have the same time of arrival.
        let _: tx::CommitOk = ch.call(tx::Commit {});
        restart(broker);
        let due: Vec<String> = (1..=300).map(|ms: i32| ms.to_string()).collect();
        assert_eq!(awaited(broker, &queue, 300), due);
        let mut conn = broker.connect();
        conn.channel(1).expect_counts(&queue, (0, 0));
        tidy(broker, &[&queue]);
    });
}

#[test]
fn what_came_back_waits_on_after_a_restart() {
    lepus_only!("RabbitMQ has delayed retries from 4.3 on");
    both_ways(|broker, restart| {
        let arguments = [("x-delayed-retry-type", text("all")), ("x-delayed-retry-min", int(1500))];
        let queue = declared(broker, arguments);
        put(broker, &queue, ["again", "kept"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        let tag = ch.got(&queue).method.delivery_tag;
        let begin = Instant::now();
        ch.send(reject(tag, true));
        fence(&mut ch, &queue);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.consume(&queue, "c");
        let waits = begin.elapsed() < Duration::from_millis(1499);
        let mut came = [(); 3].map(|()| (ch.delivery(), begin.elapsed()));
        if !waits {
            // Its time came before the consumer: it may stand before the others.
            came.sort_by_key(|(message, _)| message.text() == "again");
        }
        assert_eq!(came.each_ref().map(|(message, _)| message.text()), ["kept", "fence", "again"]);
        let [_, _, (again, waited)] = came;
        assert!(again.method.redelivered);
        assert!(waited >= Duration::from_millis(1499));
        drop(conn);
        tidy(broker, &[&queue]);
    });
}

#[test]
fn what_waited_is_not_there_when_its_exchange_is_not() {
    lepus_only!("Debian's RabbitMQ has no plugin for delays");
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "left");
        let exchange = delayed_exchange(broker, &queue);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        ch.publish_with(publish(&exchange, "k"), &late(600_000), "gone");
        ch.confirmed(1, 1);
        let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
        restart(broker);
        broker.stop();
        let dump = String::from_utf8(broker.store("dump", &[]).stdout).unwrap();
        assert!(!dump.contains("gone"), "{dump}");
    });
}

#[test]
fn kills_while_messages_come_due_neither_lose_nor_double_any() {
    lepus_only!("Debian's RabbitMQ has no plugin for delays");
    let mut broker = durable_broker!();
    let retries = [("x-delayed-retry-type", text("all")), ("x-delayed-retry-min", int(300))];
    let queues = [declared(&broker, retries), new_queue(&broker, "other")];
    let exchange = delayed_exchange(&broker, &queues[0]);
    broker.connect().channel(1).bind(&queues[1], &exchange, "k");
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    for number in 0..3000 {
        let properties = late(300 + number * 7919 % 1500);
        ch.publish_with(publish(&exchange, "k"), &properties, number.to_string());
    }
    ch.confirmed(1, 3000);
    for _ in 0..4 {
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        // Some come back and wait again, while the others come.
        ch.consume(&queues[0], "c");
        let [first, second] = [(); 2].map(|()| ch.delivery().method.delivery_tag);
        ch.send(nack(first, true));
        ch.send(reject(second, true));
        broker.crash();
    }
    for queue in &queues {
        let mut numbers: Vec<i32> =
            awaited(&broker, queue, 3000).iter().map(|body| body.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..3000), "{queue}");
        broker.connect().channel(1).expect_counts(queue, (0, 0));
    }
    tidy(&broker, &[&queues[0], &queues[1]]);
}

#[test]
fn what_waits_is_dumped_under_the_name_of_its_queue_or_exchange() {
    lepus_only!("it is Lepus' own store");
    let mut broker = Broker::start();
    let heeds = declared(&broker, [("x-delayed", flag(true))]);
    let exchange = delayed_exchange(&broker, &heeds);
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.publish_with(publish("", &heeds), &late(600_000), "in the queue");
    ch.publish_with(publish(&exchange, "k"), &late(100_000), "at the exchange");
    ch.confirmed(1, 2);
    broker.stop();
    let dump = String::from_utf8(broker.store("dump", &[]).stdout).unwrap();
    for (name, body) in [(&heeds, "in the queue"), (&exchange, "at the exchange")] {
        let line = |parts: [&str; 2]| {
            dump.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        };
        assert!(line([&format!("\"name\":\"{name}\""), "\"scheduled\":true"]), "{dump}");
        let message = [format!("\"queue\":\"{name}\""), format!("\"body\":\"{body}\"")];
        assert!(line([&message[0], &message[1]]) && line([body, "\"due\":1"]), "{dump}");
    }
    let check = String::from_utf8(broker.store("check", &[]).stdout).unwrap();
    assert!(check.contains(&format!("messages that wait for a time in exchange '{exchange}'")));
}

#[test]
fn what_waits_is_kept_by_the_embedded_store_too() {
    lepus_only!("it is Lepus' own store");
    let mut broker = Broker::with_config("storage.engine = sled");
    let heeds = declared(&broker, [("x-delayed", flag(true))]);
    let mut conn = broker.connect();
    let mut ch = conn.channel_confirming(1);
    ch.conn.send_raw(&octets("", &heeds, [700, 1, 400]));
    ch.confirmed(1, 3);
    broker.crash();
    assert_eq!(awaited(&broker, &heeds, 3), ["1", "400", "700"]);
    broker.connect().channel(1).expect_counts(&heeds, (0, 0));
}
