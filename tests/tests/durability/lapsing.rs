//! Times and dead letters over a restart.

use super::*;

fn durable_queue<'a>(
    broker: &Broker,
    arguments: impl IntoIterator<Item = (&'a str, AMQPValue)>,
) -> String {
    let name = unique("lapsing");
    let arguments = table(arguments);
    let declare = queue::Declare { durable: true, arguments, ..declare(&name) };
    broker.connect().channel(1).declare(declare);
    name
}

#[test]
fn a_message_whose_time_runs_out_meanwhile_is_a_dead_letter_after_the_restart() {
    both_ways(|broker, restart| {
        let dead = new_queue(broker, "dead");
        let queue = durable_queue(
            broker,
            [
                ("x-message-ttl", int(1500)),
                ("x-dead-letter-exchange", text("")),
                ("x-dead-letter-routing-key", text(&dead)),
            ],
        );
        put(broker, &queue, ["a", "b"]);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        ch.expect_counts(&dead, (2, 0));
        ch.expect_counts(&queue, (0, 0));
        assert_eq!(drained(broker, &dead), ["a", "b"]);
        tidy(broker, &[&queue, &dead]);
    });
}

#[test]
fn dead_letters_survive_where_they_are_and_nowhere_else() {
    both_ways(|broker, restart| {
        let dead = new_queue(broker, "dead");
        let queue = durable_queue(
            broker,
            [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))],
        );
        put(broker, &queue, ["a", "b", "c"]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        for _ in 0..2 {
            ch.got(&queue);
        }
        ch.send(nack_up_to(2, false));
        fence(&mut ch, &queue);
        restart(broker);
        assert_eq!(drained(broker, &dead), ["a", "b"]);
        assert_eq!(drained(broker, &queue), ["c", "fence"]);
        tidy(broker, &[&queue, &dead]);
    });
}

#[test]
fn keys_of_bcc_lead_dead_letters_after_a_restart() {
    both_ways(|broker, restart| {
        let (exchange, hidden) = (unique("dlx"), new_queue(broker, "hidden"));
        let queue = durable_queue(broker, [("x-dead-letter-exchange", text(&exchange))]);
        let mut conn = broker.connect();
        let mut ch = conn.channel_confirming(1);
        let _: exchange::DeclareOk = ch.call(durable_exchange(&exchange, "direct"));
        ch.bind(&hidden, &exchange, "hidden");
        let copies = headers([("BCC", list([text("hidden")]))]).with_delivery_mode(2);
        ch.publish_with(publish("", &queue), &copies, "a");
        ch.confirmed(1, 1);
        restart(broker);
        let mut conn = broker.connect();
        let mut ch = conn.channel(1);
        let message = ch.got(&queue);
        assert!(!message.properties.headers().clone().unwrap_or_default().contains_key("BCC"));
        ch.send(reject(1, false));
        ch.expect_counts(&hidden, (1, 0));
        assert_eq!(drained(broker, &hidden), ["a"]);
        let _: exchange::DeleteOk = ch.call(delete_exchange(&exchange));
        tidy(broker, &[&queue, &hidden]);
    });
}
