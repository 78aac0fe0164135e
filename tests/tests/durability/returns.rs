//! How often messages came back.

use super::*;

fn count_of(message: &Message<basic::GetOk>) -> Option<AMQPValue> {
    message.properties.headers().as_ref()?.inner().get("x-delivery-count").cloned()
}

#[test]
fn returns_are_counted_across_lives() {
    both_ways(|broker, restart| {
        let queue = unique("returns");
        let arguments = table([("x-queue-type", text("quorum")), ("x-delivery-limit", int(3))]);
        broker.connect().channel(1).declare(queue::Declare { arguments, ..durable(&queue) });
        put(broker, &queue, ["often", "once", "never"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for _ in 0..2 {
            let tag = ch.got(&queue).method.delivery_tag;
            ch.send(nack(tag, true));
        }
        ch.got(&queue);
        let tag = ch.got(&queue).method.delivery_tag;
        ch.send(nack_up_to(tag, true));
        fence(&mut ch, &queue);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.expect_counts(&queue, (4, 0));
        let counts: Vec<_> = std::iter::from_fn(|| ch.get(&queue, false)).collect();
        let counts: Vec<_> = counts.iter().map(|of| (of.text(), count_of(of).unwrap())).collect();
        let expected =
            [("often", long(3)), ("once", long(1)), ("never", long(0)), ("fence", long(0))];
        assert_eq!(counts, expected);
        // Once more is too often.
        ch.send(nack_up_to(4, true));
        ch.expect_counts(&queue, (3, 0));
        tidy(broker, &[&queue]);
    });
}

#[test]
fn what_was_held_at_the_end_of_a_life_has_come_back() {
    both_ways(|broker, restart| {
        let queue = new_queue(broker, "returns");
        put(broker, &queue, ["held", "ready"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for life in 0..3 {
            let held = ch.got(&queue);
            assert_eq!(held.text(), "held");
            assert_eq!(count_of(&held), (life > 0).then(|| long(1)));
            ch.publish_with(publish("", &queue), &persistent(), "fence");
            let _: basic::Ack = ch.expect();
            restart(broker);
            if life > 0 {
                break;
            }
            conn = broker.connect();
            ch = conn.channel_confirming(1);
        }
        tidy(broker, &[&queue]);
    });
}

#[test]
fn timeouts_are_returns_in_the_next_life_too() {
    if on_target() {
        return println!("skipped: RabbitMQ closes the channel of a consumer that is late");
    }
    both_ways(|broker, restart| {
        let queue = unique("returns");
        let arguments = table([("x-consumer-timeout", int(30))]);
        broker.connect().channel(1).declare(queue::Declare { arguments, ..durable(&queue) });
        put(broker, &queue, ["late"]);
        for (count, ready) in [(None, 1), (Some(long(1)), 2), (Some(long(2)), 3)] {
            let mut conn = broker.connect();
            let mut ch = conn.channel_confirming(1);
            let got = ch.got(&queue);
            assert_eq!((got.text(), count_of(&got)), ("late", count));
            ch.expect_counts(&queue, (ready, 0));
            fence(&mut ch, &queue);
            restart(broker);
        }
        tidy(broker, &[&queue]);
    });
}
